//! Weighted fair sharing of one resource.
//!
//! Start-time fair queueing (Goyal, Vin and Cheng, 1996) over lanes: a grant costs a lane its units
//! divided by its weight, in virtual time; the backlogged lane with the earliest start of its next
//! grant is served first. A lane that was idle starts at the present, so it cannot save up for a
//! burst.

use std::{
    cmp::Reverse,
    collections::{BTreeSet, HashMap},
    num::NonZeroU64,
};

use slab::Slab;

use super::rank::{Head, Heads, Rank};

/// Which lane a request asks for: a number that stands for a name, or for a key such as a tenant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct LaneId(NonZeroU64);

impl LaneId {
    /// Inverted, so that an option of it is as large as itself; the largest number counts as its
    /// neighbour.
    pub fn new(number: u64) -> Self {
        Self(NonZeroU64::new(!number).unwrap_or(NonZeroU64::MIN))
    }

    pub(super) const fn number(self) -> u64 {
        !self.0.get()
    }
}

/// How the units of a resource are divided.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Sharing {
    /// What a lane does not use is lent to the others.
    #[default]
    Shared,
    /// Each lane has its portion by weight, and no more.
    Strict,
}

impl Sharing {
    /// What each lane of these weights may have of a limit: all, or its portion. Portions are
    /// rounded by largest remainder, so that they add up to the limit, and are never below one
    /// unit.
    pub fn portions(self, limit: u32, weights: Vec<u32>) -> Vec<u32> {
        if self == Self::Shared {
            return vec![u32::MAX; weights.len()];
        }
        let total: u64 = weights.iter().copied().map(u64::from).sum();
        let product = |weight: u32| u64::from(limit) * u64::from(weight);
        let mut portions: Vec<u32> = weights
            .iter()
            .map(|&weight| (product(weight) / total) as u32)
            .collect();
        let given: u64 = portions.iter().copied().map(u64::from).sum();
        let mut by_remainder: Vec<usize> = (0..weights.len()).collect();
        by_remainder.sort_by_key(|&lane| Reverse(product(weights[lane]) % total));
        for &lane in &by_remainder[..(u64::from(limit) - given) as usize] {
            portions[lane] += 1;
        }
        portions.into_iter().map(|portion| portion.max(1)).collect()
    }
}

/// A lane as it was declared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LaneRule {
    pub weight: u32,
    /// At most this many units at once.
    pub max: u32,
}

impl Default for LaneRule {
    fn default() -> Self {
        Self {
            weight: 1,
            max: u32::MAX,
        }
    }
}

/// All lanes of a resource, as they were declared.
#[derive(Clone, Debug, Default)]
pub struct LaneRules {
    pub sharing: Sharing,
    pub declared: Vec<(LaneId, LaneRule)>,
    /// One lane for all requests without one of these; without it, they are in the first.
    pub others: Option<LaneRule>,
    /// Or a lane of this kind for each key that is asked for, and at most so many of them.
    pub keyed: Option<(LaneRule, usize)>,
}

/// The lanes of one resource.
#[derive(Debug)]
pub(super) struct Lanes {
    sharing: Sharing,
    lanes: Slab<Lane>,
    by_id: HashMap<LaneId, u32>,
    /// Those from here on were made for a key.
    declared: usize,
    keyed: Option<(LaneRule, usize)>,
    /// The lane of requests without one.
    others: u32,
    /// Unused lanes that were made for a key, the one that is owed most first.
    idle: BTreeSet<(VirtualTime, u32)>,
    /// Lanes with a waiter and room for it, by the start of their next grant.
    ready: BTreeSet<(VirtualTime, u32)>,
    /// Lanes with waiters, by how many those are for its weight.
    crowds: BTreeSet<(VirtualTime, u32)>,
    now: VirtualTime,
    limit: u32,
}

/// Units times [`SCALE`], divided by weight.
type VirtualTime = u128;

const SCALE: VirtualTime = 1 << 32;

#[derive(Debug)]
struct Lane {
    id: Option<LaneId>,
    rule: LaneRule,
    /// What it may use at once.
    cap: u32,
    in_use: u32,
    /// Waiters, and permits that are held.
    users: usize,
    waiting: usize,
    /// When its last grant ended.
    finish: VirtualTime,
    /// Its place among the ready ones.
    start: Option<VirtualTime>,
    heads: Heads,
}

impl Lane {
    fn new(id: Option<LaneId>, rule: LaneRule) -> Self {
        Self {
            id,
            rule,
            cap: rule.max,
            in_use: 0,
            users: 0,
            waiting: 0,
            finish: 0,
            start: None,
            heads: Heads::default(),
        }
    }

    fn crowd(&self, waiting: usize) -> VirtualTime {
        waiting as VirtualTime * SCALE / VirtualTime::from(self.rule.weight)
    }
}

/// Where a request stands at a resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Position {
    start: VirtualTime,
    lane: u32,
    rank: Rank,
}

impl Position {
    /// At a resource without lanes.
    pub(super) fn by_rank(rank: Rank) -> Self {
        Self {
            start: 0,
            lane: 0,
            rank,
        }
    }
}

impl Lanes {
    pub(super) fn new(rules: &LaneRules, limit: u32) -> Self {
        let declared = rules.declared.iter().map(|(id, rule)| (Some(*id), *rule));
        let unnamed = match (rules.others, rules.keyed) {
            (Some(others), _) => Some(others),
            (None, Some((kind, _))) => Some(kind),
            (None, None) => None,
        };
        let mut lanes = Slab::new();
        let mut by_id = HashMap::new();
        for (id, rule) in declared.chain(unnamed.map(|rule| (None, rule))) {
            let index = lanes.insert(Lane::new(id, rule)) as u32;
            by_id.extend(id.map(|id| (id, index)));
        }
        let mut new = Self {
            sharing: rules.sharing,
            declared: lanes.len(),
            others: unnamed.map_or(0, |_| lanes.len() as u32 - 1),
            lanes,
            by_id,
            keyed: rules.keyed,
            idle: BTreeSet::new(),
            ready: BTreeSet::new(),
            crowds: BTreeSet::new(),
            now: 0,
            limit,
        };
        new.set_limit(limit);
        new
    }

    /// The lane of a request, which uses it until it [leaves](Self::leave).
    pub(super) fn join(&mut self, id: Option<LaneId>) -> u32 {
        let index = match id {
            None => self.others,
            Some(id) => match (self.by_id.get(&id), self.keyed) {
                (Some(&index), _) => index,
                (None, None) => self.others,
                (None, Some((rule, most))) => self.make(id, rule, most),
            },
        };
        let lane = &mut self.lanes[index as usize];
        if lane.users == 0 && index as usize >= self.declared {
            self.idle.remove(&(lane.finish, index));
        }
        lane.users += 1;
        index
    }

    fn make(&mut self, id: LaneId, rule: LaneRule, most: usize) -> u32 {
        if self.lanes.len() - self.declared >= most {
            let Some((_, idle)) = self.idle.pop_first() else {
                // Every lane is in use: the key shares one, the same as long as that is so.
                return (self.declared as u64 + id.number() % most as u64) as u32;
            };
            let forgotten = self.lanes.remove(idle as usize);
            forgotten.id.and_then(|id| self.by_id.remove(&id));
        }
        let index = self.lanes.insert(Lane::new(Some(id), rule)) as u32;
        self.by_id.insert(id, index);
        index
    }

    /// Removes a waiter or a permit from its lane.
    pub(super) fn leave(&mut self, lane: u32) {
        let index = lane;
        let lane = &mut self.lanes[index as usize];
        lane.users -= 1;
        if lane.users == 0 && index as usize >= self.declared {
            self.idle.insert((lane.finish, index));
        }
    }

    /// Another number of waiters in a lane.
    pub(super) fn crowd(&mut self, index: u32, change: impl Fn(usize) -> usize) {
        let lane = &mut self.lanes[index as usize];
        let before = lane.crowd(lane.waiting);
        lane.waiting = change(lane.waiting);
        let after = lane.crowd(lane.waiting);
        self.crowds.remove(&(before, index));
        if after > 0 {
            self.crowds.insert((after, index));
        }
    }

    /// The lane with most waiters for its weight, if this one has fewer even with one more.
    pub(super) fn more_crowded_than(&self, lane: u32) -> Option<u32> {
        let lane = &self.lanes[lane as usize];
        let own = lane.crowd(lane.waiting + 1);
        let &(most, crowded) = self.crowds.last()?;
        (most > own).then_some(crowded)
    }

    /// Where a request of this rank stands, or would.
    pub(super) fn position(&self, lane: u32, rank: Rank) -> Position {
        let start = self.start(lane);
        Position { start, lane, rank }
    }

    /// When the next grant of a lane starts.
    fn start(&self, lane: u32) -> VirtualTime {
        let lane = &self.lanes[lane as usize];
        lane.start.unwrap_or_else(|| lane.finish.max(self.now))
    }

    /// Returns the contenders in order, except in lanes without room.
    pub(super) fn contenders(&self) -> impl Iterator<Item = (Position, Head)> {
        self.ready.iter().flat_map(|&(start, lane)| {
            let heads = self.lanes[lane as usize].heads.iter();
            heads.map(move |&head| {
                let rank = head.rank;
                (Position { start, lane, rank }, head)
            })
        })
    }

    pub(super) fn heads(&self, lane: u32) -> &[Head] {
        &self.lanes[lane as usize].heads
    }

    pub(super) fn has_room(&self, lane: u32, units: u32) -> bool {
        let lane = &self.lanes[lane as usize];
        u64::from(lane.in_use) + u64::from(units) <= u64::from(lane.cap)
    }

    /// What a lane may use at once.
    pub(super) fn cap(&self, lane: u32) -> u32 {
        self.lanes[lane as usize].cap
    }

    /// What each lane may use at once, and some no more.
    pub(super) fn least_cap(&self) -> u32 {
        let caps = self.lanes.iter().map(|(_, lane)| lane.cap);
        caps.min().unwrap_or(u32::MAX)
    }

    /// The head of a flow changes.
    pub(super) fn replace(&mut self, lane: u32, old: Option<Head>, new: Option<Head>) {
        self.lanes[lane as usize].heads.replace(old, new);
        self.sort_in(lane);
    }

    /// A lane of the declared ones, by its name.
    pub(super) fn declared(&self, id: LaneId) -> Option<u32> {
        self.by_id.get(&id).copied()
    }

    /// Counts a grant; `is_favoured` if a reserve may have admitted it past others.
    pub(super) fn take(&mut self, lane: u32, units: u32, is_favoured: bool) {
        let start = self.start(lane);
        let first = self.ready.first().map_or(start, |&(first, _)| first);
        // A grant from a reserve, past earlier contenders, does not advance the present. They were
        // blocked by something else than this resource, and must not hold the present back for
        // lanes to come.
        let present = if is_favoured { start.min(first) } else { start };
        self.now = self.now.max(present);
        let taker = &mut self.lanes[lane as usize];
        taker.in_use += units;
        taker.finish =
            start + VirtualTime::from(units) * SCALE / VirtualTime::from(taker.rule.weight);
        if let Some(start) = taker.start.take() {
            self.ready.remove(&(start, lane));
        }
        self.sort_in(lane);
    }

    pub(super) fn give_back(&mut self, lane: u32, units: u32) {
        self.lanes[lane as usize].in_use -= units;
        self.sort_in(lane);
    }

    /// Puts a lane among the ready ones, or takes it out.
    fn sort_in(&mut self, lane: u32) {
        let start = self.start(lane);
        let this = &mut self.lanes[lane as usize];
        let is_ready = !this.heads.is_empty() && this.in_use < this.cap;
        match this.start {
            None if is_ready => {
                this.start = Some(start);
                self.ready.insert((start, lane));
            }
            Some(start) if !is_ready => {
                this.start = None;
                self.ready.remove(&(start, lane));
            }
            _ => {}
        }
    }

    /// Another limit of the resource, which strict portions follow.
    pub(super) fn set_limit(&mut self, limit: u32) {
        self.limit = limit;
        let weights = self.lanes.iter().map(|(_, lane)| lane.rule.weight);
        let portions = self.sharing.portions(limit, weights.collect());
        let lanes = self.lanes.iter_mut().zip(portions);
        let changed: Vec<u32> = lanes
            .map(|((index, lane), portion)| {
                lane.cap = lane.rule.max.min(portion);
                index as u32
            })
            .collect();
        changed.into_iter().for_each(|lane| self.sort_in(lane));
    }

    /// Another weight or cap for a declared lane; `false` if there is none of this name.
    pub(super) fn set_rule(&mut self, id: LaneId, rule: LaneRule) -> bool {
        let Some(&lane) = self.by_id.get(&id) else {
            return false;
        };
        let waiting = self.lanes[lane as usize].waiting;
        self.crowd(lane, |_| 0);
        self.lanes[lane as usize].rule = rule;
        self.crowd(lane, |_| waiting);
        self.set_limit(self.limit);
        true
    }

    /// What a lane uses, and how many use it.
    #[cfg(all(test, not(tcl_loom)))]
    pub(super) fn gauges(&self, lane: u32) -> (u32, usize) {
        let lane = &self.lanes[lane as usize];
        (lane.in_use, lane.users)
    }

    #[cfg(all(test, not(tcl_loom)))]
    pub(super) fn len(&self) -> usize {
        self.lanes.len()
    }
}
