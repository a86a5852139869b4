//! What the integration tests share.

#![allow(
    dead_code,
    unused_imports,
    reason = "each test file is a crate of its own, and none uses all of it"
)]

mod heard;
mod net;
mod stage;

use std::{
    io,
    sync::{Arc, Mutex},
    time::Duration,
};

use bytes::Bytes;
use http::{Request, header::HOST};
use http_body::Frame;
use http_body_util::{Empty, StreamBody};
use tokio::sync::mpsc;
use tower_concurrency_limiter::{ConcurrencyLimitLayer, Limiter, Resource};

pub(crate) use heard::{Fields, Heard, fields, listen, listen_everywhere, subscribe};
pub(crate) use net::{EACH, Server, Storm, Tally, collect, connect_http1, connect_http2};
pub(crate) use stage::{Stage, until};

/// One resource with limit 1, and a layer of it.
pub(crate) fn limited() -> (Resource, Limiter, ConcurrencyLimitLayer) {
    let db = Resource::new("db", 1);
    let limiter = Limiter::new(Duration::from_secs(5), [&db]);
    let layer = limiter.resources([&db]);
    (db, limiter, layer)
}

pub(crate) fn shared<T>(value: T) -> Arc<Mutex<T>> {
    Arc::new(Mutex::new(value))
}

pub(crate) fn get(path: &str) -> Request<Empty<Bytes>> {
    Request::get(path)
        .header(HOST, "localhost")
        .body(Empty::new())
        .expect("a request")
}

/// Sends the frames of a streamed body.
pub(crate) type Frames = mpsc::Sender<Result<Frame<Bytes>, io::Error>>;

/// A body that says what it is sent.
pub(crate) fn streamed() -> (
    Frames,
    impl http_body::Body<Data = Bytes, Error = io::Error>,
) {
    let (frames, mut rx) = mpsc::channel(8);
    let stream = futures_util::stream::poll_fn(move |cx| rx.poll_recv(cx));
    (frames, StreamBody::new(stream))
}

pub(crate) fn data(text: &'static str) -> Result<Frame<Bytes>, io::Error> {
    Ok(Frame::data(Bytes::from_static(text.as_bytes())))
}
