//! What the measurements share.

pub(crate) mod call;
pub(crate) mod client;
pub(crate) mod clock;
pub(crate) mod figures;
pub(crate) mod inner;
pub(crate) mod rounds;
pub(crate) mod served;
pub(crate) mod titles;

/// The requests of all measurements: what axum's layers see.
pub(crate) type Request = http::Request<axum::body::Body>;

/// A small request, made without an allocation.
pub(crate) fn request() -> Request {
    http::Request::new(axum::body::Body::empty())
}

/// The runtime of measurements with two cores.
pub(crate) fn two_workers() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("a runtime starts")
}

/// The runtime of measurements whose order matters.
pub(crate) fn one_thread() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime starts")
}
