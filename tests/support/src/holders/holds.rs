//! What the log says, permit by permit.

use std::{
    collections::{BTreeMap, btree_map::Entry},
    fs,
    path::Path,
    time::Duration,
};

use anyhow::{Context, Result, anyhow, ensure};

use super::event::{Event, Nanos, What};

/// Everything that is known about who held what.
#[derive(Debug, Default)]
pub struct Holders {
    pub(super) holds: BTreeMap<Key, Hold>,
    /// When each process was killed.
    pub(super) kills: BTreeMap<u32, Nanos>,
    waits: BTreeMap<Key, Nanos>,
    tallies: BTreeMap<u32, Tally>,
    begin: Option<Nanos>,
}

/// A permit: its process, and its number there.
type Key = (u32, u64);

/// From when to when a permit was held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hold {
    pub process: u32,
    pub permit: u64,
    pub units: u32,
    pub from: Nanos,
    /// When it was returned, or its process was killed. `None`: it is still held.
    pub end: Option<Nanos>,
    /// When it was no longer valid, if that came before its end.
    pub lost: Option<Nanos>,
    /// How long it was waited for, if that was logged.
    pub waited: Option<Duration>,
}

/// What became of the requests of a process.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    pub asked: usize,
    pub granted: usize,
    pub returned: usize,
    pub lost: usize,
    pub refused: usize,
}

impl Holders {
    pub fn read(log: &Path) -> Result<Self> {
        let text = fs::read_to_string(log);
        Self::parse(&text.with_context(|| format!("cannot read {}", log.display()))?)
    }

    /// Processes write at the same time, and some stamps are older than their lines: only the
    /// stamps count.
    pub fn parse(log: &str) -> Result<Self> {
        let events: Result<Vec<Event>> = log.lines().map(str::parse).collect();
        let mut events = events?;
        events.sort_by_key(|event| event.at);
        let mut holders = Self {
            begin: events.first().map(|event| event.at),
            ..Self::default()
        };
        for event in events {
            holders
                .take(event)
                .with_context(|| format!("at: {event}"))?;
        }
        Ok(holders)
    }

    fn take(&mut self, Event { process, at, what }: Event) -> Result<()> {
        ensure!(
            !self.kills.contains_key(&process),
            "its process had been killed"
        );
        let tally = self.tallies.entry(process).or_default();
        let key = |permit| (process, permit);
        match what {
            What::Asked { permit } => {
                tally.asked += 1;
                let earlier = self.waits.insert(key(permit), at);
                ensure!(earlier.is_none(), "it was asked for before");
            }
            What::Granted { permit, units } => {
                tally.granted += 1;
                let Entry::Vacant(place) = self.holds.entry(key(permit)) else {
                    return Err(anyhow!("it was granted before"));
                };
                let asked = self.waits.remove(&key(permit));
                place.insert(Hold {
                    process,
                    permit,
                    units,
                    from: at,
                    end: None,
                    lost: None,
                    waited: asked.map(|asked| Duration::from_nanos(at - asked)),
                });
            }
            What::Returned { permit } => {
                tally.returned += 1;
                let hold = self.hold(key(permit))?;
                ensure!(hold.end.is_none(), "it was returned before");
                hold.end = Some(at);
            }
            What::Lost { permit } => {
                tally.lost += 1;
                let hold = self.hold(key(permit))?;
                hold.lost = Some(hold.lost.map_or(at, |lost| lost.min(at)));
            }
            What::Refused { permit } => {
                tally.refused += 1;
                let asked = self.waits.remove(&key(permit));
                ensure!(asked.is_some(), "nobody asked for it");
            }
            What::Killed => {
                self.kills.insert(process, at);
                for hold in self.held_by(process) {
                    hold.end = Some(at);
                }
            }
            What::Paused { valid_until } => {
                for hold in self.held_by(process) {
                    hold.lost = Some(hold.lost.map_or(valid_until, |lost| lost.min(valid_until)));
                }
            }
        }
        Ok(())
    }

    fn hold(&mut self, key: Key) -> Result<&mut Hold> {
        self.holds.get_mut(&key).context("it had not been granted")
    }

    /// What a process holds at this point of the log.
    fn held_by(&mut self, process: u32) -> impl Iterator<Item = &mut Hold> {
        let all = self.holds.range_mut((process, 0)..=(process, u64::MAX));
        all.map(|(_, hold)| hold).filter(|hold| hold.end.is_none())
    }

    /// When the first thing happened.
    pub fn begin(&self) -> Option<Nanos> {
        self.begin
    }

    pub fn all(&self) -> impl Iterator<Item = &Hold> {
        self.holds.values()
    }

    /// What was never returned, by processes that were not killed.
    pub fn unreturned(&self) -> impl Iterator<Item = &Hold> {
        self.all().filter(|hold| hold.end.is_none())
    }

    /// How long each permit was waited for, in the order of the grants.
    pub fn waits(&self) -> Vec<Duration> {
        let mut waited: Vec<_> = self
            .all()
            .filter_map(|hold| Some((hold.from, hold.waited?)))
            .collect();
        waited.sort();
        waited.into_iter().map(|(_, waited)| waited).collect()
    }

    /// How many requests were neither granted nor refused.
    pub fn unanswered(&self) -> usize {
        self.waits.len()
    }

    /// By process.
    pub fn tallies(&self) -> &BTreeMap<u32, Tally> {
        &self.tallies
    }
}
