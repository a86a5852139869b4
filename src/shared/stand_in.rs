//! A shared limit in memory, for tests.

use std::{
    future::poll_fn,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard},
    task::{Poll, Waker},
};

use tokio::time::{Instant, sleep_until};

use super::{
    Absence, Entering, FencingToken, Health, Lease, LeaseRequest, NotLeased, SharedLimit,
    SharedState,
};

/// A limit that grants its units in the order of the calls, and records all events.
#[derive(Clone, Debug)]
pub(crate) struct StandIn {
    name: &'static str,
    state: Arc<Mutex<StandInState>>,
    record: StandInRecord,
}

/// What has happened, as `took db`.
pub(crate) type StandInRecord = Arc<Mutex<Vec<String>>>;

#[derive(Debug)]
struct StandInState {
    free: u32,
    /// Whether every permit takes a call.
    is_strict: bool,
    is_closed: bool,
    /// The refusal of every request, if there is one.
    answer: Option<NotLeased>,
    asks: Vec<LeaseRequest>,
    granted: u64,
    has_lost: bool,
    wakers: Vec<Waker>,
}

impl StandIn {
    pub(crate) fn new(name: &'static str, free: u32, record: &StandInRecord) -> Self {
        let state = StandInState {
            free,
            is_strict: false,
            is_closed: false,
            answer: None,
            asks: Vec::new(),
            granted: 0,
            has_lost: false,
            wakers: Vec::new(),
        };
        Self {
            name,
            state: Arc::new(Mutex::new(state)),
            record: Arc::clone(record),
        }
    }

    pub(crate) fn free(&self) -> u32 {
        self.lock().free
    }

    /// Another process takes or returns units.
    pub(crate) fn set_free(&self, free: u32) {
        self.change(|state| state.free = free);
    }

    pub(crate) fn be_strict(&self) {
        self.change(|state| state.is_strict = true);
    }

    pub(crate) fn answer(&self, answer: NotLeased) {
        self.change(|state| state.answer = Some(answer));
    }

    /// Grants units again after `close`.
    pub(crate) fn reopen(&self) {
        self.change(|state| state.is_closed = false);
    }

    /// All leases are lost.
    pub(crate) fn lose(&self) {
        self.change(|state| state.has_lost = true);
    }

    /// The requests that could wait.
    pub(crate) fn asks(&self) -> Vec<LeaseRequest> {
        self.lock().asks.clone()
    }

    fn lock(&self) -> MutexGuard<'_, StandInState> {
        self.state.lock().expect("no panics under the lock")
    }

    fn change(&self, change: impl FnOnce(&mut StandInState)) {
        let mut state = self.lock();
        change(&mut state);
        let wakers = std::mem::take(&mut state.wakers);
        drop(state);
        wakers.into_iter().for_each(Waker::wake);
    }

    fn write(&self, what: &str) {
        let mut record = self.record.lock().expect("no panics under the lock");
        record.push(format!("{what} {}", self.name));
    }

    fn take(&self, state: &mut StandInState, units: u32) -> Option<Box<dyn Lease>> {
        state.free = state.free.checked_sub(units)?;
        state.granted += 1;
        self.write("took");
        Some(Box::new(Unit {
            of: self.clone(),
            units,
            sequence: state.granted,
            is_unspent: false,
        }))
    }
}

impl SharedLimit for StandIn {
    fn try_enter(&self, ask: &LeaseRequest) -> Option<Box<dyn Lease>> {
        let mut state = self.lock();
        match state.is_strict || state.is_closed || state.answer.is_some() {
            true => None,
            false => self.take(&mut state, ask.units),
        }
    }

    fn enter(&self, ask: LeaseRequest) -> Entering {
        self.write("asked");
        self.lock().asks.push(ask);
        let this = self.clone();
        let mut deadline = Box::pin(sleep_until(ask.deadline));
        Box::pin(poll_fn(move |cx| {
            let mut state = this.lock();
            let refused = |why| NotLeased {
                why,
                by_rate: false,
                retry_after: None,
            };
            if let Some(answer) = state.answer {
                return Poll::Ready(Err(answer));
            }
            if state.is_closed {
                return Poll::Ready(Err(refused(Absence::Closed)));
            }
            if let Some(lease) = this.take(&mut state, ask.units) {
                return Poll::Ready(Ok(lease));
            }
            if ask.deadline <= Instant::now() || deadline.as_mut().poll(cx).is_ready() {
                return Poll::Ready(Err(refused(Absence::Timeout)));
            }
            state.wakers.push(cx.waker().clone());
            Poll::Pending
        }))
    }

    fn set_limit(&self, limit: u32) {
        self.write(&format!("limit {limit} of"));
    }

    fn health(&self) -> Health {
        Health {
            state: SharedState::Connected,
            processes: 1,
            epoch: 1,
            last_contact: None,
            limit: Some(0),
            in_use: 0,
            waiting: 0,
        }
    }

    fn close(&self) {
        self.write("closed");
        self.change(|state| state.is_closed = true);
    }
}

#[derive(Debug)]
struct Unit {
    of: StandIn,
    units: u32,
    sequence: u64,
    is_unspent: bool,
}

impl Lease for Unit {
    fn is_valid(&self) -> bool {
        !self.of.lock().has_lost
    }

    fn lost(&self) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        let of = self.of.clone();
        Box::pin(poll_fn(move |cx| {
            let mut state = of.lock();
            if state.has_lost {
                return Poll::Ready(());
            }
            state.wakers.push(cx.waker().clone());
            Poll::Pending
        }))
    }

    fn token(&self) -> Option<FencingToken> {
        Some(FencingToken::new(1, self.sequence))
    }

    fn settle_load(&mut self, actual: u64) {
        self.of.write(&format!("load {actual} of"));
    }

    fn refund(mut self: Box<Self>) {
        self.is_unspent = true;
    }
}

impl Drop for Unit {
    fn drop(&mut self) {
        self.of.write(match self.is_unspent {
            true => "refunded",
            false => "returned",
        });
        self.of.change(|state| state.free += self.units);
    }
}
