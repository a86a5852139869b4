//! The HTTP response to a rejection.

use std::{
    panic::{RefUnwindSafe, UnwindSafe},
    sync::Arc,
};

use bytes::Bytes;
use http::{
    HeaderMap, HeaderValue, Response, StatusCode,
    header::{CONTENT_TYPE, RETRY_AFTER},
};

use super::{Rejection, grpc};

/// Creates the response to a rejection: that of the limiter's `on_reject`, or the default.
#[derive(Clone, Default)]
pub(crate) struct Responder {
    respond: Option<Arc<Respond>>,
    /// Whether rate-limited requests get the status 429.
    has_429: bool,
    /// The media type of the rejected request, if that is a gRPC one.
    grpc: Option<Box<HeaderValue>>,
}

pub(crate) type Respond = dyn Fn(Rejection) -> Response<Bytes> + Send + Sync;

// After a panic, a closure is called with the next rejection all the same, as in any layer. It must
// not prevent limiters and rejections from passing through `catch_unwind`.
impl UnwindSafe for Responder {}
impl RefUnwindSafe for Responder {}

impl Responder {
    pub(crate) fn set_response(&mut self, respond: Arc<Respond>) {
        self.respond = Some(respond);
    }

    pub(crate) fn enable_429(&mut self) {
        self.has_429 = true;
    }

    /// Without the limiter's own response.
    fn default_of(&self) -> Self {
        Self {
            respond: None,
            ..self.clone()
        }
    }
}

impl Rejection {
    /// Returns the HTTP response to this rejection: that of
    /// [`LimiterBuilder::on_reject`](crate::limiter::LimiterBuilder::on_reject), or by default a
    /// `503` with the JSON body `{"detail":"Server busy, please retry later"}`, and with the header
    /// `retry-after` if the time is known. The rejection itself is in the extensions.
    ///
    /// If a layer rejected a gRPC request (its `content-type` starts with `application/grpc`), the
    /// default response is [`grpc_response`](Self::grpc_response).
    ///
    /// Within `on_reject` this returns the default response, to be changed there.
    pub fn response(&self) -> Response<Bytes> {
        self.clone().answer()
    }

    /// As `response`, without a clone.
    pub(crate) fn answer(self) -> Response<Bytes> {
        let Some(respond) = &self.responder.respond else {
            return self.default_response();
        };
        let mut response = respond(self.with_responder(self.responder.default_of()));
        let extensions = response.extensions_mut();
        // `on_reject` may have inserted a rejection with more in it, such as a time to retry.
        let known = extensions.remove();
        let known: &Self = known.as_ref().unwrap_or(&self);
        extensions.insert(known.with_responder(self.responder.clone()));
        response
    }

    fn with_responder(&self, responder: Responder) -> Self {
        Self {
            responder,
            ..self.clone()
        }
    }

    /// Sets the protocol of the response to that of a request with these headers.
    pub(crate) fn of_request(mut self, headers: &HeaderMap) -> Self {
        self.responder.grpc = grpc::media_type(headers).map(Box::new);
        self
    }

    pub(super) fn grpc_media_type(&self) -> Option<&HeaderValue> {
        self.responder.grpc.as_deref()
    }

    fn default_response(self) -> Response<Bytes> {
        match self.grpc_media_type() {
            Some(_) => self.into_grpc_response(),
            None => self.server_busy(),
        }
    }

    fn server_busy(self) -> Response<Bytes> {
        const BUSY: &[u8] = br#"{"detail":"Server busy, please retry later"}"#;
        const TOO_MANY: &[u8] = br#"{"detail":"Too many requests, please retry later"}"#;
        let body = match self.status() {
            StatusCode::TOO_MANY_REQUESTS => TOO_MANY,
            _ => BUSY,
        };
        self.http_response("application/json", Bytes::from_static(body))
    }

    pub(super) fn http_response(self, media_type: &'static str, body: Bytes) -> Response<Bytes> {
        let mut response = Response::new(body);
        *response.status_mut() = self.status();
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(media_type));
        if let Some(seconds) = self.retry_after_seconds() {
            headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
        }
        response.extensions_mut().insert(self);
        response
    }

    pub(super) fn status(&self) -> StatusCode {
        match self.by_rate && self.responder.has_429 {
            true => StatusCode::TOO_MANY_REQUESTS,
            false => StatusCode::SERVICE_UNAVAILABLE,
        }
    }

    /// [`retry_after`](Self::retry_after) in whole seconds, rounded up.
    pub(super) fn retry_after_seconds(&self) -> Option<u64> {
        let after = self.retry_after?;
        let rounded_up = u64::from(after.subsec_nanos() > 0);
        Some(after.as_secs().saturating_add(rounded_up))
    }
}

#[cfg(feature = "axum")]
#[cfg_attr(docsrs, doc(cfg(feature = "axum")))]
impl axum_core::response::IntoResponse for Rejection {
    fn into_response(self) -> axum_core::response::Response {
        self.answer().map(axum_core::body::Body::from)
    }
}
