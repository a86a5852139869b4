//! From the end of one call to the start of the next: 1,000 waiters in line for a limit of 1.

use std::{
    fmt::Debug,
    mem,
    sync::{Arc, Mutex},
    time::Instant,
};

use bytes::Bytes;
use http::Response;
use http_body::Body;
use tokio::{sync::Notify, task::yield_now};
use tower::{Service, ServiceExt, service_fn};

use crate::{
    candidates::{Candidate, Settings, Visit, around},
    support::{
        Request,
        call::Outcome,
        clock::now,
        figures::Row,
        inner::{Inner, answer},
        one_thread, request,
        rounds::{medians, percentile},
    },
};

pub(crate) const P50: &str = "release to next running, p50 ns";

const ROUNDS: usize = 51;
const WAITERS: usize = 1_000;

pub(crate) fn measure() -> Vec<Row> {
    let [p50, p99] = medians(ROUNDS, &Candidate::waiting(), |candidate| {
        let baton = Baton::default();
        let inner = handing(baton.clone());
        let samples = around(candidate, Settings::limit(1), inner, Line(baton));
        [50, 99].map(|percent| percentile(samples.clone(), percent))
    });
    vec![
        Row::new(P50, p50),
        Row::new("release to next running, p99 ns", p99),
    ]
}

/// What calls hand on to each other.
#[derive(Clone, Default)]
struct Baton(Arc<(Notify, Mutex<Times>)>);

#[derive(Default)]
struct Times {
    ended: Option<Instant>,
    hand_offs: Vec<f64>,
    order: Vec<usize>,
}

impl Baton {
    fn times<T>(&self, look: impl FnOnce(&mut Times) -> T) -> T {
        look(&mut self.0.1.lock().expect("nobody panicked"))
    }
}

/// Takes the baton over from the last call. The first one waits for the start.
fn handing(baton: Baton) -> impl Inner {
    service_fn(move |_: Request| {
        let baton = baton.clone();
        async move {
            let started = now();
            match baton.times(|times| times.ended) {
                Some(ended) => {
                    let waited = started.duration_since(ended).as_nanos() as f64;
                    baton.times(|times| times.hand_offs.push(waited));
                }
                None => baton.0.0.notified().await,
            }
            baton.times(|times| times.ended = Some(now()));
            answer()
        }
    })
}

struct Line(Baton);

impl Visit for Line {
    type Output = Vec<f64>;

    fn visit<S, B>(self, service: S) -> Vec<f64>
    where
        S: Service<Request, Response = Response<B>> + Clone + Send + 'static,
        S::Error: Debug + Send,
        S::Future: Send,
        B: Body<Data = Bytes> + Send + Unpin + 'static,
    {
        let Self(baton) = self;
        baton.times(|times| {
            times.hand_offs.reserve(WAITERS);
            times.order.reserve(WAITERS + 1);
        });
        one_thread().block_on(async {
            let tasks: Vec<_> = (0..=WAITERS)
                .map(|number| {
                    let (service, baton) = (service.clone(), baton.clone());
                    tokio::spawn(async move {
                        let outcome = Outcome::of(service.oneshot(request()).await);
                        assert_eq!(outcome, Outcome::Admitted);
                        baton.times(|times| times.order.push(number));
                    })
                })
                .collect();
            for _ in 0..100 {
                yield_now().await; // until all stand in line
            }
            baton.0.0.notify_one();
            for task in tasks {
                task.await.expect("every call is admitted");
            }
        });
        baton.times(|times| {
            assert!(times.order.is_sorted(), "first come, first served");
            assert_eq!(times.hand_offs.len(), WAITERS);
            mem::take(&mut times.hand_offs)
        })
    }
}
