//! A handler takes its permit over, for work that outlives the request.

use std::{
    convert::Infallible,
    future::Future,
    sync::{Arc, mpsc as blocking},
};

use axum::{Extension, Router, body::Body, routing};
use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::Empty;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    sync::oneshot,
};
use tower::{Layer, ServiceExt, service_fn};
use tower_concurrency_limiter::{ConcurrencyLimitLayer, PermitHandle};

use crate::limited;
use test_support::{
    events::{fields, listen},
    http::{Server, connect_http1, get, shared, streamed},
};
use tracing::Level;
use tracing_subscriber::filter::LevelFilter;

/// Calls the layer around a handler that is given its permit handle.
async fn exposed<F, Fut>(layer: ConcurrencyLimitLayer, handler: F)
where
    F: Fn(PermitHandle) -> Fut + Clone,
    Fut: Future<Output = ()>,
{
    let service = service_fn(move |request: Request<Empty<Bytes>>| {
        let handle = request.extensions().get::<PermitHandle>().cloned();
        let done = handler(handle.expect("exposed"));
        async move {
            done.await;
            Ok::<_, Infallible>(Response::new(Empty::<Bytes>::new()))
        }
    });
    let service = layer.expose_permit().layer(service);
    service.oneshot(get("/")).await.expect("infallible");
}

#[tokio::test]
async fn a_permit_moved_into_spawn_blocking_outlives_its_dropped_request() {
    let (db, limiter, layer) = limited();
    let (finish, finished) = blocking::channel::<()>();
    let (started, has_started) = oneshot::channel();
    let parts = shared(Some((started, finished)));
    let request = tokio::spawn(exposed(layer, move |permit| {
        let (started, finished) = parts
            .lock()
            .expect("no panics")
            .take()
            .expect("called once");
        async move {
            let permit = permit.take().expect("not taken yet");
            let query = tokio::task::spawn_blocking(move || {
                let _permit = permit;
                let _: Result<(), ()> = oneshot::Sender::send(started, ());
                let _: Result<(), _> = blocking::Receiver::recv(&finished);
            });
            query.await.expect("no panics");
        }
    }));
    has_started.await.expect("the query runs");
    request.abort();
    assert!(request.await.is_err_and(|e| e.is_cancelled()));
    assert_eq!(db.in_use(), 1, "the query still runs");
    finish.send(()).expect("the query listens");
    assert!(limiter.acquire([&db]).await.is_ok(), "the query has ended");
}

#[tokio::test]
async fn a_permit_that_is_left_alone_is_returned_with_the_request() {
    let (db, _limiter, layer) = limited();
    exposed(layer, |_| async {}).await;
    assert_eq!(db.in_use(), 0);
}

#[tokio::test]
async fn a_permit_can_be_taken_once() {
    let (db, _limiter, layer) = limited();
    let in_use = db.clone();
    exposed(layer, move |handle| {
        let db = in_use.clone();
        async move {
            let twin = handle.clone();
            let permit = handle.take().expect("not taken yet");
            assert!(handle.take().is_none(), "taken already");
            assert!(twin.take().is_none(), "clones are the same handle");
            assert_eq!(db.in_use(), 1);
            drop(permit);
            assert_eq!(db.in_use(), 0, "returned early, by the handler");
        }
    })
    .await;
    assert_eq!(db.in_use(), 0, "and not a second time");
}

#[tokio::test]
async fn a_handle_that_outlives_its_request_is_empty() {
    let (db, _limiter, layer) = limited();
    let kept = shared(None);
    let keep = Arc::clone(&kept);
    exposed(layer, move |handle| {
        *keep.lock().expect("no panics") = Some(handle);
        async {}
    })
    .await;
    assert_eq!(db.in_use(), 0, "a forgotten handle holds nothing");
    let handle = kept.lock().expect("no panics").take().expect("kept");
    assert!(handle.take().is_none(), "the request is over");
}

#[tokio::test]
async fn a_handle_is_good_while_the_body_streams() {
    let (db, _limiter, layer) = limited();
    let (_frames, body) = streamed();
    let parts = shared((Some(body), None));
    let inside = Arc::clone(&parts);
    let service = layer
        .expose_permit()
        .layer(service_fn(move |request: Request<Empty<Bytes>>| {
            let mut parts = inside.lock().expect("no panics");
            parts.1 = request.extensions().get::<PermitHandle>().cloned();
            let body = parts.0.take().expect("called once");
            std::future::ready(Ok::<_, Infallible>(Response::new(body)))
        }));
    let response = service.oneshot(get("/")).await.expect("infallible");
    let handle = parts.lock().expect("no panics").1.take().expect("exposed");
    let permit = handle.take().expect("the body streams");
    drop(response);
    assert_eq!(db.in_use(), 1, "the permit is elsewhere now");
    drop(permit);
    assert_eq!(db.in_use(), 0);
}

#[tokio::test]
async fn a_request_past_the_limit_gets_an_empty_handle() {
    let (db, limiter, layer) = limited();
    let _busy = limiter.acquire([&db]).await.expect("idle");
    exposed(layer.bypass(|_| true), |handle| async move {
        assert!(handle.take().is_none(), "it holds nothing");
    })
    .await;
    assert_eq!(db.in_use(), 1, "only the other one");
}

#[tokio::test(start_paused = true)]
async fn a_request_that_waited_gets_its_handle_too() {
    let (db, limiter, layer) = limited();
    let busy = limiter.acquire([&db]).await.expect("idle");
    let mut call = tokio_test::task::spawn(exposed(layer, |handle| async move {
        assert!(handle.take().is_some(), "granted after a wait");
    }));
    assert!(call.poll().is_pending());
    drop(busy);
    call.await;
    assert_eq!(db.in_use(), 0);
}

#[tokio::test]
async fn an_upgraded_connection_holds_the_permit_that_was_moved_there() {
    let (db, limiter, layer) = limited();
    let handler = |Extension(permit): Extension<PermitHandle>, mut request: Request<Body>| async move {
        let permit = permit.take();
        let upgrade = hyper::upgrade::on(&mut request);
        tokio::spawn(async move {
            let _permit = permit.expect("not taken yet");
            let mut stream = hyper_util::rt::TokioIo::new(upgrade.await.expect("upgraded"));
            let mut ping = [0; 4];
            while stream.read_exact(&mut ping).await.is_ok() {
                stream.write_all(b"pong").await.expect("the client listens");
            }
        });
        Response::builder()
            .status(StatusCode::SWITCHING_PROTOCOLS)
            .header("connection", "upgrade")
            .header("upgrade", "ping")
            .body(Body::empty())
            .expect("a response")
    };
    let app = Router::new().route("/", routing::get(handler).layer(layer.expose_permit()));
    let server = Server::axum(app).await;
    let mut client = connect_http1(server.address).await;
    let mut request = get("/");
    let headers = request.headers_mut();
    headers.insert("connection", http::HeaderValue::from_static("upgrade"));
    headers.insert("upgrade", http::HeaderValue::from_static("ping"));
    let response = client.send_request(request).await.expect("an answer");
    assert_eq!(response.status(), StatusCode::SWITCHING_PROTOCOLS);
    let upgraded = hyper::upgrade::on(response).await.expect("upgraded");
    let mut stream = hyper_util::rt::TokioIo::new(upgraded);
    stream.write_all(b"ping").await.expect("the server listens");
    let mut pong = [0; 4];
    stream
        .read_exact(&mut pong)
        .await
        .expect("the server answers");
    assert_eq!(&pong, b"pong");
    assert_eq!(db.in_use(), 1, "the connection is in use");
    drop((stream, client));
    assert!(
        limiter.acquire([&db]).await.is_ok(),
        "the connection is closed"
    );
}

/// The handle of a request that has ended.
async fn left_over_of(layer: &ConcurrencyLimitLayer) -> PermitHandle {
    let kept = shared(None);
    let keep = Arc::clone(&kept);
    let service = layer
        .clone()
        .layer(service_fn(move |request: Request<Empty<Bytes>>| {
            *keep.lock().expect("no panics") = request.extensions().get::<PermitHandle>().cloned();
            std::future::ready(Ok::<_, Infallible>(Response::new(Empty::<Bytes>::new())))
        }));
    service.oneshot(get("/")).await.expect("infallible");
    kept.lock().expect("no panics").take().expect("exposed")
}

const TOO_LATE: &str = "a permit was taken after its request had ended: the limit does not hold for \
                        work that goes on; call `take()` in the handler, before `on_upgrade` or \
                        `spawn`, and move the permit there";

#[tokio::test]
async fn a_permit_that_is_taken_too_late_is_reported_once_for_each_layer() {
    let (heard, _guard) = listen(LevelFilter::WARN);
    let (_db, _limiter, layer) = limited();
    let layer = layer.expose_permit();
    for _ in 0..3 {
        let handle = left_over_of(&layer).await;
        assert!(handle.take().is_none());
        assert!(handle.take().is_none(), "and again");
    }
    let warning = (
        Level::WARN,
        TOO_LATE.to_owned(),
        fields([("resource", "db")]),
    );
    assert_eq!(heard.events(), std::slice::from_ref(&warning));

    let (_fs, _other, another) = limited();
    assert!(
        left_over_of(&another.expose_permit())
            .await
            .take()
            .is_none()
    );
    assert_eq!(heard.events(), [warning.clone(), warning], "another route");
}

#[tokio::test]
async fn a_permit_that_was_taken_in_time_or_never_there_is_not_reported() {
    let (heard, _guard) = listen(LevelFilter::WARN);
    let (_db, _limiter, layer) = limited();
    let kept = shared(None);
    let keep = Arc::clone(&kept);
    exposed(layer.clone(), move |handle| {
        assert!(handle.take().is_some(), "in time");
        *keep.lock().expect("no panics") = Some(handle);
        async {}
    })
    .await;
    let taken = kept.lock().expect("no panics").take().expect("kept");
    assert!(taken.take().is_none());
    let past = left_over_of(&layer.expose_permit().bypass(|_| true)).await;
    assert!(past.take().is_none(), "it went past the limit");
    assert!(PermitHandle::empty().take().is_none());
    assert_eq!(heard.events(), []);
}

/// Without the layer: what a test of a handler does.
#[tokio::test]
async fn a_handle_is_made_by_hand() {
    async fn report(permit: PermitHandle) -> &'static str {
        permit.take().map_or("none", |_permit| "rows")
    }
    let (db, limiter, _layer) = limited();
    let permit = || limiter.try_acquire([&db]).expect("idle");
    assert_eq!(report(PermitHandle::from(permit())).await, "rows");
    assert_eq!(report(PermitHandle::empty()).await, "none");

    let handle = PermitHandle::from(permit());
    assert_eq!(format!("{handle:?}"), r#"PermitHandle(Permit {"db": 1})"#);
    drop(handle);
    assert_eq!(
        format!("{:?}", PermitHandle::empty()),
        r#"PermitHandle("empty")"#
    );
    assert_eq!(
        db.in_use(),
        0,
        "a handle that is dropped returns its permit"
    );
}

#[tokio::test]
async fn the_permit_has_the_load_of_its_request() {
    let (db, limiter, layer) = limited();
    let layer = layer.load(|request| request.uri().path().len() as u64 + 41);
    let check = |handle: PermitHandle| async move {
        let permit = handle.take().expect("not taken yet");
        assert_eq!(permit.load(), 42);
    };
    exposed(layer.clone(), check).await;
    let all = limiter.try_acquire([&db]).expect("idle");
    let waits = exposed(layer, check);
    let release = async {
        tokio::task::yield_now().await;
        assert_eq!(db.waiting(), 1);
        drop(all);
    };
    tokio::join!(waits, release);
}
