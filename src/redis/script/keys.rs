//! The keys of a resource.

use std::{fmt::Write as _, sync::Arc};

/// All keys of one resource: always the same, and in one slot of a cluster.
#[derive(Clone, Debug)]
pub(crate) struct Keys {
    tag: String,
    keys: Arc<[String]>,
}

/// Hot state, queue, ages, waiters, deadlines, ready lanes, crowds, heartbeats, mail, idle lanes,
/// logs of rates.
const SUFFIXES: [&str; 14] = [
    "s", "q", "a", "w", "d", "l", "b", "h", "m", "i", "r0", "r1", "r2", "r3",
];

impl Keys {
    pub(crate) fn new(namespace: &str, resource: &str) -> Self {
        let tag = format!("{}/{}", escape(namespace), escape(resource));
        let key = |suffix| format!("cq1:{{{tag}}}:{suffix}");
        Self {
            keys: SUFFIXES.into_iter().map(key).collect(),
            tag,
        }
    }

    /// By what pushes name the resource.
    #[cfg(all(test, not(tcl_loom)))]
    pub(crate) fn tag(&self) -> &str {
        &self.tag
    }

    /// The slot of a cluster in which they are.
    pub(crate) fn slot(&self) -> u16 {
        crc16(self.tag.as_bytes()) % 16_384
    }

    pub(super) fn all(&self) -> &Arc<[String]> {
        &self.keys
    }
}

/// The channel on which a session is told of its grants: that of its process.
pub(crate) fn channel(session: &str) -> String {
    let process = session
        .rsplit_once('-')
        .map_or(session, |(process, _)| process);
    format!("cq1:p:{process}")
}

/// Without what has a meaning in a key or in a push.
fn escape(name: &str) -> String {
    let mut escaped = String::with_capacity(name.len());
    for byte in name.bytes() {
        match byte {
            b'{' | b'}' | b'%' | b'/' | 0..=b' ' | 127.. => {
                let _ = write!(escaped, "%{byte:02x}"); // to a string: cannot fail
            }
            _ => escaped.push(byte.into()),
        }
    }
    escaped
}

/// CRC-16/XMODEM, by which a cluster divides its keys.
fn crc16(bytes: &[u8]) -> u16 {
    bytes.iter().fold(0, |crc, &byte| {
        (0..8).fold(crc ^ u16::from(byte) << 8, |crc: u16, _| {
            match crc & 0x8000 {
                0 => crc << 1,
                _ => crc << 1 ^ 0x1021,
            }
        })
    })
}

#[cfg(test)]
mod tests {
    use super::{Keys, crc16};

    #[test]
    fn the_slot_is_that_of_the_tag() {
        assert_eq!(crc16(b"123456789"), 0x31c3); // the check value of the algorithm
        assert_eq!(Keys::new("shop", "db").slot(), crc16(b"shop/db") % 16_384);
    }
}
