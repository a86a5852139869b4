//! Dry runs: what would have become of requests is logged, and no request is blocked.

use std::{sync::Arc, time::Duration};

use super::{Gate, Record, clock::nanos, record::DryRunCase};
use crate::{
    admission::{Demands, DryOutcome, DryReport, Nanos},
    observe,
    rejection::Reason,
    sync::lock,
};

impl Gate {
    /// The work under a grant begins, which is when the dry run sees the request arrive.
    pub(super) fn begin_dry_run(&self, record: &mut Record) {
        let is_dry = |resource: u32| self.resources[resource as usize].rules().is_dry;
        let dry = record.demands.iter();
        let dry = dry.filter(|demand| is_dry(demand.resource));
        let dry = Demands::collect(dry.copied());
        if dry.is_empty() {
            return;
        }
        let mut state = lock(&self.state);
        if let Some(dry_run) = &mut state.dry_run {
            let timeout = nanos(record.timeout);
            let (at, attributes) = (record.at, record.claims);
            let case = dry_run.arrive(at, dry, attributes, timeout, record.max_waiting);
            record.dry_run = Some(DryRunCase(case));
            let news = dry_run.take_news();
            drop(state);
            self.tell(news);
        }
    }

    /// The work has ended.
    pub(super) fn end_dry_run(&self, record: &Record, now: Nanos) {
        if let Some(DryRunCase(case)) = record.dry_run {
            let mut state = lock(&self.state);
            let now = self.tick(&mut state, now);
            if let Some(dry_run) = &mut state.dry_run {
                dry_run.done(now, case);
                let news = dry_run.take_news();
                drop(state);
                self.tell(news);
            }
        }
    }

    pub(super) fn tell(&self, news: Vec<DryReport>) {
        for DryReport {
            demands,
            waited,
            fate,
        } in news
        {
            let waited = Duration::from_nanos(waited);
            let name = |resource: u32| Arc::clone(self.resources[resource as usize].shared_name());
            let (reason, resource) = match fate {
                DryOutcome::Granted => {
                    let names = demands.iter().map(|demand| name(demand.resource));
                    let names = || names.collect::<Vec<_>>().join("+");
                    observe::would_be_admitted(names, waited);
                    continue;
                }
                DryOutcome::NotNow { short } => (Reason::NotNow, short),
                DryOutcome::WouldTimeOut { short } => (Reason::WouldTimeOut, short),
                DryOutcome::TimedOut { short } => (Reason::Timeout, short),
                DryOutcome::Full { resource } => (Reason::QueueFull, resource),
                DryOutcome::Shed { resource } => (Reason::Shed, resource),
            };
            observe::would_be_rejected(&name(resource), waited, reason);
        }
    }
}
