//! The request's side of its place in the queue.

use std::{
    mem,
    sync::Arc,
    task::{Context, Poll, Waker},
    time::Duration,
};

use tokio::runtime;

use super::{Entry, Gate, Grant, nanos};
use crate::{
    admission::{Demands, Nanos, Ticket, Verdict},
    sync::{AtomicU64, Ordering, lock},
};

/// Why a request was not let in. The resources are indices in canonical order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Why {
    Timeout {
        short: u32,
        by_rate: bool,
    },
    /// It had no time to wait.
    NotNow {
        short: u32,
        by_rate: bool,
    },
    /// Those before it would have kept it past its deadline.
    Hopeless {
        short: u32,
        by_rate: bool,
    },
    Full {
        resource: u32,
        by_rate: bool,
    },
    Shed {
        resource: u32,
    },
    Closed,
    /// What is shared there cannot be reached.
    Unavailable {
        resource: u32,
    },
}

impl Why {
    /// Whether it was a rate that kept it.
    pub(crate) fn is_by_rate(self) -> bool {
        match self {
            Self::Timeout { by_rate, .. }
            | Self::NotNow { by_rate, .. }
            | Self::Hopeless { by_rate, .. }
            | Self::Full { by_rate, .. } => by_rate,
            Self::Shed { .. } | Self::Closed | Self::Unavailable { .. } => false,
        }
    }

    /// Where it was turned away.
    pub(crate) fn resource(self) -> Option<u32> {
        match self {
            Self::Timeout { short, .. }
            | Self::NotNow { short, .. }
            | Self::Hopeless { short, .. } => Some(short),
            Self::Full { resource, .. }
            | Self::Shed { resource }
            | Self::Unavailable { resource } => Some(resource),
            Self::Closed => None,
        }
    }
}

/// A refusal, how long the request had waited for it, and when to come back.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Refused {
    pub(crate) why: Why,
    pub(crate) waited: Duration,
    pub(crate) retry_after: Option<Duration>,
}

/// On whose behalf a set is claimed.
pub(crate) trait Claimant {
    fn gate(&self) -> &Arc<Gate>;
    fn demands(&self) -> &Demands;
}

/// A claimant that was let in, and what there is to remember.
pub(crate) type Granted<C> = (C, Option<Box<Grant>>);

/// What a waiter leaves with the queue.
pub(super) struct Party {
    pub(super) waker: Waker,
    pub(super) slip: Arc<Slip>,
    /// Where it was polled last.
    pub(super) runtime: Option<runtime::Id>,
}

/// Where a waiter finds its verdict. Written once, under the gate's lock, and read without it.
pub(super) struct Slip {
    verdict: AtomicU64,
    /// Of a refusal alone: in how many nanoseconds to come back, and one more; 0 if that is not known.
    /// Written before the verdict, and read after it: the `Release` store of the one and the `Acquire`
    /// load of it order both, so that this one needs no order of its own. A grant does not touch it.
    retry_after: AtomicU64,
}

const BLANK: u64 = 0;

/// The lowest bits are the kind of verdict; above them is the time at which it was granted, or the index
/// of the resource that refused it.
const TAG_BITS: u32 = 3;
const GRANTED: u64 = 1;
const TIMED_OUT: u64 = 2;
const TIMED_OUT_BY_RATE: u64 = 3;
const SHED: u64 = 4;
const CLOSED: u64 = 5;

/// What a [`Slip`] says.
enum Note {
    /// At this time.
    Granted(Nanos),
    Refused(Why, Option<Duration>),
}

impl Slip {
    pub(super) fn blank() -> Arc<Self> {
        Arc::new(Self {
            verdict: AtomicU64::new(BLANK),
            retry_after: AtomicU64::new(0),
        })
    }

    pub(super) fn write(&self, verdict: Verdict, now: Nanos, retry_after: Option<Duration>) {
        let refused = |tag: u64, resource: u32| tag | u64::from(resource) << TAG_BITS;
        let word = match verdict {
            Verdict::Granted => GRANTED | now << TAG_BITS,
            Verdict::TimedOut { short, by_rate, .. } => match by_rate {
                false => refused(TIMED_OUT, short),
                true => refused(TIMED_OUT_BY_RATE, short),
            },
            Verdict::Shed { resource } => refused(SHED, resource),
            Verdict::Closed => CLOSED,
        };
        if let Some(after) = retry_after {
            let after = nanos(after).saturating_add(1);
            self.retry_after.store(after, Ordering::Relaxed);
        }
        // Pairs with the loads in `read` and `is_blank`.
        self.verdict.store(word, Ordering::Release);
    }

    fn is_blank(&self) -> bool {
        self.verdict.load(Ordering::Acquire) == BLANK
    }

    fn read(&self) -> Option<Note> {
        let word = self.verdict.load(Ordering::Acquire); // pairs with the store in `write`
        let resource = (word >> TAG_BITS) as u32;
        let why = match word & ((1 << TAG_BITS) - 1) {
            BLANK => return None,
            GRANTED => return Some(Note::Granted(word >> TAG_BITS)),
            SHED => Why::Shed { resource },
            CLOSED => Why::Closed,
            timed_out => Why::Timeout {
                short: resource,
                by_rate: timed_out == TIMED_OUT_BY_RATE,
            },
        };
        let after = self.retry_after.load(Ordering::Relaxed).checked_sub(1);
        Some(Note::Refused(why, after.map(Duration::from_nanos)))
    }
}

/// A place in the queue. Dropping it gives the place up, and returns a grant that was not collected.
pub(crate) struct Waiter<C: Claimant> {
    /// `None` once the verdict is collected.
    claimant: Option<C>,
    slip: Arc<Slip>,
    ticket: Ticket,
    /// What will have to be remembered of its grant.
    grant: Option<Box<Grant>>,
    arrived: Nanos,
}

impl<C: Claimant> Waiter<C> {
    pub(super) fn new(
        claimant: C,
        slip: Arc<Slip>,
        ticket: Ticket,
        grant: Option<Box<Grant>>,
        arrived: Nanos,
    ) -> Self {
        Self {
            claimant: Some(claimant),
            slip,
            ticket,
            grant,
            arrived,
        }
    }

    /// Waits for the verdict, and gives the claimant back with it. After `Ok` the set is the
    /// caller's, who has to see to its [`leave`](Gate::leave) or [`give_back`](Gate::give_back).
    ///
    /// # Panics
    ///
    /// If polled after it was ready.
    #[inline]
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<Granted<C>, (C, Refused)>> {
        let Some(note) = self.slip.read().or_else(|| self.keep_waiting(cx.waker())) else {
            return Poll::Pending;
        };
        let claimant = self.claimant.take().expect("present until collected");
        Poll::Ready(match note {
            Note::Granted(at) => {
                let grant = self.grant.take();
                let grant = grant.map(|grant| claimant.gate().begin(grant, at));
                Ok((claimant, grant))
            }
            Note::Refused(why, retry_after) => {
                let refused = Refused {
                    why,
                    waited: claimant.gate().since(self.arrived),
                    retry_after,
                };
                Err((claimant, refused))
            }
        })
    }

    /// Polled without a verdict: by another task than before, perhaps, or in another runtime, or because a
    /// timer is gone.
    #[cold]
    fn keep_waiting(&self, waker: &Waker) -> Option<Note> {
        let gate = self.claimant().gate();
        let mut state = lock(&gate.state);
        let Some(party) = state.queue.payload_mut(self.ticket) else {
            return self.slip.read();
        };
        let outdated = match party.waker.will_wake(waker) {
            true => None,
            false => Some(mem::replace(&mut party.waker, waker.clone())),
        };
        let before = party.runtime;
        // Outside of any runtime it stays with the timer that it has.
        let rouse = gate
            .clock
            .runtime()
            .map(|runtime| match before == Some(runtime) {
                true => state.alarms.rouse(before, Nanos::MAX),
                false => state.watch(self.ticket, Some(runtime), 0), // which finds its deadline
            });
        drop(state);
        drop(outdated); // after the lock: dropping a waker is somebody else's code
        match rouse.is_none_or(|rouse| gate.carry_out(rouse)) {
            true => None,
            false => self.leave_untimed(),
        }
    }

    /// Gives up a place for which there is no timer, because the runtime in which it is polled shuts down.
    #[cold]
    fn leave_untimed(&self) -> Option<Note> {
        match self.claimant().gate().give_up(self.ticket) {
            true => Some(Note::Refused(Why::Closed, None)),
            false => self.slip.read(),
        }
    }

    /// The same on arrival.
    #[cold]
    pub(super) fn refuse_untimed(mut self) -> Entry<C> {
        if !self.claimant().gate().give_up(self.ticket) {
            return Entry::Queued(self); // its verdict has come, and has woken it
        }
        let refused = Refused {
            why: Why::Closed,
            waited: Duration::ZERO,
            retry_after: None,
        };
        let claimant = self.claimant.take().expect("present until collected");
        Entry::Refused(claimant, refused)
    }

    /// On whose behalf it waits.
    ///
    /// # Panics
    ///
    /// Once the verdict is collected.
    pub(crate) fn claimant(&self) -> &C {
        self.claimant.as_ref().expect("present until collected")
    }

    /// When the request arrived, on the gate's clock.
    pub(crate) fn arrived(&self) -> Nanos {
        self.arrived
    }
}

impl<C: Claimant> Drop for Waiter<C> {
    fn drop(&mut self) {
        let Some(claimant) = self.claimant.take() else {
            return;
        };
        let gate = claimant.gate();
        if self.slip.is_blank() && gate.give_up(self.ticket) {
            return;
        }
        if let Some(Note::Granted(at)) = self.slip.read() {
            match self.grant.take() {
                Some(mut grant) => {
                    grant.at = at;
                    gate.refund(&grant);
                }
                None => gate.leave(claimant.demands()),
            }
        }
    }
}
