//! The auto traits of the public types, which the compiler would let change unseen.

use std::{
    convert::Infallible,
    future::Ready,
    panic::{RefUnwindSafe, UnwindSafe},
};

use http::{Request, Response};
use http_body_util::Full;
use tower::util::ServiceFn;
use tower_concurrency_limiter::{
    Claim, ConcurrencyLimit, ConcurrencyLimitLayer, Limiter, Permit, PermitHandle, Rate, Reason,
    Rejection, Resource,
    adaptive::{Aimd, AimdBuilder, Gradient2, Gradient2Builder, InvalidAdaptiveLimit, Sample},
    limiter::{Acquire, AcquireRequest, InvalidLimiter, InvalidSet, LimiterBuilder, Run},
    middleware::{
        Custom, DefaultRejection, LimitError, RequestHead, ResponseBody, ResponseFuture,
        ResponseHead, WrapErrors,
        release::{OnBodyEnd, OnHead, OnResponse},
    },
    resource::{InvalidResource, ResourceBuilder},
};

type Body = Full<bytes::Bytes>;
type Inner = ServiceFn<fn(Request<Body>) -> Ready<Result<Response<Body>, Infallible>>>;
type OnReject = fn(Rejection) -> Response<Body>;

fn everywhere<T: Send + Sync + Unpin + 'static>() {}

fn everywhere_and_unwinding<T: Send + Sync + Unpin + UnwindSafe + RefUnwindSafe + 'static>() {}

#[test]
fn what_the_user_holds_goes_everywhere() {
    everywhere_and_unwinding::<Resource>();
    everywhere_and_unwinding::<ResourceBuilder>();
    everywhere_and_unwinding::<Claim>();
    everywhere_and_unwinding::<Rate>();
    everywhere_and_unwinding::<Permit>();
    everywhere_and_unwinding::<PermitHandle>();
    everywhere_and_unwinding::<Reason>();
    everywhere_and_unwinding::<InvalidLimiter>();
    everywhere_and_unwinding::<InvalidSet>();
    everywhere_and_unwinding::<InvalidResource>();
}

#[test]
fn adaptive_limits_go_everywhere() {
    everywhere_and_unwinding::<Aimd>();
    everywhere_and_unwinding::<AimdBuilder>();
    everywhere_and_unwinding::<Gradient2>();
    everywhere_and_unwinding::<Gradient2Builder>();
    everywhere_and_unwinding::<Sample>();
    everywhere_and_unwinding::<InvalidAdaptiveLimit>();
}

/// Jobs are run under `catch_unwind`, errors travel through it.
#[test]
fn limiters_and_their_errors_cross_an_unwind() {
    everywhere_and_unwinding::<Limiter>();
    everywhere_and_unwinding::<LimiterBuilder>();
    everywhere_and_unwinding::<AcquireRequest>();
    everywhere_and_unwinding::<Rejection>();
    everywhere_and_unwinding::<LimitError<Infallible>>();
}

#[test]
fn layers_and_services_are_shared_by_threads() {
    everywhere::<ConcurrencyLimitLayer>();
    everywhere::<ConcurrencyLimitLayer<OnHead>>();
    everywhere::<ConcurrencyLimitLayer<OnResponse>>();
    everywhere::<ConcurrencyLimitLayer<OnBodyEnd, Custom<OnReject>>>();
    everywhere::<ConcurrencyLimit<Inner, OnBodyEnd>>();
    everywhere::<ConcurrencyLimit<Inner, OnHead, DefaultRejection>>();
    everywhere::<ConcurrencyLimit<Inner, OnResponse, WrapErrors>>();
}

#[test]
fn futures_and_bodies_go_everywhere() {
    everywhere::<Acquire>();
    everywhere::<Run<fn() -> Ready<()>, Ready<()>>>();
    everywhere::<ResponseFuture<Inner, Request<Body>, OnBodyEnd>>();
    everywhere::<ResponseFuture<Inner, Request<Body>, OnHead>>();
    everywhere::<ResponseBody<Body>>();
}

#[test]
fn clones_are_handles() {
    fn clone<T: Clone>() {}
    clone::<Resource>();
    clone::<Limiter>();
    clone::<Rejection>();
    clone::<PermitHandle>();
    clone::<AcquireRequest>();
    clone::<ConcurrencyLimitLayer>();
    clone::<ConcurrencyLimit<Inner, OnBodyEnd>>();
}

/// A service that is not `Sync`, or not even `Send`, is limited all the same: traits are carried,
/// not asked for.
#[test]
fn nothing_is_asked_of_the_service_but_clone() {
    #[derive(Clone)]
    struct Local(std::rc::Rc<()>);

    impl tower::Service<()> for Local {
        type Response = std::rc::Rc<()>;
        type Error = tower::BoxError;
        type Future = Ready<Result<Self::Response, Self::Error>>;

        fn poll_ready(
            &mut self,
            _: &mut std::task::Context<'_>,
        ) -> std::task::Poll<Result<(), Self::Error>> {
            std::task::Poll::Ready(Ok(()))
        }

        fn call(&mut self, (): ()) -> Self::Future {
            std::future::ready(Ok(self.0.clone()))
        }
    }

    fn service<S: tower::Service<()>>() {}
    service::<ConcurrencyLimit<Local, OnResponse>>();
}

#[test]
fn everything_says_what_it_is() {
    fn debug<T: std::fmt::Debug>() {}
    debug::<Limiter>();
    debug::<LimiterBuilder>();
    debug::<Resource>();
    debug::<Claim>();
    debug::<Rate>();
    debug::<Permit>();
    debug::<PermitHandle>();
    debug::<Rejection>();
    debug::<RequestHead<'_>>();
    debug::<ResponseHead<'_>>();
    debug::<Acquire>();
    debug::<ConcurrencyLimitLayer>();
    debug::<ConcurrencyLimit<(), OnBodyEnd>>();
    debug::<ResponseFuture<Inner, Request<Body>, OnBodyEnd>>();
    debug::<ResponseBody<Body>>();
}
