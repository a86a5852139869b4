//! What a rejected HTTP request is told.

use std::{
    panic::{RefUnwindSafe, UnwindSafe},
    sync::Arc,
};

use bytes::Bytes;
use http::{
    HeaderValue, Response, StatusCode,
    header::{CONTENT_TYPE, RETRY_AFTER},
};

use super::Rejection;

/// Makes the response of a rejection: the limiter's own, or the default.
#[derive(Clone, Default)]
pub(crate) struct Responder {
    respond: Option<Arc<Respond>>,
    /// Whether those whom a rate has kept are told so by their status.
    answers_429: bool,
}

pub(crate) type Respond = dyn Fn(Rejection) -> Response<Bytes> + Send + Sync;

// A closure that panicked half-way is called with the next rejection all the same, as in any layer, so
// it has to cope; it should not keep limiters and rejections from passing `catch_unwind`.
impl UnwindSafe for Responder {}
impl RefUnwindSafe for Responder {}

impl Responder {
    pub(crate) fn answer(&mut self, respond: Arc<Respond>) {
        self.respond = Some(respond);
    }

    pub(crate) fn answer_429(&mut self) {
        self.answers_429 = true;
    }

    /// The same without the limiter's own response.
    fn default_of(&self) -> Self {
        Self {
            respond: None,
            ..*self
        }
    }
}

impl Rejection {
    /// The HTTP response to this rejection: what
    /// [`LimiterBuilder::on_reject`](crate::limiter::LimiterBuilder::on_reject) makes of it, or else
    /// `503` with the JSON body `{"detail":"Server busy, please retry later"}`, and `retry-after` if
    /// that is known. The rejection itself is in the extensions.
    ///
    /// Within `on_reject` it is the default response, so that it can be the start of another one.
    pub fn response(&self) -> Response<Bytes> {
        self.clone().answer()
    }

    /// The same, when nobody else needs the rejection.
    pub(crate) fn answer(self) -> Response<Bytes> {
        let Some(respond) = &self.responder.respond else {
            return self.server_busy();
        };
        let mut response = respond(self.answered_by(self.responder.default_of()));
        let extensions = response.extensions_mut();
        // What `on_reject` has put there may know more.
        let known = extensions.remove();
        let known: &Self = known.as_ref().unwrap_or(&self);
        extensions.insert(known.answered_by(self.responder.clone()));
        response
    }

    fn answered_by(&self, responder: Responder) -> Self {
        Self {
            responder,
            ..self.clone()
        }
    }

    fn server_busy(self) -> Response<Bytes> {
        const BUSY: &[u8] = br#"{"detail":"Server busy, please retry later"}"#;
        const TOO_MANY: &[u8] = br#"{"detail":"Too many requests, please retry later"}"#;
        let (status, body) = match self.by_rate && self.responder.answers_429 {
            false => (StatusCode::SERVICE_UNAVAILABLE, BUSY),
            true => (StatusCode::TOO_MANY_REQUESTS, TOO_MANY),
        };
        let mut response = Response::new(Bytes::from_static(body));
        *response.status_mut() = status;
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        if let Some(after) = self.retry_after {
            let rounded_up = u64::from(after.subsec_nanos() > 0);
            let seconds = after.as_secs().saturating_add(rounded_up);
            headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
        }
        response.extensions_mut().insert(self);
        response
    }
}

#[cfg(feature = "axum")]
#[cfg_attr(docsrs, doc(cfg(feature = "axum")))]
impl axum_core::response::IntoResponse for Rejection {
    fn into_response(self) -> axum_core::response::Response {
        self.answer().map(axum_core::body::Body::from)
    }
}
