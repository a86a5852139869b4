//! The keys of a resource.

use std::fmt::Write as _;

/// All keys of one resource: always the same, and in one slot of a cluster.
#[derive(Clone, Debug)]
pub(crate) struct Keys {
    tag: String,
    keys: Vec<String>,
}

/// Hot state, queue, ages, waiters, deadlines, ready lanes, crowds, heartbeats, mail, idle lanes, logs of rates.
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
    pub(crate) fn tag(&self) -> &str {
        &self.tag
    }

    pub(super) fn all(&self) -> &[String] {
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
