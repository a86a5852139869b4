//! Which waiter is next: the rules of [`Queue`], one function each.

use super::{
    Demand, Demands, Ledger, Nanos,
    queue::{PATIENCE, Queue},
    rank::{Head, Rank},
    reserves::Who,
    resource_queue::{Ask, Room},
    waiters::Waiter,
};

/// A request that asks for its set: an arrival, or a waiter.
pub(super) struct Candidate<'a> {
    pub(super) demands: &'a Demands,
    pub(super) rank: Rank,
    pub(super) seq: u64,
    pub(super) priority: u8,
    pub(super) load: u64,
}

impl Candidate<'_> {
    fn ask(&self, demand: &Demand) -> Ask {
        Ask {
            demand: *demand,
            priority: self.priority,
            load: self.load,
        }
    }
}

impl<T> Waiter<T> {
    fn ask(&self, demand: &Demand) -> Ask {
        Ask {
            demand: *demand,
            priority: self.priority,
            load: self.load,
        }
    }
}

/// Overtaking is counted for so many waiters at once. The others are behind these.
const COUNTED: usize = 64;

impl<T> Queue<T> {
    pub(super) fn asker(&self, key: u32) -> Candidate<'_> {
        let waiter = &self.waiters[key];
        let newest_first = self.flows[waiter.flow as usize].newest_first;
        Candidate {
            demands: &waiter.demands,
            rank: Rank::of(waiter, newest_first),
            seq: waiter.seq,
            priority: waiter.priority,
            load: waiter.load,
        }
    }

    /// Returns the first admissible contender in rank.
    pub(super) fn first_candidate(&mut self, now: Nanos, ledger: &impl Ledger) -> Option<Head> {
        let mut first: Option<Head> = None;
        let mut position = 0;
        while let Some(&resource) = self.dirty.get(position) {
            match self.candidate(resource, now, ledger) {
                Some(head) => {
                    first = Some(first.map_or(head, |first| first.min(head)));
                    position += 1;
                }
                None => self.wipe(position),
            }
        }
        let first = first?;
        match self.has_rules() && self.waiters[first.key].demands.len() > 1 {
            true => Some(self.first_everywhere(first, now, ledger)),
            false => Some(first),
        }
    }

    /// Lanes may order the same waiters differently at two resources: an admissible contender that
    /// is before this one, at a resource that both claim, is admitted first. If they form a circle,
    /// any of them is.
    fn first_everywhere(&self, mut first: Head, now: Nanos, ledger: &impl Ledger) -> Head {
        for _ in 0..self.lines.len() {
            let mut demands = self.waiters[first.key].demands.iter();
            let before = demands.find_map(|demand| {
                let here = self.candidate(demand.resource, now, ledger);
                here.filter(|here| here.key != first.key)
            });
            match before {
                Some(before) => first = before,
                None => break,
            }
        }
        first
    }

    /// Nothing is possible any more where no unit is left: that need not be found out in another
    /// round.
    pub(super) fn wipe_dry(&mut self, ledger: &impl Ledger) {
        let mut position = 0;
        while let Some(&resource) = self.dirty.get(position) {
            if ledger.usage(resource).fits(1) {
                position += 1;
            } else {
                self.wipe(position);
            }
        }
    }

    fn wipe(&mut self, position: usize) {
        let resource = self.dirty.swap_remove(position);
        self.lines[resource as usize].is_dirty = false;
    }

    /// Returns the first contender at `resource` that fits, or would but for its deadline. Stops at
    /// the first that is short there: no later one is admissible, except from a reserve.
    fn candidate(&self, resource: u32, now: Nanos, ledger: &impl Ledger) -> Option<Head> {
        let line = &self.lines[resource as usize];
        let first = match line.lanes() {
            None => self.first_chance(line.by_rank().iter().copied(), resource, now, ledger),
            Some(lanes) => {
                let contenders = lanes.contenders().map(|(_, head)| head);
                self.first_chance(contenders, resource, now, ledger)
            }
        };
        if first.is_some() {
            return first;
        }
        for who in line.beneficiaries() {
            for head in line.waiting_for(who) {
                let asker = self.asker(head.key);
                let demand = asker.demands.of(resource).expect("it waits here");
                let has_reserve = || self.has_reserve(&asker, demand, now, ledger);
                let can_go = || has_reserve() && self.short(&asker, now, ledger).is_none();
                if self.waiters[head.key].deadline < now || can_go() {
                    return Some(head);
                }
                let usage = ledger.usage(resource);
                if !line.room_in_reserve(usage, &asker.ask(demand), now) {
                    break;
                }
            }
        }
        None
    }

    /// Returns the first admissible contender, unless an earlier one blocks it.
    fn first_chance(
        &self,
        contenders: impl Iterator<Item = Head>,
        resource: u32,
        now: Nanos,
        ledger: &impl Ledger,
    ) -> Option<Head> {
        for head in contenders {
            match self.chance(head.key, resource, now, ledger) {
                Chance::Now => return Some(head),
                Chance::Later => {}
                Chance::Blocks => return None,
            }
        }
        None
    }

    fn chance(&self, key: u32, resource: u32, now: Nanos, ledger: &impl Ledger) -> Chance {
        if self.waiters[key].deadline < now {
            return Chance::Now;
        }
        let asker = self.asker(key);
        // A lack of units is cheap to find; which contender is before this one costs more.
        let is_there = |d: &Demand| self.is_there(&asker, d, now, ledger);
        if asker.demands.iter().all(is_there) && self.short(&asker, now, ledger).is_none() {
            return Chance::Now;
        }
        // A contender that is blocked by others alone, or by its lane, does not block all others.
        let demand = asker.demands.of(resource).expect("it waits here");
        let usage = ledger.usage(resource);
        let line = &self.lines[resource as usize];
        match line.room(usage, &asker.ask(demand), 0, now) {
            Room::Short => Chance::Blocks,
            Room::Enough | Room::LaneFull => Chance::Later,
        }
    }

    /// Returns `true` if the units are available, whatever other requests want.
    fn is_there(
        &self,
        asker: &Candidate<'_>,
        demand: &Demand,
        now: Nanos,
        ledger: &impl Ledger,
    ) -> bool {
        let line = &self.lines[demand.resource as usize];
        let usage = ledger.usage(demand.resource);
        let ask = asker.ask(demand);
        line.room(usage, &ask, 0, now) == Room::Enough || line.room_in_reserve(usage, &ask, now)
    }

    /// The first resource at which a request lacks room.
    pub(super) fn short(
        &self,
        asker: &Candidate<'_>,
        now: Nanos,
        ledger: &impl Ledger,
    ) -> Option<u32> {
        asker
            .demands
            .iter()
            .find(|demand| !self.has_room(asker, demand, now, ledger))
            .map(|demand| demand.resource)
    }

    /// Returns `true` if the units are available to this request: beside those in use, behind no
    /// contender that is short, and beside those set aside; or else from its reserve.
    fn has_room(
        &self,
        asker: &Candidate<'_>,
        demand: &Demand,
        now: Nanos,
        ledger: &impl Ledger,
    ) -> bool {
        let line = &self.lines[demand.resource as usize];
        match line.lanes() {
            None => {
                let earlier = line.by_rank().iter();
                let earlier = earlier.take_while(|other| other.rank < asker.rank);
                self.has_room_behind(earlier.map(|head| head.key), asker, demand, now, ledger)
            }
            Some(lanes) => {
                let place = lanes.position(demand.lane, asker.rank);
                let earlier = lanes.contenders().take_while(|(other, _)| *other < place);
                let earlier = earlier.map(|(_, head)| head.key);
                self.has_room_behind(earlier, asker, demand, now, ledger)
            }
        }
    }

    fn has_room_behind(
        &self,
        earlier: impl Iterator<Item = u32>,
        asker: &Candidate<'_>,
        demand: &Demand,
        now: Nanos,
        ledger: &impl Ledger,
    ) -> bool {
        let line = &self.lines[demand.resource as usize];
        let usage = ledger.usage(demand.resource);
        let mut set_aside = 0;
        for key in earlier {
            let earlier = &self.waiters[key];
            let Some(wanted) = earlier.demands.of(demand.resource) else {
                continue;
            };
            match line.room(usage, &earlier.ask(wanted), set_aside, now) {
                Room::Short => return self.has_reserve(asker, demand, now, ledger),
                // No contender passes another in the same lane.
                Room::LaneFull if wanted.lane == demand.lane => {
                    return self.has_reserve(asker, demand, now, ledger);
                }
                _ => {}
            }
            if earlier.turns >= PATIENCE && earlier.seq < asker.seq {
                set_aside += u64::from(wanted.units);
            }
        }
        line.room(usage, &asker.ask(demand), set_aside, now) == Room::Enough
            || self.has_reserve(asker, demand, now, ledger)
    }

    /// Returns `true` if the units are available in a reserve for such requests, and no contender
    /// for the same reserve is before this one.
    fn has_reserve(
        &self,
        asker: &Candidate<'_>,
        demand: &Demand,
        now: Nanos,
        ledger: &impl Ledger,
    ) -> bool {
        let line = &self.lines[demand.resource as usize];
        let usage = ledger.usage(demand.resource);
        let ask = asker.ask(demand);
        if !line.room_in_reserve(usage, &ask, now) {
            return false;
        }
        let has_room = |key: u32| {
            let other = &self.waiters[key];
            let wanted = other.demands.of(demand.resource).expect("it waits here");
            line.room_in_reserve(usage, &other.ask(wanted), now)
        };
        let includes = |who: &Who| who.includes(demand.lane, asker.priority);
        line.beneficiaries().filter(includes).any(|who| {
            let waiting = line.waiting_for(who);
            let mut before = waiting.take_while(|other| other.rank < asker.rank);
            before.all(|other| has_room(other.key))
        })
    }

    /// Takes what a request asks for; contenders that came before it and want one of the same
    /// resources were overtaken.
    #[inline]
    pub(super) fn take(&mut self, asker: &Candidate<'_>, now: Nanos, ledger: &mut impl Ledger) {
        for demand in &**asker.demands {
            if self.lines[demand.resource as usize].has_sets() {
                self.overtake(asker, demand, now, ledger);
            }
        }
        for demand in &**asker.demands {
            ledger.take(demand.resource, demand.units);
            self.lines[demand.resource as usize].take(&asker.ask(demand), now);
        }
    }

    fn overtake(
        &mut self,
        asker: &Candidate<'_>,
        demand: &Demand,
        now: Nanos,
        ledger: &impl Ledger,
    ) {
        let line = &self.lines[demand.resource as usize];
        let place = line.position(demand.lane, asker.rank);
        let earlier = line.contenders().take_while(|(other, _)| *other < place);
        // A waiter for a single resource cannot be overtaken by turns.
        let sets = earlier.filter(|(_, head)| self.waiters[head.key].demands.len() > 1);
        let sets: Vec<u32> = sets.map(|(_, head)| head.key).take(COUNTED).collect();
        for key in sets {
            let lacked = self.lacked(key, now, ledger);
            self.waiters[key].overtake(lacked);
        }
    }

    /// The resources at which a waiter is short, as bits by position among its demands; those of a
    /// set of more than 64 share bits.
    fn lacked(&self, key: u32, now: Nanos, ledger: &impl Ledger) -> u64 {
        let asker = self.asker(key);
        let bits = asker.demands.iter().enumerate().map(|(position, demand)| {
            let short = !self.has_room(&asker, demand, now, ledger);
            u64::from(short) << (position % 64)
        });
        bits.fold(0, |all, bit| all | bit)
    }
}

/// What a waiter can do about a resource.
enum Chance {
    Now,
    /// It blocks no other contender here.
    Later,
    /// Later contenders wait behind it.
    Blocks,
}
