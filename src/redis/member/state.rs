//! What a session knows and wants.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use tokio::{
    sync::oneshot,
    time::{Duration, Instant},
};

use super::{Member, lease::RedisLease, pushes::Pushes};
use crate::{
    redis::{
        clock::BootTime,
        protocol::{Ask, Class, Done, Granted, Micros, Operation, Refusal, Settled, WaitsStill},
        settings::micros,
        term::Term,
    },
    shared::{Absence, NotLeased},
};

/// What a session knows and wants.
pub(super) struct State {
    /// Those who wait, by number: in order of arrival.
    waiting: BTreeMap<u64, Waiting>,
    /// Those of them whom the server has not been told of.
    fresh: Vec<u64>,
    /// Those who gave up, and whether the server is to be told. A grant may still be on its way to
    /// them.
    gone: HashMap<u64, (Ask, Told)>,
    /// All that the process holds, in the hands of permits or idle.
    held: BTreeMap<Class, u32>,
    pub(super) idle: Idle,
    /// What was given back, and is still counted by the server.
    returned: BTreeMap<Class, u32>,
    settled: Vec<Settled>,
    /// For how long what is granted now may be believed in.
    pub(super) term: Arc<Term>,
    pushes: Pushes,
    /// How much of that the server knows to be seen.
    told: u64,
    /// The server's last word.
    pub(super) last: Option<Last>,
    numbers: u64,
    /// Nobody is let in any more.
    pub(super) is_closed: bool,
}

/// The server's last word.
#[derive(Clone, Copy, Debug)]
pub(super) struct Last {
    pub(super) at: Instant,
    /// The server's clock then.
    pub(super) now: Micros,
    pub(super) epoch: u64,
    pub(super) limit: u32,
    pub(super) in_use: u64,
    pub(super) waiting: u64,
    pub(super) sessions: u64,
    pub(super) revision: u64,
    pub(super) is_own_config: bool,
    pub(super) learning_until: Option<Instant>,
    /// When a rate lets the first in line go.
    pub(super) next: Option<Instant>,
}

/// What the process holds without using it.
#[derive(Debug)]
pub(super) struct Idle {
    units: BTreeMap<Class, u32>,
    /// The chunk that was granted last.
    sequence: u64,
    /// When it was used last.
    touched: Instant,
    /// Until when others are thought to wait.
    contended_until: Instant,
    /// Whether it is being asked for.
    is_asked_for: bool,
    /// Whether the server knows whom to call it back from.
    is_known: bool,
}

/// What is idle for so long goes back.
const IDLE: Duration = Duration::from_millis(20);

/// For so long after others were seen to wait, nothing is kept.
const CONTENDED: Duration = Duration::from_millis(100);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Told {
    Not,
    InThisBatch,
}

struct Waiting {
    ask: Ask,
    arrived: Instant,
    /// `None` for those who do not wait at all.
    deadline: Option<Instant>,
    /// Its place in the order of arrival.
    sequence: Option<u64>,
    reply: oneshot::Sender<Outcome>,
}

/// What becomes of somebody who waits.
pub(super) enum Outcome {
    Leased(RedisLease),
    Refused(NotLeased),
    /// It is to ask again: things have changed.
    AskAgain,
}

/// What is to be told to those who wait, once the lock is released.
#[must_use = "to be carried out without the lock"]
#[derive(Default)]
pub(super) struct News(Vec<(oneshot::Sender<Outcome>, Outcome)>);

impl News {
    /// What was granted to somebody who is gone meanwhile goes back.
    pub(super) fn tell(self) {
        for (reply, outcome) in self.0 {
            if let Err(Outcome::Leased(lease)) = reply.send(outcome) {
                lease.decline();
            }
        }
    }
}

/// An answer repeats at most so much of what was pushed.
const PAGE: u64 = 64;

/// So many of each kind go into one operation.
const MOST: usize = 128;

/// What goes into one operation.
#[derive(Debug, Default)]
pub(super) struct Batch {
    acknowledged: u64,
    returned: Vec<(Class, u32)>,
    settled: Vec<Settled>,
    cancelled: Vec<u64>,
    asks: Vec<Ask>,
    spare: Vec<(Class, u32)>,
}

impl Batch {
    pub(super) fn operation<'a>(
        &'a self,
        member: &'a Member,
        number: u64,
        epoch: u64,
    ) -> Operation<'a> {
        Operation {
            session: member.session(),
            operation: number,
            epoch,
            timing: member.timing(),
            acknowledged: self.acknowledged,
            returned: &self.returned,
            settled: &self.settled,
            cancelled: &self.cancelled,
            asks: &self.asks,
            spare: &self.spare,
        }
    }

    /// The same without those who want something: for a server without memory.
    pub(super) fn without_asks(&mut self) -> Vec<Ask> {
        self.spare.clear();
        std::mem::take(&mut self.asks)
    }
}

impl State {
    pub(super) fn new() -> Self {
        let now = Instant::now();
        let term = Term::until(BootTime::ZERO);
        term.end();
        Self {
            waiting: BTreeMap::new(),
            fresh: Vec::new(),
            gone: HashMap::new(),
            held: BTreeMap::new(),
            idle: Idle {
                units: BTreeMap::new(),
                sequence: 0,
                touched: now,
                contended_until: now,
                is_asked_for: false,
                is_known: false,
            },
            returned: BTreeMap::new(),
            settled: Vec::new(),
            term,
            pushes: Pushes::default(),
            told: 0,
            last: None,
            numbers: 0,
            is_closed: false,
        }
    }

    pub(super) fn epoch(&self) -> u64 {
        self.last.map_or(0, |last| last.epoch)
    }

    /// Units in the hands of permits.
    pub(super) fn in_hand(&self) -> u64 {
        let held: u64 = self.held.values().map(|&units| u64::from(units)).sum();
        held - self.idle()
    }

    pub(super) fn idle(&self) -> u64 {
        let idle = self.idle.units.values();
        idle.map(|&units| u64::from(units)).sum()
    }

    /// Whether so many more may be kept, of at most so many in all.
    pub(super) fn may_keep(&self, units: u32, most: u64) -> bool {
        self.idle.is_known && !self.is_contended() && self.idle() + u64::from(units) <= most
    }

    /// Somebody wants something.
    pub(super) fn ask(
        &mut self,
        mut ask: Ask,
        deadline: Option<Instant>,
    ) -> (u64, oneshot::Receiver<Outcome>) {
        self.numbers += 1;
        ask.id = self.numbers;
        let (reply, answer) = oneshot::channel();
        let waiting = Waiting {
            ask,
            arrived: Instant::now(),
            deadline,
            sequence: None,
            reply,
        };
        self.waiting.insert(ask.id, waiting);
        self.fresh.push(ask.id);
        (ask.id, answer)
    }

    /// It does not want it any more; `true` if the server has to hear of it.
    pub(super) fn cancel(&mut self, id: u64) -> bool {
        let Some(waiting) = self.waiting.remove(&id) else {
            return false;
        };
        if let Some(position) = self.fresh.iter().position(|&fresh| fresh == id) {
            self.fresh.remove(position);
            return false;
        }
        self.gone.insert(id, (waiting.ask, Told::Not));
        true
    }

    /// Those who wait are to ask again, or are turned away.
    pub(super) fn dismiss(&mut self, outcome: impl Fn() -> Outcome) -> News {
        let mut news = News::default();
        self.fresh.clear();
        for (id, waiting) in std::mem::take(&mut self.waiting) {
            self.gone.insert(id, (waiting.ask, Told::Not));
            news.0.push((waiting.reply, outcome()));
        }
        news
    }

    /// The same for those who have no time to wait.
    pub(super) fn dismiss_hasty(&mut self, outcome: impl Fn() -> Outcome) -> News {
        let hasty = self.waiting.iter().filter(|(_, w)| w.deadline.is_none());
        let hasty: Vec<u64> = hasty.map(|(&id, _)| id).collect();
        let mut news = News::default();
        for id in hasty {
            if let Some(waiting) = self.waiting.remove(&id) {
                self.gone.insert(id, (waiting.ask, Told::Not));
                news.0.push((waiting.reply, outcome()));
            }
        }
        news
    }

    /// Dismisses some, whom the server was never told of.
    pub(super) fn dismiss_asks(&mut self, asks: &[Ask], outcome: impl Fn() -> Outcome) -> News {
        self.idle.is_asked_for = false;
        let mut news = News::default();
        for ask in asks {
            if let Some(waiting) = self.waiting.remove(&ask.id) {
                news.0.push((waiting.reply, outcome()));
            }
        }
        news
    }

    pub(super) fn waiting(&self) -> usize {
        self.waiting.len()
    }

    /// Units are held that the server need not have granted.
    pub(super) fn hold(&mut self, class: Class, units: u32) {
        *self.held.entry(class).or_default() += units;
    }

    /// Units are given back. In a cache they may stay, if they were granted in the present term.
    pub(super) fn give_back(&mut self, class: Class, units: u32, keep: bool) {
        if keep {
            *self.idle.units.entry(class).or_default() += units;
            self.idle.touched = Instant::now();
            return;
        }
        subtract(&mut self.held, class, units);
        *self.returned.entry(class).or_default() += units;
    }

    /// Takes units that are idle.
    pub(super) fn take_idle(&mut self, class: Class, units: u32) -> bool {
        let has = self
            .idle
            .units
            .get(&class)
            .is_some_and(|&idle| idle >= units);
        if has {
            subtract(&mut self.idle.units, class, units);
            self.idle.touched = Instant::now();
        }
        has
    }

    pub(super) fn chunk(&self) -> u64 {
        self.idle.sequence
    }

    /// Others wait: nothing is kept.
    pub(super) fn recall(&mut self) {
        self.idle.contended_until = Instant::now() + CONTENDED;
        self.idle.is_known = false;
        self.return_idle();
    }

    fn return_idle(&mut self) {
        for (class, units) in std::mem::take(&mut self.idle.units) {
            self.give_back(class, units, false);
        }
    }

    pub(super) fn is_contended(&self) -> bool {
        Instant::now() < self.idle.contended_until
    }

    pub(super) fn settle(&mut self, settled: Settled) {
        self.settled.push(settled);
    }

    /// The server has not heard of it.
    pub(super) fn settle_again(&mut self, batch: Batch) {
        self.settled.extend(batch.settled);
    }

    pub(super) fn take_settled(&mut self) -> Vec<Settled> {
        std::mem::take(&mut self.settled)
    }

    /// Whether the server has to be told something.
    pub(super) fn has_words(&self) -> bool {
        !self.fresh.is_empty()
            || !self.returned.is_empty()
            || !self.settled.is_empty()
            || self.gone.values().any(|(_, told)| *told == Told::Not)
    }

    /// When it has to be told something even if nothing happens, beside heartbeats.
    pub(super) fn due(&self) -> Option<Instant> {
        let idle = (!self.idle.units.is_empty()).then(|| self.idle.touched + IDLE);
        let next = self
            .last
            .and_then(|last| Some(last.next?.max(last.at + BREATH)));
        let next = next.filter(|_| !self.waiting.is_empty());
        let learned = self.last.and_then(|last| last.learning_until);
        idle.into_iter().chain(next).chain(learned).min()
    }

    /// What is to be said next; `spare` says how much more than it needs a cache wants of a class.
    pub(super) fn next_batch(&mut self, spare: impl Fn(&Self, Class) -> u32) -> Batch {
        let now = Instant::now();
        if now >= self.idle.touched + IDLE {
            self.return_idle();
        }
        let number = self.fresh.len().min(MOST);
        let fresh: Vec<u64> = self.fresh.drain(..number).collect();
        let mut asks = Vec::new();
        for id in fresh {
            let Some(waiting) = self.waiting.get(&id) else {
                continue;
            };
            asks.push(waiting.ask_now(now));
        }
        let mut wanted = BTreeMap::new();
        if !self.is_contended() {
            for ask in &asks {
                wanted
                    .entry(ask.class)
                    .or_insert_with(|| spare(self, ask.class));
            }
        }
        wanted.retain(|_, units| *units > 0);
        self.idle.is_asked_for = !wanted.is_empty();
        let mut cancelled = Vec::new();
        let untold = self
            .gone
            .iter_mut()
            .filter(|(_, (_, told))| *told == Told::Not);
        for (&id, (_, told)) in untold.take(MOST) {
            *told = Told::InThisBatch;
            cancelled.push(id);
        }
        let settled = self.settled.len().min(MOST);
        self.told = self.pushes.acknowledged();
        Batch {
            acknowledged: self.told,
            returned: std::mem::take(&mut self.returned).into_iter().collect(),
            settled: self.settled.drain(..settled).collect(),
            cancelled,
            asks,
            spare: wanted.into_iter().collect(),
        }
    }

    /// All that is held, and all who wait, for a server that need not know. What was on its way
    /// there is part of that, or void.
    pub(super) fn report(&mut self) -> (Vec<(Class, u32)>, Vec<WaitsStill>) {
        let now = Instant::now();
        self.returned.clear();
        (self.idle.is_asked_for, self.idle.is_known) = (false, false);
        for (class, units) in std::mem::take(&mut self.idle.units) {
            subtract(&mut self.held, class, units);
        }
        self.gone.clear(); // what may still be on its way to them is not heard
        let with_time = |waiting: &&Waiting| waiting.deadline.is_some();
        let waiters = self.waiting.values().filter(with_time);
        let waiters = waiters.map(|waiting| WaitsStill {
            ask: waiting.ask_now(now),
            sequence: waiting.sequence,
            waited: micros(now.saturating_duration_since(waiting.arrived)),
        });
        let waiters = waiters.collect();
        let at_once = self.waiting.iter().filter(|(_, w)| w.deadline.is_none());
        self.fresh = at_once.map(|(&id, _)| id).collect();
        let held = self.held.iter().map(|(&class, &units)| (class, units));
        (held.collect(), waiters)
    }

    /// The server's answer to what was said at `sent`.
    pub(super) fn apply(
        &mut self,
        member: &Arc<Member>,
        done: &Done,
        sent: BootTime,
        is_attached_anew: bool,
    ) -> News {
        let now = Instant::now();
        if done.was_lost {
            self.term.end();
        }
        let until = sent.after(member.trusted());
        if !self.term.extend(until) {
            self.term = Term::until(until);
        }
        let from_server = |time: u64| now + Duration::from_micros(time.saturating_sub(done.now));
        self.last = Some(Last {
            at: now,
            now: done.now,
            epoch: done.epoch,
            limit: done.limit,
            in_use: done.in_use,
            waiting: done.waiting,
            sessions: done.sessions,
            revision: done.revision,
            is_own_config: done.is_own_config,
            learning_until: done.learning_until.map(from_server),
            next: done.next.map(|(at, is_own)| {
                // The others look a little later, should the first in line be gone.
                from_server(at) + if is_own { Duration::ZERO } else { BACKUP }
            }),
        });
        if is_attached_anew {
            self.pushes.know(done.pushed, true);
        }
        let mut news = News::default();
        for &(id, sequence) in &done.queued {
            if let Some(waiting) = self.waiting.get_mut(&id) {
                waiting.sequence = Some(sequence);
            }
        }
        for granted in &done.granted {
            self.grant(member, granted, &mut news);
        }
        for &(id, refusal) in &done.refused {
            self.refuse(id, refusal, &mut news);
        }
        for &(class, units) in &done.spare {
            self.hold(class, units);
            *self.idle.units.entry(class).or_default() += units;
            self.idle.touched = now;
        }
        if let Some(last) = done.granted.last() {
            self.idle.sequence = last.sequence;
        }
        if done.waiting > 0 {
            self.recall();
        } else if self.is_contended() {
            self.return_idle(); // the call came before what it was for
        } else if self.idle.is_asked_for {
            self.idle.is_known = true;
        }
        self.pushes.know(done.pushed, false);
        // No grant can come any more for those whom the server has been told of, unless it has more
        // to tell.
        if done.pushed < self.told + PAGE {
            self.gone.retain(|_, (_, told)| *told != Told::InThisBatch);
        }
        news
    }

    /// A grant that may have been heard of before.
    pub(super) fn grant(&mut self, member: &Arc<Member>, granted: &Granted, news: &mut News) {
        if granted.push.is_some_and(|number| !self.pushes.note(number)) {
            return;
        }
        let void = |ask: &Ask| Settled {
            at: granted.at,
            load: ask.load,
            actual: None,
        };
        if let Some(waiting) = self.waiting.remove(&granted.id) {
            let class = waiting.ask.class;
            self.hold(class, waiting.ask.units);
            let lease =
                RedisLease::granted(member, &self.term, self.epoch(), &waiting.ask, granted);
            news.0.push((waiting.reply, Outcome::Leased(lease)));
        } else if let Some((ask, _)) = self.gone.remove(&granted.id) {
            *self.returned.entry(ask.class).or_default() += ask.units;
            self.settled.push(void(&ask));
        }
    }

    pub(super) fn shed(&mut self, id: u64, push: u64, news: &mut News) {
        if self.pushes.note(push) {
            self.refuse(id, Refusal::Shed, news);
        }
    }

    fn refuse(&mut self, id: u64, refusal: Refusal, news: &mut News) {
        self.gone.remove(&id);
        if let Some(waiting) = self.waiting.remove(&id) {
            let refused = Outcome::Refused(self.why(refusal));
            news.0.push((waiting.reply, refused));
        }
    }

    fn why(&self, refusal: Refusal) -> NotLeased {
        let (why, next) = match refusal {
            Refusal::Timeout { next } => (Absence::Timeout, next),
            Refusal::Full { next } => (Absence::Full, next),
            Refusal::Shed => (Absence::Shed, None),
        };
        let now = self.last.map_or(0, |last| last.now);
        let after = next.map(|next| Duration::from_micros(next.saturating_sub(now)));
        NotLeased {
            why,
            by_rate: next.is_some(),
            retry_after: after,
        }
    }

    /// Whoever waits for a rate need not come back before it lets the first in line go.
    pub(super) fn retry_after(&self) -> Option<Duration> {
        let next = self.last?.next?;
        Some(next.saturating_duration_since(Instant::now())).filter(|after| !after.is_zero())
    }

    /// The server says when a rate lets somebody of this session go, who is the first in line.
    pub(super) fn look_at(&mut self, at: Micros) {
        if let Some(last) = &mut self.last {
            last.next = Some(last.at + Duration::from_micros(at.saturating_sub(last.now)));
        }
    }
}

/// Two answers of a server whose clock is behind are so far apart.
const BREATH: Duration = Duration::from_millis(1);

/// For so much longer the others wait than the first in line.
const BACKUP: Duration = Duration::from_millis(20);

impl Waiting {
    /// What it asks for, with the time that it has left.
    fn ask_now(&self, now: Instant) -> Ask {
        let left = |deadline: Instant| deadline.saturating_duration_since(now);
        // Who has time waits for a moment even when it is over: its own clock says when.
        let patience = self
            .deadline
            .map_or(0, |deadline| micros(left(deadline)).max(1));
        Ask {
            patience,
            ..self.ask
        }
    }
}

fn subtract(from: &mut BTreeMap<Class, u32>, class: Class, units: u32) {
    if let Some(count) = from.get_mut(&class) {
        *count = count.saturating_sub(units);
        if *count == 0 {
            from.remove(&class);
        }
    }
}
