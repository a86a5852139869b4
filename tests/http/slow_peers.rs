//! What peers that send or read slowly do to a limit, and what helps: the claims of the guide's
//! page.

use std::time::Duration;

use axum::{
    Router,
    body::{Body, to_bytes},
    extract::Request,
    http::StatusCode,
    middleware::{Next, from_fn},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use bytes::Bytes;
use futures_util::{StreamExt, future::join_all, stream};
use hyper::client::conn;
use hyper_util::{
    rt::{TokioExecutor, TokioIo},
    server::conn::auto,
    service::TowerToHyperService,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};
use tower::ServiceExt;
use tower_concurrency_limiter::{ConcurrencyLimitLayer, Limiter, Resource};
use tower_http::timeout::{RequestBodyTimeoutLayer, TimeoutLayer};

use test_support::http::{Server, Stage, collect, connect_http2, until};

/// A limit of `units` that no request waits for.
fn limit(units: usize) -> (Resource, ConcurrencyLimitLayer) {
    let db = Resource::new("db", units);
    let limiter = Limiter::new(Duration::ZERO, [&db]);
    let layer = limiter.resources([&db]);
    (db, layer)
}

async fn length(body: Bytes) -> String {
    body.len().to_string()
}

/// A client that has sent the head of an upload, and one byte of a hundred.
async fn trickle(server: &Server) -> TcpStream {
    let mut client = TcpStream::connect(server.address)
        .await
        .expect("a connection");
    let head = "POST / HTTP/1.1\r\nhost: localhost\r\ncontent-length: 100\r\n\r\n.";
    client.write_all(head.as_bytes()).await.expect("sent");
    client
}

/// The statuses of ten uploads that are sent at once.
async fn ten_uploads(server: &Server) -> Vec<StatusCode> {
    let url = format!("http://{}/", server.address);
    let client = reqwest::Client::new();
    let uploads = (0..10).map(|_| client.post(&url).body("0123456789").send());
    let responses = join_all(uploads).await;
    responses
        .into_iter()
        .map(|response| response.expect("an answer").status())
        .collect()
}

#[tokio::test]
async fn two_slow_senders_shut_out_ten_others() {
    let (db, limit) = limit(2);
    let server = Server::axum(Router::new().route("/", post(length).route_layer(limit))).await;
    let _slow = [trickle(&server).await, trickle(&server).await];
    until("both hold a permit", || db.in_use() == 2).await;
    assert_eq!(
        ten_uploads(&server).await,
        [StatusCode::SERVICE_UNAVAILABLE; 10]
    );
}

/// Reads the whole body, of a megabyte at most.
async fn read_first(request: Request, next: Next) -> Response {
    let (head, body) = request.into_parts();
    match to_bytes(body, 1 << 20).await {
        Ok(body) => next.run(Request::from_parts(head, Body::from(body))).await,
        Err(error) => (StatusCode::BAD_REQUEST, error.to_string()).into_response(),
    }
}

#[tokio::test]
async fn slow_senders_hold_nothing_where_the_body_is_read_before_the_limit() {
    let db = Resource::new("db", 2);
    let limiter = Limiter::new(Duration::from_secs(60), [&db]);
    let limited = post(length).route_layer(limiter.resources([&db]));
    let app = Router::new().route("/", limited.route_layer(from_fn(read_first)));
    let server = Server::axum(app).await;
    let _slow = [trickle(&server).await, trickle(&server).await];
    assert_eq!(ten_uploads(&server).await, [StatusCode::OK; 10]);
    assert_eq!(db.in_use(), 0);
}

/// A bound on the whole call ends it however the bytes come.
#[tokio::test]
async fn a_timeout_inside_the_limit_ends_slow_senders() {
    let (db, limit) = limit(2);
    let timeout =
        TimeoutLayer::with_status_code(StatusCode::REQUEST_TIMEOUT, Duration::from_millis(50));
    let app = Router::new().route("/", post(length).route_layer(timeout).route_layer(limit));
    let server = Server::axum(app).await;
    let mut slow = trickle(&server).await;
    assert!(answer(&mut slow).await.starts_with("HTTP/1.1 408"));
    until("returned", || db.in_use() == 0).await;
}

/// A bound on each pause ends those who stop, not those who trickle.
#[tokio::test]
async fn a_timeout_of_the_request_body_ends_senders_that_stop() {
    let (db, limit) = limit(2);
    let timeout = RequestBodyTimeoutLayer::new(Duration::from_millis(50));
    let app = Router::new()
        .route("/", post(length))
        .layer(timeout)
        .layer(limit);
    let server = Server::axum(app).await;
    let mut slow = trickle(&server).await;
    assert!(answer(&mut slow).await.starts_with("HTTP/1.1 4"));
    until("returned", || db.in_use() == 0).await;
}

async fn answer(client: &mut TcpStream) -> String {
    let mut answer = [0; 1024];
    let read = client.read(&mut answer).await.expect("an answer");
    String::from_utf8_lossy(&answer[..read]).into_owned()
}

/// As many streams as a client may have open on one connection of hyper's.
const STREAMS: usize = 200;

/// An app with a limited route, which stays until it is let off, and a free one.
fn staged(limiter: &Limiter, db: &Resource, stage: &Stage) -> Router {
    let stage = stage.clone();
    let play = move || {
        let stage = stage.clone();
        async move { stage.play().await }
    };
    Router::new()
        .route("/limited", get(play).route_layer(limiter.resources([db])))
        .route("/free", get(|| async { "free" }))
}

fn get_request(path: &str) -> http::Request<http_body_util::Empty<Bytes>> {
    let uri = format!("http://localhost{path}");
    http::Request::get(uri)
        .body(http_body_util::Empty::new())
        .expect("a request")
}

#[tokio::test]
async fn queued_streams_block_the_other_routes_of_their_connection() {
    let db = Resource::new("db", 1);
    let limiter = Limiter::new(Duration::from_secs(60), [&db]);
    let stage = Stage::new();
    let server = Server::axum(staged(&limiter, &db, &stage)).await;
    let mut client = connect_http2(server.address).await;
    for _ in 0..STREAMS {
        client.ready().await.expect("open");
        tokio::spawn(client.send_request(get_request("/limited")));
    }
    until("all streams are taken", || db.waiting() == STREAMS - 1).await;

    let mut free = tokio_test::task::spawn(client.send_request(get_request("/free")));
    assert!(free.poll().is_pending());
    let mut another = connect_http2(server.address).await;
    let elsewhere = another.send_request(get_request("/free")).await;
    assert_eq!(elsewhere.expect("an answer").status(), StatusCode::OK);
    assert!(free.poll().is_pending(), "the server has never seen it");

    stage.let_off(1); // one stream less
    assert_eq!(free.await.expect("an answer").status(), StatusCode::OK);
    stage.let_off(STREAMS);
}

#[tokio::test]
async fn a_short_queue_leaves_streams_for_other_routes() {
    let db = Resource::builder("db")
        .concurrency(1)
        .max_waiting(10)
        .build();
    let limiter = Limiter::new(Duration::from_secs(60), [&db]);
    let stage = Stage::new();
    let server = Server::axum(staged(&limiter, &db, &stage)).await;
    let mut client = connect_http2(server.address).await;
    for _ in 0..STREAMS {
        client.ready().await.expect("open");
        tokio::spawn(client.send_request(get_request("/limited")));
    }
    let free = client.send_request(get_request("/free")).await;
    assert_eq!(free.expect("an answer").status(), StatusCode::OK);
    stage.let_off(STREAMS);
}

#[tokio::test]
async fn more_streams_to_a_connection_leave_some_for_other_routes() {
    let db = Resource::new("db", 1);
    let limiter = Limiter::new(Duration::from_secs(60), [&db]);
    let stage = Stage::new();
    let app = staged(&limiter, &db, &stage);
    let server = Server::start(|listener| async move {
        while let Ok((stream, _)) = listener.accept().await {
            let service = TowerToHyperService::new(app.clone());
            tokio::spawn(async move {
                let mut server = auto::Builder::new(TokioExecutor::new());
                server.http2().max_concurrent_streams(1_000);
                server.serve_connection(TokioIo::new(stream), service).await
            });
        }
    })
    .await;
    let mut client = connect_http2(server.address).await;
    for _ in 0..STREAMS {
        client.ready().await.expect("open");
        tokio::spawn(client.send_request(get_request("/limited")));
    }
    until("all are queued", || db.waiting() == STREAMS - 1).await;
    let free = client.send_request(get_request("/free")).await;
    assert_eq!(free.expect("an answer").status(), StatusCode::OK);
    stage.let_off(STREAMS);
}

/// A body of so many frames.
fn frames(count: usize) -> Body {
    let frame = Ok::<_, std::convert::Infallible>("frame");
    Body::from_stream(stream::iter(vec![frame; count]).boxed())
}

/// The units that are in use once an HTTP/2 client has the head of a response and reads nothing of
/// it.
async fn held_by_a_closed_window(body: fn() -> Body, until_head: bool) -> usize {
    let (db, limit) = limit(1);
    let app = match until_head {
        true => Router::new().route(
            "/",
            get(move || async move { body() }).route_layer(limit.release_at_head()),
        ),
        false => Router::new().route("/", get(move || async move { body() }).route_layer(limit)),
    };
    let server = Server::axum(app).await;
    let stream = TcpStream::connect(server.address)
        .await
        .expect("a connection");
    let (mut client, connection) = conn::http2::Builder::new(TokioExecutor::new())
        .initial_stream_window_size(0)
        .handshake(TokioIo::new(stream))
        .await
        .expect("a handshake");
    tokio::spawn(connection);
    let response = client.send_request(get_request("/")).await.expect("a head");
    for _ in 0..100 {
        tokio::task::yield_now().await; // time to send what can be sent
    }
    let held = db.in_use();
    drop(response);
    until("the client has left", || db.in_use() == 0).await;
    held
}

#[tokio::test]
async fn a_closed_window_holds_the_permit_of_frames() {
    assert_eq!(held_by_a_closed_window(Body::empty, false).await, 0);
    let whole = || Body::from("frame"); // known to be the last frame when it is taken
    assert_eq!(held_by_a_closed_window(whole, false).await, 0);
    assert_eq!(held_by_a_closed_window(|| frames(1), false).await, 1);
    assert_eq!(held_by_a_closed_window(|| frames(2), false).await, 1);
    assert_eq!(held_by_a_closed_window(|| frames(2), true).await, 0);
}

const UPLOAD: usize = 64 << 20;

/// The server answers and closes without having read the upload.
#[tokio::test]
async fn an_upload_that_is_refused_unread_may_end_in_a_reset() {
    let (db, limit) = limit(1);
    let app = Router::new().route("/", post(length).route_layer(limit));
    let server = Server::axum(app).await;
    let _slow = trickle(&server).await;
    until("busy", || db.in_use() == 1).await;

    let mut client = TcpStream::connect(server.address)
        .await
        .expect("a connection");
    let head = format!("POST / HTTP/1.1\r\nhost: localhost\r\ncontent-length: {UPLOAD}\r\n\r\n");
    client.write_all(head.as_bytes()).await.expect("sent");
    let written = client.write_all(&vec![0; UPLOAD]).await;
    assert!(written.is_err(), "the server has closed the connection");
}

/// With `expect: 100-continue` the client asks first, and sends nothing once it is refused.
#[tokio::test]
async fn a_client_that_asks_first_reads_the_refusal() {
    let (db, limit) = limit(1);
    let app = Router::new().route("/", post(length).route_layer(limit));
    let server = Server::axum(app).await;
    let _slow = trickle(&server).await;
    until("busy", || db.in_use() == 1).await;

    let mut client = TcpStream::connect(server.address)
        .await
        .expect("a connection");
    let head = format!(
        "POST / HTTP/1.1\r\nhost: localhost\r\nexpect: 100-continue\r\ncontent-length: {UPLOAD}\r\n\r\n"
    );
    client.write_all(head.as_bytes()).await.expect("sent");
    let answer = answer(&mut client).await;
    assert!(answer.starts_with("HTTP/1.1 503"), "{answer}");
    assert!(
        answer.ends_with("Server busy, please retry later\"}"),
        "{answer}"
    );
}

/// In a test as elsewhere: a response that is kept has its permit.
#[tokio::test]
async fn six_responses_that_are_kept_unread_hold_six_permits() {
    let (db, limit) = limit(6);
    let app = Router::new().route("/", get(|| async { "rows" }).route_layer(limit));
    let ask = || app.clone().oneshot(Request::new(Body::empty()));
    let mut kept = Vec::new();
    for _ in 0..6 {
        kept.push(ask().await.expect("infallible"));
    }
    assert_eq!(db.in_use(), 6);
    let seventh = ask().await.expect("infallible");
    assert_eq!(seventh.status(), StatusCode::SERVICE_UNAVAILABLE);
    for response in kept {
        assert_eq!(collect(response).await.body(), "rows");
    }
    assert_eq!(ask().await.expect("infallible").status(), StatusCode::OK);
}
