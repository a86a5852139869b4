//! Lanes by a hash that all processes agree on.

use std::num::NonZeroU64;

/// The hash of a lane, the same in all processes. It is costly, and computed only for a request
/// with a resource that is shared between processes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct LaneHash(NonZeroU64);

impl LaneHash {
    /// The first eight bytes of the SHA-1 of a lane's name or key, as a big-endian number that is
    /// not 0.
    #[cfg(feature = "redis")]
    pub fn of(name: &[u8]) -> Self {
        let digest = sha1_smol::Sha1::from(name).digest().bytes();
        let (first, _) = digest.split_first_chunk().expect("20 bytes");
        Self(NonZeroU64::new(u64::from_be_bytes(*first)).unwrap_or(NonZeroU64::MIN))
    }

    /// As of its decimal digits.
    #[cfg(feature = "redis")]
    pub fn of_number(key: u64) -> Self {
        use std::io::Write;

        let mut digits = [0; 20];
        let mut rest = &mut digits[..];
        write!(rest, "{key}").expect("2^64 has 20 digits");
        let unused = rest.len();
        Self::of(&digits[..digits.len() - unused])
    }

    pub const fn number(self) -> u64 {
        self.0.get()
    }
}
