//! How a server is to be.

use tempfile::TempDir;

/// Without any, a server keeps nothing on disk, lets everybody in and has all the memory there is.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Every write is on disk before it is answered; at most a second later with `appendfsync`
    /// `everysec`.
    pub appendonly: bool,
    pub requirepass: Option<&'static str>,
    /// As the configuration has it: `64mb`.
    pub maxmemory: Option<&'static str>,
    /// What goes when the memory is full; nothing, if this is not said.
    pub policy: Option<&'static str>,
    /// Follows the primary on this port, which has the same password.
    pub replica_of: Option<u16>,
    pub cluster: bool,
    /// Any others, by their names in the configuration. They go last, and win.
    pub settings: Vec<(&'static str, String)>,
}

impl Options {
    /// The command line of a server.
    pub(super) fn arguments(&self, port: u16, bus_port: u16, folder: &TempDir) -> Vec<String> {
        let mut settings = vec![
            ("port", port.to_string()),
            ("bind", "127.0.0.1".into()),
            ("dir", folder.path().display().to_string()),
            ("daemonize", "no".into()),
            ("save", String::new()),
            ("appendonly", yes(self.appendonly)),
            ("appendfsync", "always".into()),
            ("repl-diskless-sync-delay", "0".into()),
            ("enable-debug-command", "local".into()),
        ];
        if let Some(password) = self.requirepass {
            settings.push(("requirepass", password.into()));
            settings.push(("masterauth", password.into()));
        }
        if let Some(bytes) = self.maxmemory {
            settings.push(("maxmemory", bytes.into()));
        }
        if let Some(policy) = self.policy {
            settings.push(("maxmemory-policy", policy.into()));
        }
        if let Some(primary) = self.replica_of {
            settings.push(("replicaof", format!("127.0.0.1 {primary}")));
        }
        if self.cluster {
            settings.push(("cluster-enabled", yes(true)));
            settings.push(("cluster-port", bus_port.to_string()));
            settings.push(("cluster-node-timeout", "1000".into()));
        }
        settings.extend(self.settings.iter().cloned());
        settings
            .into_iter()
            .flat_map(|(name, value)| [format!("--{name}"), value])
            .collect()
    }
}

fn yes(is: bool) -> String {
    if is { "yes" } else { "no" }.into()
}
