//! The adaptive limit of a resource that is being built.

use std::{
    fmt,
    sync::{Mutex, PoisonError},
};

use crate::adaptive::AdaptiveLimit;

/// An adaptive limit until its resource is built. The lock makes the builder `Sync`.
pub(super) struct Adaptive(Mutex<Box<dyn AdaptiveLimit>>);

impl Adaptive {
    pub(super) fn new(limit: impl AdaptiveLimit + 'static) -> Self {
        Self(Mutex::new(Box::new(limit)))
    }

    pub(super) fn limit(&self) -> usize {
        self.read(|limit| limit.limit())
    }

    /// At least 1: from 0, no permit could raise the limit again.
    pub(super) fn floor(&self) -> usize {
        self.read(|limit| limit.floor()).max(1)
    }

    fn read<T>(&self, read: impl FnOnce(&dyn AdaptiveLimit) -> T) -> T {
        read(&**self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    pub(super) fn into_inner(self) -> Box<dyn AdaptiveLimit> {
        self.0.into_inner().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Adaptive {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "adaptive, now {}", self.limit())
    }
}
