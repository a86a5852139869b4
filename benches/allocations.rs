//! Run with `cargo bench -p benches --bench allocations`.
//!
//! Counts allocations, exactly; apart from the other measurements because counting takes time. With
//! `--figures` it prints for `table` to read.

#[allow(dead_code, reason = "shared with `table`, which uses the rest")]
mod candidates;
#[allow(dead_code, reason = "shared with `table`, which uses the rest")]
mod support;

use std::{
    alloc::System,
    env,
    fmt::Debug,
    task::{Context, Waker},
};

use bytes::Bytes;
use http::Response;
use http_body::Body;
use stats_alloc::{INSTRUMENTED_SYSTEM, StatsAlloc};
use tower::{Service, ServiceExt};

use candidates::{Candidate, Settings, Visit, around, router};
use support::{
    Request,
    call::{Outcome, at_once},
    figures::{Row, lines, markdown},
    inner::{Door, Instantly, behind},
    one_thread, request,
    rounds::beyond_bare,
    served::Served,
    titles,
};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

const CALLS: usize = 1_000;
const WAITERS: usize = 100_000;

fn main() {
    let [calls, bytes] = of_each(&Candidate::direct(), |candidate| {
        let runtime = one_thread();
        let _entered = runtime.enter();
        around(candidate, Settings::limit(16), Instantly, Calls)
    });
    let [requests] = of_each(&Candidate::ALL, |candidate| {
        let mut served = Served::new(router(candidate, Settings::limit(16)));
        served.requests(CALLS);
        let [count, _] = per_call(|| served.requests(CALLS));
        [count]
    });
    let mut waiting = vec![Candidate::Bare];
    waiting.extend(Candidate::waiting());
    let [waiter] = of_each(&waiting, |candidate| {
        let door = Door::default();
        let inner = behind(door.clone());
        [around(candidate, Settings::limit(1), inner, Waiters(door))]
    });
    let rows = [
        Row::new(titles::PER_CALL, beyond_bare(calls)),
        Row::new(titles::BYTES_PER_CALL, beyond_bare(bytes)),
        Row::new(titles::PER_REQUEST, beyond_bare(requests)),
        Row::new(titles::HEAP_PER_WAITER, beyond_bare(waiter)),
    ];
    if env::args().any(|arg| arg == "--figures") {
        print!("{}", lines(&rows));
    } else {
        println!("{}", markdown(&rows, &Candidate::ALL));
    }
}

/// The figures of each candidate, of which one measurement is enough.
fn of_each<const N: usize>(
    candidates: &[Candidate],
    mut count: impl FnMut(Candidate) -> [f64; N],
) -> [Vec<(Candidate, f64)>; N] {
    let counts: Vec<_> = candidates.iter().map(|c| (*c, count(*c))).collect();
    std::array::from_fn(|figure| {
        counts
            .iter()
            .map(|(c, counts)| (*c, counts[figure]))
            .collect()
    })
}

/// Allocations and their bytes, by each of [`CALLS`].
fn per_call(calls: impl FnOnce()) -> [f64; 2] {
    let before = ALLOCATOR.stats();
    calls();
    let made = ALLOCATOR.stats() - before;
    [made.allocations, made.bytes_allocated].map(|count| count as f64 / CALLS as f64)
}

/// Bytes that are allocated now.
fn live() -> f64 {
    let stats = ALLOCATOR.stats();
    stats.bytes_allocated as f64 - stats.bytes_deallocated as f64
}

struct Calls;

impl Visit for Calls {
    type Output = [f64; 2];

    fn visit<S, B>(self, mut service: S) -> [f64; 2]
    where
        S: Service<Request, Response = Response<B>> + Clone + Send + 'static,
        S::Error: Debug + Send,
        S::Future: Send,
        B: Body<Data = Bytes> + Send + Unpin + 'static,
    {
        let mut calls = || {
            for _ in 0..CALLS {
                assert_eq!(at_once(&mut service), Outcome::Admitted);
            }
        };
        calls();
        per_call(calls)
    }
}

/// All calls wait behind this door, or for the one that does.
struct Waiters(Door);

impl Visit for Waiters {
    type Output = f64;

    fn visit<S, B>(self, service: S) -> f64
    where
        S: Service<Request, Response = Response<B>> + Clone + Send + 'static,
        S::Error: Debug + Send,
        S::Future: Send,
        B: Body<Data = Bytes> + Send + Unpin + 'static,
    {
        let Self(door) = self;
        let runtime = one_thread();
        let _entered = runtime.enter();
        let mut cx = Context::from_waker(Waker::noop());
        let mut line = Vec::with_capacity(WAITERS);
        let before = live();
        for _ in 0..WAITERS {
            let mut call = Box::pin(service.clone().oneshot(request()));
            assert!(call.as_mut().poll(&mut cx).is_pending());
            line.push(call);
        }
        let each = (live() - before) / WAITERS as f64;
        assert!(matches!(door.entered(), 1 | WAITERS), "one runs, or all");
        each
    }
}
