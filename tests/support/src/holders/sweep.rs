//! How much was held at once.

use std::collections::BTreeMap;

use super::{Hold, Holders, Nanos};

/// When a permit counts as held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Until {
    /// While it is valid: what the limit promises.
    Lost,
    /// Until it is returned: what was really at work.
    Returned,
}

/// The most that was held at once.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Peak {
    pub units: u64,
    /// When that was first so.
    pub at: Nanos,
    /// Units by process at that time.
    pub by: BTreeMap<u32, u64>,
}

/// From now on, a process holds this much more or less.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Change {
    pub at: Nanos,
    /// Negative changes come first: what is returned at an instant can be granted at the same.
    pub units: i64,
    pub process: u32,
}

impl Hold {
    /// When it stopped counting; `None` if it never did.
    pub fn ended(&self, until: Until) -> Option<Nanos> {
        let lost = self.lost.filter(|_| until == Until::Lost);
        match (self.end, lost) {
            (Some(end), Some(lost)) => Some(end.min(lost)),
            (end, lost) => end.or(lost),
        }
    }
}

impl Holders {
    /// All changes in the order of time.
    pub fn changes(&self, until: Until) -> Vec<Change> {
        let change = |at, units, hold: &Hold| Change {
            at,
            units,
            process: hold.process,
        };
        let mut changes: Vec<_> = self
            .all()
            .flat_map(|hold| {
                let units = i64::from(hold.units);
                let end = hold.ended(until).map(|end| change(end, -units, hold));
                [Some(change(hold.from, units, hold)), end]
            })
            .flatten()
            .collect();
        changes.sort();
        changes
    }

    pub fn peak(&self, until: Until) -> Peak {
        let mut peak = Peak::default();
        let (mut held, mut by) = (0, BTreeMap::<u32, i64>::new());
        for Change { at, units, process } in self.changes(until) {
            held += units;
            *by.entry(process).or_default() += units;
            if held > peak.units as i64 {
                peak = Peak {
                    units: held as u64,
                    at,
                    by: by
                        .iter()
                        .filter(|(_, units)| **units > 0)
                        .map(|(process, units)| (*process, *units as u64))
                        .collect(),
                };
            }
        }
        peak
    }

    /// Units held at a time, changes of that time included.
    pub fn held_at(&self, at: Nanos, until: Until) -> u64 {
        let changes = self.changes(until);
        let before = changes.iter().take_while(|change| change.at <= at);
        before.map(|change| change.units).sum::<i64>() as u64
    }

    /// # Panics
    ///
    /// When more was validly held at once.
    #[track_caller]
    pub fn assert_at_most(&self, limit: u64) {
        let peak = self.peak(Until::Lost);
        assert!(
            peak.units <= limit,
            "{} units were held at once where {limit} are the limit, at {} ns, by process: {:?}",
            peak.units,
            peak.at,
            peak.by
        );
    }
}
