//! Instructions, counted by callgrind: exact where time is noisy.
//!
//! The executable calls itself under valgrind, with few calls and with many; the difference is the
//! calls' own.

use std::{
    env,
    process::Command,
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

use crate::{
    candidates::Candidate,
    support::{figures::Row, rounds::beyond_bare},
};

pub(crate) const PER_CALL: &str = "uncontended call, instructions beyond the bare service";
pub(crate) const PER_REQUEST: &str =
    "through `axum::serve`, server instructions per request beyond a bare router";

const FEW: usize = 500;
const MANY: usize = 2_500;

pub(crate) fn measure() -> Vec<Row> {
    if Command::new("valgrind").arg("--version").output().is_err() {
        eprintln!(
            "instructions are not counted: install valgrind, as with `apt-get install valgrind`"
        );
        return Vec::new();
    }
    let mut contended = vec![Candidate::Bare];
    contended.extend(Candidate::waiting());
    let mut expiring = vec![Candidate::Bare];
    expiring.extend(Candidate::giving_up());
    [
        (PER_CALL, "direct", Candidate::direct()),
        (PER_REQUEST, "served", Candidate::ALL.to_vec()),
        (
            "contended call, instructions beyond the bare service",
            "contended",
            contended,
        ),
        (
            "waiter expiring, instructions beyond the bare service",
            "expiring",
            expiring,
        ),
    ]
    .map(|(title, place, candidates)| Row::new(title, beyond_bare(count(place, &candidates))))
    .into()
}

/// Counts on all cores: instructions do not mind.
fn count(place: &str, candidates: &[Candidate]) -> Vec<(Candidate, f64)> {
    let next = AtomicUsize::new(0);
    let counted = Mutex::new(Vec::new());
    thread::scope(|scope| {
        for _ in 0..thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(|| {
                while let Some(&candidate) = candidates.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let [few, many] = [FEW, MANY].map(|calls| collected(place, candidate, calls));
                    let per_call = (many - few) as f64 / (MANY - FEW) as f64;
                    let mut counted = counted.lock().expect("nobody panicked");
                    counted.push((candidate, per_call));
                }
            });
        }
    });
    counted.into_inner().expect("nobody panicked")
}

fn collected(place: &str, candidate: Candidate, calls: usize) -> u64 {
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
        .arg(env::current_exe().expect("the executable has a path"))
        .args([
            "--child",
            place,
            &format!("{candidate:?}"),
            &calls.to_string(),
        ])
        .output()
        .expect("valgrind starts");
    let report = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "the child succeeds: {report}");
    report
        .lines()
        .find_map(|line| line.split_once("Collected :"))
        .and_then(|(_, count)| count.trim().parse().ok())
        .expect("callgrind reports its count")
}
