//! Handlers that stay until they are let off.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use tokio::sync::Semaphore;

/// Counts those who are on it at once, and lets them off only when told.
#[derive(Clone)]
pub struct Stage(Arc<Counts>);

struct Counts {
    now: AtomicUsize,
    most: AtomicUsize,
    exit: Semaphore,
}

impl Default for Stage {
    fn default() -> Self {
        Self::new()
    }
}

impl Stage {
    pub fn new() -> Self {
        Self(Arc::new(Counts {
            now: AtomicUsize::new(0),
            most: AtomicUsize::new(0),
            exit: Semaphore::new(0),
        }))
    }

    /// What a handler does.
    pub async fn play(&self) {
        let now = self.0.now.fetch_add(1, Ordering::SeqCst) + 1;
        let _leave = Leave(&self.0.now);
        self.0.most.fetch_max(now, Ordering::SeqCst);
        self.0.exit.acquire().await.expect("never closed").forget();
    }

    /// How many are on it.
    pub fn now(&self) -> usize {
        self.0.now.load(Ordering::SeqCst)
    }

    /// How many were on it at once.
    pub fn most(&self) -> usize {
        self.0.most.load(Ordering::SeqCst)
    }

    /// Lets `actors` off, now or when they come.
    pub fn let_off(&self, actors: usize) {
        self.0.exit.add_permits(actors);
    }
}

struct Leave<'a>(&'a AtomicUsize);

impl Drop for Leave<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

/// Lets everything else run until `condition` holds. Gives up, loudly, after a time that no healthy
/// machine needs.
pub async fn until(what: &str, condition: impl Fn() -> bool) {
    let holds = async {
        while !condition() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), holds)
        .await
        .unwrap_or_else(|_| panic!("expected, but it did not come: {what}"));
}
