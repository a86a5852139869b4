//! Instructions, counted by callgrind: exact where time is noisy.
//!
//! The executable calls itself under valgrind, with few calls and with many; the difference is the
//! calls' own.

use std::{
    env,
    fmt::Debug,
    process::Command,
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

use bytes::Bytes;
use http::Response;
use http_body::Body;
use tower::Service;

use crate::{
    candidates::{Candidate, Settings, Visit, around, router},
    support::{
        Request,
        call::{Outcome, at_once},
        figures::Row,
        inner::Instantly,
        one_thread,
        rounds::beyond_bare,
        served::Served,
    },
};

pub(crate) const PER_CALL: &str = "uncontended call, instructions beyond the bare service";
pub(crate) const PER_REQUEST: &str =
    "through `axum::serve`, server instructions per request beyond a bare router";

const FEW: usize = 500;
const MANY: usize = 2_500;
const LIMIT: Settings = Settings::limit(16);

pub(crate) fn measure() -> Vec<Row> {
    if Command::new("valgrind").arg("--version").output().is_err() {
        eprintln!(
            "instructions are not counted: install valgrind, as with `apt-get install valgrind`"
        );
        return Vec::new();
    }
    vec![
        Row::new(PER_CALL, beyond_bare(count("direct", &Candidate::direct()))),
        Row::new(PER_REQUEST, beyond_bare(count("served", &Candidate::ALL))),
    ]
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

/// What runs under valgrind: a place, a candidate and a number of calls.
pub(crate) fn child(args: &[String]) {
    let [place, candidate, calls] = args else {
        panic!("--child <direct|served> <candidate> <calls>");
    };
    let candidate = Candidate::parse(candidate);
    let calls = calls.parse().expect("a number of calls");
    if place == "served" {
        Served::new(router(candidate, LIMIT)).requests(calls);
    } else {
        let runtime = one_thread();
        let _entered = runtime.enter();
        around(candidate, LIMIT, Instantly, Calls(calls));
    }
}

struct Calls(usize);

impl Visit for Calls {
    type Output = ();

    fn visit<S, B>(self, mut service: S)
    where
        S: Service<Request, Response = Response<B>> + Clone + Send + 'static,
        S::Error: Debug + Send,
        S::Future: Send,
        B: Body<Data = Bytes> + Send + Unpin + 'static,
    {
        for _ in 0..self.0 {
            assert_eq!(at_once(&mut service), Outcome::Admitted);
        }
    }
}
