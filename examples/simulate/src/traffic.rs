//! Requests as they arrive: when, from whom, and how long they take.

use rand::{Rng as _, SeedableRng as _, rngs::SmallRng};
use rand_distr::{Distribution as _, Exp1, LogNormal, Zipf};
use tower_concurrency_limiter::admission::Nanos;

use crate::scenario::Scenario;

/// What a request is for. The order is that of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Class {
    Interactive,
    Normal,
    Batch,
}

impl Class {
    pub(crate) const ALL: [Self; 3] = [Self::Interactive, Self::Normal, Self::Batch];

    /// Of all requests. At twice what the resource can do, some of the last class still get
    /// through.
    fn share(self) -> f64 {
        match self {
            Self::Interactive => 0.1,
            Self::Normal => 0.3,
            Self::Batch => 0.6,
        }
    }

    /// The class at this point of the unit interval.
    fn at(point: f64) -> Self {
        let interactive = Self::Interactive.share();
        match point {
            _ if point < interactive => Self::Interactive,
            _ if point < interactive + Self::Normal.share() => Self::Normal,
            _ => Self::Batch,
        }
    }
}

/// How long requests hold their unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Service {
    Exponential,
    /// With the same variance as an exponential one, and a longer tail.
    Lognormal,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Request {
    pub(crate) arrived: Nanos,
    pub(crate) service: Nanos,
    pub(crate) tenant: u32,
    pub(crate) class: Class,
    /// The lane that it got, once it did.
    pub(crate) lane: u32,
}

/// An endless stream of requests. The same seed gives the same ones; the load only moves them
/// together.
pub(crate) struct Traffic {
    rng: SmallRng,
    now: f64,
    gap: f64,
    service: f64,
    lognormal: Option<LogNormal<f64>>,
    noisy: f64,
    others: Zipf<f64>,
}

/// Whose share of the requests is set apart.
pub(crate) const NOISY: u32 = 0; // the first: see `fairness::but_the_first`

impl Traffic {
    /// `load` is in multiples of what the resource can do.
    pub(crate) fn new(scenario: &Scenario, load: f64) -> Self {
        // Mean 1 and variance 1.
        let sigma = 2_f64.ln().sqrt();
        let lognormal = LogNormal::new(-sigma * sigma / 2.0, sigma).expect("a finite variance");
        let others = f64::from((scenario.tenants - 1).max(1));
        Self {
            rng: SmallRng::seed_from_u64(scenario.seed),
            now: 0.0,
            gap: 1e9 / (load * scenario.capacity()),
            service: scenario.service_mean as f64,
            lognormal: (scenario.service == Service::Lognormal).then_some(lognormal),
            noisy: scenario.noisy,
            others: Zipf::new(others, scenario.zipf).expect("checked by the command line"),
        }
    }
}

impl Iterator for Traffic {
    type Item = Request;

    fn next(&mut self) -> Option<Request> {
        let Self { rng, .. } = self;
        let gap: f64 = Exp1.sample(rng);
        self.now += gap * self.gap;
        let service = match self.lognormal {
            Some(lognormal) => lognormal.sample(rng),
            None => Exp1.sample(rng),
        };
        let tenant = match rng.random_bool(self.noisy) {
            true => NOISY,
            false => self.others.sample(rng) as u32,
        };
        Some(Request {
            arrived: self.now as Nanos,
            service: (service * self.service) as Nanos,
            tenant,
            class: Class::at(rng.random()),
            lane: 0,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn some(scenario: &Scenario, load: f64) -> Vec<Request> {
        Traffic::new(scenario, load).take(100_000).collect()
    }

    #[test]
    fn the_seed_decides_everything() {
        let scenario = Scenario::quick();
        assert_eq!(some(&scenario, 2.0), some(&scenario, 2.0));
        let other = Scenario {
            seed: scenario.seed + 1,
            ..scenario.clone()
        };
        assert_ne!(some(&scenario, 2.0), some(&other, 2.0));
    }

    #[test]
    fn the_load_moves_the_same_requests_together() {
        let scenario = Scenario::quick();
        for (slow, fast) in some(&scenario, 1.0).iter().zip(some(&scenario, 2.0)) {
            assert!(slow.arrived.abs_diff(2 * fast.arrived) <= 2);
            assert_eq!(
                (slow.service, slow.tenant, slow.class),
                (fast.service, fast.tenant, fast.class)
            );
        }
    }

    #[test]
    fn means_and_shares_are_as_said() {
        for service in [Service::Exponential, Service::Lognormal] {
            let scenario = Scenario {
                service,
                ..Scenario::quick()
            };
            let requests = some(&scenario, 2.0);
            let near = |measured: f64, expected: f64| {
                let off = (measured / expected - 1.0).abs();
                assert!(off < 0.02, "{measured} instead of {expected}");
            };
            let count = requests.len() as f64;
            let share = |of: &dyn Fn(&Request) -> bool| {
                requests.iter().filter(|request| of(request)).count() as f64 / count
            };
            let seconds = requests.last().unwrap().arrived as f64 / 1e9;
            near(count / seconds, 2.0 * scenario.capacity());
            let service = requests.iter().map(|r| r.service as f64).sum::<f64>();
            near(service / count, scenario.service_mean as f64);
            near(share(&|r| r.tenant == NOISY), scenario.noisy);
            for class in Class::ALL {
                near(share(&|r| r.class == class), class.share());
            }
            // The fewest, with the most chance: tenants 1 and 2 have a part in 9.8 and in 19.6 of
            // the rest.
            let first = share(&|r| r.tenant == 1) / share(&|r| r.tenant == 2);
            assert!((1.8..2.2).contains(&first), "{first}");
            assert!(requests.iter().all(|r| r.tenant < scenario.tenants));
        }
    }
}
