//! A candidate around the route of an axum router.

use axum::{Router, error_handling::HandleErrorLayer, response::Response, routing::get};
use tower::{BoxError, ServiceBuilder, limit::GlobalConcurrencyLimitLayer};
use tower_resilience_bulkhead::BulkheadServiceError;

use super::{
    Candidate, Settings,
    around::bulkhead,
    atomic::{AtomicLayer, busy},
    by_hand::SemaphoreLayer,
    fixed::Fixed,
};

/// A router with one route, `/`, which answers `ok` and is limited by the candidate.
pub(crate) fn router(candidate: Candidate, settings: Settings) -> Router {
    let route = get(async || "ok");
    let builder = ServiceBuilder::new();
    let tower = || GlobalConcurrencyLimitLayer::new(settings.limit);
    let route = match candidate {
        Candidate::Bare => route,
        Candidate::Noop => route.route_layer(tower::layer::layer_fn(|inner| inner)),
        Candidate::AtHead => route.route_layer(settings.layer().release_at_head()),
        Candidate::UntilBodyEnd => route.route_layer(settings.layer()),
        Candidate::Atomic => route.route_layer(AtomicLayer::new(settings.limit)),
        Candidate::ByHand => route.route_layer(SemaphoreLayer::new(settings)),
        Candidate::Tower => route.route_layer(tower()),
        Candidate::TowerTimeout => route.route_layer(
            builder
                .layer(HandleErrorLayer::new(failed))
                .timeout(settings.wait)
                .layer(tower()),
        ),
        Candidate::TowerShed => route.route_layer(
            builder
                .layer(HandleErrorLayer::new(failed))
                .load_shed()
                .layer(tower()),
        ),
        Candidate::Bulkhead => route.route_layer(
            builder
                .layer(HandleErrorLayer::new(
                    async |_: BulkheadServiceError<std::convert::Infallible>| {
                        busy::<axum::body::Body>()
                    },
                ))
                .layer(bulkhead(settings)),
        ),
        Candidate::Acc => {
            route.route_layer(tower_acc::ConcurrencyLimitLayer::new(Fixed(settings.limit)))
        }
        Candidate::FromFn => {
            let limit = SemaphoreLayer::new(settings);
            route.route_layer(axum::middleware::from_fn(move |request, next| {
                limit.clone().run(request, next)
            }))
        }
    };
    Router::new().route("/", route)
}

async fn failed(_: BoxError) -> Response {
    busy()
}
