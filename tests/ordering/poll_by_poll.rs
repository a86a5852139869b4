//! The service and its future, poll by poll.

use std::{
    future::Future,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use futures_util::future::{BoxFuture, FutureExt};
use tokio_test::{
    assert_pending, assert_ready, assert_ready_err, assert_ready_ok,
    task::{Spawn, spawn},
};
use tower::{BoxError, Layer, Service, ServiceExt, limit::ConcurrencyLimitLayer as TowerLimit};
use tower_concurrency_limiter::{
    ConcurrencyLimit, ConcurrencyLimitLayer, Limiter, Permit, Reason, Rejection, Resource,
    middleware::release::OnResponse,
};
use tower_test::mock::{self, Handle, Mock, SendResponse};

type Layered = mock::Spawn<ConcurrencyLimit<Mock<&'static str, &'static str>, OnResponse>>;

struct Setup {
    db: Resource,
    limiter: Limiter,
    service: Layered,
    inner: Handle<&'static str, &'static str>,
}

fn layer(limit: usize) -> (Resource, Limiter, ConcurrencyLimitLayer<OnResponse>) {
    let db = Resource::new("db", limit);
    let limiter = Limiter::new(Duration::from_secs(5), [&db]);
    let layer = limiter.resources([&db]).for_any_service();
    (db, limiter, layer)
}

fn setup(limit: usize) -> Setup {
    let (db, limiter, layer) = layer(limit);
    let (service, inner) = mock::spawn_layer(layer);
    Setup {
        db,
        limiter,
        service,
        inner,
    }
}

impl Setup {
    fn take_all(&self) -> Permit {
        let all = self.db.units(self.db.limit().expect("it has one"));
        self.limiter.try_acquire([all]).expect("idle")
    }

    /// The request that has reached the inner service.
    fn reached(&mut self) -> (&'static str, SendResponse<&'static str>) {
        assert_ready!(self.inner.poll_request()).expect("the service lives")
    }
}

#[tokio::test(start_paused = true)]
async fn not_ready_while_the_inner_service_is_not() {
    let mut s = setup(1);
    s.inner.allow(0);
    assert_pending!(s.service.poll_ready());
    assert_eq!(s.db.in_use(), 0, "readiness takes nothing");
    s.inner.allow(1);
    assert!(s.service.is_woken(), "woken by the inner service");
    assert_ready_ok!(s.service.poll_ready());
    assert_eq!(s.db.in_use(), 0, "readiness takes nothing");
}

#[tokio::test(start_paused = true)]
async fn ready_while_the_limit_is_exhausted() {
    let mut s = setup(1);
    let _all = s.take_all();
    assert_ready_ok!(s.service.poll_ready());
    let mut response = spawn(s.service.call("one"));
    assert_pending!(response.poll());
    assert_eq!(s.db.waiting(), 1, "the request waits, not the service");
    assert_ready_ok!(s.service.poll_ready());
}

/// tower's own limit takes its slot there, for a service that may never call.
#[tokio::test(start_paused = true)]
async fn a_ready_service_that_never_calls_takes_nothing() {
    let mut s = setup(1);
    assert_ready_ok!(s.service.poll_ready());
    let clones = [s.service.get_ref().clone(), s.service.get_ref().clone()];
    for mut clone in clones {
        assert_ready_ok!(spawn(clone.ready()).poll());
    }
    assert!(s.limiter.try_acquire([&s.db]).is_ok(), "still free");
}

#[tokio::test(start_paused = true)]
async fn an_admitted_request_is_called_at_once() {
    let mut s = setup(1);
    assert_ready_ok!(s.service.poll_ready());
    let response = s.service.call("one");
    assert_eq!(s.db.in_use(), 1, "from the call on");
    let (request, answer) = s.reached();
    assert_eq!(
        request, "one",
        "before the future is polled, as without a limit"
    );
    answer.send_response("done");
    assert_eq!(assert_ready_ok!(spawn(response).poll()), "done");
    assert_eq!(s.db.in_use(), 0);
}

/// The permit goes with the response, even if the finished future stays around.
#[tokio::test(start_paused = true)]
async fn a_finished_future_holds_nothing() {
    let mut s = setup(1);
    assert_ready_ok!(s.service.poll_ready());
    let mut response = spawn(s.service.call("one"));
    assert_pending!(response.poll());
    s.reached().1.send_response("done");
    assert_ready_ok!(response.poll());
    assert_eq!(s.db.in_use(), 0, "while `response` lives");
    drop(response);
}

#[tokio::test(start_paused = true)]
async fn a_service_error_is_passed_on_and_returns_the_permit() {
    let mut s = setup(1);
    assert_ready_ok!(s.service.poll_ready());
    let mut response = spawn(s.service.call("one"));
    s.reached().1.send_error("the table is gone");
    let error: BoxError = assert_ready_err!(response.poll());
    assert_eq!(error.to_string(), "the table is gone");
    assert_eq!(s.db.in_use(), 0, "while `response` lives");
}

#[tokio::test(start_paused = true)]
async fn a_readiness_error_is_passed_on() {
    let mut s = setup(1);
    s.inner.send_error("broken");
    let error = assert_ready_err!(s.service.poll_ready());
    assert_eq!(error.to_string(), "broken");
}

#[tokio::test(start_paused = true)]
async fn requests_are_served_in_the_order_in_which_they_began_to_wait() {
    let mut s = setup(1);
    let all = s.take_all();
    let mut responses = Vec::new();
    for request in ["one", "two", "three"] {
        assert_ready_ok!(s.service.poll_ready());
        responses.push(spawn(s.service.call(request)));
    }
    assert_eq!(s.db.waiting(), 0, "a future does nothing unless polled");
    for response in &mut responses {
        assert_pending!(response.poll());
    }
    for response in responses.iter_mut().rev() {
        assert_pending!(response.poll());
    }
    drop(all);
    for (index, request) in ["one", "two", "three"].into_iter().enumerate() {
        for (later, response) in responses.iter().enumerate().skip(index) {
            assert_eq!(
                response.is_woken(),
                later == index,
                "only {request} is woken"
            );
        }
        assert_pending!(responses[index].poll());
        let (reached, answer) = s.reached();
        assert_eq!(reached, request);
        assert_eq!(s.db.in_use(), 1);
        answer.send_response("done");
        assert_ready_ok!(responses[index].poll());
    }
    assert_eq!((s.db.in_use(), s.db.waiting()), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn nobody_overtakes_those_who_wait() {
    let mut s = setup(2);
    let all = s.take_all();
    assert_ready_ok!(s.service.poll_ready());
    let mut first = spawn(s.service.call("first"));
    assert_pending!(first.poll());
    drop(all);
    assert_eq!(s.db.in_use(), 1, "the one who waited was granted its unit");
    assert_ready_ok!(s.service.poll_ready());
    let mut second = spawn(s.service.call("second"));
    let (reached, _answer) = s.reached();
    assert_eq!(reached, "second", "there are two units");
    assert_pending!(second.poll());
    assert_pending!(first.poll());
    let (reached, _answer) = s.reached();
    assert_eq!(reached, "first");
}

#[tokio::test(start_paused = true)]
async fn a_rejected_request_never_reaches_the_service() {
    let mut s = setup(1);
    let _all = s.take_all();
    assert_ready_ok!(s.service.poll_ready());
    let mut response = spawn(s.service.call("one"));
    assert_pending!(response.poll());
    tokio::time::advance(Duration::from_secs(5)).await;
    tokio::task::yield_now().await;
    assert!(response.is_woken(), "by the timer");
    let error = assert_ready_err!(response.poll());
    let rejection = error.downcast_ref::<Rejection>().expect("a rejection");
    assert_eq!(rejection.reason(), Reason::Timeout);
    assert_pending!(s.inner.poll_request(), "not called");
}

#[tokio::test(start_paused = true)]
async fn a_granted_request_waits_for_its_service_to_be_ready() {
    let mut s = setup(1);
    let all = s.take_all();
    assert_ready_ok!(s.service.poll_ready());
    let mut response = spawn(s.service.call("one"));
    assert_pending!(response.poll());
    s.inner.allow(0);
    drop(all);
    assert_pending!(response.poll());
    assert_eq!(s.db.in_use(), 1, "it holds its unit meanwhile");
    assert_pending!(s.inner.poll_request(), "not called unready");
    s.inner.allow(1);
    assert!(response.is_woken());
    assert_pending!(response.poll());
    assert_eq!(s.reached().0, "one");
}

/// A request that was granted its set, of a service that is not ready.
fn granted_but_unready(
    s: &mut Setup,
) -> Spawn<impl Future<Output = Result<&'static str, BoxError>> + use<>> {
    let all = s.take_all();
    assert_ready_ok!(s.service.poll_ready());
    let mut response = spawn(s.service.call("one"));
    assert_pending!(response.poll());
    s.inner.allow(0);
    drop(all);
    assert_pending!(response.poll());
    assert_eq!(s.db.in_use(), 1, "granted");
    response
}

/// Past its deadline a request is not run, whatever it has waited for.
#[tokio::test(start_paused = true)]
async fn a_granted_request_waits_for_readiness_until_its_deadline() {
    let mut s = setup(1);
    let mut response = granted_but_unready(&mut s);
    tokio::time::sleep(Duration::from_millis(4_999)).await;
    assert_pending!(response.poll());
    assert_eq!(s.db.in_use(), 1);
    tokio::time::sleep(Duration::from_millis(1)).await;
    assert!(response.is_woken(), "by its deadline");
    let error = assert_ready_err!(response.poll());
    let rejection = error.downcast_ref::<Rejection>().expect("a rejection");
    assert_eq!(rejection.reason(), Reason::Timeout);
    assert_eq!(rejection.waited(), Duration::from_secs(5));
    assert_eq!((rejection.resource(), s.db.in_use()), ("db", 0));
    s.inner.allow(1);
    assert_pending!(s.inner.poll_request(), "not called");
}

#[tokio::test(start_paused = true)]
async fn a_service_that_is_ready_at_the_deadline_is_called() {
    let mut s = setup(1);
    let mut response = granted_but_unready(&mut s);
    tokio::time::sleep(Duration::from_secs(5)).await;
    s.inner.allow(1);
    assert_pending!(response.poll());
    assert_eq!(s.reached().0, "one");
}

/// Polled too late, it is late, even if the service has become ready in time.
#[tokio::test(start_paused = true)]
async fn a_service_that_was_ready_before_the_deadline_is_not_called_after_it() {
    let mut s = setup(1);
    let mut response = granted_but_unready(&mut s);
    s.inner.allow(1);
    tokio::time::sleep(Duration::from_millis(5_001)).await;
    let error = assert_ready_err!(response.poll());
    let rejection = error.downcast_ref::<Rejection>().expect("a rejection");
    assert_eq!(rejection.reason(), Reason::Timeout);
    assert_eq!(s.db.in_use(), 0);
    assert_pending!(s.inner.poll_request(), "not called");
}

#[tokio::test(start_paused = true)]
async fn a_request_that_is_dropped_while_its_service_gets_ready_returns_the_permit() {
    let mut s = setup(1);
    drop(granted_but_unready(&mut s));
    assert_eq!((s.db.in_use(), s.db.waiting()), (0, 0));
}

/// Neither the deadline nor the drop of a request that was never called spends anything of a rate.
#[tokio::test(start_paused = true)]
async fn a_request_that_was_not_called_has_spent_nothing() {
    let api = Resource::builder("api")
        .concurrency(1)
        .rate(tower_concurrency_limiter::Rate::per_hour(3))
        .build();
    let limiter = Limiter::new(Duration::from_secs(5), [&api]);
    let layer = limiter.resources([&api]).for_any_service();
    let (mut service, mut inner) = mock::spawn_layer(layer);
    let service: &mut Layered = &mut service;
    for is_dropped in [false, true] {
        // Each time one is spent, and one is not.
        let held = limiter.try_acquire([&api]).expect("idle");
        assert_ready_ok!(service.poll_ready());
        let mut response = spawn(service.call("one"));
        assert_pending!(response.poll());
        inner.allow(0);
        drop(held);
        assert_pending!(response.poll());
        assert_eq!(api.in_use(), 1, "granted");
        if !is_dropped {
            tokio::time::sleep(Duration::from_secs(5)).await;
            assert!(assert_ready_err!(response.poll()).is::<Rejection>());
        }
        drop(response);
        inner.allow(1);
        assert_eq!(api.in_use(), 0);
    }
    drop(limiter.try_acquire([&api]).expect("the third"));
    assert!(
        limiter.try_acquire([&api]).is_err(),
        "there are three in an hour"
    );
}

#[tokio::test(start_paused = true)]
async fn a_service_that_breaks_after_the_grant_returns_the_permit() {
    let mut s = setup(1);
    let all = s.take_all();
    assert_ready_ok!(s.service.poll_ready());
    let mut first = spawn(s.service.call("one"));
    assert_pending!(first.poll());
    s.inner.allow(0);
    drop(all);
    assert_pending!(first.poll());
    s.inner.send_error("broken");
    let error = assert_ready_err!(first.poll());
    assert_eq!(error.to_string(), "broken", "the inner service's own error");
    assert_eq!(s.db.in_use(), 0, "while `first` lives");
}

#[tokio::test(start_paused = true)]
async fn a_request_dropped_while_its_service_gets_ready_returns_the_permit() {
    let mut s = setup(1);
    let all = s.take_all();
    assert_ready_ok!(s.service.poll_ready());
    let mut response = spawn(s.service.call("one"));
    assert_pending!(response.poll());
    s.inner.allow(0);
    drop(all);
    assert_pending!(response.poll());
    assert_eq!(s.db.in_use(), 1);
    drop(response);
    assert_eq!(s.db.in_use(), 0);
}

/// Numbers its clones, and remembers which of them was made ready.
struct Numbered {
    number: usize,
    ready: bool,
    next: Arc<AtomicUsize>,
}

impl Numbered {
    fn first() -> Self {
        Self {
            number: 0,
            ready: false,
            next: Arc::new(AtomicUsize::new(1)),
        }
    }
}

impl Clone for Numbered {
    fn clone(&self) -> Self {
        let number = self.next.fetch_add(1, Ordering::SeqCst);
        Self {
            number,
            ready: false,
            next: Arc::clone(&self.next),
        }
    }
}

impl Service<()> for Numbered {
    type Response = usize;
    type Error = BoxError;
    type Future = BoxFuture<'static, Result<usize, BoxError>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.ready = true;
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, (): ()) -> Self::Future {
        assert!(
            std::mem::take(&mut self.ready),
            "called without being ready"
        );
        let number = self.number;
        async move { Ok(number) }.boxed()
    }
}

fn call_ready<S: Service<()>>(service: &mut S) -> Spawn<S::Future>
where
    S::Error: std::fmt::Debug,
{
    assert_ready_ok!(spawn(service.ready()).poll().map_ok(|_| ()));
    spawn(service.call(()))
}

#[tokio::test(start_paused = true)]
async fn an_admitted_request_uses_the_service_that_was_made_ready() {
    let (_db, _limiter, layer) = layer(1);
    let mut service = layer.layer(Numbered::first());
    for _ in 0..3 {
        let mut response = call_ready(&mut service);
        assert_eq!(assert_ready_ok!(response.poll()), 0, "never a clone");
    }
}

#[tokio::test(start_paused = true)]
async fn a_queued_request_is_called_on_a_ready_service_of_its_own() {
    let (db, limiter, layer) = layer(1);
    let mut service = layer.layer(Numbered::first());
    let all = limiter.try_acquire([&db]).expect("idle");
    let mut queued = call_ready(&mut service);
    assert_pending!(queued.poll());
    let mut other = call_ready(&mut service);
    assert_pending!(other.poll());
    drop(all);
    let own = assert_ready_ok!(queued.poll());
    assert_ne!(own, 0, "not the one whose readiness was given up");
    assert_ne!(assert_ready_ok!(other.poll()), own, "each has its own");
}

/// A slot of an inner limit would be lost for as long as the request waits.
#[tokio::test(start_paused = true)]
async fn a_queued_request_does_not_hoard_the_readiness_of_its_service() {
    let (db, limiter, layer) = layer(1);
    let inner = TowerLimit::new(1).layer(Numbered::first());
    let mut bare = inner.clone();
    let mut limited = layer.layer(inner);

    let all = limiter.try_acquire([&db]).expect("idle");
    let mut queued = call_ready(&mut limited);
    assert_pending!(queued.poll());
    assert_eq!(db.waiting(), 1);

    let mut direct = call_ready(&mut bare);
    assert_ready_ok!(direct.poll(), "the inner slot is free for others");
    drop(direct);
    drop(all);
    assert_ready_ok!(queued.poll(), "and for the queued one when its turn comes");
}

#[tokio::test(start_paused = true)]
async fn the_service_opens_up() {
    let (_db, _limiter, layer) = layer(1);
    let mut service = layer.layer(Numbered::first());
    assert_eq!(service.get_ref().number, 0);
    service.get_mut().number = 9;
    assert_eq!(service.into_inner().number, 9);
}
