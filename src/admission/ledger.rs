//! How much of each resource is in use.

use super::drain::Drain;

/// The state of one resource in one word: units in use, the limit, and whether waiters are present.
///
/// All three change together, so that a limit and a count always belong together. Bits 0 to 30 hold
/// the units in use, bits 31 to 61 the limit, bit 63 the mark "contended".
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Usage(u64);

const FIELD: u64 = (1 << 31) - 1;
const LIMIT_SHIFT: u32 = 31;
const CONTENDED: u64 = 1 << 63;

impl Usage {
    /// The largest limit that fits the word.
    pub const MAX_LIMIT: u32 = FIELD as u32;

    /// The bits that mark a resource as contended.
    pub const CONTENDED: u64 = CONTENDED;

    pub const fn new(limit: u32) -> Self {
        Self((limit as u64) << LIMIT_SHIFT)
    }

    #[inline]
    pub const fn from_bits(bits: u64) -> Self {
        Self(bits)
    }

    #[inline]
    pub const fn bits(self) -> u64 {
        self.0
    }

    #[inline]
    pub const fn in_use(self) -> u32 {
        (self.0 & FIELD) as u32
    }

    #[inline]
    pub const fn limit(self) -> u32 {
        ((self.0 >> LIMIT_SHIFT) & FIELD) as u32
    }

    /// Whether waiters are present: units are then granted by the queue alone.
    #[inline]
    pub const fn is_contended(self) -> bool {
        self.0 & CONTENDED != 0
    }

    /// With `units` more in use, if they fit and the resource is not contended.
    #[inline]
    pub const fn barging(self, units: u32) -> Option<Self> {
        if self.is_contended() || !self.fits(units) {
            return None;
        }
        Some(self.taking(units))
    }

    #[inline]
    pub const fn fits(self, units: u32) -> bool {
        self.fits_beside(0, units)
    }

    /// Whether `units` fit when `taken` are not to be had beside those in use.
    #[inline]
    pub const fn fits_beside(self, taken: u64, units: u32) -> bool {
        self.in_use() as u64 + taken + units as u64 <= self.limit() as u64
    }

    /// With `units` less in use.
    pub const fn returning(self, units: u32) -> Self {
        Self(self.0 - units as u64)
    }

    /// With another limit; what is in use stays in use.
    pub const fn with_limit(self, limit: u32) -> Self {
        Self(self.0 & !(FIELD << LIMIT_SHIFT) | (limit as u64) << LIMIT_SHIFT)
    }

    /// With `units` more in use; the caller has checked that they fit.
    #[inline]
    pub const fn taking(self, units: u32) -> Self {
        Self(self.0 + units as u64)
    }
}

impl std::fmt::Debug for Usage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Usage")
            .field("in_use", &self.in_use())
            .field("limit", &self.limit())
            .field("contended", &self.is_contended())
            .finish()
    }
}

/// Where the usages are stored. Only the queue raises the usage of a contended resource; every
/// permit may lower it at any time.
pub trait Ledger {
    fn usage(&self, resource: u32) -> Usage;

    /// Adds `units` to what is in use; the queue has checked that they fit.
    fn take(&mut self, resource: u32, units: u32);

    /// From now on only the queue grants units of `resource`.
    fn contend(&mut self, resource: u32);

    /// The limit of `resource` is another one from now on.
    fn set_limit(&mut self, resource: u32, limit: u32);

    /// Nothing waits for `resource`, which drained at this pace: units may be acquired past the
    /// queue again.
    fn calm(&mut self, resource: u32, pace: Drain);

    /// This many requests are queued at `resource`.
    fn waiting(&mut self, resource: u32, waiters: usize);
}
