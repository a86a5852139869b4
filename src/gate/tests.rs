//! What the fast path does without.

use std::sync::Arc;

use super::Gate;
use crate::{
    admission::{Demand, Demands},
    resource::Resource,
    sync::lock,
};

fn gate(resources: Vec<Resource>) -> Arc<Gate> {
    Arc::new(Gate::new(resources, 16, None))
}

/// Were the lock taken, this would never end.
#[test]
fn while_nobody_waits_nobody_takes_the_lock() {
    let gate = gate(vec![Resource::new("db", 2), Resource::new("fs", 1)]);
    let _locked = lock(&gate.state);
    let one = [Demand::new(0, 1)];
    let both = Demands::collect([Demand::new(0, 1), Demand::new(1, 1)].into_iter());
    assert!(gate.try_enter(&one));
    assert!(gate.try_enter(&both));
    assert!(!gate.try_enter(&both), "`fs` is taken");
    gate.leave(&one);
    gate.leave(&both);
    let in_use = gate.resources().iter().map(Resource::in_use);
    assert_eq!(in_use.sum::<usize>(), 0);
}

/// A neighbour with more to it than a limit changes nothing for the others of its limiter.
#[test]
fn nor_beside_a_resource_with_rules() {
    let api = Resource::builder("api")
        .concurrency(2)
        .reserve(1, 100)
        .build();
    let gate = gate(vec![Resource::new("db", 1), api]);
    let locked = lock(&gate.state);
    assert!(gate.try_enter(&[Demand::new(0, 1)]));
    gate.leave(&[Demand::new(0, 1)]);
    assert!(!gate.try_enter(&[Demand::new(1, 1)]), "by way of the queue");
    drop(locked);
}
