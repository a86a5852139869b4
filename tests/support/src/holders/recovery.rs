//! How long the capacity of a killed process was lost.

use std::time::Duration;

use super::{Change, Hold, Holders, Nanos, Until};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Recovery {
    pub process: u32,
    pub killed_at: Nanos,
    /// What it held when it was killed.
    pub units: u64,
    /// From the kill to the first grant that used some of it. `None`: there was none.
    pub first: Option<Duration>,
    /// From the kill until the limit was used in full: all of it was granted again. `None`: it
    /// never was, perhaps as nobody wanted it.
    pub all: Option<Duration>,
}

impl Holders {
    /// One for each killed process. What others hold tells when its capacity was back: without it,
    /// they cannot hold more than the rest of the limit.
    pub fn recoveries(&self, limit: u64) -> Vec<Recovery> {
        let recovery = |(&process, &killed_at): (&u32, &Nanos)| {
            let was_its = |hold: &&Hold| hold.process == process && hold.end == Some(killed_at);
            let held = self.all().filter(was_its);
            let units = held.map(|hold| u64::from(hold.units)).sum();
            let reached = |units: u64| {
                let at = self.reached(units, killed_at)?;
                Some(Duration::from_nanos(at - killed_at))
            };
            Recovery {
                process,
                killed_at,
                units,
                first: reached(limit.saturating_sub(units) + 1),
                all: reached(limit),
            }
        };
        self.kills.iter().map(recovery).collect()
    }

    /// When so many units were held, first after this time.
    pub fn reached(&self, units: u64, after: Nanos) -> Option<Nanos> {
        let mut held = 0;
        self.changes(Until::Lost)
            .into_iter()
            .find_map(|Change { at, units: by, .. }| {
                held += by;
                (at > after && held >= units as i64).then_some(at)
            })
    }
}
