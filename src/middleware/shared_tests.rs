//! Limited services with a resource that is shared between processes, at a shared limit in memory.

use std::{convert::Infallible, future::Ready, sync::Arc, time::Duration};

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use tokio_test::{assert_pending, assert_ready, task::spawn};
use tower::{Layer, Service, ServiceExt, service_fn};

use crate::{
    ConcurrencyLimitLayer, Limiter, PermitHandle, Reason, Rejection, Resource,
    shared::stand_in::{StandIn, StandInRecord},
};

fn limited() -> (Resource, StandIn, ConcurrencyLimitLayer) {
    let behind = StandIn::new("api", 1, &StandInRecord::default());
    let open = behind.clone();
    let api = Resource::builder("api").concurrency(1);
    let api = api.open_with(move |_| Ok(Arc::new(open.clone()))).build();
    let db = Resource::new("db", 1);
    let limiter = Limiter::new(Duration::from_secs(5), [&api, &db]);
    let layer = limiter.resources([&api, &db]);
    (api, behind, layer)
}

type Answer = Result<Response<Full<Bytes>>, Infallible>;

fn answer(_: Request<()>) -> Ready<Answer> {
    std::future::ready(Ok(Response::new(Full::from("rows"))))
}

#[tokio::test]
async fn the_lease_lasts_until_the_body_has_ended() {
    let (api, behind, layer) = limited();
    for is_strict in [false, true] {
        let service = layer.clone().layer(service_fn(answer));
        let response = service.oneshot(Request::new(())).await.expect("infallible");
        assert_eq!(response.status(), StatusCode::OK);
        assert_eq!((behind.free(), api.in_use()), (0, 1), "strict: {is_strict}");
        let body = response.into_body().collect().await.expect("whole");
        assert_eq!(body.to_bytes(), "rows");
        assert_eq!((behind.free(), api.in_use()), (1, 0));
        assert_eq!(behind.asks().len(), usize::from(is_strict));
        behind.be_strict();
    }
}

#[tokio::test]
async fn with_release_at_head_the_lease_lasts_until_the_head() {
    let (api, behind, layer) = limited();
    let service = layer.release_at_head().layer(service_fn(answer));
    let response = service.oneshot(Request::new(())).await.expect("infallible");
    assert_eq!((behind.free(), api.in_use()), (1, 0));
    assert_eq!(behind.asks().len(), 0);
    drop(response);
}

#[tokio::test]
async fn a_request_that_needs_no_round_trip_runs_at_once() {
    let (_, behind, layer) = limited();
    let called = std::cell::Cell::new(false);
    let mut service = layer.layer(service_fn(|request| {
        called.set(true);
        answer(request)
    }));
    let response = service.call(Request::new(()));
    assert!(called.get(), "before the first poll");
    drop(response);
    assert_eq!(behind.free(), 1);
}

#[tokio::test]
async fn a_request_waits_for_a_lease_that_is_not_free() {
    let (api, behind, layer) = limited();
    behind.set_free(0);
    let mut service = layer.layer(service_fn(answer));
    let mut dropped = spawn(service.call(Request::new(())));
    let mut response = spawn(service.call(Request::new(())));
    assert_pending!(dropped.poll());
    assert_pending!(response.poll());
    assert_eq!(api.waiting(), 2);
    drop(dropped);
    assert_eq!(api.waiting(), 1);
    behind.set_free(1);
    assert!(response.is_woken());
    let response = assert_ready!(response.poll()).expect("infallible");
    assert_eq!((api.waiting(), api.in_use()), (0, 1));
    drop(response);
    assert_eq!((behind.free(), api.in_use()), (1, 0));
}

#[tokio::test(start_paused = true)]
async fn a_request_without_a_lease_is_rejected_at_the_deadline() {
    let (api, behind, layer) = limited();
    behind.set_free(0);
    let service = layer.layer(service_fn(answer));
    let response = service.oneshot(Request::new(())).await.expect("infallible");
    assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
    let rejection = response
        .extensions()
        .get::<Rejection>()
        .expect("in the extensions");
    assert_eq!(
        (rejection.reason(), rejection.resource()),
        (Reason::Timeout, "api")
    );
    assert_eq!(rejection.waited().as_secs(), 5);
    assert_eq!((api.waiting(), api.in_use()), (0, 0));
}

#[tokio::test]
async fn a_handler_can_take_the_lease() {
    let (api, behind, layer) = limited();
    let (give, taken) = std::sync::mpsc::channel();
    let service = layer
        .expose_permit()
        .layer(service_fn(|request: Request<()>| {
            let handle = request.extensions().get::<PermitHandle>();
            give.send(handle.and_then(PermitHandle::take))
                .expect("received below");
            answer(Request::new(()))
        }));
    drop(service.oneshot(Request::new(())).await);
    let permit = taken.try_recv().expect("called").expect("exposed");
    assert_eq!(
        (behind.free(), api.in_use()),
        (0, 1),
        "the response is gone"
    );
    assert!(permit.fencing_token(&api).is_some());
    drop(permit);
    assert_eq!((behind.free(), api.in_use()), (1, 0));
}
