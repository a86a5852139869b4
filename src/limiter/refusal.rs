//! The responses of `on_reject`.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use http::Response;

use crate::{
    observe,
    rejection::{RefusalBody, Rejection, Respond},
};

/// Wraps a closure of `on_reject`, so that its responses have a body of bytes. If a body is not
/// available at once, the default response is sent, and the first time an event is logged.
pub(crate) fn respond_with<F, B, M>(respond: F) -> Arc<Respond>
where
    F: Fn(Rejection) -> Response<B> + Send + Sync + 'static,
    B: RefusalBody<M>,
{
    let warned = AtomicBool::new(false);
    Arc::new(move |rejection| {
        let (head, body) = respond(rejection.clone()).into_parts();
        if let Some(bytes) = body.into_bytes() {
            return Response::from_parts(head, bytes);
        }
        // Relaxed: only the order of the swaps decides which one logs.
        if !warned.swap(true, Ordering::Relaxed) {
            observe::refusal_is_not_ready(rejection.resource());
        }
        rejection.response()
    })
}
