//! What a request declares, how it waits, and why it was refused.

use std::time::Duration;

use crate::admission::{Attributes, Nanos, Refusal};

/// What a request declares, and how it waits.
#[derive(Clone, Copy, Debug)]
pub(crate) struct WaitOptions {
    pub(crate) claims: Attributes,
    pub(crate) timeout: Duration,
    /// Instead of each resource's own bound on the length of its queue.
    pub(crate) max_waiting: Option<usize>,
    /// When the request arrived, on the gate's clock, if that was before it was first polled.
    pub(crate) arrived: Option<Nanos>,
}

/// Why a request was not admitted, how long it had waited, and when to retry.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Refused {
    pub(crate) refusal: Refusal,
    pub(crate) waited: Duration,
    pub(crate) retry_after: Option<Duration>,
}

impl Refused {
    /// Of a request that did not wait.
    pub(crate) fn at_once(refusal: Refusal) -> Self {
        Self {
            refusal,
            waited: Duration::ZERO,
            retry_after: None,
        }
    }
}
