//! An algorithm for `tower-acc` that keeps its limit.

use std::time::Duration;

#[derive(Clone)]
pub(super) struct Fixed(pub(super) usize);

impl tower_acc::Algorithm for Fixed {
    fn max_concurrency(&self) -> usize {
        self.0
    }

    fn update(&mut self, _: Duration, _: usize, _: bool, _: bool) {}
}
