//! What a rejected HTTP request is told.

use std::sync::Arc;

use bytes::Bytes;
use http::{
    HeaderValue, Response, StatusCode,
    header::{CONTENT_TYPE, RETRY_AFTER},
};

use super::Rejection;

/// Makes the response of a rejection: the limiter's own, or the default.
#[derive(Clone, Default)]
pub(crate) struct Responder(Option<Arc<dyn Fn(&Rejection) -> Response<Bytes> + Send + Sync>>);

impl Responder {
    pub(crate) fn new(
        respond: impl Fn(&Rejection) -> Response<Bytes> + Send + Sync + 'static,
    ) -> Self {
        Self(Some(Arc::new(respond)))
    }
}

impl Rejection {
    /// The HTTP response to this rejection: what
    /// [`LimiterBuilder::on_reject`](crate::limiter::LimiterBuilder::on_reject) makes of it, or else
    /// `503` with the JSON body `{"detail":"Server busy, please retry later"}`, and `retry-after` if
    /// that is known. The rejection itself is in the extensions.
    pub fn response(&self) -> Response<Bytes> {
        let mut response = match &self.responder.0 {
            Some(respond) => respond(self),
            None => self.server_busy(),
        };
        response.extensions_mut().insert(self.clone());
        response
    }

    fn server_busy(&self) -> Response<Bytes> {
        const BODY: Bytes = Bytes::from_static(br#"{"detail":"Server busy, please retry later"}"#);
        let mut response = Response::new(BODY);
        *response.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        if let Some(after) = self.retry_after {
            let seconds = after.as_secs() + u64::from(after.subsec_nanos() > 0);
            headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }
}

#[cfg(feature = "axum")]
#[cfg_attr(docsrs, doc(cfg(feature = "axum")))]
impl axum_core::response::IntoResponse for Rejection {
    fn into_response(self) -> axum_core::response::Response {
        self.response().map(axum_core::body::Body::from)
    }
}
