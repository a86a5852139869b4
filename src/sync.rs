//! The synchronisation primitives of the crate: the standard library's, or loom's when the shipped
//! code is explored by loom (`.ci/loom`). What is no part of the protocol between threads, such
//! as a gauge, stays with the standard library, so that loom explores only what matters.

#[cfg(not(all(test, tcl_loom)))]
pub(crate) use std::sync::{Mutex, MutexGuard, atomic::AtomicU64};

#[cfg(all(test, tcl_loom))]
pub(crate) use loom::sync::{Mutex, MutexGuard, atomic::AtomicU64};

pub(crate) use std::sync::atomic::Ordering;

/// Locks, ignoring poison: no state behind these locks is left half-changed by a panic, because
/// nothing that is called under them can panic short of a bug.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex
        .lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner)
}
