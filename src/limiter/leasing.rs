//! The way of one request to what it claims of limits that are shared between processes.

use std::{
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll, ready},
};

use smallvec::SmallVec;

use crate::{
    admission::{Demand, LaneHash, Nanos, Refusal},
    core::{Gate, Leases, Refused, WaitOptions},
    resource::Resource,
    shared::{Absence, Entering, LeaseRequest, NotLeased},
};

/// Takes what is shared of a set, one resource after the other in the order of their names: in
/// every process the same, whatever order its limiter has. It holds what it has while it waits for
/// the next.
pub(super) struct Leasing {
    gate: Arc<Gate>,
    /// Still to be asked for, the next one last.
    ahead: SmallVec<[Demand; 2]>,
    asking: Option<Asking>,
    leases: Leases,
    options: WaitOptions,
    arrived: Nanos,
    /// Whether it may do more than look.
    may_ask: bool,
}

impl Leasing {
    /// For a request that arrives with these demands, of which some are shared.
    pub(super) fn new(
        gate: &Arc<Gate>,
        demands: &[Demand],
        options: WaitOptions,
        may_ask: bool,
    ) -> Self {
        let shared = demands.iter().filter(|d| gate.remote(d.resource).is_some());
        let mut ahead: SmallVec<[Demand; 2]> = shared.copied().collect();
        let name = |demand: &Demand| gate.resources()[demand.resource as usize].name();
        ahead.sort_by(|one, other| name(other).cmp(name(one)));
        Self {
            ahead,
            asking: None,
            leases: Leases::default(),
            options,
            arrived: options.arrived.unwrap_or_else(|| gate.now()),
            may_ask,
            gate: Arc::clone(gate),
        }
    }

    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Refused>> {
        loop {
            if let Some(asking) = &mut self.asking {
                let leased = ready!(asking.poll(cx));
                let demand = asking.demand;
                self.asking = None;
                match leased {
                    Ok(lease) => self.leases.add(&self.gate, demand, lease),
                    Err(absence) => {
                        let refused = self.refused(demand.resource, absence);
                        return Poll::Ready(Err(refused));
                    }
                }
            }
            let Some(demand) = self.ahead.pop() else {
                return Poll::Ready(Ok(()));
            };
            self.check_time(demand.resource)?;
            self.ask(demand)?;
        }
    }

    fn ask(&mut self, demand: Demand) -> Result<(), Refused> {
        let gate = &self.gate;
        let claims = &self.options.claims;
        let ask = LeaseRequest {
            units: demand.units,
            lane: claims.lane_hash.map(LaneHash::number),
            priority: claims.priority,
            load: claims.load,
            deadline: gate.instant(gate.deadline(self.arrived, self.options.timeout)),
            max_waiting: self.options.max_waiting,
        };
        let shared = gate.remote(demand.resource).expect("one that is shared");
        match shared.try_enter(&ask) {
            Some(lease) => self.leases.add(gate, demand, lease),
            None if self.may_ask => {
                self.asking = Some(Asking {
                    demand,
                    entering: Mutex::new(shared.enter(ask)),
                    resource: gate.resources()[demand.resource as usize].clone(),
                    is_waiting: false,
                });
            }
            None => {
                let (resource, by_rate) = (demand.resource, false);
                return Err(Refused::at_once(Refusal::NotNow { resource, by_rate }));
            }
        }
        Ok(())
    }

    /// Refuses, at a resource that it is about to ask for, if its deadline has passed or the
    /// limiter was closed.
    pub(super) fn check_time(&self, resource: u32) -> Result<(), Refused> {
        self.check_open()?;
        let WaitOptions { timeout: time, .. } = self.options;
        // Without time it asks once, however long that takes.
        match !time.is_zero() && self.gate.now() > self.gate.deadline(self.arrived, time) {
            true => Err(Refused::at_once(Refusal::Timeout {
                resource,
                by_rate: false,
            })),
            false => Ok(()),
        }
    }

    pub(super) fn check_open(&self) -> Result<(), Refused> {
        match self.gate.is_closed() {
            true => Err(Refused::at_once(Refusal::Closed)),
            false => Ok(()),
        }
    }

    fn refused(&self, resource: u32, absence: NotLeased) -> Refused {
        let by_rate = absence.by_rate;
        let why = match absence.why {
            Absence::Timeout if self.options.timeout.is_zero() => {
                Refusal::NotNow { resource, by_rate }
            }
            Absence::Timeout => Refusal::Timeout { resource, by_rate },
            Absence::Full => Refusal::QueueFull { resource, by_rate },
            Absence::Shed => Refusal::Shed { resource },
            Absence::Closed => Refusal::Closed,
            Absence::Unavailable => Refusal::Unavailable { resource },
        };
        Refused {
            retry_after: absence.retry_after,
            ..Refused::at_once(why)
        }
    }

    /// As they are for the rest of the set.
    pub(super) fn options(&self) -> WaitOptions {
        WaitOptions {
            arrived: Some(self.arrived),
            ..self.options
        }
    }

    pub(super) fn arrived(&self) -> Nanos {
        self.arrived
    }

    pub(super) fn into_leases(self) -> Leases {
        self.leases
    }
}

/// One resource that is being asked for.
struct Asking {
    demand: Demand,
    /// The lock makes it `Sync`, as the futures of permits are.
    entering: Mutex<Entering>,
    resource: Resource,
    /// Whether the gauge of the resource counts it.
    is_waiting: bool,
}

impl Asking {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<<Entering as Future>::Output> {
        let entering = self.entering.get_mut();
        let entering = entering.unwrap_or_else(PoisonError::into_inner);
        let leased = entering.as_mut().poll(cx);
        if leased.is_pending() && !self.is_waiting {
            self.resource.usage().add_waiting();
            self.is_waiting = true;
        }
        leased
    }
}

impl Drop for Asking {
    fn drop(&mut self) {
        if self.is_waiting {
            self.resource.usage().remove_waiting();
        }
    }
}
