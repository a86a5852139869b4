//! What is compared: this crate, its peers, and what people write by hand.
//!
//! * [`around`] puts a candidate around a service, with its static type, as `ServiceBuilder` would.
//! * [`router`] puts it around the route of an axum router, as its documentation says.

mod around;
mod atomic;
mod by_hand;
mod fixed;
mod router;

use std::time::Duration;

pub(crate) use around::{Visit, around};
pub(crate) use router::router;

use tower_concurrency_limiter::{ConcurrencyLimitLayer, Limiter, Resource};

/// One way to limit a service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Candidate {
    /// No limit: what all others are measured against.
    Bare,
    /// A layer that does nothing. In axum it costs the boxes of any layer.
    Noop,
    /// This crate, the permit returned with the response head, as all the peers do.
    AtHead,
    /// This crate's default: the permit is held until the response body has ended.
    UntilBodyEnd,
    /// An atomic counter that turns away what does not fit: the least that a limit can cost.
    Atomic,
    /// `Arc<Semaphore>` and `tokio::time::timeout` in a service.
    ByHand,
    /// `GlobalConcurrencyLimitLayer`.
    Tower,
    /// `GlobalConcurrencyLimitLayer` under tower's `timeout`.
    TowerTimeout,
    /// `GlobalConcurrencyLimitLayer` under tower's `load_shed`.
    TowerShed,
    /// `tower-resilience-bulkhead` with a bounded wait.
    Bulkhead,
    /// `tower-acc` with an algorithm that keeps its limit.
    Acc,
    /// `Arc<Semaphore>` and `tokio::time::timeout` in `axum::middleware::from_fn`.
    FromFn,
}

impl Candidate {
    pub(crate) const ALL: [Self; 12] = [
        Self::Bare,
        Self::Noop,
        Self::AtHead,
        Self::UntilBodyEnd,
        Self::Atomic,
        Self::Tower,
        Self::ByHand,
        Self::Acc,
        Self::TowerTimeout,
        Self::TowerShed,
        Self::Bulkhead,
        Self::FromFn,
    ];

    /// Those that differ without axum.
    pub(crate) fn direct() -> Vec<Self> {
        Self::ALL.into_iter().filter(|c| *c != Self::Noop).collect()
    }

    /// Those that let requests wait.
    pub(crate) fn waiting() -> Vec<Self> {
        Self::ALL.into_iter().filter(|c| c.waits()).collect()
    }

    /// Those that let requests wait, but not for ever.
    pub(crate) fn giving_up() -> Vec<Self> {
        Self::ALL.into_iter().filter(|c| c.gives_up()).collect()
    }

    /// The candidate that prints as this.
    pub(crate) fn parse(name: &str) -> Self {
        Self::ALL
            .into_iter()
            .find(|candidate| format!("{candidate:?}") == name)
            .unwrap_or_else(|| panic!("there is no candidate {name}"))
    }

    /// The name in tables.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Bare => "bare",
            Self::Noop => "no-op layer",
            Self::AtHead => "this crate, `.release_at_head()`",
            Self::UntilBodyEnd => "this crate, until the body ends",
            Self::Atomic => "bare atomic floor",
            Self::Tower => "tower `GlobalConcurrencyLimit` alone",
            Self::ByHand => "hand-written semaphore + timeout",
            Self::Acc => "tower-acc 0.1.1",
            Self::TowerTimeout => "tower `timeout` + limit",
            Self::TowerShed => "tower `load_shed` + limit",
            Self::Bulkhead => "tower-resilience-bulkhead 0.14",
            Self::FromFn => "`from_fn` by hand",
        }
    }

    /// What becomes of a request that finds the limit reached.
    pub(crate) fn when_full(self) -> &'static str {
        match self {
            Self::Bare | Self::Noop => "runs",
            Self::AtHead | Self::UntilBodyEnd => "waits in a bounded queue, 503",
            Self::Atomic | Self::TowerShed => "sheds",
            Self::Tower | Self::Acc => "waits for ever",
            Self::TowerTimeout => "waits for ever: `timeout` does not time `poll_ready`",
            Self::ByHand | Self::Bulkhead | Self::FromFn => "waits, 503",
        }
    }

    /// Whether requests that do not fit wait at all.
    fn waits(self) -> bool {
        !matches!(
            self,
            Self::Bare | Self::Noop | Self::Atomic | Self::TowerShed
        )
    }

    /// Whether they are turned away when they have waited long enough.
    fn gives_up(self) -> bool {
        self.waits() && !matches!(self, Self::Tower | Self::Acc | Self::TowerTimeout)
    }
}

/// How a candidate is set up.
#[derive(Clone, Copy)]
pub(crate) struct Settings {
    pub(crate) limit: usize,
    /// How long requests wait, where the candidate knows such a thing.
    pub(crate) wait: Duration,
}

impl Settings {
    pub(crate) const fn limit(limit: usize) -> Self {
        Self {
            limit,
            wait: Duration::from_secs(60),
        }
    }

    pub(crate) const fn wait(mut self, wait: Duration) -> Self {
        self.wait = wait;
        self
    }

    /// This crate's layer.
    fn layer(self) -> ConcurrencyLimitLayer {
        let resource = Resource::new("db", self.limit);
        Limiter::builder()
            .timeout(self.wait)
            .max_waiting(200_000)
            .resources([&resource])
            .build()
            .resources([&resource])
    }
}
