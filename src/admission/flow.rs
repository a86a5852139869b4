//! Waiters for the same resources in the same lanes.

use smallvec::SmallVec;

use super::{
    drain::Drain,
    rank::{Head, Rank},
    waiters::{Among, List, Waiters},
};

/// Waiters of which only the first contends: the others ask for the same and stand behind it.
#[derive(Debug)]
pub(super) struct Flow {
    /// One for each priority that waits, highest first.
    levels: SmallVec<[Level; 1]>,
    /// The contender, as it is listed at the resources.
    pub(super) head: Option<Head>,
    pub(super) newest_first: bool,
    /// Its waiters exceed what they can have: none of them contends.
    pub(super) is_aside: bool,
    pub(super) drain: Drain,
}

#[derive(Clone, Copy, Debug)]
struct Level {
    priority: u8,
    list: List,
    len: usize,
}

impl Flow {
    pub(super) fn new(newest_first: bool, drain: Drain) -> Self {
        Self {
            levels: SmallVec::new(),
            head: None,
            newest_first,
            is_aside: false,
            drain,
        }
    }

    /// The flow of waiters that stand aside.
    pub(super) fn aside(newest_first: bool) -> Self {
        Self {
            is_aside: true,
            ..Self::new(newest_first, Drain::UNKNOWN)
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.levels.is_empty()
    }

    pub(super) fn push<T>(&mut self, waiters: &mut Waiters<T>, key: u32) {
        let priority = waiters[key].priority;
        let position = self.position(priority);
        if self.levels.get(position).map(|l| l.priority) != Some(priority) {
            let level = Level {
                priority,
                list: List::EMPTY,
                len: 0,
            };
            self.levels.insert(position, level);
        }
        let level = &mut self.levels[position];
        level.len += 1;
        waiters.link_last(&mut level.list, Among::Level, key);
    }

    /// The first to arrive of the highest priority.
    pub(super) fn front(&self) -> Option<u32> {
        self.levels.first()?.list.head()
    }

    pub(super) fn unlink<T>(&mut self, waiters: &mut Waiters<T>, key: u32) {
        let position = self.position(waiters[key].priority);
        let level = &mut self.levels[position];
        level.len -= 1;
        waiters.unlink(&mut level.list, Among::Level, key);
        if level.len == 0 {
            self.levels.remove(position);
        }
    }

    /// Where the level of this priority is, or would be.
    #[inline]
    fn position(&self, priority: u8) -> usize {
        match &*self.levels {
            [only] => usize::from(only.priority > priority),
            levels => levels.partition_point(|level| level.priority > priority),
        }
    }

    /// All of them, level by level.
    pub(super) fn keys<T>(&self, waiters: &Waiters<T>) -> impl Iterator<Item = u32> {
        let levels = self.levels.iter().map(|level| level.list);
        levels.flat_map(|list| waiters.in_list(list, Among::Level))
    }

    /// Puts each level in the order of arrival, after waiters joined out of order.
    pub(super) fn sort<T>(&mut self, waiters: &mut Waiters<T>) {
        for level in &mut self.levels {
            let mut keys: Vec<u32> = waiters.in_list(level.list, Among::Level).collect();
            keys.sort_by_key(|&key| waiters[key].seq);
            level.list = List::EMPTY;
            for key in keys {
                waiters.link_last(&mut level.list, Among::Level, key);
            }
        }
    }

    /// Returns the waiter that should contend.
    pub(super) fn first<T>(&self, waiters: &Waiters<T>) -> Option<Head> {
        if self.is_aside {
            return None;
        }
        let top = self.levels.first()?;
        let key = match &*self.levels {
            _ if self.newest_first => top.list.tail(),
            [_] => top.list.head(),
            levels => {
                let heads = levels.iter().filter_map(|level| level.list.head());
                let aged = heads.filter(|&key| waiters[key].aged);
                let oldest = aged.min_by_key(|&key| waiters[key].seq);
                oldest.or(top.list.head())
            }
        }?;
        let rank = Rank::of(&waiters[key], self.newest_first);
        Some(Head { rank, key })
    }

    /// The youngest of the lowest priority.
    pub(super) fn last(&self) -> Option<u32> {
        self.levels.last()?.list.tail()
    }

    /// How many wait with this priority or above.
    pub(super) fn ahead_of(&self, priority: u8) -> usize {
        let ahead = self.levels.iter().take_while(|l| l.priority >= priority);
        ahead.map(|level| level.len).sum()
    }
}
