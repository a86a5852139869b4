//! The bodies of responses to rejected requests.

use std::{
    pin::pin,
    task::{Context, Poll, Waker},
};

use bytes::{Buf, Bytes, BytesMut};
use http_body::Body;

/// The body of a response to a rejected request: bytes, text, or any [`http_body::Body`] whose data
/// is available at once, such as axum's `Body` or `http_body_util::Full`.
///
/// `on_reject` accepts responses with these bodies, that of [the
/// limiter](crate::limiter::LimiterBuilder::on_reject) as well as that of [the
/// layer](crate::ConcurrencyLimitLayer::on_reject). If a body has to wait for its data, or fails,
/// the default response is sent instead, and an event of level `WARN` names the cure. Trailers are
/// dropped. `M` distinguishes the two kinds of bodies; it is always inferred.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be the body of a refusal",
    note = "bytes, text and every `http_body::Body` can be: `http::Response<String>`, axum's `Response`, `rejection.response()`",
    note = "under axum, `.into_response()` makes a response of whatever a handler may return"
)]
pub trait RefusalBody<M> {
    /// Returns the whole body, or `None` if it is not available at once.
    fn into_bytes(self) -> Option<Bytes>;
}

/// Marks bytes and text in [`RefusalBody`].
#[derive(Clone, Copy, Debug)]
pub struct Plain;

/// Marks an [`http_body::Body`] in [`RefusalBody`].
#[derive(Clone, Copy, Debug)]
pub struct Framed;

macro_rules! plain {
    ($($bytes:ty),*) => {$(
        impl RefusalBody<Plain> for $bytes {
            fn into_bytes(self) -> Option<Bytes> {
                Some(Bytes::from(self))
            }
        }
    )*};
}

// `String` is an `http_body::Body`.
plain!(Bytes, Vec<u8>, &'static str, &'static [u8]);

impl<B: Body> RefusalBody<Framed> for B {
    fn into_bytes(self) -> Option<Bytes> {
        let mut body = pin!(self);
        let mut cx = Context::from_waker(Waker::noop());
        let mut whole = Bytes::new();
        while !body.is_end_stream() {
            match body.as_mut().poll_frame(&mut cx) {
                Poll::Ready(Some(Ok(frame))) => {
                    if let Ok(data) = frame.into_data() {
                        whole = append(whole, data);
                    }
                }
                Poll::Ready(None) => break,
                Poll::Ready(Some(Err(_))) | Poll::Pending => return None,
            }
        }
        Some(whole)
    }
}

/// Does not copy the first frame if it is `Bytes`; there is rarely a second one.
fn append(whole: Bytes, mut data: impl Buf) -> Bytes {
    if whole.is_empty() {
        return data.copy_to_bytes(data.remaining());
    }
    let mut both = BytesMut::from(whole);
    both.extend_from_slice(&data.copy_to_bytes(data.remaining()));
    both.freeze()
}

#[cfg(all(test, not(tcl_loom)))]
mod tests {
    use std::convert::Infallible;

    use futures_util::stream;
    use http_body::Frame;
    use http_body_util::{Empty, Full, StreamBody};

    use super::*;

    fn bytes<B: RefusalBody<M>, M>(body: B) -> Option<String> {
        let bytes = body.into_bytes()?;
        Some(String::from_utf8(bytes.to_vec()).expect("text"))
    }

    fn frames<const N: usize>(frames: [&'static str; N]) -> impl Body {
        let frames = frames.map(|text| Ok::<_, Infallible>(Frame::data(Bytes::from(text))));
        StreamBody::new(stream::iter(frames))
    }

    #[test]
    fn bytes_text_and_bodies_can_be_refused_with() {
        let busy = Some("busy".to_owned());
        assert_eq!(bytes("busy"), busy);
        assert_eq!(bytes(&b"busy"[..]), busy);
        assert_eq!(bytes("busy".to_owned()), busy);
        assert_eq!(bytes(b"busy".to_vec()), busy);
        assert_eq!(bytes(Bytes::from("busy")), busy);
        assert_eq!(bytes(Full::new(Bytes::from("busy"))), busy);
        assert_eq!(bytes(axum::body::Body::from("busy")), busy);
        assert_eq!(bytes(frames(["b", "us", "y"])), busy);
        assert_eq!(bytes(Empty::<Bytes>::new()), Some(String::new()));
    }

    #[test]
    fn a_body_that_waits_or_fails_is_not_there_at_once() {
        let waits = stream::pending::<Result<Frame<Bytes>, Infallible>>();
        assert_eq!(bytes(StreamBody::new(waits)), None);
        let fails = stream::iter([Ok(Frame::data(Bytes::from("bu"))), Err("broken")]);
        assert_eq!(bytes(StreamBody::new(fails)), None);
    }
}
