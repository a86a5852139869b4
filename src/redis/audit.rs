//! A second look at what the server counts.

use std::{fmt, time::Duration};

use redis::RedisError;

use super::{
    backend::RedisBackend,
    error::{self, ConnectError},
    script::{self, Keys},
};

#[doc(hidden)]
/// A count that is not the sum of what it counts; see [`RedisBackend::audit`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Difference {
    /// What is counted: `in_use`, say, or a lane.
    pub what: String,
    /// The count.
    pub kept: String,
    /// The sum.
    pub counted: String,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            what,
            kept,
            counted,
        } = self;
        write!(f, "{what}: {kept} is kept, {counted} was counted")
    }
}

/// How often a node may send on to another.
const REDIRECTIONS: usize = 3;

impl RedisBackend {
    #[doc(hidden)]
    /// Counts anew what the server keeps of a resource, and tells where that differs from its
    /// counts: nowhere, unless somebody has written to its keys, or there is a bug in this crate,
    /// which its authors would like to hear of. It repairs nothing. It looks at everything that is
    /// held and everybody who waits, while the server does nothing else.
    ///
    /// # Errors
    ///
    /// If the server does not answer within a second.
    pub async fn audit(&self, resource: &str) -> Result<Vec<Difference>, ConnectError> {
        let audit = tokio::time::timeout(Duration::from_secs(1), self.count(resource)).await;
        audit.unwrap_or_else(|_| Err(self.connect_error(error::SILENT)))
    }

    async fn count(&self, resource: &str) -> Result<Vec<Difference>, ConnectError> {
        let core = &self.0.core;
        let keys = Keys::new(&core.settings().namespace, resource);
        let call = script::audit(&keys);
        let connect_error = |error: &RedisError| self.connect_error(error::fault(error));
        let mut redirections = 0;
        loop {
            let mut state = core.wires().of(core, keys.slot()).state();
            let line = state.wait_for(Option::is_some).await;
            let line = line.ok().and_then(|line| line.clone());
            let Some(line) = line else {
                return Err(self.connect_error(error::ENDED));
            };
            match line.call(&call).await {
                Ok(reply) => {
                    let differences = script::parse_audit(&reply);
                    return differences.map_err(|error| {
                        self.connect_error(format_args!(
                            "answers with an {error}; run one version of the crate"
                        ))
                    });
                }
                Err(error) if redirections < REDIRECTIONS => match error.redirect_node() {
                    Some((node, slot)) => core.wires().moved(slot, node),
                    None => return Err(connect_error(&error)),
                },
                Err(error) => return Err(connect_error(&error)),
            }
            redirections += 1;
        }
    }
}
