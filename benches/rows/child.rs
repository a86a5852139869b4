//! What runs under valgrind: so many calls in one place, and nothing else. One thread does it all,
//! so that the count is the same every time.

use std::fmt::Debug;

use bytes::Bytes;
use http::Response;
use http_body::Body;
use tower::{Service, ServiceExt};

use super::expiring;
use crate::{
    candidates::{Candidate, Settings, Visit, around, router},
    support::{
        Request,
        call::{Outcome, at_once},
        inner::{Instantly, yielding},
        one_thread, request,
        served::Served,
    },
};

const LIMIT: Settings = Settings::limit(16);
const TASKS: usize = 50;

pub(crate) fn run(args: &[String]) {
    let [place, candidate, calls] = args else {
        panic!("--child <place> <candidate> <calls>");
    };
    let candidate = Candidate::parse(candidate);
    let calls = calls.parse().expect("a number of calls");
    match place.as_str() {
        "direct" => around(candidate, LIMIT, Instantly, Direct { calls }),
        "served" => Served::new(router(candidate, LIMIT)).requests(calls),
        "contended" => around(candidate, LIMIT, yielding(), Contended { calls }),
        "expiring" => {
            expiring::crowd(candidate, calls, one_thread());
        }
        _ => panic!("there is no place {place}"),
    }
}

/// One call after the other, each admitted at once.
struct Direct {
    calls: usize,
}

impl Visit for Direct {
    type Output = ();

    fn visit<S, B>(self, mut service: S)
    where
        S: Service<Request, Response = Response<B>> + Clone + Send + 'static,
        S::Error: Debug + Send,
        S::Future: Send,
        B: Body<Data = Bytes> + Send + Unpin + 'static,
    {
        let runtime = one_thread();
        let _entered = runtime.enter();
        for _ in 0..self.calls {
            assert_eq!(at_once(&mut service), Outcome::Admitted);
        }
    }
}

/// Calls of tasks that wait for each other.
struct Contended {
    calls: usize,
}

impl Visit for Contended {
    type Output = ();

    fn visit<S, B>(self, service: S)
    where
        S: Service<Request, Response = Response<B>> + Clone + Send + 'static,
        S::Error: Debug + Send,
        S::Future: Send,
        B: Body<Data = Bytes> + Send + Unpin + 'static,
    {
        let calls = self.calls / TASKS;
        one_thread().block_on(async {
            let tasks: Vec<_> = (0..TASKS)
                .map(|_| {
                    let mut service = service.clone();
                    tokio::spawn(async move {
                        for _ in 0..calls {
                            let ready = service.ready().await.expect("the service is well");
                            let result = ready.call(request()).await;
                            assert_eq!(Outcome::of(result), Outcome::Admitted);
                        }
                    })
                })
                .collect();
            for task in tasks {
                task.await.expect("every call is admitted");
            }
        });
    }
}
