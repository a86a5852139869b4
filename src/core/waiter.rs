//! The request's side of its place in a queue.

use std::{
    mem,
    sync::Arc,
    task::{Context, Poll, Waker},
    time::Duration,
};

use super::{
    Claimant, Gate, Granted, Record, Refused,
    fifo::FifoPlace,
    waiter_cell::{WaitResult, WaiterCell},
};
use crate::{
    admission::{Nanos, Refusal, Ticket},
    sync::lock,
};

/// What becomes of a request that arrives.
pub(crate) enum AcquireResult<C: Claimant> {
    Granted(Granted<C>),
    Queued(Waiter<C>),
    Refused(C, Refused),
}

/// A place in a queue. Dropping it leaves the queue, and releases a grant that was not collected.
pub(crate) struct Waiter<C: Claimant> {
    /// `None` once the result is collected.
    claimant: Option<C>,
    place: Place,
    /// What has to be remembered of its grant.
    record: Option<Box<Record>>,
    arrived: Nanos,
}

enum Place {
    /// A number in the FIFO of the only resource that the request claims.
    Fifo(u64),
    General(Arc<WaiterCell>, Ticket),
}

/// The result of a wait: the set, or the claimant with its refusal.
pub(crate) type Waited<C> = Result<Granted<C>, (C, Refused)>;

impl<C: Claimant> Waiter<C> {
    #[inline]
    pub(super) fn in_fifo(claimant: C, number: u64, arrived: Nanos) -> Self {
        Self {
            claimant: Some(claimant),
            place: Place::Fifo(number),
            record: None,
            arrived,
        }
    }

    pub(super) fn in_queue(
        claimant: C,
        cell: Arc<WaiterCell>,
        ticket: Ticket,
        record: Option<Box<Record>>,
        arrived: Nanos,
    ) -> Self {
        Self {
            claimant: Some(claimant),
            place: Place::General(cell, ticket),
            record,
            arrived,
        }
    }

    /// Waits for the result.
    ///
    /// # Panics
    ///
    /// If polled after it was ready.
    #[inline]
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Waited<C>> {
        if let Place::Fifo(number) = self.place {
            let queue = self.gate().fifo(self.resource());
            return match queue.is_granted(number) {
                true => Poll::Ready(Ok(Granted::new(self.take_claimant(), None))),
                false => self.poll_in_fifo(number, cx),
            };
        }
        self.poll_in_queue(cx)
    }

    #[cold]
    fn poll_in_fifo(&mut self, number: u64, cx: &mut Context<'_>) -> Poll<Waited<C>> {
        let resource = self.resource();
        match self.gate().look_at_place(resource, number, cx.waker()) {
            FifoPlace::Waiting { is_timed: true } => Poll::Pending,
            FifoPlace::Waiting { is_timed: false } => {
                match self.gate().watch_fifo(resource, number) {
                    true => Poll::Pending,
                    false => Poll::Ready(self.leave_with_reason()),
                }
            }
            FifoPlace::Granted => Poll::Ready(Ok(Granted::new(self.take_claimant(), None))),
            FifoPlace::TimedOut(retry_after) => {
                let by_rate = false;
                let refusal = Refusal::Timeout { resource, by_rate };
                let retry_after = retry_after.map(Duration::from_nanos);
                Poll::Ready(Err(self.refused(refusal, retry_after)))
            }
            FifoPlace::Moved(cell, ticket) => {
                self.place = Place::General(cell, ticket);
                self.poll_in_queue(cx)
            }
        }
    }

    fn poll_in_queue(&mut self, cx: &mut Context<'_>) -> Poll<Waited<C>> {
        let Place::General(cell, ticket) = &self.place else {
            unreachable!("it is in the general queue");
        };
        let result = match cell.read() {
            Some(result) => result,
            None => match self.keep_waiting(cell, *ticket, cx.waker()) {
                PlaceState::Waiting => return Poll::Pending,
                PlaceState::Decided(result) => result,
                PlaceState::Untimed => return Poll::Ready(self.leave_with_reason()),
            },
        };
        Poll::Ready(match result {
            WaitResult::Granted(at) => {
                let record = self.record.take();
                Ok(Granted::new(self.take_claimant(), record).collected(at))
            }
            WaitResult::Refused(refusal, retry_after) => Err(self.refused(refusal, retry_after)),
        })
    }

    /// Polled without a result: for the first time, by another task than before, in another
    /// runtime, or because a timer is gone.
    #[cold]
    fn keep_waiting(&self, cell: &WaiterCell, ticket: Ticket, waker: &Waker) -> PlaceState {
        let gate = self.gate();
        let waker = waker.clone(); // before the lock: that is the code of others
        let mut state = lock(&gate.state);
        let Some(registration) = state.queue.payload_mut(ticket) else {
            return match cell.read() {
                Some(result) => PlaceState::Decided(result),
                None => unreachable!("it leaves the queue with a result"),
            };
        };
        let outdated = mem::replace(&mut registration.waker, waker);
        let before = registration.runtime;
        // Outside of any runtime it stays with the timer that it has.
        let action = gate
            .clock
            .runtime()
            .map(|runtime| match before == Some(runtime) {
                true => state.timers.look_at(before, Nanos::MAX),
                false => state.watch(ticket, Some(runtime), 0), // which finds its deadline
            });
        drop(state);
        drop(outdated); // after the lock, as above
        match action.is_none_or(|action| gate.carry_out(action)) {
            true => PlaceState::Waiting,
            false => PlaceState::Untimed,
        }
    }

    /// Has a timer look at the deadline of a place in a FIFO.
    #[cold]
    pub(super) fn watch(self) -> AcquireResult<C> {
        let Place::Fifo(number) = self.place else {
            unreachable!("it is in a FIFO");
        };
        match self.gate().watch_fifo(self.resource(), number) {
            true => AcquireResult::Queued(self),
            false => self.leave_untimed(),
        }
    }

    /// Leaves a queue where no timer runs, because the runtime shuts down.
    #[cold]
    pub(super) fn leave_untimed(mut self) -> AcquireResult<C> {
        match self.leave_with_reason() {
            Ok(granted) => AcquireResult::Granted(granted),
            Err((claimant, refused)) => AcquireResult::Refused(claimant, refused),
        }
    }

    fn leave_with_reason(&mut self) -> Waited<C> {
        self.leave().map_err(|claimant| {
            let mut refused = Refused::at_once(Refusal::Closed);
            refused.waited = claimant.gate().since(self.arrived);
            (claimant, refused)
        })
    }

    /// When the request arrived, on the gate's clock.
    pub(crate) fn arrived(&self) -> Nanos {
        self.arrived
    }

    /// Returns the owner of the request.
    ///
    /// # Panics
    ///
    /// Once the result is collected.
    pub(crate) fn claimant(&self) -> &C {
        self.claimant.as_ref().expect("present until collected")
    }

    fn gate(&self) -> &Arc<Gate> {
        self.claimant().gate()
    }

    /// The resource of a request that waits in a FIFO.
    fn resource(&self) -> u32 {
        self.claimant().demands()[0].resource
    }

    fn take_claimant(&mut self) -> C {
        self.claimant.take().expect("present until collected")
    }

    fn refused(&mut self, refusal: Refusal, retry_after: Option<Duration>) -> (C, Refused) {
        let claimant = self.take_claimant();
        let refused = Refused {
            refusal,
            waited: claimant.gate().since(self.arrived),
            retry_after,
        };
        (claimant, refused)
    }

    /// Leaves the queue; returns what was granted meanwhile.
    fn leave(&mut self) -> Result<Granted<C>, C> {
        let claimant = self.take_claimant();
        let gate = claimant.gate();
        if let Place::Fifo(number) = self.place {
            let resource = claimant.demands()[0].resource;
            match gate.cancel_in_fifo(resource, number) {
                Some(FifoPlace::Granted) => return Ok(Granted::new(claimant, None)),
                Some(FifoPlace::Moved(cell, ticket)) => self.place = Place::General(cell, ticket),
                _ => return Err(claimant),
            }
        }
        let Place::General(cell, ticket) = &self.place else {
            return Err(claimant);
        };
        if cell.is_pending() && gate.cancel(*ticket) {
            return Err(claimant);
        }
        match cell.read() {
            Some(WaitResult::Granted(at)) => Ok(Granted::new(claimant, self.record.take()).at(at)),
            _ => Err(claimant),
        }
    }
}

/// What a waiter finds that is polled without a result.
enum PlaceState {
    Waiting,
    Decided(WaitResult),
    /// No timer runs here, because the runtime shuts down.
    Untimed,
}

impl<C: Claimant> Drop for Waiter<C> {
    #[inline]
    fn drop(&mut self) {
        if self.claimant.is_some() {
            drop(self.leave());
        }
    }
}
