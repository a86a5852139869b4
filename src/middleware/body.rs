//! A response body that holds the permit.

use std::{
    fmt,
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;

use super::held::Held;

pin_project! {
    /// The body of a limited response: the inner service's body, with the permit, or the few bytes
    /// of a rejection. Returns the permit when the body ends, fails or is dropped.
    ///
    /// The size hint is forwarded, so `content-length` does not change. A body that is empty from
    /// the start returns the permit at once.
    ///
    /// Layers outside of the limit that respond to requests themselves need a body of this type: an
    /// empty one ([`Default`]), as for `CorsLayer` and `TimeoutLayer` of tower-http, one made of
    /// bytes or text ([`From`]), or one of the inner type ([`new`](Self::new)). None of these holds
    /// a permit.
    pub struct ResponseBody<B> {
        #[pin]
        kind: Kind<B>,
    }
}

pin_project! {
    #[project = KindProj]
    enum Kind<B> {
        Inner {
            // Dropped before the permit, because it may still use the resource.
            #[pin]
            body: B,
            held: Option<Held>,
        },
        Refusal { bytes: Option<Bytes> },
    }
}

impl<B: Body> ResponseBody<B> {
    pub(super) fn holding(body: B, held: Option<Held>) -> Self {
        let held = held.filter(|_| !body.is_end_stream());
        Self {
            kind: Kind::Inner { body, held },
        }
    }
}

impl<B> ResponseBody<B> {
    /// Wraps a body without a permit, for a layer outside of the limit that responds itself.
    pub fn new(body: B) -> Self {
        Self {
            kind: Kind::Inner { body, held: None },
        }
    }

    pub(super) fn refusal(bytes: Bytes) -> Self {
        Self {
            kind: Kind::Refusal {
                bytes: (!bytes.is_empty()).then_some(bytes),
            },
        }
    }
}

/// An empty body.
impl<B> Default for ResponseBody<B> {
    fn default() -> Self {
        Self::refusal(Bytes::new())
    }
}

macro_rules! from {
    ($($bytes:ty),*) => {$(
        /// A body of these bytes.
        impl<B> From<$bytes> for ResponseBody<B> {
            fn from(bytes: $bytes) -> Self {
                Self::refusal(Bytes::from(bytes))
            }
        }
    )*};
}

from!(Bytes, Vec<u8>, String, &'static str, &'static [u8]);

impl<B> Body for ResponseBody<B>
where
    B: Body<Data: From<Bytes>>,
{
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        Poll::Ready(match self.project().kind.project() {
            KindProj::Inner { mut body, held } => {
                let frame = ready!(body.as_mut().poll_frame(cx));
                // The consumer need not poll again after the last frame, so the permit is released
                // with it.
                if !matches!(frame, Some(Ok(_))) || body.is_end_stream() {
                    *held = None;
                }
                frame
            }
            KindProj::Refusal { bytes } => bytes.take().map(|b| Ok(Frame::data(b.into()))),
        })
    }

    fn is_end_stream(&self) -> bool {
        match &self.kind {
            Kind::Inner { body, .. } => body.is_end_stream(),
            Kind::Refusal { bytes } => bytes.is_none(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.kind {
            Kind::Inner { body, .. } => body.size_hint(),
            Kind::Refusal { bytes } => {
                SizeHint::with_exact(bytes.as_ref().map_or(0, |b| b.len() as u64))
            }
        }
    }
}

impl<B> fmt::Debug for ResponseBody<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = f.debug_struct("ResponseBody");
        match &self.kind {
            Kind::Inner { held, .. } => debug.field("held", held).finish_non_exhaustive(),
            Kind::Refusal { bytes } => debug.field("refusal", bytes).finish(),
        }
    }
}
