//! Throughput where requests wait: 64 tasks, 16 at once, two workers.

use std::{
    fmt::Debug,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use http::Response;
use http_body::Body;
use tokio::time::sleep;
use tower::{Service, ServiceExt};

use crate::{
    candidates::{Candidate, Settings, Visit, around},
    support::{
        Request,
        call::Outcome,
        clock::now,
        figures::Row,
        inner::{Gauge, yielding, yielding_counted},
        request,
        rounds::medians,
        two_workers,
    },
};

pub(crate) const RATE: &str = "contended (64 tasks, limit 16, 2 workers), admitted calls/s";

const ROUNDS: usize = 15;
const WINDOW: Duration = Duration::from_millis(150);
const TASKS: usize = 64;
const LIMIT: usize = 16;

pub(crate) fn measure() -> Vec<Row> {
    let candidates = Candidate::waiting();
    for &candidate in &candidates {
        let gauge = Gauge::default();
        let inner = yielding_counted(gauge.clone());
        around(candidate, Settings::limit(LIMIT), inner, Throughput);
        assert_eq!(gauge.most(), LIMIT, "{candidate:?} admits up to the limit");
        assert_eq!(gauge.running(), 0, "{candidate:?} has ended all calls");
    }
    let [throughput] = medians(ROUNDS, &candidates, |candidate| {
        [around(
            candidate,
            Settings::limit(LIMIT),
            yielding(),
            Throughput,
        )]
    });
    vec![Row::new(RATE, throughput)]
}

struct Throughput;

impl Visit for Throughput {
    type Output = f64;

    fn visit<S, B>(self, service: S) -> f64
    where
        S: Service<Request, Response = Response<B>> + Clone + Send + 'static,
        S::Error: Debug + Send,
        S::Future: Send,
        B: Body<Data = Bytes> + Send + Unpin + 'static,
    {
        two_workers().block_on(async {
            let over = Arc::new(AtomicBool::new(false));
            let start = now();
            let tasks: Vec<_> = (0..TASKS)
                .map(|_| tokio::spawn(calls(service.clone(), Arc::clone(&over))))
                .collect();
            sleep(WINDOW).await;
            over.store(true, Ordering::Relaxed);
            let mut admitted = 0;
            for task in tasks {
                admitted += task.await.expect("every call is admitted");
            }
            admitted as f64 / start.elapsed().as_secs_f64()
        })
    }
}

async fn calls<S, B>(mut service: S, over: Arc<AtomicBool>) -> usize
where
    S: Service<Request, Response = Response<B>>,
    S::Error: Debug,
    B: Body<Data = Bytes> + Unpin,
{
    let mut admitted = 0;
    while !over.load(Ordering::Relaxed) {
        let ready = service.ready().await.expect("the service is well");
        let result = ready.call(request()).await;
        assert_eq!(Outcome::of(result), Outcome::Admitted);
        admitted += 1;
    }
    admitted
}
