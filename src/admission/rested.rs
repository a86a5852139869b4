//! The paces of flows without waiters.

use std::collections::VecDeque;

use super::{Demands, Nanos, drain::Drain};

/// What was measured of flows that are empty, for when they fill again soon. The oldest are
/// forgotten first.
#[derive(Debug, Default)]
pub(super) struct Rested(VecDeque<Pause>);

#[derive(Debug)]
struct Pause {
    /// Those of the last one that waited, and its priority.
    demands: Demands,
    priority: u8,
    drain: Drain,
}

/// So many flows come and go by turns in most limiters. A search looks at all of them.
const MOST: usize = 32;

impl Rested {
    /// A flow is empty, of which this was the last request.
    pub(super) fn put(&mut self, demands: Demands, priority: u8, drain: Drain) {
        if drain.is_unknown() {
            return;
        }
        if self.0.len() == MOST {
            self.0.pop_front();
        }
        self.0.push_back(Pause {
            demands,
            priority,
            drain,
        });
    }

    /// The first flow that is `wanted`, by its demands and priority.
    pub(super) fn find(&self, wanted: impl Fn(&Demands, u8) -> bool) -> Option<usize> {
        let mut pauses = self.0.iter();
        pauses.position(|pause| wanted(&pause.demands, pause.priority))
    }

    /// The pace of a flow that fills: as it was, if that was found, or unknown.
    pub(super) fn wake(&mut self, found: Option<usize>, now: Nanos) -> Drain {
        let pause = found.and_then(|position| self.0.remove(position));
        let mut drain = pause.map_or(Drain::UNKNOWN, |pause| pause.drain);
        drain.start(now);
        drain
    }

    /// Nothing is known any more of flows through this resource.
    pub(super) fn forget(&mut self, resource: u32) {
        self.0.retain(|pause| pause.demands.of(resource).is_none());
    }
}
