//! The refusal that `on_reject` makes.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use http::Response;

use crate::{
    observe,
    rejection::{RefusalBody, Rejection, Respond},
};

/// A closure of `on_reject`, whatever the body of its responses.
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
        if !warned.swap(true, Ordering::Relaxed) {
            observe::refusal_is_not_ready(rejection.resource());
        }
        rejection.response()
    })
}
