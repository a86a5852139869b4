//! What can be changed while requests come and go.

use std::sync::{Arc, Weak};

use super::{Gate, State};
use crate::{
    admission::{Nanos, Usage},
    resource::{Change, Registrar},
    shared::Health,
    sync::lock,
};

impl Registrar for Gate {
    fn change(&self, resource: u32, change: Change) -> bool {
        if let (Some(remote), &Change::Limit(limit)) = (self.remote(resource), &change) {
            self.resources[resource as usize].usage().set_limit(limit);
            remote.set_limit(limit);
            return true;
        }
        let (mut state, now) = self.lock_now();
        let is_known = match change {
            Change::Limit(limit) => {
                let adaptive = state.adaptive[resource as usize].as_ref();
                let limit = adaptive.map_or(limit, |adaptive| adaptive.by_hand(limit));
                self.set_limit(&mut state, resource, limit, now);
                true
            }
            Change::Rule(rule) => {
                let dry_run = state.dry_run.as_mut();
                let foretold = dry_run.is_some_and(|dry_run| dry_run.set_rule(now, resource, rule));
                let ledger = self.ledger();
                state.queue.set_rule(now, resource, rule, &ledger) || foretold
            }
        };
        self.dispatch(state, now);
        self.look_at_fifo(resource, now);
        is_known
    }

    fn health(&self, resource: u32) -> Option<Health> {
        Some(self.remote(resource)?.health())
    }
}

impl Gate {
    /// Registers this gate with the resources, which report changes to it.
    pub(crate) fn attach(self: &Arc<Self>) {
        for resource in &self.resources {
            let registrar: Weak<Self> = Arc::downgrade(self);
            resource.attach(registrar);
        }
    }

    pub(super) fn set_limit(&self, state: &mut State, resource: u32, limit: u32, now: Nanos) {
        // An adaptive limit may be any number.
        let limit = limit.min(Usage::MAX_LIMIT);
        let before = self.resources[resource as usize].usage().load().limit();
        let queue = &mut state.queue;
        queue.set_limit(now, resource, limit, &mut self.ledger());
        self.limit_changed(state, resource, before, limit);
        if let Some(dry_run) = &mut state.dry_run {
            dry_run.set_limit(now, resource, limit);
        }
    }

    /// Refuses every request, those that wait and those that arrive.
    pub(crate) fn close(&self) {
        let mut state = lock(&self.state);
        self.promote_all(&mut state);
        state.queue.close(&mut self.ledger());
        self.dispatch(state, self.clock.now());
        self.close_remote();
    }
}
