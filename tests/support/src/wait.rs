//! Waiting for what another process does.

use std::{
    thread,
    time::{Duration, Instant},
};

use anyhow::{Result, bail};

/// Looks again and again until there is something to see.
#[allow(
    clippy::disallowed_methods,
    reason = "other processes live in real time"
)]
pub fn eventually<T>(
    what: &str,
    patience: Duration,
    mut look: impl FnMut() -> Result<Option<T>>,
) -> Result<T> {
    let start = Instant::now();
    loop {
        if let Some(seen) = look()? {
            return Ok(seen);
        }
        if start.elapsed() > patience {
            bail!("waited {patience:?} in vain until {what}");
        }
        thread::sleep(Duration::from_millis(5));
    }
}
