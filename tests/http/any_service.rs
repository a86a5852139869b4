//! Around services that do not speak HTTP.

use std::{error::Error, io, time::Duration};

use tower::{BoxError, Layer, Service, ServiceBuilder, ServiceExt, service_fn};
use tower_concurrency_limiter::{
    ConcurrencyLimitLayer, Limiter, Permit, Reason, Rejection, Resource,
    middleware::{LimitError, Reject, release::OnResponse},
};

fn limited() -> (Resource, Limiter, ConcurrencyLimitLayer<OnResponse>) {
    let db = Resource::new("db", 1);
    let limiter = Limiter::new(Duration::ZERO, [&db]);
    let layer = limiter.resources([&db]).for_any_service();
    (db, limiter, layer)
}

fn busy() -> (Permit, ConcurrencyLimitLayer<OnResponse>) {
    let (db, limiter, layer) = limited();
    (limiter.try_acquire([&db]).expect("idle"), layer)
}

async fn double(number: u32) -> Result<u32, BoxError> {
    if number == 13 {
        Err("unlucky".into())
    } else {
        Ok(2 * number)
    }
}

async fn foreign(number: u32) -> Result<u32, io::Error> {
    if number == 13 {
        Err(io::ErrorKind::NotFound.into())
    } else {
        Ok(2 * number)
    }
}

#[tokio::test]
async fn a_rejection_is_a_boxed_error() {
    let (_permit, layer) = busy();
    let error = layer
        .layer(service_fn(double))
        .oneshot(4)
        .await
        .expect_err("busy");
    let rejection = error.downcast_ref::<Rejection>().expect("a rejection");
    assert_eq!(rejection.reason(), Reason::NotNow);
    assert_eq!(rejection.resource(), "db");
}

#[tokio::test]
async fn answers_and_errors_of_the_service_are_its_own() {
    let (db, _limiter, layer) = limited();
    let mut service = layer.layer(service_fn(double));
    assert_eq!(
        service
            .ready()
            .await
            .expect("ready")
            .call(4)
            .await
            .expect("even"),
        8
    );
    assert_eq!(db.in_use(), 0, "returned with the response");
    let error = service.ready().await.expect("ready").call(13).await;
    assert_eq!(error.expect_err("unlucky").to_string(), "unlucky");
    assert_eq!(db.in_use(), 0, "returned with the error");
}

/// Any error type that can be made from a rejection.
#[tokio::test]
async fn an_error_of_ones_own_takes_the_rejection_in() {
    #[derive(Debug, PartialEq)]
    enum ApiError {
        Busy(Reason),
    }

    impl From<Rejection> for ApiError {
        fn from(rejection: Rejection) -> Self {
            Self::Busy(rejection.reason())
        }
    }

    let (_permit, layer) = busy();
    let service = layer.layer(service_fn(async |n: u32| Ok::<_, ApiError>(n)));
    assert_eq!(
        service.oneshot(4).await,
        Err(ApiError::Busy(Reason::NotNow))
    );
}

#[tokio::test]
async fn map_rejection_makes_a_foreign_error() {
    let (_permit, layer) = busy();
    let layer = layer.map_rejection(|why| io::Error::new(io::ErrorKind::WouldBlock, why));
    let error = layer
        .layer(service_fn(foreign))
        .oneshot(4)
        .await
        .expect_err("busy");
    assert_eq!(error.kind(), io::ErrorKind::WouldBlock);
    let rejection = error.get_ref().and_then(|e| e.downcast_ref::<Rejection>());
    assert_eq!(rejection.expect("inside").resource(), "db");
}

#[tokio::test]
async fn wrapped_errors_tell_a_rejection_from_a_failure() {
    let (permit, layer) = busy();
    let mut service = layer.wrap_errors().layer(service_fn(foreign));
    let error = service.ready().await.expect("ready").call(4).await;
    let error = error.expect_err("busy");
    assert_eq!(error.to_string(), "resource \"db\" is not available now");
    assert!(matches!(error, LimitError::Rejected(ref r) if r.reason() == Reason::NotNow));
    assert!(error.source().is_none());

    drop(permit);
    assert_eq!(
        service
            .ready()
            .await
            .expect("ready")
            .call(4)
            .await
            .expect("even"),
        8
    );
    let error = service.ready().await.expect("ready").call(13).await;
    let error = error.expect_err("not found");
    assert!(matches!(error, LimitError::Inner(ref e) if e.kind() == io::ErrorKind::NotFound));
}

#[tokio::test]
async fn on_reject_makes_a_value() {
    let (_permit, layer) = busy();
    let layer = layer.on_reject(|rejection: Rejection| {
        assert_eq!(rejection.reason(), Reason::NotNow);
        u32::MAX
    });
    let answer = layer.layer(service_fn(foreign)).oneshot(4).await;
    assert_eq!(answer.expect("a value, not an error"), u32::MAX);
}

#[tokio::test]
async fn a_policy_sees_the_request() {
    #[derive(Clone)]
    struct Echo;

    impl Reject<u32, u32> for Echo {
        fn reject(&self, request: u32, _: Rejection) -> u32 {
            request
        }
    }

    let (_permit, layer) = busy();
    let answer = layer
        .reject_with(Echo)
        .layer(service_fn(foreign))
        .oneshot(4)
        .await;
    assert_eq!(answer.expect("a value"), 4);
}

#[tokio::test]
async fn works_below_other_layers_of_a_service_builder() {
    let (db, _limiter, layer) = limited();
    let service = ServiceBuilder::new()
        .buffer::<u32>(8)
        .layer(layer)
        .map_err(BoxError::from)
        .timeout(Duration::from_secs(60))
        .service_fn(foreign);
    assert_eq!(service.oneshot(21).await.expect("even"), 42);
    assert_eq!(db.in_use(), 0);
}

/// Requests and responses need be neither `Send` nor `'static`.
#[tokio::test]
async fn borrowed_and_local_values_pass() {
    let (_db, _limiter, layer) = limited();
    let text = String::from("local");
    let service = layer.layer(service_fn(|rc: std::rc::Rc<str>| {
        let text = &text;
        async move { Ok::<_, BoxError>(format!("{text} {rc}")) }
    }));
    let answer = service.oneshot("value".into()).await;
    assert_eq!(answer.expect("no error"), "local value");
}

#[test]
fn http_options_are_refused_with_the_cure() {
    let (db, limiter, _) = limited();
    let words = "`.bypass(..)`, `.priority(..)` and the like, and `.expose_permit()` need HTTP \
                 requests; leave them out with `.for_any_service()`";
    let exposed = limiter.resources([&db]).expose_permit();
    let bypassed = limiter.resources([&db]).bypass(|_| true);
    for layer in [exposed, bypassed] {
        let panic = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            let _ = layer.for_any_service();
        }));
        let message = panic.expect_err("panics");
        assert_eq!(message.downcast_ref::<&str>(), Some(&words));
    }
}
