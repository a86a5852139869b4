//! A process's part in one shared limit.

mod entering;
mod lease;
mod pushes;
mod state;
mod work;

use std::sync::{
    Arc, Mutex, MutexGuard, PoisonError,
    atomic::{AtomicBool, Ordering},
};

use tokio::{
    sync::{Notify, oneshot, watch},
    time::{Duration, Instant},
};

pub(super) use lease::RedisLease;

use self::state::{News, Outcome, State};
use super::{
    backend::Core,
    config::Shape,
    local::LocalShare,
    protocol::{Ask, Class, Config, Settled, Timing},
    script::{Keys, Letter},
    shared_options::WhenUnavailable,
    term::Term,
};
use crate::{
    admission::{Slots, Usage},
    shared::{self, Absence, Health, NotLeased, SharedState},
};

/// A process's part in one shared limit: a session at the server.
///
/// Requests and permits leave here what they want and what they give back. One [task](work) on the
/// backend's thread tells the server, one operation at a time: what comes up during a round trip
/// goes with the next. The answers, and what the server says of its own accord, are handed to those
/// who wait.
pub(super) struct Member {
    core: Arc<Core>,
    session: String,
    /// As logs show it.
    name: Arc<str>,
    keys: Keys,
    is_on_cluster: AtomicBool,
    shape: Shape,
    config: Mutex<Config>,
    /// Whether the server is to be told of it.
    has_new_config: AtomicBool,
    is_cached: bool,
    when_unavailable: WhenUnavailable,
    local: LocalShare,
    state: Mutex<State>,
    joined: Instant,
    /// When those should come back that a rate has refused, in nanoseconds since it joined.
    slots: Mutex<Slots>,
    /// Something is to be told to the server.
    bell: Notify,
    standing: watch::Sender<Standing>,
    is_leaving: watch::Sender<bool>,
    has_left: watch::Sender<bool>,
}

/// How a session stands with the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Standing {
    /// No contact yet, and it is not yet time to worry.
    Connecting,
    /// On the connection of this number.
    Attached(u64),
    /// Not heard of for too short a time to matter.
    Interrupted,
    Unavailable,
    /// It was, and the session introduces itself: nobody is let in of whom that does not tell.
    Returning,
}

impl Standing {
    fn is_away(self) -> bool {
        matches!(self, Self::Unavailable | Self::Returning)
    }
}

/// What a [`Member`] is made of.
pub(super) struct Terms {
    pub(super) name: Arc<str>,
    pub(super) keys: Keys,
    pub(super) shape: Shape,
    pub(super) config: Config,
    pub(super) is_cached: bool,
    pub(super) when_unavailable: WhenUnavailable,
    pub(super) local: LocalShare,
}

impl Member {
    /// Begins to take part.
    pub(super) fn join(core: &Arc<Core>, terms: Terms) -> Arc<Self> {
        let Terms {
            name,
            keys,
            shape,
            config,
            is_cached,
            when_unavailable,
            local,
        } = terms;
        let member = Arc::new(Self {
            core: Arc::clone(core),
            session: core.next_session(),
            name,
            keys,
            is_on_cluster: AtomicBool::new(false),
            // Rates are charged when the server says so.
            is_cached: is_cached && config.rates.is_empty(),
            shape,
            config: Mutex::new(config),
            has_new_config: AtomicBool::new(false),
            when_unavailable,
            local,
            state: Mutex::new(State::new()),
            joined: Instant::now(),
            slots: Mutex::default(),
            bell: Notify::new(),
            standing: watch::Sender::new(Standing::Connecting),
            is_leaving: watch::Sender::new(false),
            has_left: watch::Sender::new(false),
        });
        core.run(&member);
        member
    }

    pub(super) fn session(&self) -> &str {
        &self.session
    }

    pub(super) fn is_cached(&self) -> bool {
        self.is_cached
    }

    fn timing(&self) -> Timing {
        self.core.settings().timing(self.is_on_cluster())
    }

    fn is_on_cluster(&self) -> bool {
        self.is_on_cluster.load(Ordering::Relaxed)
    }

    /// For how long after a question its answer is believed in: less than the lease by so much as
    /// the clocks may differ.
    fn trusted(&self) -> Duration {
        self.core.settings().lease * 9 / 10
    }

    fn has_rates(&self) -> bool {
        self.shape.has_rates()
    }

    fn bounded_load(&self, load: u64) -> u64 {
        self.shape.bounded_load(load)
    }

    /// What a request asks for, in the words of the scripts.
    fn translate(&self, ask: &shared::LeaseRequest) -> Ask {
        Ask {
            id: 0,
            class: self.shape.class(ask.lane, ask.priority),
            priority: ask.priority,
            units: ask.units,
            load: self.shape.bounded_load(ask.load),
            patience: 0,
            max_waiting: ask.max_waiting.map(|most| most as u64),
        }
    }

    /// Leaves what a request asks for with the session; `None` if that is of no use any more.
    fn ask(
        &self,
        ask: Ask,
        deadline: Option<Instant>,
    ) -> Result<Option<(u64, oneshot::Receiver<Outcome>)>, NotLeased> {
        let mut state = self.lock();
        if state.is_closed {
            return Err(NotLeased::from(Absence::Closed));
        }
        let standing = *self.standing.borrow();
        let may_wait = self.when_unavailable == WhenUnavailable::Wait && deadline.is_some();
        if standing == Standing::Unavailable && !may_wait {
            return Ok(None);
        }
        if !matches!(standing, Standing::Attached(_)) {
            // There is nobody else to see to it that the queue is bounded.
            let most = ask.max_waiting.unwrap_or(self.config().max_waiting);
            if state.waiting() as u64 >= most.max(1) {
                return Err(NotLeased::from(Absence::Full));
            }
        }
        let asked = state.ask(ask, deadline);
        drop(state);
        self.bell.notify_one();
        Ok(Some(asked))
    }

    /// It does not wait any more.
    fn cancel(&self, id: u64) {
        if self.lock().cancel(id) {
            self.bell.notify_one();
        }
    }

    /// Takes what this process holds idle, or what nobody is kept from.
    pub(super) fn try_enter(self: &Arc<Self>, ask: &shared::LeaseRequest) -> Option<RedisLease> {
        let standing = *self.standing.borrow();
        match (standing, self.when_unavailable) {
            (Standing::Attached(_), _) if self.is_cached => {
                let class = self.shape.class(ask.lane, ask.priority);
                let mut state = self.lock();
                let is_free = !state.is_closed && state.term.is_valid();
                if !is_free || !state.take_idle(class, ask.units) {
                    return None;
                }
                let token = (state.epoch(), state.chunk());
                Some(RedisLease::cached(
                    self,
                    &state.term,
                    class,
                    ask.units,
                    token,
                ))
            }
            (Standing::Unavailable, WhenUnavailable::FailOpen) => self.without_server(ask, None),
            (Standing::Unavailable, WhenUnavailable::LocalShare) => {
                let permit = self.local.try_acquire(ask)?;
                self.without_server(ask, Some(permit))
            }
            _ => None,
        }
    }

    /// A lease that the server is told of when it is back; `None` if it is, or if nobody is let in
    /// any more.
    fn without_server(
        self: &Arc<Self>,
        ask: &shared::LeaseRequest,
        local: Option<crate::Permit>,
    ) -> Option<RedisLease> {
        let class = self.shape.class(ask.lane, ask.priority);
        let mut state = self.lock();
        if state.is_closed || *self.standing.borrow() != Standing::Unavailable {
            drop(state);
            return None;
        }
        state.hold(class, ask.units);
        drop(state);
        Some(RedisLease::without_server(self, class, ask.units, local))
    }

    /// Units are given back that were granted during this term.
    fn give_back(&self, class: Class, units: u32, term: &Arc<Term>) {
        let mut state = self.lock();
        let keep = self.is_cached
            && matches!(*self.standing.borrow(), Standing::Attached(_))
            && Arc::ptr_eq(term, &state.term)
            && state.may_keep(units, self.most_idle(&state))
            && !state.is_closed;
        state.give_back(class, units, keep);
        let foreign = state.in_hand();
        drop(state);
        if self.standing.borrow().is_away() {
            self.local.held(foreign);
        }
        if !keep {
            self.bell.notify_one();
        }
    }

    fn settle(&self, settled: Settled) {
        self.lock().settle(settled);
        self.bell.notify_one();
    }

    /// What the server says of its own accord, on this connection.
    pub(super) fn hear(self: &Arc<Self>, line: u64, letters: &[Letter]) {
        if *self.standing.borrow() != Standing::Attached(line) {
            return; // of the past, or news that the answer repeats
        }
        let mut news = News::default();
        let mut state = self.lock();
        for letter in letters {
            match letter {
                Letter::Granted(granted) => state.grant(self, granted, &mut news),
                &Letter::Shed { push, id } => state.shed(id, push, &mut news),
                &Letter::Next(at) => {
                    state.look_at(at);
                    self.bell.notify_one();
                }
                Letter::Recall => {
                    state.recall();
                    self.bell.notify_one();
                }
            }
        }
        drop(state);
        news.tell();
    }

    /// Another limit, for all processes.
    pub(super) fn set_limit(&self, limit: u32) {
        let mut config = self.config();
        config.limit = limit;
        self.shape.divide(&mut config);
        drop(config);
        self.has_new_config.store(true, Ordering::Release);
        self.bell.notify_one();
    }

    /// Turns away those who wait and those who come.
    pub(super) fn close(&self) {
        let mut state = self.lock();
        state.is_closed = true;
        let news = state.dismiss(|| Outcome::Refused(NotLeased::from(Absence::Closed)));
        state.recall();
        drop(state);
        news.tell();
        self.local.close();
        self.bell.notify_one();
    }

    /// Gives everything back, for good.
    pub(super) fn leave(&self) {
        self.close();
        self.is_leaving.send_replace(true);
    }

    pub(super) async fn has_left(&self) {
        let _ = self.has_left.subscribe().wait_for(|&left| left).await;
    }

    pub(super) fn health(&self) -> Health {
        let standing = *self.standing.borrow();
        let last = self.lock().last;
        let is_recovering = last.is_some_and(|last| last.learning_until.is_some());
        let limit = self.config().limit;
        Health {
            state: match standing {
                Standing::Connecting => SharedState::Connecting,
                Standing::Unavailable | Standing::Returning => SharedState::Unavailable,
                Standing::Attached(_) | Standing::Interrupted if is_recovering => {
                    SharedState::Recovering
                }
                Standing::Attached(_) | Standing::Interrupted => SharedState::Connected,
            },
            processes: last.map_or(0, |last| last.sessions as usize),
            epoch: last.map_or(0, |last| last.epoch),
            last_contact: last.map(|last| last.at.into_std()),
            // The scripts know of no resource without a limit: it has the largest one.
            limit: Some(last.map_or(limit, |last| last.limit))
                .filter(|&limit| limit < Usage::MAX_LIMIT)
                .map(|limit| limit as usize),
            in_use: last.map_or(0, |last| last.in_use as usize),
            waiting: last.map_or(0, |last| last.waiting as usize),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn config(&self) -> MutexGuard<'_, Config> {
        self.config.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
