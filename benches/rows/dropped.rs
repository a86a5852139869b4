//! Waiters that leave: up to 100,000 of them, in no particular order.

use std::{
    fmt::Debug,
    pin::Pin,
    task::{Context, Waker},
};

use bytes::Bytes;
use http::Response;
use http_body::Body;
use tower::{Service, ServiceExt};

use crate::{
    candidates::{Candidate, Settings, Visit, around},
    support::{
        Request,
        call::{Outcome, at_once},
        clock::now,
        figures::Row,
        inner::{Door, behind},
        one_thread, request,
        rounds::medians,
    },
};

pub(crate) const GROWTH: &str = "the same, beside each of 25,000";

const ROUNDS: usize = 9;

pub(crate) fn measure() -> Vec<Row> {
    let runtime = one_thread();
    let _entered = runtime.enter();
    let [each, growth] = medians(ROUNDS, &Candidate::waiting(), |candidate| {
        let [few, many] = [25_000, 100_000].map(|waiters| {
            let door = Door::default();
            let inner = behind(door.clone());
            around(
                candidate,
                Settings::limit(1),
                inner,
                Leaving { door, waiters },
            )
        });
        [many, many / few]
    });
    vec![
        Row::new("100,000 waiters dropped, ns each", each),
        Row::new(GROWTH, growth).digits(2),
    ]
}

struct Leaving {
    door: Door,
    waiters: usize,
}

impl Visit for Leaving {
    /// Nanoseconds for each.
    type Output = f64;

    fn visit<S, B>(self, mut service: S) -> f64
    where
        S: Service<Request, Response = Response<B>> + Clone + Send + 'static,
        S::Error: Debug + Send,
        S::Future: Send,
        B: Body<Data = Bytes> + Send + Unpin + 'static,
    {
        let Self { door, waiters } = self;
        let mut cx = Context::from_waker(Waker::noop());
        let mut waiting = |service: &S| {
            let mut call = Box::pin(service.clone().oneshot(request()));
            assert!(call.as_mut().poll(&mut cx).is_pending());
            call
        };
        let first = waiting(&service);
        let mut line: Vec<Pin<Box<_>>> = (0..waiters).map(|_| waiting(&service)).collect();
        assert_eq!(door.entered(), 1, "all others wait");

        let mut random = 0x9E37_79B9_7F4A_7C15_u64;
        let start = now();
        while !line.is_empty() {
            random = random
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            let index = (random >> 33) as usize % line.len();
            drop(line.swap_remove(index));
        }
        let each = start.elapsed().as_nanos() as f64 / waiters as f64;

        drop(first);
        door.open();
        assert_eq!(
            at_once(&mut service),
            Outcome::Admitted,
            "the capacity is intact"
        );
        each
    }
}
