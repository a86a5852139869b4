//! A permit lasts as long as the work: until the body ends by default, until the head on request,
//! longer where the handler takes it over.

use std::{
    convert::Infallible,
    io,
    pin::{Pin, pin},
    task::{Context, Poll},
    time::Duration,
};

use axum::{Router, body::Body, routing};
use bytes::Bytes;
use futures_util::FutureExt;
use http::{Method, Request, Response, StatusCode};
use http_body::{Body as _, Frame, SizeHint};
use http_body_util::{BodyExt, Empty, Full};
use tokio::sync::oneshot;
use tower::{Layer, Service, ServiceExt, service_fn};
use tower_concurrency_limiter::{Reason, Rejection};

use crate::limited;
use test_support::http::{Server, connect_http1, data, get, shared, streamed, until};

fn full(text: &'static str) -> Full<Bytes> {
    Full::from(text)
}

/// Answers one request with the body that `make` gives.
async fn respond<L, S, B>(layer: L, body: B) -> S::Response
where
    L: Layer<Answering<B>, Service = S>,
    S: Service<Request<Empty<Bytes>>, Error = Infallible>,
{
    let service = layer.layer(Answering(Some(body)));
    service.oneshot(get("/")).await.expect("infallible")
}

/// Answers its first call.
struct Answering<B>(Option<B>);

impl<B> Clone for Answering<B> {
    fn clone(&self) -> Self {
        Self(None)
    }
}

impl<B> Service<Request<Empty<Bytes>>> for Answering<B> {
    type Response = Response<B>;
    type Error = Infallible;
    type Future = std::future::Ready<Result<Response<B>, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Request<Empty<Bytes>>) -> Self::Future {
        let body = self.0.take().expect("called once");
        std::future::ready(Ok(Response::new(body)))
    }
}

#[tokio::test(start_paused = true)]
async fn the_permit_is_held_at_every_stage_until_the_body_ends() {
    let (db, limiter, layer) = limited();
    let busy = limiter.acquire([&db]).await.expect("idle");
    let (frames, body) = streamed();
    let (send_head, head) = oneshot::channel();
    let service = layer.layer(service_fn({
        let parts = shared(Some((head, body)));
        move |_: Request<Empty<Bytes>>| {
            let parts = parts.lock().expect("no panics").take();
            async move {
                let (head, body) = parts.expect("called once");
                head.await.expect("the test sends the head");
                Ok::<_, Infallible>(Response::new(body))
            }
        }
    }));
    let mut call = tokio_test::task::spawn(service.oneshot(get("/")));

    assert!(call.poll().is_pending());
    assert_eq!((db.in_use(), db.waiting()), (1, 1), "queued");
    drop(busy);
    assert!(call.is_woken(), "granted");
    assert_eq!((db.in_use(), db.waiting()), (1, 0), "granted");
    assert!(call.poll().is_pending());
    assert_eq!(db.in_use(), 1, "the handler runs");
    send_head.send(()).expect("the handler waits for it");
    let response = call.await.expect("infallible");
    assert_eq!(db.in_use(), 1, "the head is sent");

    let mut body = pin!(response.into_body());
    assert!(body.frame().now_or_never().is_none());
    assert_eq!(db.in_use(), 1, "nothing to send at the moment");
    frames.send(data("half")).await.expect("room");
    assert!(body.frame().now_or_never().is_some(), "a frame");
    assert_eq!(db.in_use(), 1, "mid-stream");
    drop(frames);
    assert!(matches!(body.frame().now_or_never(), Some(None)), "the end");
    assert_eq!(
        db.in_use(),
        0,
        "returned at the end, before the body is dropped"
    );
}

#[tokio::test]
async fn the_permit_is_returned_when_the_body_fails() {
    let (db, _limiter, layer) = limited();
    let (frames, body) = streamed();
    let mut body = pin!(respond(layer, body).await.into_body());
    frames.send(data("half")).await.expect("room");
    assert!(matches!(body.frame().await, Some(Ok(_))));
    assert_eq!(db.in_use(), 1, "mid-stream");
    let broken = Err(io::Error::other("the disk is gone"));
    frames.send(broken).await.expect("room");
    let error = body.frame().await.expect("a frame").expect_err("the error");
    assert_eq!(error.to_string(), "the disk is gone", "passed on as it is");
    assert_eq!(db.in_use(), 0, "nothing will follow an error");
}

#[tokio::test]
async fn the_permit_is_returned_when_the_body_is_dropped() {
    let (db, _limiter, layer) = limited();
    let (frames, body) = streamed();
    let mut body = Box::pin(respond(layer, body).await.into_body());
    frames.send(data("half")).await.expect("room");
    assert!(matches!(body.frame().await, Some(Ok(_))));
    assert_eq!(db.in_use(), 1, "mid-stream");
    drop(body);
    assert_eq!(db.in_use(), 0, "the client is gone");
}

#[tokio::test]
async fn the_permit_is_returned_when_the_response_is_dropped_unread() {
    let (db, _limiter, layer) = limited();
    let (_frames, body) = streamed();
    let response = respond(layer, body).await;
    assert_eq!(db.in_use(), 1, "there is a body to come");
    drop(response);
    assert_eq!(db.in_use(), 0);
}

#[tokio::test]
async fn an_empty_body_returns_the_permit_with_the_head() {
    let (db, _limiter, layer) = limited();
    let response = respond(layer.clone(), Empty::<Bytes>::new()).await;
    assert_eq!(db.in_use(), 0, "`Empty` is at its end");
    drop(response);
    let response = respond(layer, Full::new(Bytes::new())).await;
    assert_eq!(db.in_use(), 0, "so is a body of zero bytes");
    drop(response);
}

/// Servers need not ask again after a frame with which the body says that it has ended.
#[tokio::test]
async fn the_last_frame_returns_the_permit() {
    let (db, _limiter, layer) = limited();
    let mut body = respond(layer, full("all")).await.into_body();
    assert_eq!(db.in_use(), 1, "not read yet");
    let frame = body.frame().await.expect("a frame").expect("infallible");
    assert_eq!(frame.into_data().expect("data"), "all");
    assert!(body.is_end_stream());
    assert_eq!(db.in_use(), 0, "the whole body is out");
}

#[tokio::test]
async fn trailers_are_passed_on_before_the_permit_is_returned() {
    let (db, _limiter, layer) = limited();
    let (frames, body) = streamed();
    let mut body = pin!(respond(layer, body).await.into_body());
    frames.send(data("all")).await.expect("room");
    let mut trailers = http::HeaderMap::new();
    trailers.insert("checksum", http::HeaderValue::from_static("42"));
    frames
        .send(Ok(Frame::trailers(trailers)))
        .await
        .expect("room");
    drop(frames);
    let frame = body.frame().await.expect("a frame").expect("no error");
    assert!(frame.is_data());
    assert_eq!(db.in_use(), 1, "trailers are to come");
    let frame = body.frame().await.expect("a frame").expect("no error");
    assert_eq!(frame.trailers_ref().expect("trailers")["checksum"], "42");
    assert!(body.frame().await.is_none());
    assert_eq!(db.in_use(), 0);
}

/// A body with a hint of its own.
struct Hinted(SizeHint, bool);

impl http_body::Body for Hinted {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Poll::Ready(None)
    }

    fn size_hint(&self) -> SizeHint {
        self.0
    }

    fn is_end_stream(&self) -> bool {
        self.1
    }
}

#[tokio::test]
async fn size_hint_and_end_of_stream_are_forwarded() {
    let (_db, _limiter, layer) = limited();
    let mut hint = SizeHint::new();
    hint.set_lower(3);
    hint.set_upper(7);
    let body = respond(layer.clone(), Hinted(hint, false))
        .await
        .into_body();
    let forwarded = body.size_hint();
    assert_eq!((forwarded.lower(), forwarded.upper()), (3, Some(7)));
    assert!(!body.is_end_stream());
    drop(body);
    let body = respond(layer, Hinted(SizeHint::with_exact(0), true))
        .await
        .into_body();
    assert_eq!(body.size_hint().exact(), Some(0));
    assert!(body.is_end_stream());
}

#[tokio::test]
async fn release_at_head_returns_the_permit_while_the_body_streams() {
    let (db, _limiter, layer) = limited();
    let (frames, body) = streamed();
    let response: Response<_> = respond(layer.release_at_head(), Body::new(body)).await;
    assert_eq!(db.in_use(), 0, "the head is there");
    frames.send(data("half")).await.expect("room");
    let mut body = pin!(response.into_body());
    assert!(
        matches!(body.frame().await, Some(Ok(_))),
        "the body goes on"
    );
}

#[tokio::test]
async fn release_at_head_keeps_the_body_type() {
    let (_db, _limiter, layer) = limited();
    let response: Response<Full<Bytes>> = respond(layer.release_at_head(), full("all")).await;
    assert_eq!(response.into_body().size_hint().exact(), Some(3));
}

/// Under axum and hyper: what goes over the wire is what went over it without the limit.
#[tokio::test]
async fn content_length_and_head_requests_are_unchanged() {
    let (db, _limiter, layer) = limited();
    let app = Router::new().route("/", routing::get(|| async { "hello" }).layer(layer));
    let server = Server::axum(app).await;
    let mut client = connect_http1(server.address).await;
    let response = client.send_request(get("/")).await.expect("an answer");
    assert_eq!(response.headers()["content-length"], "5");
    assert!(!response.headers().contains_key("transfer-encoding"));
    drop(test_support::http::collect(response).await);
    until("the permit is back after GET", || db.in_use() == 0).await;

    let mut head = get("/");
    *head.method_mut() = Method::HEAD;
    client.ready().await.expect("keep-alive");
    let response = client.send_request(head).await.expect("an answer");
    assert_eq!(response.headers()["content-length"], "5");
    until("the permit is back after HEAD", || db.in_use() == 0).await;
}

/// The body of an answer to HEAD is never read: it is dropped.
#[tokio::test]
async fn head_requests_return_the_permit_at_once() {
    let (db, _limiter, layer) = limited();
    let (_frames, body) = streamed();
    let body = shared(Some(Body::new(body)));
    let app = Router::new().route(
        "/",
        routing::get(move || {
            let body = body.lock().expect("no panics").take();
            async move { body.expect("called once") }
        })
        .layer(layer),
    );
    let head = Request::head("/").body(Body::empty()).expect("a request");
    let response = app.oneshot(head).await.expect("infallible");
    assert_eq!(response.status(), StatusCode::OK);
    assert_eq!(db.in_use(), 0, "the stream would never end");
}

#[tokio::test]
async fn a_streaming_response_holds_its_permit_until_its_client_leaves() {
    let (db, limiter, layer) = limited();
    let (frames, body) = streamed();
    let body = shared(Some(Body::new(body)));
    let handler = move || {
        let body = body.lock().expect("no panics").take();
        async move { body.expect("called once") }
    };
    let app = Router::new().route("/", routing::get(handler).route_layer(layer));
    let server = Server::axum(app).await;
    let mut client = connect_http1(server.address).await;
    frames.send(data("half")).await.expect("room");
    let mut response = client.send_request(get("/")).await.expect("an answer");
    assert!(response.frame().await.is_some(), "the stream has begun");
    let busy = limiter.try_acquire([&db]).expect_err("the stream uses it");
    assert_eq!(busy.reason(), Reason::NotNow);
    drop((response, client));
    let permit = limiter.acquire([&db]).await;
    assert!(
        permit.is_ok(),
        "returned when the server notices that the client has left"
    );
    assert!(frames.is_closed(), "the stream was dropped first");
}

#[test]
fn the_permit_outlives_limiter_and_layer() {
    let (db, limiter, layer) = limited();
    let permit = limiter.try_acquire([&db]).expect("idle");
    drop((limiter, layer));
    assert_eq!(db.in_use(), 1);
    drop(permit);
    assert_eq!(db.in_use(), 0);
}

/// What a rejection holds: nothing.
#[tokio::test]
async fn a_refusal_holds_no_permit() {
    let (db, limiter, layer) = limited();
    let busy = limiter.acquire([&db]).await.expect("idle");
    let response = respond(layer.timeout(Duration::ZERO), full("all")).await;
    assert!(response.extensions().get::<Rejection>().is_some());
    assert_eq!(db.in_use(), 1, "the other one");
    drop(busy);
    assert_eq!(db.in_use(), 0, "while the refusal is still unread");
    drop(response);
    assert_eq!(db.in_use(), 0);
}
