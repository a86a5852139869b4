//! Servers on real ports, and clients that storm them.

use std::{
    future::Future,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use axum::Router;
use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, Empty};
use hyper::client::conn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::{
    net::{TcpListener, TcpStream},
    task::{JoinHandle, JoinSet},
};

use super::get;

/// A server on a loopback port, gone with this handle.
pub struct Server {
    pub address: SocketAddr,
    task: JoinHandle<()>,
}

impl Server {
    pub async fn start<Fut>(serve: impl FnOnce(TcpListener) -> Fut) -> Self
    where
        Fut: Future<Output = ()> + Send + 'static,
    {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a port");
        Self {
            address: listener.local_addr().expect("an address"),
            task: tokio::spawn(serve(listener)),
        }
    }

    pub async fn axum(app: Router) -> Self {
        Self::start(|listener| async {
            axum::serve(listener, app).await.expect("serves for ever");
        })
        .await
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

pub type Answer = Response<Bytes>;
pub type Http1 = conn::http1::SendRequest<Empty<Bytes>>;
pub type Http2 = conn::http2::SendRequest<Empty<Bytes>>;

pub async fn connect_http1(address: SocketAddr) -> Http1 {
    let stream = TcpStream::connect(address).await.expect("a connection");
    let (sender, connection) = conn::http1::handshake(TokioIo::new(stream))
        .await
        .expect("a handshake");
    tokio::spawn(connection.with_upgrades());
    sender
}

pub async fn connect_http2(address: SocketAddr) -> Http2 {
    let stream = TcpStream::connect(address).await.expect("a connection");
    let (sender, connection) = conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream))
        .await
        .expect("a handshake");
    tokio::spawn(connection);
    sender
}

/// [`get`] for HTTP/2, which wants the whole URI.
pub fn get_http2(path: &str) -> Request<Empty<Bytes>> {
    Request::get(format!("http://localhost{path}"))
        .body(Empty::new())
        .expect("a request")
}

pub async fn collect<B>(response: Response<B>) -> Answer
where
    B: http_body::Body<Error: std::fmt::Debug>,
{
    let (parts, body) = response.into_parts();
    let bytes = body.collect().await.expect("a whole body").to_bytes();
    Response::from_parts(parts, bytes)
}

/// One HTTP/1 request on each of this many connections, and as many streams on one HTTP/2
/// connection.
pub const EACH: usize = 50;

/// Requests under way.
pub struct Storm {
    requests: JoinSet<Answer>,
    answered: Arc<AtomicUsize>,
}

#[derive(Debug, Default, PartialEq, Eq)]
pub struct Tally {
    pub served: usize,
    pub refused: usize,
}

impl Storm {
    /// Sends all requests at once; they take the paths in turn.
    pub async fn begin(address: SocketAddr, paths: &'static [&'static str]) -> Self {
        let mut storm = Self {
            requests: JoinSet::new(),
            answered: Arc::default(),
        };
        for path in paths.iter().cycle().take(EACH) {
            storm.send(async move {
                let mut http1 = connect_http1(address).await;
                let response = http1.send_request(get(path)).await;
                collect(response.expect("an answer")).await
            });
        }
        let http2 = connect_http2(address).await;
        for path in paths.iter().cycle().take(EACH) {
            let mut stream = http2.clone();
            storm.send(async move {
                stream.ready().await.expect("a stream");
                let response = stream.send_request(get_http2(path)).await;
                collect(response.expect("an answer")).await
            });
        }
        storm
    }

    fn send(&mut self, request: impl Future<Output = Answer> + Send + 'static) {
        let answered = Arc::clone(&self.answered);
        self.requests.spawn(async move {
            let answer = request.await;
            answered.fetch_add(1, Ordering::SeqCst);
            answer
        });
    }

    /// How many requests have been answered.
    pub fn answered(&self) -> usize {
        self.answered.load(Ordering::SeqCst)
    }

    /// What the answers were.
    pub async fn end(self) -> Tally {
        let mut tally = Tally::default();
        for answer in self.requests.join_all().await {
            match answer.status() {
                StatusCode::OK => tally.served += 1,
                StatusCode::SERVICE_UNAVAILABLE => tally.refused += 1,
                other => panic!("expected 200 or 503, got {other}"),
            }
        }
        tally
    }
}
