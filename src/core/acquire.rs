//! The one way of a request into the core: it is admitted, queued or refused.

use std::{sync::Arc, task::Waker, time::Duration};

use super::{
    AcquireResult, Claimant, Gate, Granted, Record, Refused, State, WaitOptions, Waiter,
    clock::nanos,
    fifo::Joined,
    timers::TimerAction,
    waiter_cell::{Registration, WaiterCell},
};
use crate::{
    admission::{Admission, Arrival, Nanos, Refusal},
    sync::lock,
};

impl Gate {
    /// Admits, queues or refuses a request that the [fast path](Self::try_acquire) has not
    /// admitted.
    ///
    /// Without a waker the request is queued all the same, and has to be polled before its deadline
    /// is timed.
    pub(crate) fn acquire<C: Claimant>(
        claimant: C,
        options: &WaitOptions,
        waker: Option<&Waker>,
    ) -> AcquireResult<C> {
        let gate = claimant.gate();
        let arrived = options.arrived.unwrap_or_else(|| gate.clock.now());
        let Some(claim) = gate.fifo_claim(claimant.demands(), options) else {
            return Self::join_queue(claimant, options, arrived, waker);
        };
        match gate.join_fifo(claim, options, arrived, waker) {
            Joined::General => Self::join_queue(claimant, options, arrived, waker),
            Joined::Granted => Granted::new(claimant, None).in_time(options, arrived),
            Joined::Queued { number, is_timed } => {
                let waiter = Waiter::in_fifo(claimant, number, arrived);
                match is_timed || waker.is_none() {
                    true => AcquireResult::Queued(waiter),
                    false => waiter.watch(),
                }
            }
            Joined::Refused(refusal, retry_after) => {
                let retry_after = retry_after.map(Duration::from_nanos);
                let refused = Refused {
                    retry_after,
                    ..Refused::at_once(refusal)
                };
                AcquireResult::Refused(claimant, refused)
            }
        }
    }

    /// The same at the general queue.
    fn join_queue<C: Claimant>(
        claimant: C,
        options: &WaitOptions,
        arrived: Nanos,
        waker: Option<&Waker>,
    ) -> AcquireResult<C> {
        let gate = Arc::clone(claimant.gate());
        let demands = claimant.demands();
        let last_reading = arrived.saturating_add(nanos(options.timeout));
        let cell = WaiterCell::pending();
        let mut arrival = Some(Arrival {
            payload: Registration {
                waker: waker.unwrap_or(Waker::noop()).clone(),
                cell: Arc::clone(&cell),
                runtime: None,
            },
            demands: demands.clone(),
            deadline: last_reading,
            claims: options.claims,
            max_waiting: options.max_waiting,
        });
        let arrive = |state: &mut State, now, arrival: &mut Option<Arrival<Registration>>| {
            let mut arriving = arrival.take().expect("returned unless it is queued");
            arriving.deadline = match options.timeout.is_zero() {
                true => now, // or never
                false => state.clocks.at(last_reading),
            };
            let answer;
            (answer, *arrival) = state.queue.arrive(now, arriving, &mut gate.ledger());
            answer
        };
        // Rates count what is acquired at the time of the grant, and the first poll may have come
        // late.
        let now = match gate.has_rules {
            true => gate.clock.now(),
            false => arrived,
        };
        let mut state = lock(&gate.state);
        let mut now = gate.tick(&mut state, now);
        for demand in &**demands {
            gate.promote(&mut state, demand.resource);
        }
        if gate.has_rules {
            gate.relieve(&mut state, demands, now);
        }
        let mut answer = arrive(&mut state, now, &mut arrival);
        if let Admission::NoTime { .. }
        | Admission::WouldTimeOut { .. }
        | Admission::QueueFull { .. } = answer
        {
            let later = gate.tick(&mut state, gate.clock.now());
            if state.queue.is_due(later) {
                // A request is not refused because of waiters past their deadline.
                gate.dispatch(state, later);
                state = lock(&gate.state);
                now = gate.tick(&mut state, gate.clock.now());
                for demand in &**demands {
                    gate.promote(&mut state, demand.resource);
                }
                answer = arrive(&mut state, now, &mut arrival);
            }
        }
        let in_lanes = match (answer, &arrival) {
            _ if !gate.records(demands) => None,
            (Admission::Queued(ticket), _) => state.queue.demands(ticket).cloned(),
            (Admission::Granted, Some(arrival)) => Some(arrival.demands.clone()),
            _ => None,
        };
        let record = in_lanes.map(|demands| {
            let load = options.claims.load;
            let load = state.queue.bounded_load(&demands, load);
            Record::new(demands, load, options, now)
        });
        let (mut action, mut refused) = (TimerAction::None, None);
        match answer {
            Admission::Granted => {}
            Admission::Queued(ticket) => {
                gate.look_again(&mut state);
                if waker.is_some() {
                    let deadline = state.clocks.at(last_reading);
                    action = state.watch(ticket, gate.clock.runtime(), deadline);
                }
            }
            answer => {
                let refusal = state.refusal(answer, options, now);
                let resource = refusal.resource();
                let load = options.claims.load;
                refused = Some(Refused {
                    retry_after: resource.and_then(|at| state.retry_after(at, load, now)),
                    ..Refused::at_once(refusal)
                });
            }
        }
        if state.queue.is_dirty() || record.is_some() {
            gate.dispatch(state, now); // of those that gave way
        } else {
            drop(state);
        }
        drop(arrival); // after the lock: dropping a waker is the code of others
        match (answer, refused) {
            (_, Some(refused)) => AcquireResult::Refused(claimant, refused),
            (Admission::Queued(ticket), None) => {
                let waiter = Waiter::in_queue(claimant, cell, ticket, record, arrived);
                match gate.carry_out(action) {
                    true => AcquireResult::Queued(waiter),
                    false => waiter.leave_untimed(),
                }
            }
            _ => {
                let granted = Granted::new(claimant, record);
                granted.collected(now).in_time(options, arrived)
            }
        }
    }
}

impl State {
    fn refusal(&self, answer: Admission, options: &WaitOptions, now: Nanos) -> Refusal {
        match answer {
            Admission::NoTime { short, by_rate } => match options.timeout.is_zero() {
                true => Refusal::NotNow {
                    resource: short,
                    by_rate,
                },
                false => Refusal::Timeout {
                    resource: short,
                    by_rate,
                },
            },
            Admission::WouldTimeOut { short, by_rate } => Refusal::WouldTimeOut {
                resource: short,
                by_rate,
            },
            Admission::QueueFull { resource } => Refusal::QueueFull {
                resource,
                by_rate: self
                    .queue
                    .is_kept_by_rate(resource, options.claims.load, now),
            },
            Admission::Closed => Refusal::Closed,
            Admission::Granted | Admission::Queued(_) => unreachable!("no refusal"),
        }
    }
}

impl<C: Claimant> Granted<C> {
    /// Refuses a request that is granted its set after its deadline: its first poll may have come
    /// late.
    #[inline]
    fn in_time(self, options: &WaitOptions, arrived: Nanos) -> AcquireResult<C> {
        let last_reading = arrived.saturating_add(nanos(options.timeout));
        let gate = self.claimant().gate();
        if options.timeout.is_zero() || gate.clock.now() <= last_reading {
            return AcquireResult::Granted(self);
        }
        let refusal = Refusal::Timeout {
            resource: self.claimant().demands()[0].resource,
            by_rate: false,
        };
        AcquireResult::Refused(self.give_up(), Refused::at_once(refusal))
    }
}
