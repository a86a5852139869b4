//! Work that waits for what it holds itself.
//!
//! A handler that holds a permit of `db` and asks for `db` again can wait for itself until its
//! deadline. Debug builds notice when the second request is made within the poll of the first.

#[cfg(debug_assertions)]
mod watch {
    use std::cell::RefCell;

    use crate::{
        admission::Demands,
        core::{Claimant, Gate},
        limiter::ResourceSet,
    };

    thread_local! {
        /// The sets under whose permits this thread works at the moment, as numbers of their gates
        /// and resources.
        static HELD: RefCell<Vec<(usize, u32)>> = const { RefCell::new(Vec::new()) };
    }

    /// Nothing is noted where the thread is about to end: work may go on in the destructors of its
    /// other variables.
    fn with_held<T: Default>(f: impl FnOnce(&mut Vec<(usize, u32)>) -> T) -> T {
        HELD.try_with(|held| f(&mut held.borrow_mut()))
            .unwrap_or_default()
    }

    /// While it lives, code on this thread runs under a permit of these demands.
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
