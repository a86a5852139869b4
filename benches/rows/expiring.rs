//! 100,000 requests that wait 100 ms for a resource that is never free.

use std::{fmt::Debug, time::Duration};

use bytes::Bytes;
use http::Response;
use http_body::Body;
use tokio::{runtime::Runtime, task::yield_now};
use tower::{Service, ServiceExt};

use crate::{
    candidates::{Candidate, Settings, Visit, around},
    support::{
        Request,
        call::Outcome,
        clock::{cpu, now},
        figures::Row,
        inner::{Door, behind},
        request,
        rounds::{beyond_bare, medians, percentile},
        two_workers,
    },
};

pub(crate) const CPU: &str = "100,000 waiters expiring, CPU ms beyond the bare service";
pub(crate) const LATENESS: &str = "100,000 waiters expiring, p99 lateness ms";

const ROUNDS: usize = 5;
const WAITERS: usize = 100_000;
const WAIT: Duration = Duration::from_millis(100);

pub(crate) fn measure() -> Vec<Row> {
    let mut candidates = vec![Candidate::Bare];
    candidates.extend(Candidate::giving_up());
    let [cpu, lateness] = medians(ROUNDS, &candidates, |candidate| {
        crowd(candidate, WAITERS, two_workers())
    });
    let lateness = lateness.into_iter().filter(|(c, _)| *c != Candidate::Bare);
    vec![
        Row::new(CPU, beyond_bare(cpu)),
        Row::new(LATENESS, lateness.collect()).digits(1),
    ]
}

/// CPU time and p99 lateness of so many requests, in milliseconds. Those to the bare service find
/// it free, all others wait in vain.
pub(crate) fn crowd(candidate: Candidate, waiters: usize, runtime: Runtime) -> [f64; 2] {
    let (door, outcome) = match candidate {
        Candidate::Bare => (Door::opened(), Outcome::Admitted),
        _ => (Door::default(), Outcome::Rejected),
    };
    let inner = behind(door.clone());
    let crowd = Crowd {
        waiters,
        door,
        outcome,
        runtime,
    };
    around(candidate, Settings::limit(1).wait(WAIT), inner, crowd)
}

struct Crowd {
    waiters: usize,
    door: Door,
    outcome: Outcome,
    runtime: Runtime,
}

impl Visit for Crowd {
    type Output = [f64; 2];

    fn visit<S, B>(self, service: S) -> [f64; 2]
    where
        S: Service<Request, Response = Response<B>> + Clone + Send + 'static,
        S::Error: Debug + Send,
        S::Future: Send,
        B: Body<Data = Bytes> + Send + Unpin + 'static,
    {
        let Self {
            waiters,
            door,
            outcome,
            runtime,
        } = self;
        let crowd = runtime.spawn(async move {
            let first = tokio::spawn(service.clone().oneshot(request()));
            while outcome == Outcome::Rejected && door.entered() == 0 {
                yield_now().await;
            }
            let before = cpu();
            let tasks: Vec<_> = (0..waiters)
                .map(|_| {
                    let service = service.clone();
                    tokio::spawn(async move {
                        let due = now() + WAIT;
                        let outcome = Outcome::of(service.oneshot(request()).await);
                        let late = now().saturating_duration_since(due);
                        (outcome, late.as_secs_f64() * 1e3)
                    })
                })
                .collect();
            let mut late = Vec::with_capacity(waiters);
            for task in tasks {
                let (became, ms) = task.await.expect("no call panics");
                assert_eq!(became, outcome);
                late.push(ms);
            }
            let used = cpu() - before;

            door.open();
            first.abort();
            let _ = first.await;
            let next = Outcome::of(service.oneshot(request()).await);
            assert_eq!(next, Outcome::Admitted, "the capacity is intact");
            [used.as_secs_f64() * 1e3, percentile(late, 99)]
        });
        runtime.block_on(crowd).expect("no call panics")
    }
}
