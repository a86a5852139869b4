//! Requests, bodies, and servers and clients that send them.

mod net;
mod stage;

use std::{
    io,
    sync::{Arc, Mutex},
};

use bytes::Bytes;
use http::{Request, header::HOST};
use http_body::Frame;
use http_body_util::{Empty, StreamBody};
use tokio::sync::mpsc;

pub use net::{
    Answer, EACH, Http1, Http2, Server, Storm, Tally, collect, connect_http1, connect_http2,
};
pub use stage::{Stage, until};

pub fn shared<T>(value: T) -> Arc<Mutex<T>> {
    Arc::new(Mutex::new(value))
}

pub fn get(path: &str) -> Request<Empty<Bytes>> {
    Request::get(path)
        .header(HOST, "localhost")
        .body(Empty::new())
        .expect("a request")
}

/// Sends the frames of a streamed body.
pub type Frames = mpsc::Sender<Result<Frame<Bytes>, io::Error>>;

/// A body that says what it is sent.
pub fn streamed() -> (
    Frames,
    impl http_body::Body<Data = Bytes, Error = io::Error>,
) {
    let (frames, mut rx) = mpsc::channel(8);
    let stream = futures_util::stream::poll_fn(move |cx| rx.poll_recv(cx));
    (frames, StreamBody::new(stream))
}

pub fn data(text: &'static str) -> Result<Frame<Bytes>, io::Error> {
    Ok(Frame::data(Bytes::from_static(text.as_bytes())))
}
