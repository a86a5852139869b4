//! The order in one lane.

use super::waiters::Waiter;

/// The priority of a request without one.
pub(crate) const DEFAULT_PRIORITY: u8 = 10;

/// Smaller goes first: higher priority, then earlier arrival.
///
/// A waiter that has waited for the credit is *aged*, and comes before all that are not. Earlier
/// arrivals have aged as well, so aged waiters are in order of arrival.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Rank {
    band: u16,
    order: u64,
}

const AGED: u16 = 0;

impl Rank {
    /// The rank of an arrival. Newest first, while a standing queue shows that the oldest are lost.
    pub(super) fn new(priority: u8, seq: u64, newest_first: bool) -> Self {
        Self {
            band: u16::from(u8::MAX - priority) + 1,
            order: if newest_first { !seq } else { seq },
        }
    }

    pub(super) fn of<T>(waiter: &Waiter<T>, newest_first: bool) -> Self {
        if waiter.aged && !newest_first {
            return Self {
                band: AGED,
                order: waiter.seq,
            };
        }
        Self::new(waiter.priority, waiter.seq, newest_first)
    }
}

/// A waiter where it contends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Head {
    pub(super) rank: Rank,
    pub(super) key: u32,
}

/// Heads in order.
#[derive(Debug, Default)]
pub(super) struct Heads(Vec<Head>);

impl Heads {
    pub(super) fn replace(&mut self, old: Option<Head>, new: Option<Head>) {
        match (old, new) {
            (None, None) => {}
            (Some(_), Some(new)) if self.0.len() == 1 => self.0[0] = new,
            (None, Some(new)) => self.0.insert(self.place_of(new), new),
            (Some(old), None) => drop(self.0.remove(self.place_of(old))),
            (Some(old), Some(new)) => {
                let (from, to) = (self.place_of(old), self.place_of(new));
                self.0[from] = new;
                if from < to {
                    self.0[from..to].rotate_left(1);
                } else {
                    self.0[to..=from].rotate_right(1);
                }
            }
        }
    }

    /// Where it stands, or would.
    fn place_of(&self, head: Head) -> usize {
        match &*self.0 {
            [] => 0,
            [only] => usize::from(*only < head),
            several => several.partition_point(|other| *other < head),
        }
    }
}

impl std::ops::Deref for Heads {
    type Target = [Head];

    fn deref(&self) -> &[Head] {
        &self.0
    }
}
