//! Work that waits for what it holds itself.
//!
//! A handler that holds a permit of `db` and asks for `db` again can wait for itself until its
//! deadline. Debug builds notice when the second request is made within the poll of the first.

#[cfg(debug_assertions)]
mod watch {
    use std::cell::RefCell;

    use crate::{
        admission::Demands,
        gate::{Claimant, Gate},
        limiter::ResourceSet,
    };

    thread_local! {
        /// The sets under whose permits this thread works at the moment, as numbers of their gates
        /// and resources.
        static HELD: RefCell<Vec<(usize, u32)>> = const { RefCell::new(Vec::new()) };
    }

    /// While it lives, code on this thread runs under a permit of these demands.
    pub(crate) struct Held {
        outer: usize,
    }

    pub(crate) fn held(gate: &Gate, demands: &Demands) -> Held {
        let gate = gate.id();
        HELD.with_borrow_mut(|held| {
            let outer = held.len();
            held.extend(demands.iter().map(|demand| (gate, demand.resource)));
            Held { outer }
        })
    }

    impl Drop for Held {
        fn drop(&mut self) {
            HELD.with_borrow_mut(|held| held.truncate(self.outer));
        }
    }

    pub(crate) fn warn_if_held(wanted: &ResourceSet) {
        let gate = wanted.gate().id();
        let is_held = |resource| HELD.with_borrow(|held| held.contains(&(gate, resource)));
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
    use crate::{admission::Demands, gate::Gate, limiter::ResourceSet};

    pub(crate) struct Held;

    #[inline]
    pub(crate) fn held(_: &Gate, _: &Demands) -> Held {
        Held
    }

    #[inline]
    pub(crate) fn warn_if_held(_: &ResourceSet) {}
}

pub(crate) use watch::{Held, held, warn_if_held};
