//! Every interleaving of a few threads at the shipped gate.
//!
//! Run with: `.ci/loom`

use std::{
    future::poll_fn,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst},
    },
    task::Waker,
    time::Duration,
};

use loom::{future::block_on, thread};

use super::{AcquireResult, Claimant, Gate, Granted, WaitOptions, Waiter};
use crate::{
    admission::{Attributes, Demand, Demands},
    resource::{Change, Registrar, Resource},
};

const A: u32 = 0;
const B: u32 = 1;
const TIMEOUT: Duration = Duration::from_nanos(10);

/// A set and its gate.
struct Claim {
    gate: Arc<Gate>,
    demands: Demands,
}

impl Claimant for Claim {
    fn gate(&self) -> &Arc<Gate> {
        &self.gate
    }

    fn demands(&self) -> &Demands {
        &self.demands
    }
}

/// A gate, and who is inside by another count than its own.
struct Scene {
    gate: Arc<Gate>,
    inside: Vec<AtomicUsize>,
    closed: AtomicBool,
}

impl Scene {
    fn new(limits: &[usize]) -> Arc<Self> {
        let resources = limits
            .iter()
            .enumerate()
            .map(|(index, &limit)| Resource::new(format!("r{index}"), limit))
            .collect();
        Arc::new(Self {
            gate: Arc::new(Gate::new(resources, 16, None)),
            inside: limits.iter().map(|_| AtomicUsize::new(0)).collect(),
            closed: AtomicBool::new(false),
        })
    }

    /// What `Limiter::acquire` does on arrival.
    fn arrive(&self, set: &Demands) -> Arrived {
        let claim = Claim {
            gate: Arc::clone(&self.gate),
            demands: set.clone(),
        };
        if self.gate.try_acquire(set) {
            return Arrived::Granted(Granted::new(claim, None));
        }
        let options = WaitOptions {
            claims: Attributes::default(),
            timeout: TIMEOUT,
            max_waiting: None,
            arrived: Some(self.gate.now()),
        };
        match Gate::acquire(claim, &options, Some(Waker::noop())) {
            AcquireResult::Granted(granted) => Arrived::Granted(granted),
            AcquireResult::Queued(waiter) => Arrived::Queued(waiter),
            AcquireResult::Refused(..) => Arrived::TooLate,
        }
    }

    /// Waits for the set without end; a lost wake-up is a deadlock, which loom reports.
    fn acquire(&self, set: &Demands) -> Granted<Claim> {
        self.arrive(set).granted().expect("no time has passed")
    }

    /// Holds a granted set for a moment, and releases it.
    fn work_under(&self, granted: Granted<Claim>) {
        self.enter_and_leave(granted.claimant().demands());
        drop(granted);
    }

    /// The same for a set that was held from the start.
    fn work(&self, set: &Demands) {
        self.enter_and_leave(set);
        self.gate.release(set);
    }

    fn enter_and_leave(&self, set: &Demands) {
        for demand in &**set {
            let resource = &self.gate.resources()[demand.resource as usize];
            let inside = &self.inside[demand.resource as usize];
            let units = demand.units as usize;
            let before = inside.fetch_add(units, SeqCst);
            assert!(
                before + units <= resource.limit().expect("it has one"),
                "over the limit"
            ); // others may run here
            inside.fetch_sub(units, SeqCst);
        }
    }

    fn acquire_and_work(&self, set: &Demands) {
        self.work_under(self.acquire(set));
    }

    /// As `acquire_and_work`, but the deadline may come first.
    fn acquire_and_work_in_time(&self, set: &Demands) {
        if let Some(granted) = self.arrive(set).granted() {
            self.work_under(granted);
        }
    }

    fn close(&self) {
        self.closed.store(true, SeqCst);
        self.gate.close();
    }

    /// Leaves the queue without having looked.
    fn arrive_and_drop(&self, set: &Demands) {
        match self.arrive(set) {
            Arrived::Granted(granted) => self.work_under(granted),
            Arrived::Queued(waiter) => drop(waiter),
            Arrived::TooLate => {}
        }
    }

    /// The deadline of everybody who waits has come.
    fn time_out(&self) {
        self.gate.clock.set(TIMEOUT.as_nanos() as u64);
        self.gate.expire(None);
    }

    fn assert_empty(&self) {
        for resource in self.gate.resources() {
            assert_eq!(resource.in_use(), 0, "all units are back");
            assert_eq!(resource.waiting(), 0, "nobody waits");
            if self.closed.load(SeqCst) {
                assert!(
                    !resource.usage().try_acquire(1),
                    "nobody is let in any more"
                );
                continue;
            }
            let contended = resource.usage().load().is_contended();
            assert!(!contended, "the fast path is open again");
        }
    }
}

enum Arrived {
    Granted(Granted<Claim>),
    Queued(Waiter<Claim>),
    /// The deadline came between the look at the clock and the lock.
    TooLate,
}

impl Arrived {
    /// The set, granted now or after a wait.
    fn granted(self) -> Option<Granted<Claim>> {
        match self {
            Self::Granted(granted) => Some(granted),
            Self::Queued(mut waiter) => block_on(poll_fn(|cx| waiter.poll(cx))).ok(),
            Self::TooLate => None,
        }
    }
}

fn set<const N: usize>(demands: [(u32, u32); N]) -> Demands {
    let demand = |(resource, units)| Demand::new(resource, units);
    Demands::collect(demands.into_iter().map(demand))
}

type Bodies = &'static [fn(&Scene)];

/// Explores every interleaving.
fn explore(limits: &'static [usize], held: &'static [(u32, u32)], bodies: Bodies) {
    run(loom::model::Builder::new(), limits, held, bodies, None);
}

/// Explores every interleaving with at most so many preemptions, in a runtime, which a body may
/// shut down.
fn explore_in_a_runtime(preemptions: usize, held: &'static [(u32, u32)], bodies: Bodies) {
    let runtime = tokio::runtime::Builder::new_current_thread().build();
    let id = runtime.expect("a runtime").handle().id();
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(preemptions);
    run(builder, &[1], held, bodies, Some(id));
}

/// Explores every interleaving with at most three preemptions: where three threads queue and
/// release, the whole space takes longer than anybody waits.
fn explore_most(limits: &'static [usize], held: &'static [(u32, u32)], bodies: Bodies) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(3);
    run(builder, limits, held, bodies, None);
}

/// Runs the bodies on threads of their own, the last one on this thread, after this thread has
/// taken `held`, which the bodies have to return.
fn run(
    builder: loom::model::Builder,
    limits: &'static [usize],
    held: &'static [(u32, u32)],
    bodies: Bodies,
    runtime: Option<tokio::runtime::Id>,
) {
    builder.check(move || {
        let scene = Scene::new(limits);
        if let Some(runtime) = runtime {
            scene.gate.clock.run_in(runtime);
        }
        for &demand in held {
            assert!(
                scene.gate.try_acquire(&set([demand])),
                "nobody is there yet"
            );
        }
        let (here, elsewhere) = bodies.split_last().expect("at least one body");
        let threads: Vec<_> = elsewhere
            .iter()
            .map(|body| {
                let scene = Arc::clone(&scene);
                thread::spawn(move || body(&scene))
            })
            .collect();
        here(&scene);
        for thread in threads {
            thread.join().unwrap();
        }
        scene.assert_empty();
    });
}

#[test]
fn two_take_turns() {
    explore(
        &[1],
        &[],
        &[
            |scene| scene.acquire_and_work(&set([(A, 1)])),
            |scene| scene.acquire_and_work(&set([(A, 1)])),
        ],
    );
}

#[test]
fn two_wait_for_a_third() {
    explore_most(
        &[1],
        &[(A, 1)],
        &[
            |scene| scene.acquire_and_work(&set([(A, 1)])),
            |scene| scene.acquire_and_work(&set([(A, 1)])),
            |scene| scene.work(&set([(A, 1)])),
        ],
    );
}

#[test]
fn a_wide_claim_beside_a_narrow_one() {
    explore_most(
        &[2],
        &[(A, 1)],
        &[
            |scene| scene.acquire_and_work(&set([(A, 2)])),
            |scene| scene.acquire_and_work(&set([(A, 1)])),
            |scene| scene.work(&set([(A, 1)])),
        ],
    );
}

/// The set that fails half-way on the fast path makes others wait for what it gives back.
#[test]
fn a_set_against_one_of_its_resources() {
    explore(
        &[1, 1],
        &[],
        &[
            |scene| scene.acquire_and_work(&set([(A, 1), (B, 1)])),
            |scene| scene.acquire_and_work(&set([(B, 1)])),
        ],
    );
}

#[test]
fn a_set_that_fails_half_way_against_its_first_resource() {
    explore_most(
        &[1, 1],
        &[(B, 1)],
        &[
            |scene| scene.acquire_and_work(&set([(A, 1), (B, 1)])),
            |scene| scene.acquire_and_work(&set([(A, 1)])),
            |scene| scene.work(&set([(B, 1)])),
        ],
    );
}

/// The set moves the waiter of the FIFO to the general queue, while its units are released.
#[test]
fn a_set_that_promotes_a_waiter_against_a_release() {
    explore_most(
        &[1, 1],
        &[(A, 1)],
        &[
            |scene| scene.acquire_and_work(&set([(A, 1)])),
            |scene| scene.acquire_and_work(&set([(A, 1), (B, 1)])),
            |scene| scene.work(&set([(A, 1)])),
        ],
    );
}

#[test]
fn a_waiter_is_dropped_while_its_grant_arrives() {
    explore_most(
        &[1],
        &[(A, 1)],
        &[
            |scene| scene.acquire_and_work(&set([(A, 1)])),
            |scene| scene.arrive_and_drop(&set([(A, 1)])),
            |scene| scene.work(&set([(A, 1)])),
        ],
    );
}

#[test]
fn a_wide_waiter_is_dropped_in_front_of_a_narrow_one() {
    explore_most(
        &[2],
        &[(A, 1)],
        &[
            |scene| scene.acquire_and_work(&set([(A, 1)])),
            |scene| scene.arrive_and_drop(&set([(A, 2)])),
            |scene| scene.work(&set([(A, 1)])),
        ],
    );
}

/// Either the grant or the deadline comes first; nothing is lost in between.
#[test]
fn a_deadline_against_a_grant() {
    explore_most(
        &[1],
        &[(A, 1)],
        &[
            |scene| scene.acquire_and_work_in_time(&set([(A, 1)])),
            |scene| scene.time_out(),
            |scene| scene.work(&set([(A, 1)])),
        ],
    );
}

#[test]
fn a_deadline_against_a_drop() {
    explore_most(
        &[1],
        &[],
        &[
            |scene| scene.acquire_and_work_in_time(&set([(A, 1)])),
            |scene| scene.time_out(),
            |scene| scene.arrive_and_drop(&set([(A, 1)])),
        ],
    );
}

#[test]
fn a_raised_limit_against_a_waiter() {
    explore(
        &[1],
        &[(A, 1)],
        &[
            |scene| scene.acquire_and_work(&set([(A, 1)])),
            |scene| {
                scene.gate.change(A, Change::Limit(2));
                scene.work(&set([(A, 1)]));
            },
        ],
    );
}

/// At 0 nobody is let in, not even by whoever has seen the old limit.
#[test]
fn a_paused_resource_lets_nobody_in_until_it_goes_on() {
    explore(
        &[1],
        &[],
        &[
            |scene| {
                scene.gate.change(A, Change::Limit(0));
                let taken = scene.gate.resources()[A as usize].in_use();
                assert!(!scene.gate.try_acquire(&set([(A, 1)])), "in use {taken}");
                scene.gate.change(A, Change::Limit(1));
            },
            |scene| {
                drop(scene.acquire(&set([(A, 1)])));
            },
        ],
    );
}

#[test]
fn the_last_return_against_whoever_waits_for_it() {
    explore(
        &[1],
        &[(A, 1)],
        &[
            |scene| block_on(scene.gate.drained()),
            |scene| scene.work(&set([(A, 1)])),
        ],
    );
}

#[test]
fn closing_against_a_waiter_and_a_return() {
    explore_most(
        &[1],
        &[(A, 1)],
        &[
            |scene| scene.acquire_and_work_in_time(&set([(A, 1)])),
            |scene| scene.close(),
            |scene| scene.work(&set([(A, 1)])),
        ],
    );
}

/// No timer would end the wait, and what it waits for is not returned before it is over.
#[test]
fn a_runtime_that_shuts_down_against_a_waiter() {
    explore_in_a_runtime(
        4,
        &[(A, 1)],
        &[
            |scene| {
                let granted = scene.arrive(&set([(A, 1)])).granted();
                assert!(granted.is_none(), "held");
                scene.work(&set([(A, 1)]));
            },
            |scene| scene.gate.clock.shut_down(),
        ],
    );
}

/// One of them finds the timer that the other has started, and that is lost.
#[test]
fn a_runtime_that_shuts_down_against_two_waiters() {
    explore_in_a_runtime(
        2,
        &[(A, 1)],
        &[
            |scene| scene.acquire_and_work_in_time(&set([(A, 1)])),
            |scene| scene.acquire_and_work_in_time(&set([(A, 1)])),
            |scene| {
                scene.gate.clock.shut_down();
                scene.work(&set([(A, 1)]));
            },
        ],
    );
}
