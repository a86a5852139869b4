//! A call that finds the resource free: readiness, call, response, body.

use std::fmt::Debug;

use bytes::Bytes;
use http::Response;
use http_body::Body;
use tower::Service;

use crate::{
    candidates::{Candidate, Settings, Visit, around},
    support::{
        Request,
        call::{Outcome, at_once},
        clock::now,
        figures::Row,
        inner::Instantly,
        one_thread,
        rounds::{beyond_bare, medians},
    },
};

// Many and short, so that most of them fit between two interruptions.
const ROUNDS: usize = 501;
const CALLS: usize = 1_000;

pub(crate) const TIME: &str = "uncontended call, ns beyond the bare service";

pub(crate) fn measure() -> Vec<Row> {
    let runtime = one_thread();
    let _entered = runtime.enter();
    let [time] = medians(ROUNDS, &Candidate::direct(), |candidate| {
        [around(candidate, Settings::limit(16), Instantly, Time)]
    });
    vec![Row::new(TIME, beyond_bare(time)).digits(1)]
}

struct Time;

impl Visit for Time {
    type Output = f64;

    fn visit<S, B>(self, mut service: S) -> f64
    where
        S: Service<Request, Response = Response<B>> + Clone + Send + 'static,
        S::Error: Debug + Send,
        S::Future: Send,
        B: Body<Data = Bytes> + Send + Unpin + 'static,
    {
        for _ in 0..CALLS / 10 {
            at_once(&mut service);
        }
        let start = now();
        for _ in 0..CALLS {
            assert_eq!(at_once(&mut service), Outcome::Admitted);
        }
        start.elapsed().as_nanos() as f64 / CALLS as f64
    }
}
