//! Lanes by a hash that all processes agree on; nothing at all where nothing is shared.

#[cfg(feature = "redis")]
mod hash {
    use std::io::Write;

    /// The first eight bytes of the SHA-1 of a lane's name or key, as a big-endian number.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
    pub(crate) struct LaneHash(u64);

    impl LaneHash {
        pub(crate) fn of(name: &[u8]) -> Self {
            let digest = sha1_smol::Sha1::from(name).digest().bytes();
            let (first, _) = digest.split_first_chunk().expect("20 bytes");
            Self(u64::from_be_bytes(*first))
        }

        /// As of its decimal digits.
        pub(crate) fn of_number(key: u64) -> Self {
            let mut digits = [0; 20];
            let mut rest = &mut digits[..];
            write!(rest, "{key}").expect("2^64 has 20 digits");
            let unused = rest.len();
            Self::of(&digits[..digits.len() - unused])
        }

        pub(crate) const fn number(self) -> u64 {
            self.0
        }
    }
}

#[cfg(not(feature = "redis"))]
mod hash {
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
    pub(crate) struct LaneHash;

    impl LaneHash {
        pub(crate) const fn of(_: &[u8]) -> Self {
            Self
        }

        pub(crate) const fn of_number(_: u64) -> Self {
            Self
        }

        pub(crate) const fn number(self) -> u64 {
            0
        }
    }
}

pub(crate) use hash::LaneHash;
