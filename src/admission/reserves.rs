//! Units that some requests can always get.

use smallvec::SmallVec;

/// The beneficiaries of a reserve.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Who {
    Lane(u32),
    /// This priority and above.
    Priority(u8),
}

impl Who {
    pub(super) fn includes(self, lane: u32, priority: u8) -> bool {
        match self {
            Self::Lane(favoured) => favoured == lane,
            Self::Priority(least) => priority >= least,
        }
    }
}

/// The reserves of one resource, and the units that their beneficiaries have in use.
///
/// A unit in use fills a place of one reserve, however many its holder can use: 10 units for the
/// priorities from 50 and 10 for those from 100 are 20 units, of which the latter can have all. It
/// fills the reserve that leaves most to others, so that no unit stays idle that no reserve needs.
#[derive(Debug, Default)]
pub(super) struct Reserves {
    /// Those for lanes, then those by priority, highest first.
    reserves: SmallVec<[Reserve; 2]>,
    /// By the set of reserves that requests can use.
    used: SmallVec<[(Class, u32); 2]>,
}

#[derive(Clone, Copy, Debug)]
struct Reserve {
    who: Who,
    units: u32,
}

/// Requests that can use the same reserves: that of a lane, and those for this priority and below.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Class {
    lane: Option<u32>,
    least: Option<u8>,
}

impl Reserves {
    pub(super) fn push(&mut self, who: Who, units: u32) {
        if let Some(same) = self.reserves.iter_mut().find(|r| r.who == who) {
            same.units += units;
            return;
        }
        let order = |who| match who {
            Who::Lane(_) => 0,
            Who::Priority(least) => 256 - u16::from(least),
        };
        let place = |r: &Reserve| order(r.who) <= order(who);
        let place = self.reserves.partition_point(place);
        self.reserves.insert(place, Reserve { who, units });
    }

    /// Other units for the same; `false` if nothing is reserved for them.
    pub(super) fn set(&mut self, who: Who, units: u32) -> bool {
        let reserve = self.reserves.iter_mut().find(|r| r.who == who);
        reserve.map(|reserve| reserve.units = units).is_some()
    }

    /// Whether the same are for both priorities.
    pub(super) fn are_alike_for(&self, one: u8, other: u8) -> bool {
        self.whose().all(|who| match who {
            Who::Lane(_) => true,
            Who::Priority(least) => (one >= least) == (other >= least),
        })
    }

    /// The lowest priority for which something is reserved.
    pub(super) fn least_priority(&self) -> Option<u8> {
        match self.reserves.last()?.who {
            Who::Lane(_) => None,
            Who::Priority(least) => Some(least),
        }
    }

    pub(super) fn are_for(&self, lane: u32, priority: u8) -> bool {
        self.whose().any(|who| who.includes(lane, priority))
    }

    pub(super) fn whose(&self) -> impl Iterator<Item = Who> {
        self.reserves.iter().map(|reserve| reserve.who)
    }

    pub(super) fn take(&mut self, lane: u32, priority: u8, units: u32) {
        if let Some(class) = self.class(lane, priority) {
            match self.used.iter_mut().find(|(same, _)| *same == class) {
                Some((_, used)) => *used += units,
                None => self.used.push((class, units)),
            }
        }
    }

    pub(super) fn give_back(&mut self, lane: u32, priority: u8, units: u32) {
        let class = self.class(lane, priority);
        let mut used = self.used.iter_mut();
        if let Some((_, used)) = used.find(|(same, _)| Some(*same) == class) {
            *used -= units;
        }
    }

    fn class(&self, lane: u32, priority: u8) -> Option<Class> {
        let mut own = self.whose().filter(|who| who.includes(lane, priority));
        let mut class = Class {
            lane: None,
            least: None,
        };
        own.by_ref().for_each(|who| match who {
            Who::Lane(lane) => class.lane = Some(lane),
            Who::Priority(least) => class.least = class.least.max(Some(least)),
        });
        (class.lane.is_some() || class.least.is_some()).then_some(class)
    }

    /// The units of all reserves, in use or not.
    pub(super) fn total(&self) -> u64 {
        self.units_where(|_| true)
    }

    /// The units of those that are not for such a request, in use or not.
    pub(super) fn to_others(&self, lane: u32, priority: u8) -> u64 {
        self.units_where(|who| !who.includes(lane, priority))
    }

    fn units_where(&self, counts: impl Fn(Who) -> bool) -> u64 {
        let counted = self.reserves.iter().filter(|reserve| counts(reserve.who));
        counted.map(|reserve| u64::from(reserve.units)).sum()
    }

    /// What is left of all reserves.
    pub(super) fn left(&self) -> u64 {
        self.left_where(|_| true)
    }

    /// What is left of those that are not for such a request.
    pub(super) fn left_to_others(&self, lane: u32, priority: u8) -> u64 {
        self.left_where(|who| !who.includes(lane, priority))
    }

    fn left_where(&self, counts: impl Fn(Who) -> bool) -> u64 {
        let (mut left, mut spare) = (0, 0);
        for reserve in &self.reserves {
            let fills = match reserve.who {
                Who::Lane(lane) => self.used_by(|class| class.lane == Some(lane)),
                Who::Priority(least) => {
                    // Units of higher priorities may fill a reserve for lower ones.
                    spare += self.spare_at(least, &counts);
                    spare
                }
            };
            if counts(reserve.who) {
                let filled = fills.min(reserve.units.into());
                left += u64::from(reserve.units) - filled;
                if let Who::Priority(_) = reserve.who {
                    spare -= filled;
                }
            }
        }
        left
    }

    /// Units in use by priorities from this line up to the next that do not fill the reserve of
    /// their lane: that is filled by the lowest first, which can fill nothing else.
    fn spare_at(&self, least: u8, counts: &impl Fn(Who) -> bool) -> u64 {
        let here = self.used.iter().filter(|(c, _)| c.least == Some(least));
        let spare = here.map(|&(class, used)| {
            let Some(lane) = class.lane.filter(|&lane| counts(Who::Lane(lane))) else {
                return u64::from(used);
            };
            let lower = self.used_by(|c| c.lane == Some(lane) && c.least < class.least);
            let reserve = self.reserves.iter().find(|r| r.who == Who::Lane(lane));
            let units = u64::from(reserve.map_or(0, |reserve| reserve.units));
            u64::from(used).saturating_sub(units.saturating_sub(lower))
        });
        spare.sum()
    }

    fn used_by(&self, which: impl Fn(&Class) -> bool) -> u64 {
        let used = self.used.iter().filter(|(class, _)| which(class));
        used.map(|(_, used)| u64::from(*used)).sum()
    }
}
