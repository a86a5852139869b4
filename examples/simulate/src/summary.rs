//! A run in figures.

use crate::{
    fairness,
    scenario::{Scenario, seconds},
    tally::End,
    traffic::Class,
    world::{Outcome, Setting},
};

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Summary {
    pub(crate) setting: Setting,
    /// What ended in time, as a share of what the resource can do.
    pub(crate) goodput: f64,
    /// How the requests ended, as shares of those that arrived.
    pub(crate) late: f64,
    pub(crate) refused: f64,
    pub(crate) timed_out: f64,
    pub(crate) shed: f64,
    pub(crate) waits: [Waits; Class::ALL.len()],
    /// Jain's index over what the tenants got, each of its max-min share; unknown if nobody got
    /// anything.
    pub(crate) fairness: Option<f64>,
    /// What all but the noisy tenant got together, of their max-min shares.
    pub(crate) others: f64,
    /// The whole time that passed in the run, in seconds.
    pub(crate) time: f64,
}

/// In seconds, of those who were let in; unknown if nobody was.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Waits {
    pub(crate) p50: Option<f64>,
    pub(crate) p99: Option<f64>,
}

impl Summary {
    pub(crate) fn new(scenario: &Scenario, setting: Setting, outcome: Outcome) -> Self {
        let Outcome {
            mut tally,
            time,
            end,
        } = outcome;
        let possible = scenario.capacity() * seconds(time);
        let arrived: u64 = tally.arrived.iter().sum();
        let share = |end| tally.count(end) as f64 / arrived as f64;
        let [_, late, refused, timed_out, shed] = End::ALL.map(share);
        Self {
            setting,
            goodput: tally.count(End::InTime) as f64 / possible,
            late,
            refused,
            timed_out,
            shed,
            fairness: fairness::fairness(&tally.arrived, &tally.in_time, possible),
            others: fairness::but_the_first(&tally.arrived, &tally.in_time, possible),
            waits: Class::ALL.map(|class| {
                let waits = tally.waits(class);
                Waits {
                    p50: waits.percentile(0.5),
                    p99: waits.percentile(0.99),
                }
            }),
            time: seconds(end),
        }
    }

    pub(crate) fn waits(&self, class: Class) -> Waits {
        self.waits[class as usize]
    }
}
