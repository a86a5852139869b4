//! A process's own share, while the server is away.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

use crate::{
    Permit, Rejection,
    admission::By,
    limiter::{AcquireRequest, Limiter},
    rejection::Reason,
    resource::{Lane, LaneKey, Lanes, Priority, Rate, Resource, SharedSpec},
    shared::{Absence, LeaseRequest, NotLeased},
};

/// A process's own share of a limit, by the same rules: enforced while the server is away.
pub(super) struct LocalShare {
    rules: Rules,
    opened: Mutex<Option<Opened>>,
}

/// What the share is made from.
struct Rules {
    name: Arc<str>,
    limit: u32,
    max_waiting: usize,
    credit: Option<Duration>,
    lanes: Option<Lanes>,
    reserves: Vec<(usize, Priority)>,
    rates: Vec<(By, Rate)>,
}

/// The share, for as long as the process lives: rates remember what was spent in the last outage.
#[derive(Clone)]
struct Opened {
    limiter: Limiter,
    resource: Resource,
    share: usize,
}

impl LocalShare {
    pub(super) fn new(spec: &SharedSpec<'_>) -> Self {
        Self {
            rules: Rules {
                name: Arc::clone(spec.name),
                limit: spec.limit,
                max_waiting: spec.max_waiting,
                credit: spec.credit,
                lanes: spec.lanes.cloned(),
                reserves: spec.reserves.to_vec(),
                rates: spec.rates.to_vec(),
            },
            opened: Mutex::new(None),
        }
    }

    /// The server is away: of this limit each of so many processes has a share. This one has as
    /// many units in hand, which count against it.
    pub(super) fn open(&self, limit: u32, processes: u64, in_hand: u64) {
        let share = (u64::from(limit) / processes.max(1)).max(1) as usize;
        let mut opened = self.lock();
        let is_other = opened.as_ref().is_none_or(|opened| opened.share != share);
        if is_other {
            *opened = self.rules.open(share, processes.max(1));
        }
        if let Some(opened) = &*opened {
            opened.leave_room_for(in_hand);
        }
    }

    /// As many units are in hand, with those of the share.
    pub(super) fn held(&self, in_hand: u64) {
        if let Some(opened) = &*self.lock() {
            opened.leave_room_for(in_hand);
        }
    }

    pub(super) fn try_acquire(&self, ask: &LeaseRequest) -> Option<Permit> {
        let opened = self.lock().clone()?;
        opened.request(ask).try_acquire().ok()
    }

    pub(super) async fn acquire(
        &self,
        ask: &LeaseRequest,
        deadline: Option<Instant>,
    ) -> Result<Permit, NotLeased> {
        let Some(opened) = self.lock().clone() else {
            return Err(NotLeased::from(Absence::Unavailable));
        };
        let left = |deadline: Instant| deadline.saturating_duration_since(Instant::now());
        let timeout = deadline.map_or(Duration::ZERO, left);
        let request = opened.request(ask).timeout(timeout);
        request.acquire().await.map_err(|rejection| why(&rejection))
    }

    pub(super) fn close(&self) {
        if let Some(opened) = &*self.lock() {
            opened.limiter.close();
        }
    }

    fn lock(&self) -> MutexGuard<'_, Option<Opened>> {
        self.opened.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Rules {
    fn open(&self, share: usize, processes: u64) -> Option<Opened> {
        let resource = self
            .resource(share, processes, self.lanes.as_ref())
            // Strict lanes may be more than the units of a share.
            .or_else(|| self.resource(share, processes, None))?;
        let mut builder = Limiter::builder().max_waiting(self.max_waiting);
        if let Some(credit) = self.credit {
            builder = builder.priority_credit(credit);
        }
        let limiter = builder.resources([&resource]).build();
        Some(Opened {
            limiter,
            resource,
            share,
        })
    }

    fn resource(&self, share: usize, processes: u64, lanes: Option<&Lanes>) -> Option<Resource> {
        let part = |units: usize| units * share / self.limit.max(1) as usize;
        let mut builder = Resource::builder(Arc::clone(&self.name)).concurrency(share);
        for (by, rate) in &self.rates {
            let count = (rate.count() / processes).max(1);
            let mut own = Rate::new(count, rate.period());
            if let Some(burst) = rate.burst_size() {
                own = own.burst((burst / processes).max(1));
            }
            builder = match by {
                By::Request => builder.rate(own),
                By::Load => builder.load_rate(own),
            };
        }
        for &(units, priority) in &self.reserves {
            builder = builder.reserve(part(units), priority);
        }
        if let Some(lanes) = lanes {
            let own = |lane: &Lane| {
                let mut own = Lane::new(name_of(lane.hash().number())).weight(lane.weight);
                own = own.reserve(part(lane.reserve));
                match lane.max {
                    Some(max) => own.max(part(max).max(1).max(part(lane.reserve))),
                    None => own,
                }
            };
            builder = builder.lanes(Lanes {
                declared: lanes.declared.iter().map(own).collect(),
                others: lanes.others.as_ref().map(own),
                ..lanes.clone()
            });
        }
        builder.try_build().ok()
    }
}

impl Opened {
    /// What was granted by the server, and is still in hand, counts against the share.
    fn leave_room_for(&self, in_hand: u64) {
        let own = self.resource.in_use();
        let foreign = (in_hand as usize).saturating_sub(own);
        // A share is never above the limit that it is a share of.
        let _ = self.resource.set_limit(self.share.saturating_sub(foreign));
    }

    fn request(&self, ask: &LeaseRequest) -> AcquireRequest {
        let units = (ask.units as usize).min(self.share);
        let request = self.limiter.request([self.resource.units(units)]);
        let lane = LaneKey::from(ask.lane.map(name_of));
        let request = request.priority(ask.priority).load(ask.load).lane(lane);
        match ask.max_waiting {
            Some(most) => request.max_waiting(most),
            None => request,
        }
    }
}

/// Lanes are known by their hashes here.
fn name_of(lane: u64) -> String {
    format!("{lane:016x}")
}

fn why(rejection: &Rejection) -> NotLeased {
    NotLeased {
        why: match rejection.reason() {
            Reason::QueueFull => Absence::Full,
            Reason::Shed => Absence::Shed,
            Reason::Closed => Absence::Closed,
            Reason::Unavailable => Absence::Unavailable,
            // A limiter with a timeout knows by that whether it had time.
            Reason::Timeout | Reason::NotNow | Reason::WouldTimeOut => Absence::Timeout,
        },
        by_rate: rejection.is_rate_limited(),
        retry_after: rejection.retry_after(),
    }
}
