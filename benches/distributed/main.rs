//! Run with `cargo bench -p benches --bench distributed`, or with the names of single measurements:
//! `cargo bench -p benches --bench distributed -- hand_off load`.
//!
//! Measures limits that are shared between processes, on a server of its own, beside bare round
//! trips to the same server. Each process is a backend: a session, a thread and a connection of its
//! own. Times need a quiet machine.

mod acquire;
mod cached;
#[path = "../support/clock.rs"]
#[allow(dead_code, reason = "shared with `table`, which uses the rest")]
mod clock;
mod figures;
mod hand_off;
mod load;
mod ping;
mod throughput;
#[path = "../../tests/redis/processes/venue.rs"]
#[allow(dead_code, reason = "shared with the tests, which use the rest")]
mod venue;

use std::env;

use figures::{Figure, markdown};
use test_support::Server;
use tokio::runtime;
use venue::Venue;

/// A measurement and its name.
type Measurement = (&'static str, fn(&Server, &Venue) -> Vec<Figure>);

const MEASUREMENTS: [Measurement; 5] = [
    ("hand_off", hand_off::measure),
    ("acquire", acquire::measure),
    ("throughput", throughput::measure),
    ("cached", cached::measure),
    ("load", load::measure),
];

fn main() {
    let args: Vec<String> = env::args().skip(1).filter(|a| a != "--bench").collect();
    let server = Server::start();
    let mut figures = Vec::new();
    for (name, measure) in MEASUREMENTS {
        if args.is_empty() || args.iter().any(|a| a == name) {
            eprintln!("measuring: {name}");
            figures.extend(measure(&server, &Venue::new(server.url()).named(name)));
        }
    }
    println!("{}", markdown(&figures));
}

fn one_thread() -> runtime::Runtime {
    runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime starts")
}
