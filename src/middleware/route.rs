//! What all services of one layer share.

use std::{sync::Arc, time::Duration};

use super::head::{RequestHead, ResponseHead};
use crate::{
    adaptive::Outcome,
    admission::{Attributes, Nanos},
    core::WaitOptions,
    limiter::{HasSet, ResourceSet},
    permit::Exposure,
    resource::{LaneKey, Priority},
};

/// The set and the settings of a layer.
#[derive(Clone)]
pub(super) struct Route {
    pub(super) set: ResourceSet,
    pub(super) timeout: Duration,
    pub(super) max_waiting: Option<usize>,
    pub(super) options: Option<RouteOptions>,
    /// Set if the permit is exposed to the handler.
    pub(super) expose: Option<Arc<Exposure>>,
}

impl Route {
    /// Returns `true` if a request does nothing but claim the set.
    #[inline]
    pub(super) fn is_plain(&self) -> bool {
        self.options.is_none() && self.expose.is_none()
    }

    /// Acquires the set if it fits and nothing waits for it.
    #[inline]
    pub(super) fn try_acquire(&self) -> bool {
        self.set.try_acquire()
    }

    /// How a request waits that declares nothing.
    #[inline]
    pub(super) fn wait_options(&self, arrived: Nanos) -> WaitOptions {
        WaitOptions {
            claims: Attributes::default(),
            timeout: self.timeout,
            max_waiting: self.max_waiting,
            arrived: Some(arrived),
        }
    }
}

impl HasSet for Arc<Route> {
    #[inline]
    fn set(&self) -> &ResourceSet {
        &self.set
    }
}

/// The closures that read attributes of each request and the outcome of its response. All are
/// optional.
#[derive(Clone, Default)]
pub(super) struct RouteOptions {
    pub(super) bypass: Option<Read<bool>>,
    pub(super) priority: Option<Read<Priority>>,
    pub(super) lane: Option<Arc<ReadLane>>,
    pub(super) load: Option<Read<u64>>,
    pub(super) deadline: Option<Read<Option<Duration>>>,
    pub(super) classify: Option<Arc<Classify>>,
}

pub(super) type Read<T> = Arc<dyn Fn(&RequestHead<'_>) -> T + Send + Sync>;

/// The key may borrow from the head.
pub(super) type ReadLane = dyn for<'a> Fn(&RequestHead<'a>) -> LaneKey<'a> + Send + Sync;

pub(super) type Classify = dyn Fn(Option<&ResponseHead<'_>>) -> Outcome + Send + Sync;

impl RouteOptions {
    /// Returns `true` if the request bypasses the limit.
    pub(super) fn bypass(&self, head: &RequestHead<'_>) -> bool {
        self.bypass.as_ref().is_some_and(|bypass| bypass(head))
    }

    /// Returns the attributes of a request. `is_shared` if a resource of its set is distributed.
    pub(super) fn claims(&self, head: &RequestHead<'_>, is_shared: bool) -> Attributes {
        let mut claims = Attributes::default();
        if let Some(priority) = &self.priority {
            claims.priority = priority(head).get();
        }
        if let Some(lane) = &self.lane {
            lane(head).claim(&mut claims, is_shared);
        }
        if let Some(load) = &self.load {
            claims.load = load(head);
        }
        claims
    }

    /// Returns the fail-fast deadline of a request, if it has one.
    pub(super) fn deadline(&self, head: &RequestHead<'_>) -> Option<Duration> {
        self.deadline.as_ref()?(head)
    }

    /// Returns the outcome of a call. `head` is `None` if the service failed.
    pub(super) fn outcome(&self, head: Option<&ResponseHead<'_>>) -> Outcome {
        let classify = self.classify.as_ref();
        classify.map_or(Outcome::Success, |classify| classify(head))
    }
}
