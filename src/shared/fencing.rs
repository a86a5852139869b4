//! The order of the permits of a shared limit.

use std::fmt;

/// The order in which permits of a resource that is shared between processes were granted: the
/// later permit has the greater token.
///
/// A process that is paused for longer than its lease, or cut off from the server, continues for a
/// moment with units that have been granted to others.
/// [`Permit::is_valid`](crate::Permit::is_valid) returns `false` from then on, but a check and a
/// write are not one step. If that matters, send the token with each write, and let the store
/// reject a write with a smaller token than it has seen. This only works if the store checks it,
/// and with a limit of 1.
///
/// Displayed as `epoch.sequence`:
///
/// ```
/// # use tower_concurrency_limiter::{Permit, Resource};
/// # fn write(permit: &Permit, db: &Resource) {
/// if let Some(token) = permit.fencing_token(db) {
///     let statement = "UPDATE report SET body = $1, token = $2 WHERE token <= $2";
///     let token = (token.epoch(), token.sequence()); // two columns, compared in this order
/// }
/// # }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FencingToken {
    epoch: u64,
    sequence: u64,
}

impl FencingToken {
    pub(crate) const fn new(epoch: u64, sequence: u64) -> Self {
        Self { epoch, sequence }
    }

    /// Returns the epoch. It increases each time the state of the shared limit is lost and rebuilt.
    pub const fn epoch(self) -> u64 {
        self.epoch
    }

    /// Returns the number of the grant within its epoch.
    pub const fn sequence(self) -> u64 {
        self.sequence
    }
}

impl fmt::Display for FencingToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.epoch, self.sequence)
    }
}

#[cfg(all(test, not(tcl_loom)))]
mod tests {
    use super::FencingToken;

    #[test]
    fn the_epoch_decides_before_the_sequence() {
        let (old, new) = (FencingToken::new(2, 9), FencingToken::new(3, 1));
        assert!(old < new);
        assert!(FencingToken::new(3, 2) > new);
        assert_eq!((new.epoch(), new.sequence()), (3, 1));
        assert_eq!(new.to_string(), "3.1");
    }
}
