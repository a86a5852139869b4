//! The synchronisation primitives of the crate: the standard library's, or loom's when the shipped
//! code is explored by loom (`--cfg tcl_loom`).

#[cfg(not(tcl_loom))]
pub(crate) use std::sync::{
    Mutex, MutexGuard,
    atomic::{AtomicU64, AtomicUsize, Ordering},
};

#[cfg(tcl_loom)]
pub(crate) use loom::sync::{
    Mutex, MutexGuard,
    atomic::{AtomicU64, AtomicUsize, Ordering},
};

/// Locks, ignoring poison: no state behind these locks is left half-changed by a panic, because
/// nothing that is called under them can panic short of a bug.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex
        .lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner)
}
