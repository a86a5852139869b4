//! The detection of work that waits for a resource that it holds.
//!
//! A handler that holds a permit of `db` and acquires `db` again can block itself until its
//! deadline. Debug builds detect this if the second request is made within a poll of the first.

#[cfg(debug_assertions)]
mod watch {
    use std::cell::RefCell;

    use crate::{
        admission::Demands,
        core::{Claimant, Gate},
        limiter::ResourceSet,
    };

    thread_local! {
        /// The sets of the permits under which this thread works at the moment, as ids of their
        /// gates and indices of resources.
        static HELD: RefCell<Vec<(usize, u32)>> = const { RefCell::new(Vec::new()) };
    }

    /// Does nothing while the thread ends: the destructors of other thread-local variables can
    /// still do work.
    fn with_held<T: Default>(f: impl FnOnce(&mut Vec<(usize, u32)>) -> T) -> T {
        HELD.try_with(|held| f(&mut held.borrow_mut()))
            .unwrap_or_default()
    }

    /// Marks the code that this thread runs, until dropped, as work under a permit of these
    /// demands.
    pub(crate) struct Held {
        outer: usize,
    }

    pub(crate) fn held(gate: &Gate, demands: &Demands) -> Held {
        let gate = gate.id();
        let outer = with_held(|held| {
            let outer = held.len();
            held.extend(demands.iter().map(|demand| (gate, demand.resource)));
            outer
        });
        Held { outer }
    }

    impl Drop for Held {
        fn drop(&mut self) {
            with_held(|held| held.truncate(self.outer));
        }
    }

    pub(crate) fn warn_if_held(wanted: &ResourceSet) {
        let gate = wanted.gate().id();
        let is_held = |resource| with_held(|held| held.contains(&(gate, resource)));
        if wanted
            .demands()
            .iter()
            .any(|demand| is_held(demand.resource))
        {
            crate::observe::waits_for_itself(|| wanted.names());
        }
    }
}

#[cfg(not(debug_assertions))]
mod watch {
    use crate::{admission::Demands, core::Gate, limiter::ResourceSet};

    pub(crate) struct Held;

    #[inline]
    pub(crate) fn held(_: &Gate, _: &Demands) -> Held {
        Held
    }

    #[inline]
    pub(crate) fn warn_if_held(_: &ResourceSet) {}
}

pub(crate) use watch::{Held, held, warn_if_held};
