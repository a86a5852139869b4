//! What a call allocates, exactly.

use std::{
    convert::Infallible,
    future::{Ready, ready},
    pin::pin,
    task::{Context, Poll, Waker},
    time::Duration,
};

use allocation_counter::{AllocationInfo, measure};
use axum::{Router, body::Body, routing::get};
use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use tower::{Layer, Service, ServiceExt, layer::layer_fn};
use tower_concurrency_limiter::{
    Lane, Lanes, Limiter, Overload, Rate, Resource, adaptive::Aimd, limiter::AcquireRequest,
};

/// Polls a future that has nothing to wait for.
fn now<F: Future>(future: F) -> F::Output {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => output,
        Poll::Pending => panic!("nothing to wait for"),
    }
}

/// What the second run of `call` allocates: the first one pays for what is made once.
fn allocations(mut call: impl FnMut()) -> AllocationInfo {
    call();
    measure(call)
}

#[derive(Clone)]
struct Bare;

impl Service<Request<()>> for Bare {
    type Response = Response<Full<Bytes>>;
    type Error = Infallible;
    type Future = Ready<Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Request<()>) -> Self::Future {
        ready(Ok(Response::new(Full::new(Bytes::from_static(b"rows")))))
    }
}

/// One call, as axum and hyper make it.
fn call<S>(service: &S)
where
    S: Service<Request<()>> + Clone,
    S::Error: std::fmt::Debug,
{
    drop(now(service.clone().oneshot(Request::new(()))).expect("a response"));
}

fn limiter_of(names: &[&str]) -> (Limiter, Vec<Resource>) {
    let resources: Vec<_> = names.iter().map(|&name| Resource::new(name, 1)).collect();
    let limiter = Limiter::new(Duration::from_secs(5), &resources);
    (limiter, resources)
}

#[test]
fn an_uncontended_call_allocates_nothing() {
    let (limiter, set) = limiter_of(&["db", "fs", "net", "gpu", "api"]);
    assert_eq!(
        allocations(|| call(&Bare)).count_total,
        0,
        "the bare service"
    );
    for set in [&set[..1], &set[..3], &set[..5]] {
        let layer = limiter.resources(set);
        let at_head = layer.clone().release_at_head().layer(Bare);
        assert_eq!(
            allocations(|| call(&at_head)).count_total,
            0,
            "at head, {}",
            set.len()
        );
        let until_end = layer.layer(Bare);
        assert_eq!(
            allocations(|| call(&until_end)).count_total,
            0,
            "until end, {}",
            set.len()
        );
    }
}

#[test]
fn an_uncontended_acquire_allocates_nothing() {
    let (limiter, set) = limiter_of(&["db", "fs", "net"]);
    let acquire = || drop(now(limiter.acquire(&set)).expect("a permit"));
    assert_eq!(allocations(acquire).count_total, 0, "acquire");
    let try_acquire = || drop(limiter.try_acquire(&set).expect("a permit"));
    assert_eq!(allocations(try_acquire).count_total, 0, "try_acquire");
    let run = || now(limiter.run(&set, || ready(()))).expect("a permit");
    assert_eq!(allocations(run).count_total, 0, "run");
}

#[tokio::test]
async fn a_waiter_allocates_nothing() {
    let (limiter, set) = limiter_of(&["db"]);
    let service = limiter.resources(&set).layer(Bare);
    let _permit = limiter.try_acquire(&set).expect("nobody was there before");
    let mut waiting = Vec::with_capacity(200);
    // Past the growth of what all waiters share, which doubles and is kept.
    let mut queue_up = || {
        let mut response = Box::pin(service.clone().call(Request::new(())));
        assert!(
            response
                .as_mut()
                .poll(&mut Context::from_waker(Waker::noop()))
                .is_pending()
        );
        waiting.push(response);
    };
    for _ in 0..100 {
        queue_up();
    }
    let info = measure(queue_up);
    assert_eq!(info.count_total, 1, "the box of this test: {info:?}");
}

/// Neither rules of another limiter nor a drained() that has ended cost anything here.
#[tokio::test]
async fn a_limiter_that_was_watched_is_as_cheap_as_before() {
    let (limiter, set) = limiter_of(&["db", "fs"]);
    let permit = limiter.try_acquire(&set).expect("idle");
    {
        let mut drained = pin!(limiter.drained());
        let mut cx = Context::from_waker(Waker::noop());
        assert!(drained.as_mut().poll(&mut cx).is_pending());
        drop(permit);
        assert!(drained.as_mut().poll(&mut cx).is_ready());
    }
    set[0].set_limit(0).expect("in range");
    set[0].set_limit(3).expect("in range");
    let acquire = || drop(now(limiter.acquire(&set)).expect("a permit"));
    assert_eq!(allocations(acquire).count_total, 0);
}

/// Where a resource has more to it than its limit, each grant goes by way of the queue.
#[test]
fn what_a_managed_grant_costs() {
    let fast = Rate::per_second(1_000_000_000).burst(1_000_000_000);
    let adaptive = || Aimd::between(5, 10).build();
    for db in [
        Resource::builder("db").rate(fast).build(),
        Resource::builder("db")
            .concurrency(5)
            .reserve(1, 100)
            .build(),
        Resource::builder("db").adaptive(adaptive()).build(),
        Resource::builder("db")
            .concurrency(5)
            .overload(Overload::default())
            .build(),
        Resource::builder("db")
            .concurrency(5)
            .lanes(Lanes::shared([Lane::new("user"), Lane::new("batch")]))
            .build(),
    ] {
        let fs = Resource::new("fs", 1);
        let limiter = Limiter::new(Duration::from_secs(5), [&db, &fs]);
        let try_acquire = || drop(limiter.try_acquire([&db]).expect("a permit"));
        let count = allocations(try_acquire).count_total;
        assert_eq!(count, 2, "the slip and the grant: {db:?}");
        let set = || drop(limiter.try_acquire([&db, &fs]).expect("a permit"));
        assert_eq!(allocations(set).count_total, 2, "in a set");
        let service = limiter.resources([&db]).layer(Bare);
        assert_eq!(allocations(|| call(&service)).count_total, 2, "a call");
        let service = limiter.resources([&db]).priority(|_| 5).layer(Bare);
        assert_eq!(
            allocations(|| call(&service)).count_total,
            2,
            "with a closure"
        );
        let free = || drop(limiter.try_acquire([&fs]).expect("a permit"));
        assert_eq!(
            allocations(free).count_total,
            0,
            "its neighbour pays nothing"
        );
    }
}

/// A closure that is asked allocates nothing.
#[test]
fn what_requests_say_of_themselves_is_free() {
    let (limiter, set) = limiter_of(&["db"]);
    let layer = limiter
        .resources(&set)
        .priority(|_| 100)
        .lane(|request| request.headers().get("x-tenant").into())
        .load(|_| 7)
        .fail_fast_deadline(|_| Some(Duration::from_secs(1)))
        .bypass(|_| false);
    let service = layer.layer(Bare);
    assert_eq!(allocations(|| call(&service)).count_total, 0);
}

/// The same with every set of features: what the limits of other processes need costs nothing here.
#[test]
fn a_key_is_free_and_a_load_is_free() {
    let (limiter, set) = limiter_of(&["db"]);
    let db = Resource::builder("keyed")
        .concurrency(5)
        .lanes(Lanes::keyed(10))
        .build();
    let keyed = Limiter::new(Duration::from_secs(5), [&db]);
    let tenant = "4f1c2b6e-0f5e-4a7d-9a3c-7d0f5c1b2a39".to_owned();
    let header = http::HeaderValue::from_static("acme");
    for (limiter, set, count, what) in [
        (&limiter, set.as_slice(), 0, "no lanes"),
        (
            &keyed,
            std::slice::from_ref(&db),
            2,
            "the slip and the grant",
        ),
    ] {
        let request = || limiter.request(set).load(7);
        let try_acquire = |request: AcquireRequest| drop(request.try_acquire().expect("idle"));
        let by_name = allocations(|| try_acquire(request().lane(&tenant)));
        assert_eq!(by_name.count_total, count, "{what}, by name");
        let by_header = allocations(|| try_acquire(request().lane(&header)));
        assert_eq!(by_header.count_total, count, "{what}, by header");
        let by_number = allocations(|| try_acquire(request().lane(4711)));
        assert_eq!(by_number.count_total, count, "{what}, by number");
    }
}

/// A layer that does nothing, as the yardstick under axum.
#[derive(Clone)]
struct NoOp<S>(S);

impl<S: Service<Req>, Req> Service<Req> for NoOp<S> {
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.0.poll_ready(cx)
    }

    fn call(&mut self, request: Req) -> S::Future {
        self.0.call(request)
    }
}

#[test]
fn under_axum_a_call_costs_what_a_layer_costs() {
    let (limiter, set) = limiter_of(&["db"]);
    let router = || Router::new().route("/", get(|| async { "rows" }));
    let cost = |app: Router| {
        // As `axum::serve` does for a connection; else every request would apply the layer anew.
        let app: Router = app.with_state(());
        let info = allocations(move || {
            let request = Request::get("/").body(Body::empty()).expect("a request");
            drop(now(app.clone().oneshot(request)).expect("a response"));
        });
        info.count_total
    };
    let no_op = cost(router().route_layer(layer_fn(NoOp)));
    let layer = limiter.resources(&set);
    let at_head = cost(router().route_layer(layer.clone().release_at_head()));
    assert_eq!(at_head, no_op, "released at the head");
    let until_end = cost(router().route_layer(layer));
    assert_eq!(
        until_end,
        no_op + 1,
        "the body that holds the permit is boxed by axum"
    );
}
