//! Permits: what a caller holds while its work runs.

mod handle;

use std::{fmt, future::poll_fn, task::Poll};

pub(crate) use handle::Exposure;
#[cfg(feature = "axum")]
pub use handle::MissingPermit;
pub use handle::PermitHandle;

pub use crate::shared::FencingToken;

use crate::{
    adaptive::Outcome,
    admission::Demands,
    core::{Claimant, Gate, GateSet, Granted},
    resource::Resource,
};

/// Ownership of a granted set of resources.
///
/// Hold it for as long as the work lasts: move it into the `spawn_blocking` closure that runs the
/// query, or the task that writes the stream.
///
/// # Drop
///
/// Dropping the permit releases the whole set and wakes the waiters that are admitted by that;
/// resources that are shared between processes are released in the background. It never blocks on
/// anything but a short lock, and takes that only if requests wait or a resource of the set has
/// more to it than its limit. There is no other way to release a permit, so none can be released
/// twice.
///
/// # Memory ordering
///
/// If a task writes data and then drops its permit, a task that acquires a permit of the same
/// resource later sees that data: the release *happens before* every later acquire in the same
/// process.
#[must_use = "dropping a permit returns its resources at once"]
pub struct Permit {
    granted: Granted<GateSet>,
    /// What the request declared, unless the grant has a record of it.
    load: u64,
}

impl Permit {
    /// Ownership of a set under which work begins.
    #[inline]
    pub(crate) fn new(mut granted: Granted<GateSet>, load: u64) -> Self {
        granted.begin_work();
        Self { granted, load }
    }

    pub(crate) fn gate(&self) -> &Gate {
        self.granted.claimant().gate()
    }

    pub(crate) fn demands(&self) -> &Demands {
        self.granted.claimant().demands()
    }

    /// Returns what is held: each resource with its units.
    pub fn claims(&self) -> impl Iterator<Item = (&Resource, usize)> {
        let resources = self.gate().resources();
        self.demands().iter().map(|demand| {
            let resource = &resources[demand.resource as usize];
            (resource, demand.units as usize)
        })
    }

    /// Returns the load that the request declared (1 if it declared none), or what it was
    /// [settled](Self::settle_load) at. Under load rates of this process it is what the request was
    /// charged with: at most what the largest of them lets pass in a whole period.
    pub fn load(&self) -> u64 {
        let record = self.granted.record();
        record.map_or(self.load, |record| record.load())
    }

    /// Corrects the load, once it is known: the unused part is returned to the load rates, as far
    /// as it still counts there, and the part beyond the estimate is a debt that later requests
    /// wait for. Without a load rate it changes [`load`](Self::load) alone. It waits for nothing
    /// but a short lock. Values above what a rate admits in a whole period are clamped to that. If
    /// called more than once, the last call wins. If it is never called, the estimate stands.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use tower_concurrency_limiter::{Limiter, Rate, Rejection, Resource};
    /// # async fn ask() -> u64 { 1_200 }
    /// # async fn chat() -> Result<(), Rejection> {
    /// let openai = Resource::builder("openai").load_rate(Rate::per_minute(90_000)).build();
    /// let limiter = Limiter::new(Duration::from_secs(30), [&openai]);
    ///
    /// let mut permit = limiter.request([&openai]).load(2_000).acquire().await?; // an estimate
    /// let tokens_used = ask().await;
    /// permit.settle_load(tokens_used);
    /// # Ok(())
    /// # }
    /// ```
    pub fn settle_load(&mut self, actual: u64) {
        if self.granted.record().is_none() {
            self.load = actual;
        }
        self.granted.settle_load(actual);
    }

    /// Returns `false` if the lease on a resource that is shared between processes has expired:
    /// this process was paused or cut off from the others for longer than its lease. Without such
    /// a resource it returns `true`.
    pub fn is_valid(&self) -> bool {
        let record = self.granted.record();
        record.is_none_or(|record| record.leases().are_valid())
    }

    /// Completes when the permit is no longer [valid](Self::is_valid): other requests may have been
    /// admitted, so work that must not run beside theirs has to stop. Without a resource that is
    /// shared between processes it never completes. It does not borrow the permit, and does not
    /// complete when that is dropped.
    ///
    /// ```
    /// # use tower_concurrency_limiter::Permit;
    /// # async fn work() {}
    /// # async fn job(permit: Permit) {
    /// tokio::select! {
    ///     () = work() => {}
    ///     () = permit.lost() => {} // stopped half-way
    /// }
    /// # }
    /// ```
    pub fn lost(&self) -> impl Future<Output = ()> + Send + 'static + use<> {
        let record = self.granted.record();
        let leases = record.map(|record| record.leases().lost());
        let mut leases = leases.unwrap_or_default();
        poll_fn(move |cx| {
            let mut leases = leases.iter_mut();
            match leases.any(|lost| lost.as_mut().poll(cx).is_ready()) {
                true => Poll::Ready(()),
                false => Poll::Pending,
            }
        })
    }

    /// Returns the place of this permit among those of a resource that is shared between
    /// processes, for services that check it; `None` for other resources.
    pub fn fencing_token(&self, resource: &Resource) -> Option<FencingToken> {
        let leases = self.granted.record()?.leases();
        let resources = self.gate().resources();
        let mut demands = self.demands().iter();
        let demand = demands.find(|demand| resources[demand.resource as usize].is(resource))?;
        leases.token(demand.resource)
    }

    /// Sets how the work went, for resources with an [adaptive](crate::adaptive) limit. Default:
    /// [`Outcome::Success`]. If called more than once, the last call before the permit is dropped
    /// wins; where the work may be dropped half-way, set [`Outcome::Dropped`] first.
    pub fn set_outcome(&mut self, outcome: Outcome) {
        if let Some(record) = self.granted.record_mut() {
            record.set_outcome(outcome);
        }
    }
}

impl fmt::Debug for Permit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Permit ")?;
        f.debug_map()
            .entries(self.claims().map(|(r, units)| (r.name(), units)))
            .finish()
    }
}
