//! A candidate around a service, with its static type.

use std::{convert::Infallible, fmt::Debug};

use bytes::Bytes;
use http::Response;
use http_body::Body;
use http_body_util::Full;
use tower::{Service, ServiceBuilder, limit::GlobalConcurrencyLimitLayer};
use tower_resilience_bulkhead::BulkheadLayer;

use super::{Candidate, Settings, atomic::AtomicLayer, by_hand::SemaphoreLayer, fixed::Fixed};
use crate::support::Request;

/// A measurement of any limited service.
pub(crate) trait Visit {
    type Output;

    fn visit<S, B>(self, service: S) -> Self::Output
    where
        S: Service<Request, Response = Response<B>> + Clone + Send + 'static,
        S::Error: Debug + Send,
        S::Future: Send,
        B: Body<Data = Bytes> + Send + Unpin + 'static;
}

/// Hands `inner` as limited by the candidate to the measurement.
pub(crate) fn around<S, V>(
    candidate: Candidate,
    settings: Settings,
    inner: S,
    visit: V,
) -> V::Output
where
    S: Service<Request, Response = Response<Full<Bytes>>, Error = Infallible>
        + Clone
        + Send
        + Sync
        + 'static,
    S::Future: Send + 'static,
    V: Visit,
{
    let builder = ServiceBuilder::new();
    let tower = || GlobalConcurrencyLimitLayer::new(settings.limit);
    match candidate {
        Candidate::Bare | Candidate::Noop => visit.visit(inner),
        Candidate::AtHead => {
            let layer = settings.layer().release_at_head();
            visit.visit(builder.layer(layer).service(inner))
        }
        Candidate::UntilBodyEnd => visit.visit(builder.layer(settings.layer()).service(inner)),
        Candidate::Atomic => {
            let layer = AtomicLayer::new(settings.limit);
            visit.visit(builder.layer(layer).service(inner))
        }
        Candidate::ByHand => {
            let layer = SemaphoreLayer::new(settings);
            visit.visit(builder.layer(layer).service(inner))
        }
        Candidate::Tower => visit.visit(builder.layer(tower()).service(inner)),
        Candidate::TowerTimeout => {
            let builder = builder.timeout(settings.wait).layer(tower());
            visit.visit(builder.service(inner))
        }
        Candidate::TowerShed => {
            let builder = builder.load_shed().layer(tower());
            visit.visit(builder.service(inner))
        }
        Candidate::Bulkhead => visit.visit(builder.layer(bulkhead(settings)).service(inner)),
        Candidate::Acc => {
            let layer = tower_acc::ConcurrencyLimitLayer::new(Fixed(settings.limit));
            visit.visit(builder.layer(layer).service(inner))
        }
        Candidate::FromFn => {
            let limit = SemaphoreLayer::new(settings);
            let layer =
                axum::middleware::from_fn(move |request, next| limit.clone().run(request, next));
            visit.visit(builder.layer(layer).service(inner))
        }
    }
}

/// One bulkhead, however often the layer is applied.
pub(super) fn bulkhead(settings: Settings) -> BulkheadLayer {
    let (layer, _) = BulkheadLayer::builder()
        .max_concurrent_calls(settings.limit)
        .max_wait_duration(settings.wait)
        .build_with_handle()
        .expect("the settings are valid");
    layer
}
