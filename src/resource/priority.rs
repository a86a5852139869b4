//! How urgent a request is.

use std::fmt;

/// The priority of a request: 0 to 255, higher first. Default: 10.
///
/// Requests of the same lane are served by priority, and in order of arrival within one priority.
///
/// ```
/// use tower_concurrency_limiter::Priority;
///
/// let checkout = Priority::from(100);
/// assert!(checkout > Priority::DEFAULT);
///
/// // A number of another type, such as one from a header, is clamped.
/// assert_eq!(Priority::clamped(1_000), Priority::MAX);
/// assert_eq!(Priority::clamped(-1), Priority::MIN);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Priority(u8);

impl Priority {
    /// The lowest priority: 0.
    pub const MIN: Self = Self(u8::MIN);

    /// The priority of a request that declares none: 10.
    pub const DEFAULT: Self = Self(10);

    /// The highest priority: 255.
    pub const MAX: Self = Self(u8::MAX);

    /// Creates a priority.
    pub const fn new(priority: u8) -> Self {
        Self(priority)
    }

    /// Creates the priority that is nearest to this number: [`MIN`](Self::MIN) for a negative one,
    /// [`MAX`](Self::MAX) for one above 255.
    pub const fn clamped(number: i64) -> Self {
        if number < 0 {
            Self::MIN
        } else if number > u8::MAX as i64 {
            Self::MAX
        } else {
            Self(number as u8)
        }
    }

    /// Returns the priority as a number.
    pub const fn get(self) -> u8 {
        self.0
    }
}

impl Default for Priority {
    /// Returns [`Priority::DEFAULT`].
    fn default() -> Self {
        Self::DEFAULT
    }
}

impl From<u8> for Priority {
    fn from(priority: u8) -> Self {
        Self(priority)
    }
}

impl fmt::Display for Priority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(all(test, not(tcl_loom)))]
mod tests {
    use super::Priority;

    #[test]
    fn numbers_out_of_range_are_clamped() {
        for (number, expected) in [
            (i64::MIN, 0),
            (-1, 0),
            (0, 0),
            (1, 1),
            (255, 255),
            (256, 255),
            (i64::MAX, 255),
        ] {
            assert_eq!(Priority::clamped(number).get(), expected, "{number}");
        }
    }

    #[test]
    fn higher_is_greater() {
        assert!(Priority::MIN < Priority::DEFAULT && Priority::DEFAULT < Priority::MAX);
        assert_eq!(Priority::default(), Priority::DEFAULT);
        let undeclared = crate::admission::Attributes::default().priority;
        assert_eq!(Priority::DEFAULT.get(), undeclared);
        assert_eq!(Priority::new(100).to_string(), "100");
    }
}
