//! What a server says about itself.

use redis::aio::MultiplexedConnection;

/// What a server says about itself when a connection is made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Greeting {
    /// Another one after each start, and another one on each replica.
    pub(super) run_id: String,
    pub(super) is_cluster: bool,
    version: String,
    /// What it throws away when memory is short, if it may throw away what a limit is made of.
    evicts: Option<String>,
}

/// The oldest version that has what the scripts need: flags, and effects replication.
const OLDEST: u32 = 7;

impl Greeting {
    pub(super) async fn ask(connection: &mut MultiplexedConnection) -> redis::RedisResult<Self> {
        let server: String = redis::cmd("INFO")
            .arg("server")
            .query_async(connection)
            .await?;
        let memory: String = redis::cmd("INFO")
            .arg("memory")
            .query_async(connection)
            .await?;
        Ok(Self::read(&server, &memory))
    }

    fn read(server: &str, memory: &str) -> Self {
        let policy = field(memory, "maxmemory_policy").unwrap_or("noeviction");
        let is_safe = policy == "noeviction" || policy.starts_with("volatile-");
        Self {
            run_id: field(server, "run_id").unwrap_or_default().to_owned(),
            is_cluster: field(server, "redis_mode") == Some("cluster"),
            version: field(server, "redis_version")
                .unwrap_or_default()
                .to_owned(),
            evicts: (!is_safe).then(|| policy.to_owned()),
        }
    }

    /// What is wrong with such a server, from "server 127.0.0.1:6379" on.
    pub(super) fn fault(&self) -> Option<String> {
        let major = self.version.split('.').next().unwrap_or_default();
        if major.parse().is_ok_and(|major: u32| major < OLDEST) {
            return Some(format!(
                "is version {}; use Redis 7.0, Valkey 7.2 or later",
                self.version
            ));
        }
        self.evicts.as_ref().map(|policy| {
            format!(
                "may evict the state of limits: its `maxmemory-policy` is `{policy}`; \
                 set it to `noeviction` or to one of `volatile-*`, or use another server"
            )
        })
    }
}

/// A line `name:value` of what `INFO` says.
fn field<'a>(info: &'a str, name: &str) -> Option<&'a str> {
    info.lines()
        .find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))
        .map(str::trim)
}

#[cfg(test)]
mod tests {
    use super::Greeting;

    #[test]
    fn old_servers_and_those_that_evict_are_found_out() {
        let greeting = |version: &str, policy: &str| {
            let server = format!(
                "# Server\r\nredis_version:{version}\r\nrun_id:abc\r\nredis_mode:standalone\r\n"
            );
            Greeting::read(&server, &format!("maxmemory_policy:{policy}\r\n"))
        };
        let fine = greeting("7.0.15", "volatile-lru");
        assert_eq!((fine.run_id.as_str(), fine.is_cluster), ("abc", false));
        assert_eq!(fine.fault(), None);
        assert_eq!(greeting("10.1.0", "noeviction").fault(), None);
        assert_eq!(
            greeting("6.2.7", "noeviction").fault().as_deref(),
            Some("is version 6.2.7; use Redis 7.0, Valkey 7.2 or later")
        );
        assert_eq!(
            greeting("7.2.4", "allkeys-lru").fault().as_deref(),
            Some(
                "may evict the state of limits: its `maxmemory-policy` is `allkeys-lru`; set it to \
                 `noeviction` or to one of `volatile-*`, or use another server"
            )
        );
    }
}
