//! Run with `cargo bench -p benches --bench table`, or with the names of single measurements:
//! `cargo bench -p benches --bench table -- call contended`.
//!
//! Measures this crate beside its peers, in turns, and prints the README's table. Times need a
//! quiet machine; instructions and allocations are exact on any, and want valgrind installed.

mod candidates;
mod rows;
#[allow(dead_code, reason = "shared with `allocations`, which uses the rest")]
mod support;

use std::env;

use candidates::Candidate;
use support::figures::{Row, lines, markdown};

/// A measurement and its name.
type Measurement = (&'static str, fn() -> Vec<Row>);

const MEASUREMENTS: [Measurement; 8] = [
    ("allocations", rows::allocations::measure),
    ("call", rows::call::measure),
    ("instructions", rows::instructions::measure),
    ("contended", rows::contended::measure),
    ("hand_off", rows::hand_off::measure),
    ("expiring", rows::expiring::measure),
    ("dropped", rows::dropped::measure),
    ("requests", rows::requests::measure),
];

fn main() {
    let args: Vec<String> = env::args().skip(1).filter(|a| a != "--bench").collect();
    if args.first().is_some_and(|a| a == "--child") {
        return rows::child::run(&args[1..]);
    }
    let chosen = |name: &str| args.is_empty() || args.iter().any(|a| a == name);
    let mut rows = Vec::new();
    for (name, measure) in MEASUREMENTS {
        if chosen(name) {
            eprintln!("measuring: {name}");
            let measured = measure();
            eprint!("{}", lines(&measured));
            rows.extend(measured);
        }
    }
    println!("{}\n", markdown(&rows, &Candidate::ALL));
    println!("{}", rows::bars::markdown(&rows));
}
