//! The order of the holders of a shared limit, for those who want to check it.

use std::fmt;

/// Says which of two permits of a resource that is shared between processes was granted later: the
/// later one has the greater token.
///
/// A process that was paused for longer than its lease, or cut off from the others, goes on for a
/// moment with units that have been given to somebody else.
/// [`Permit::is_valid`](crate::Permit::is_valid) is `false` from then on, but nobody can look at it
/// and write at one instant. Where that matters, send the token along with each write, and have the
/// store refuse whatever comes with a smaller token than it has seen. It helps only where the
/// downstream checks it, and only with one holder at a time: a limit of 1.
///
/// Shown as `epoch.sequence`:
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

    /// Grows when the state of the shared limit was lost and has been built anew.
    pub const fn epoch(self) -> u64 {
        self.epoch
    }

    /// Grows with the grants of an epoch.
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
