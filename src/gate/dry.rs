//! Dry runs: what would have become of requests is told, and nobody is kept.

use std::{sync::Arc, time::Duration};

use super::{Gate, Grant, nanos};
use crate::{
    admission::{Demands, Foretold, Nanos, News},
    observe,
    rejection::Reason,
    sync::lock,
};

/// The part of a request that is decided in the shadow.
#[derive(Clone, Copy, Debug)]
pub(super) enum DryCase {
    /// How it would wait, once it has begun.
    Not(Duration, Option<usize>),
    Open(u32),
}

impl Gate {
    /// The work under a grant begins.
    pub(super) fn begin(&self, mut grant: Box<Grant>, at: Nanos) -> Box<Grant> {
        grant.at = at;
        let is_dry = |resource: u32| self.resources[resource as usize].rules().is_dry;
        let dry = grant
            .demands
            .iter()
            .filter(|demand| is_dry(demand.resource));
        let dry = Demands::collect(dry.copied());
        if let (DryCase::Not(timeout, max_waiting), false) = (grant.dry, dry.is_empty()) {
            let mut state = lock(&self.state);
            if let Some(shadow) = &mut state.shadow {
                let timeout = nanos(timeout);
                let case = shadow.arrive(at, dry, grant.claims, timeout, max_waiting);
                grant.dry = DryCase::Open(case);
                let news = shadow.take_news();
                drop(state);
                self.tell(news);
            }
        }
        grant
    }

    /// It is done.
    pub(super) fn end(&self, grant: &Grant, now: Nanos) {
        if let DryCase::Open(case) = grant.dry {
            let mut state = lock(&self.state);
            let now = self.tick(&mut state, now);
            if let Some(shadow) = &mut state.shadow {
                shadow.done(now, case);
                let news = shadow.take_news();
                drop(state);
                self.tell(news);
            }
        }
    }

    pub(super) fn tell(&self, news: Vec<News>) {
        for News {
            demands,
            waited,
            fate,
        } in news
        {
            let waited = Duration::from_nanos(waited);
            let name = |resource: u32| Arc::clone(self.resources[resource as usize].shared_name());
            let (reason, resource) = match fate {
                Foretold::Granted => {
                    let names = demands.iter().map(|demand| name(demand.resource));
                    let names = || names.collect::<Vec<_>>().join("+");
                    observe::would_be_admitted(names, waited);
                    continue;
                }
                Foretold::NotNow { short } => (Reason::NotNow, short),
                Foretold::Hopeless { short } => (Reason::WouldTimeOut, short),
                Foretold::TimedOut { short } => (Reason::Timeout, short),
                Foretold::Full { resource } => (Reason::QueueFull, resource),
                Foretold::Shed { resource } => (Reason::Shed, resource),
            };
            observe::would_be_rejected(&name(resource), waited, reason);
        }
    }
}
