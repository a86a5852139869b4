//! All runs, several at a time.

use std::{
    sync::atomic::{AtomicUsize, Ordering},
    thread,
};

use crate::{
    discipline::Discipline,
    scenario::Scenario,
    summary::Summary,
    world::{self, Setting},
};

/// In the order of the table. Each run has its own randomness, so it does not matter which ends
/// first.
pub(crate) fn run(scenario: &Scenario, jobs: usize) -> Vec<Summary> {
    let settings = settings(scenario);
    let next = AtomicUsize::new(0);
    let work = || {
        let mut done = Vec::new();
        loop {
            let index = next.fetch_add(1, Ordering::Relaxed);
            let Some(&setting) = settings.get(index) else {
                return done;
            };
            let outcome = world::run(scenario, setting);
            done.push((index, Summary::new(scenario, setting, outcome)));
        }
    };
    let mut done: Vec<_> = thread::scope(|scope| {
        let workers: Vec<_> = (0..jobs).map(|_| scope.spawn(work)).collect();
        let done = workers.into_iter().map(|worker| worker.join());
        done.flat_map(|done| done.expect("no run panics")).collect()
    });
    done.sort_by_key(|(index, _)| *index);
    done.into_iter().map(|(_, summary)| summary).collect()
}

fn settings(scenario: &Scenario) -> Vec<Setting> {
    let mut settings = Vec::new();
    for &deadline in &scenario.deadlines {
        for &load in &scenario.loads {
            for discipline in Discipline::EACH {
                settings.push(Setting {
                    discipline,
                    load,
                    deadline,
                });
            }
        }
    }
    settings
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_seed_decides_everything_however_many_run_at_once() {
        let scenario = Scenario {
            requests: 1_000,
            ..Scenario::quick()
        };
        let once = run(&scenario, 1);
        assert_eq!(once, run(&scenario, 3));
        let other = Scenario {
            seed: 2,
            ..scenario
        };
        assert_ne!(once, run(&other, 2));
    }
}
