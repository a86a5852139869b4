//! What waits at one resource, and by which rules.

use std::{
    cell::{Cell, RefCell},
    cmp::Reverse,
    collections::BTreeSet,
};

use super::{
    Demand, Nanos, Usage,
    aside::Aside,
    drain::Drain,
    lanes::{LaneId, LaneRules, Lanes, Position},
    overload::{Overload, OverloadRule},
    rank::{Head, Heads, Rank},
    rate::{Meter, RateRule},
    reserves::{Reserves, Who},
    scatter::{Scatter, Slots},
    waiters::Waiter,
};

/// The rules of one resource, beside its limit.
#[derive(Clone, Debug, Default)]
pub struct ResourceRules {
    pub lanes: Option<LaneRules>,
    pub reserves: Vec<ReserveRule>,
    pub rates: Vec<(By, RateRule)>,
    pub overload: Option<OverloadRule>,
    /// Every grant and every release has to pass the queue.
    pub is_watched: bool,
    /// Requests are not blocked here, whatever the limit and the rules.
    pub is_dry: bool,
}

impl ResourceRules {
    /// Returns `true` if the limit is all there is, so that units can be acquired past the queue
    /// while nothing waits.
    pub fn is_plain(&self) -> bool {
        self.lanes.is_none()
            && self.reserves.is_empty()
            && self.rates.is_empty()
            && self.overload.is_none()
            && !self.is_watched
            && !self.is_dry
    }

    /// Returns the rules that are enforced; in a dry run, none.
    pub fn enforced(&self) -> Self {
        match self.is_dry {
            false => self.clone(),
            true => Self {
                is_dry: true,
                ..Self::default()
            },
        }
    }

    /// The rules of a dry run.
    pub fn foretold(&self) -> Self {
        Self {
            is_dry: false,
            ..self.clone()
        }
    }
}

/// What a rate counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum By {
    Request,
    Load,
}

impl By {
    /// What a request of this load counts as.
    pub fn amount(self, load: u64) -> u64 {
        match self {
            Self::Request => 1,
            Self::Load => load,
        }
    }
}

/// Units that some requests can always get.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReserveRule {
    pub units: u32,
    pub beneficiary: Beneficiary,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Beneficiary {
    Lane(LaneId),
    /// This priority and above.
    Priority(u8),
}

/// The claim of one resource by one request.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ask {
    pub(super) demand: Demand,
    pub(super) priority: u8,
    pub(super) load: u64,
}

/// What an [`Ask`] finds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Room {
    Enough,
    /// Its lane has all it may have, which is nothing to the others.
    LaneFull,
    /// Later contenders wait behind it.
    Short,
}

/// One resource.
#[derive(Debug)]
pub(super) struct ResourceQueue {
    /// The contenders, where there are no lanes.
    heads: Heads,
    pub(super) waiting: usize,
    pub(super) max_waiting: usize,
    pub(super) limit: u32,
    /// How many contenders claim other resources, too.
    sets: usize,
    /// The most units that a waiter has claimed since the queue was empty.
    widest: u32,
    pub(super) aside: Aside,
    pub(super) is_dirty: bool,
    pub(super) drain: Drain,
    pub(super) scatter: Scatter,
    pub(super) rules: Option<Box<Rules>>,
}

/// What only some resources have.
#[derive(Debug)]
pub(super) struct Rules {
    pub(super) lanes: Option<Lanes>,
    reserves: Reserves,
    rates: Vec<Rate>,
    /// When a waiter that is blocked by a rate becomes admissible.
    retry_at: Cell<Option<Nanos>>,
    /// When those should come back that a rate has refused.
    slots: Slots,
    pub(super) overload: Option<Overload>,
    /// The contenders with a reserve for their priority, by rank.
    favoured: BTreeSet<(Head, u8)>,
    /// All waiters, by lane: the lowest priority first, and among equals the youngest.
    backlog: BTreeSet<(u32, u8, Reverse<u64>, u32)>,
    is_dry: bool,
}

impl ResourceQueue {
    pub(super) fn new(max_waiting: usize, limit: u32, rules: &ResourceRules) -> Self {
        Self {
            heads: Heads::default(),
            waiting: 0,
            max_waiting,
            limit,
            sets: 0,
            widest: 0,
            aside: Aside::default(),
            is_dirty: false,
            drain: Drain::UNKNOWN,
            scatter: Scatter::default(),
            rules: (!rules.is_plain()).then(|| Box::new(Rules::new(rules, limit))),
        }
    }

    /// Returns the contenders in the order of service.
    pub(super) fn contenders(&self) -> impl Iterator<Item = (Position, Head)> {
        let by_rank = self.heads.iter();
        let in_lanes = self.lanes().into_iter().flat_map(Lanes::contenders);
        by_rank
            .map(|&head| (Position::by_rank(head.rank), head))
            .chain(in_lanes)
    }

    /// The contenders, by rank, where there are no lanes.
    pub(super) fn by_rank(&self) -> &[Head] {
        &self.heads
    }

    /// Whether there are contenders that can be overtaken by turns.
    pub(super) fn has_sets(&self) -> bool {
        self.sets > 0
    }

    pub(super) fn has_contenders(&self) -> bool {
        self.waiting > self.aside.waiting
    }

    /// How many wait and do not stand aside.
    pub(super) fn queued(&self) -> usize {
        self.waiting - self.aside.waiting
    }

    /// Whether a claim is more than it can have of this limit, whatever is returned: more than the
    /// limit, than its lane may use, or than is left beside what is reserved for others.
    pub(super) fn exceeds(&self, limit: u32, demand: &Demand, priority: u8) -> bool {
        match &self.rules {
            None => demand.units > limit,
            Some(rules) => rules.exceeds(limit, demand, priority),
        }
    }

    /// Returns `true` if waiters may exceed what they can have, or may have done so until now.
    pub(super) fn may_regroup(&self, limit: u32) -> bool {
        let everybody = self
            .rules
            .as_ref()
            .map_or(limit, |r| r.for_everybody(limit));
        self.aside.waiting > 0 || self.has_contenders() && self.widest > everybody
    }

    /// Returns the contenders in a lane, in order of rank.
    pub(super) fn peers(&self, lane: u32) -> &[Head] {
        match self.lanes() {
            Some(lanes) => lanes.heads(lane),
            None => &self.heads,
        }
    }

    /// Where a request of this rank stands, or would.
    pub(super) fn position(&self, lane: u32, rank: Rank) -> Position {
        match self.lanes() {
            Some(lanes) => lanes.position(lane, rank),
            None => Position::by_rank(rank),
        }
    }

    /// The head of a flow changes.
    pub(super) fn replace(
        &mut self,
        lane: u32,
        old: Option<Head>,
        new: Option<Head>,
        is_set: bool,
    ) {
        if is_set {
            self.sets = self.sets + usize::from(new.is_some()) - usize::from(old.is_some());
        }
        match self.lanes_mut() {
            Some(lanes) => lanes.replace(lane, old, new),
            None => self.heads.replace(old, new),
        }
    }

    /// What `ask` finds when `taken` units are not to be had beside those in use.
    pub(super) fn room(&self, usage: Usage, ask: &Ask, taken: u64, now: Nanos) -> Room {
        match &self.rules {
            None if usage.fits_beside(taken, ask.demand.units) => Room::Enough,
            None => Room::Short,
            Some(rules) => rules.room(usage, ask, taken, now),
        }
    }

    /// Whether `ask` can be met from what is reserved for it.
    pub(super) fn room_in_reserve(&self, usage: Usage, ask: &Ask, now: Nanos) -> bool {
        let Some(rules) = &self.rules else {
            return false;
        };
        let Ask { demand, .. } = ask;
        let to_others = rules.reserves.left_to_others(demand.lane, ask.priority);
        rules.reserves.left() >= to_others + u64::from(demand.units)
            && usage.fits(demand.units)
            && rules.lane_has_room(demand)
            && rules.rates_allow(ask.load, now)
    }

    /// Returns the beneficiaries of reserves that have units left.
    pub(super) fn beneficiaries(&self) -> impl Iterator<Item = Who> {
        let rules = self.rules.iter().filter(|rules| rules.reserves.left() > 0);
        rules.flat_map(|rules| rules.reserves.whose())
    }

    /// Returns the contenders with this reserve, by rank.
    pub(super) fn waiting_for(&self, who: Who) -> impl Iterator<Item = Head> {
        let rules = self.rules.iter();
        rules.flat_map(move |rules| rules.waiting_for(who))
    }

    /// Whether the same reserves are for both priorities.
    pub(super) fn reserves_alike_for(&self, one: u8, other: u8) -> bool {
        let rules = self.rules.as_ref();
        one == other || rules.is_none_or(|rules| rules.reserves.are_alike_for(one, other))
    }

    /// The head of a flow changes: is something reserved for its priority?
    pub(super) fn favour(
        &mut self,
        old: Option<Head>,
        new: Option<Head>,
        priority: impl Fn(Head) -> u8,
    ) {
        let Some(rules) = &mut self.rules else {
            return;
        };
        let Some(least) = rules.reserves.least_priority() else {
            return;
        };
        let entry = |head: Head| Some((head, priority(head))).filter(|(_, own)| *own >= least);
        if let Some(old) = old.and_then(entry) {
            rules.favoured.remove(&old);
        }
        if let Some(new) = new.and_then(entry) {
            rules.favoured.insert(new);
        }
    }

    /// A request was granted its set.
    pub(super) fn take(&mut self, ask: &Ask, now: Nanos) {
        let Some(rules) = &mut self.rules else {
            return;
        };
        let Demand { units, lane, .. } = ask.demand;
        if let Some(lanes) = &mut rules.lanes {
            let is_favoured = rules.reserves.are_for(lane, ask.priority);
            lanes.take(lane, units, is_favoured);
        }
        rules.reserves.take(lane, ask.priority, units);
        for rate in &mut rules.rates {
            let amount = rate.amount(ask.load);
            rate.meter.get_mut().spend(now, amount);
        }
    }

    /// It was returned.
    pub(super) fn give_back(&mut self, demand: &Demand, priority: u8) {
        let Some(rules) = &mut self.rules else {
            return;
        };
        if let Some(lanes) = &mut rules.lanes {
            lanes.give_back(demand.lane, demand.units);
            lanes.leave(demand.lane);
        }
        rules
            .reserves
            .give_back(demand.lane, priority, demand.units);
    }

    /// What a request spent of the rates at `at` was another load, or nothing at all.
    pub(super) fn settle(&mut self, now: Nanos, at: Nanos, load: u64, actual: Option<u64>) {
        let Some(rules) = &mut self.rules else {
            return;
        };
        for rate in &mut rules.rates {
            let before = rate.amount(load);
            let actual = actual.map_or(0, |load| rate.amount(load));
            rate.meter.get_mut().settle(now, at, before, actual);
        }
        rules.retry_at.set(None); // found out anew by whoever is kept
    }

    pub(super) fn set_rate(&mut self, now: Nanos, which: By, rule: RateRule) -> bool {
        let Some(rules) = &mut self.rules else {
            return false;
        };
        let Some(rate) = rules.rates.iter_mut().find(|rate| rate.by == which) else {
            return false;
        };
        rate.rule = rule;
        rate.meter.get_mut().set_rule(now, rule);
        rules.retry_at.set(None); // found out anew by whoever is kept
        true
    }

    /// Another reserve for those of this priority and above; `false` if there is none.
    pub(super) fn set_reserve(&mut self, beneficiary: Beneficiary, units: u32) -> bool {
        let Some(rules) = &mut self.rules else {
            return false;
        };
        let who = rules.who(beneficiary);
        who.is_some_and(|who| rules.reserves.set(who, units))
    }

    /// The most that one of its load rates lets pass in a whole period.
    pub(super) fn most_load(&self) -> Option<u64> {
        let rates = self.rules.as_ref()?.rates.iter();
        let by_load = rates.filter(|rate| rate.by == By::Load);
        by_load.map(|rate| rate.rule.most()).max()
    }

    /// Whether time alone can make room here.
    pub(super) fn has_rates(&self) -> bool {
        let rules = self.rules.as_ref();
        rules.is_some_and(|rules| !rules.rates.is_empty())
    }

    /// Returns `true` if requests are not blocked here.
    pub(super) fn is_dry(&self) -> bool {
        self.rules.as_ref().is_some_and(|rules| rules.is_dry)
    }

    pub(super) fn is_kept_by_rate(&self, load: u64, now: Nanos) -> bool {
        let rules = self.rules.as_ref();
        rules.is_some_and(|rules| {
            !rules.rates_allow(load, now) || rules.retry_at.get().is_some_and(|at| at > now)
        })
    }

    /// Returns `true` if the time has come at which a waiter that is blocked by a rate becomes
    /// admissible.
    pub(super) fn rate_is_due(&self, now: Nanos) -> bool {
        let Some(rules) = &self.rules else {
            return false;
        };
        let due = rules.retry_at.get().is_some_and(|at| at <= now);
        if due {
            rules.retry_at.set(None);
        }
        due
    }

    pub(super) fn retry_at(&self) -> Option<Nanos> {
        self.rules.as_ref()?.retry_at.get()
    }

    /// When a request of this load that was refused here should retry as far as the rates are
    /// concerned: `None` if they do not block it.
    pub(super) fn come_back_at(&mut self, load: u64, now: Nanos) -> Option<Nanos> {
        let rules = self.rules.as_mut()?;
        let waiting = rules.retry_at.get().filter(|&at| at > now);
        let own = rules.rates_ready_at(load, now).filter(|&at| at > now);
        let ready = own.max(waiting)?;
        let rates = rules.rates.iter();
        let interval = rates
            .map(|rate| rate.rule.interval(rate.amount(load)))
            .max();
        Some(rules.slots.next(now, ready, interval.unwrap_or(0)))
    }

    pub(super) fn lanes(&self) -> Option<&Lanes> {
        self.rules.as_ref()?.lanes.as_ref()
    }

    pub(super) fn lanes_mut(&mut self) -> Option<&mut Lanes> {
        self.rules.as_mut()?.lanes.as_mut()
    }

    pub(super) fn is_standing(&self) -> bool {
        let overload = self.rules.as_ref().and_then(|r| r.overload.as_ref());
        overload.is_some_and(Overload::is_standing)
    }

    pub(super) fn enlist<T>(&mut self, demand: &Demand, key: u32, waiter: &Waiter<T>) {
        let widest = if self.waiting == 0 { 0 } else { self.widest };
        self.widest = widest.max(demand.units);
        self.waiting += 1;
        let lane = demand.lane;
        if let Some(rules) = &mut self.rules {
            rules.backlog.insert(entry(lane, key, waiter));
            if let Some(lanes) = &mut rules.lanes {
                lanes.crowd(lane, |waiting| waiting + 1);
            }
        }
    }

    pub(super) fn strike_off<T>(&mut self, lane: u32, key: u32, waiter: &Waiter<T>) {
        self.waiting -= 1;
        if let Some(rules) = &mut self.rules {
            rules.backlog.remove(&entry(lane, key, waiter));
            if let Some(lanes) = &mut rules.lanes {
                lanes.crowd(lane, |waiting| waiting - 1);
            }
        }
    }

    /// The lane with most waiters for its weight, if this one has fewer even with one more.
    pub(super) fn more_crowded_than(&self, lane: u32) -> Option<u32> {
        self.lanes()?.more_crowded_than(lane)
    }

    /// Returns the youngest of the lowest priority among all waiters in a lane; `None` where no
    /// such list exists.
    pub(super) fn lowest(&self, lane: u32) -> Option<u32> {
        let backlog = &self.rules.as_ref()?.backlog;
        let mut in_lane = backlog.range((lane, 0, Reverse(u64::MAX), 0)..);
        let first = in_lane.next().filter(|(of, ..)| *of == lane);
        first.map(|&(_, _, _, key)| key)
    }
}

fn entry<T>(lane: u32, key: u32, waiter: &Waiter<T>) -> (u32, u8, Reverse<u64>, u32) {
    (lane, waiter.priority, Reverse(waiter.seq), key)
}

impl Rules {
    fn new(rules: &ResourceRules, limit: u32) -> Self {
        let lanes = rules.lanes.as_ref().map(|rules| Lanes::new(rules, limit));
        let rates = rules.rates.iter();
        let mut new = Self {
            lanes,
            reserves: Reserves::default(),
            rates: rates.map(|&(by, rule)| Rate::new(by, rule)).collect(),
            retry_at: Cell::new(None),
            slots: Slots::default(),
            overload: rules.overload.map(Overload::new),
            favoured: BTreeSet::new(),
            backlog: BTreeSet::new(),
            is_dry: rules.is_dry,
        };
        for reserve in &rules.reserves {
            let who = new.who(reserve.beneficiary).expect("declared");
            new.reserves.push(who, reserve.units);
        }
        new
    }

    fn who(&self, beneficiary: Beneficiary) -> Option<Who> {
        match beneficiary {
            Beneficiary::Lane(id) => self.lanes.as_ref()?.declared(id).map(Who::Lane),
            Beneficiary::Priority(least) => Some(Who::Priority(least)),
        }
    }

    fn room(&self, usage: Usage, ask: &Ask, taken: u64, now: Nanos) -> Room {
        let Ask {
            demand, priority, ..
        } = ask;
        if self.is_dry {
            return Room::Enough;
        }
        if !self.lane_has_room(demand) {
            return Room::LaneFull;
        }
        let withheld = self.reserves.left_to_others(demand.lane, *priority);
        if usage.fits_beside(taken + withheld, demand.units) && self.rates_allow(ask.load, now) {
            Room::Enough
        } else {
            Room::Short
        }
    }

    fn exceeds(&self, limit: u32, demand: &Demand, priority: u8) -> bool {
        if self.is_dry {
            return false;
        }
        let cap = self.lanes.as_ref().map(|lanes| lanes.cap(demand.lane));
        let to_others = self.reserves.to_others(demand.lane, priority);
        let own = self.reserves.total() - to_others;
        let units = u64::from(demand.units);
        demand.units > limit
            || cap.is_some_and(|cap| demand.units > cap)
            || units + to_others > u64::from(limit) && units > own
    }

    /// What each request can have of this limit, and some no more.
    fn for_everybody(&self, limit: u32) -> u32 {
        let cap = self.lanes.as_ref().map_or(u32::MAX, Lanes::least_cap);
        let reserved = u32::try_from(self.reserves.total()).unwrap_or(u32::MAX);
        cap.min(limit.saturating_sub(reserved))
    }

    fn lane_has_room(&self, demand: &Demand) -> bool {
        let lanes = self.lanes.as_ref();
        lanes.is_none_or(|lanes| lanes.has_room(demand.lane, demand.units))
    }

    /// Whether all rates allow it now; otherwise the time is noted at which they will.
    fn rates_allow(&self, load: u64, now: Nanos) -> bool {
        let ready = self.rates_ready_at(load, now).filter(|&at| at > now);
        if let Some(ready) = ready {
            let before = self.retry_at.get();
            self.retry_at
                .set(Some(before.map_or(ready, |at| at.min(ready))));
        }
        ready.is_none()
    }

    /// When all rates allow this load, unless something else is spent before.
    fn rates_ready_at(&self, load: u64, now: Nanos) -> Option<Nanos> {
        let rates = self.rates.iter();
        let ready = rates.map(|rate| rate.meter.borrow_mut().ready_at(now, rate.amount(load)));
        ready.max()
    }

    fn waiting_for(&self, who: Who) -> impl Iterator<Item = Head> {
        let (lane, least) = match who {
            Who::Lane(lane) => (Some(lane), u8::MAX),
            Who::Priority(least) => (None, least),
        };
        let in_lane = lane.zip(self.lanes.as_ref()).into_iter();
        let in_lane = in_lane.flat_map(|(lane, lanes)| lanes.heads(lane)).copied();
        let favoured = self.favoured.iter().filter(move |_| lane.is_none());
        let favoured = favoured.filter(move |(_, priority)| *priority >= least);
        in_lane.chain(favoured.map(|(head, _)| *head))
    }
}

/// A rate, and what was spent under it.
#[derive(Debug)]
struct Rate {
    by: By,
    rule: RateRule,
    meter: RefCell<Meter>,
}

impl Rate {
    fn new(by: By, rule: RateRule) -> Self {
        Self {
            by,
            rule,
            meter: RefCell::new(Meter::new(rule)),
        }
    }

    /// What a request of this load counts as.
    fn amount(&self, load: u64) -> u64 {
        self.by.amount(load)
    }
}
