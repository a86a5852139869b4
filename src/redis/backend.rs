//! The side of a process.

use std::{
    collections::HashMap,
    fmt,
    future::Future,
    hash::{BuildHasher, RandomState},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, Weak,
        atomic::{AtomicU64, Ordering},
    },
    thread,
    time::Duration,
};

use tokio::{
    runtime::{self, Handle},
    sync::{Notify, mpsc},
};

use super::{
    error::{self, ConnectError, InvalidBackend},
    member::Member,
    script::{self, Push},
    settings::{RedisBackendBuilder, Settings},
    shared_options::SharedOptions,
    wires::Wires,
};

/// A Redis or Valkey server that keeps limits for several processes.
///
/// A cheap handle; clones are the same backend. One for each server and process is enough: it has a
/// thread and a connection of its own, so that signs of life are sent however busy the service is.
/// When the last handle and the last resource that is shared by it are dropped, everything is given
/// back and the thread ends.
///
/// ```no_run
/// use std::time::Duration;
/// use tower_concurrency_limiter::{Limiter, Resource, redis::RedisBackend};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let backend = RedisBackend::connect("redis://127.0.0.1:6379").await?;
///
/// let postgres = Resource::builder("postgres").concurrency(10).shared(&backend).build();
/// let limiter = Limiter::new(Duration::from_secs(5), [&postgres]); // 10 in all processes together
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct RedisBackend(pub(super) Arc<Inner>);

pub(super) struct Inner {
    pub(super) core: Arc<Core>,
    /// Tells the thread to end.
    stop: Arc<Notify>,
}

/// What the tasks of a backend share. They do not keep it alive.
pub(super) struct Core {
    settings: Settings,
    /// This process, and no other.
    process: String,
    channel: String,
    runtime: Handle,
    wires: Wires,
    /// By name.
    sessions: Mutex<HashMap<String, Weak<Member>>>,
    numbers: AtomicU64,
    /// The thread waits until all clones are dropped.
    alive: mpsc::Sender<()>,
}

/// For how long the thread waits at the end until everything is given back.
const FAREWELL: Duration = Duration::from_secs(1);

impl RedisBackend {
    /// Connects to the server of this URL: `redis://user:password@host:port`, or `rediss://..` for
    /// TLS with the feature `redis-tls`. Any node of a cluster can be named.
    ///
    /// # Errors
    ///
    /// Those of [`RedisBackendBuilder::connect`].
    pub async fn connect(url: impl Into<String>) -> Result<Self, ConnectError> {
        Self::builder(url).connect().await
    }

    /// Creates a backend that connects in the background, to the server of this URL; see
    /// [`connect`](Self::connect). A service can start with it while the server is away.
    ///
    /// # Errors
    ///
    /// Those of [`RedisBackendBuilder::connect_lazy`]. It does not fail if the server cannot be
    /// reached.
    pub fn connect_lazy(url: impl Into<String>) -> Result<Self, InvalidBackend> {
        Self::builder(url).connect_lazy()
    }

    /// Creates a builder, for a namespace or other times than the defaults.
    pub fn builder(url: impl Into<String>) -> RedisBackendBuilder {
        RedisBackendBuilder::new(url.into())
    }

    /// Shares a resource in strict mode: every permit is asked for, and requests of all processes
    /// are served in one order. A round trip for each request; those that come while one is under
    /// way share the next.
    pub fn strict(&self) -> SharedOptions {
        SharedOptions::new(self, false)
    }

    /// Shares a resource in cached mode: while nobody waits anywhere, this process keeps some
    /// permits for those who come next, so that most requests need no round trip. See [the
    /// modes](crate::redis#strict-and-cached).
    pub fn cached(&self) -> SharedOptions {
        SharedOptions::new(self, true)
    }

    /// Waits for the result of the first attempt to connect, or of the attempt that is being made.
    /// [`connect`](Self::connect) does so by itself. The backend continues to try, whatever this
    /// returns.
    ///
    /// # Errors
    ///
    /// If the server cannot be reached or turns the connection away; if it is older than Redis 7.0;
    /// or if its settings let it evict the state of limits.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future changes nothing.
    pub async fn ready(&self) -> Result<(), ConnectError> {
        let mut attempt = self.0.core.wires.seed().attempt();
        let attempt = attempt.wait_for(Option::is_some).await;
        let attempt = attempt.ok().and_then(|attempt| attempt.clone());
        match attempt {
            Some(Ok(greeting)) => match greeting.fault() {
                Some(fault) => Err(ConnectError::unsuitable(self.server(), fault)),
                None => Ok(()),
            },
            Some(Err(fault)) => Err(self.connect_error(fault)),
            None => Err(self.connect_error(error::ENDED)),
        }
    }

    /// Gives back at once what this process holds of every resource, turns away those who wait, and
    /// those who come, with [`Reason::Closed`](crate::Reason::Closed): the last word of a clean
    /// shutdown, after [`Limiter::drained`](crate::Limiter::drained). What is still being worked on
    /// is no longer counted.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future changes nothing: everything is given back all the same.
    pub async fn close(&self) {
        let members = self.0.core.members();
        for member in &members {
            member.leave();
        }
        for member in members {
            member.has_left().await;
        }
    }

    /// The address of the URL, without its password.
    fn server(&self) -> &redis::ConnectionAddr {
        self.0.core.settings.server.addr()
    }

    /// What is wrong with the server of the URL, from "server 127.0.0.1:6379" on.
    pub(super) fn connect_error(&self, fault: impl fmt::Display) -> ConnectError {
        ConnectError::new(self.server(), fault)
    }

    pub(super) fn start(settings: Settings) -> Result<Self, InvalidBackend> {
        let no_thread = |error| {
            InvalidBackend::other(format!(
                "thread of the shared limits cannot be started: {error}; allow the process another thread"
            ))
        };
        let runtime = runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(no_thread)?;
        let (alive, mut all_gone) = mpsc::channel::<()>(1);
        let process = process_name();
        let core = Arc::new(Core {
            channel: script::channel(&session_name(&process, 0)),
            process,
            settings,
            runtime: runtime.handle().clone(),
            wires: Wires::new(),
            sessions: Mutex::default(),
            numbers: AtomicU64::new(0),
            alive,
        });
        let stop = Arc::new(Notify::new());
        let stopped = Arc::clone(&stop);
        runtime.spawn(Arc::clone(core.wires.seed()).keep(Arc::downgrade(&core)));
        let thread = thread::Builder::new().name("shared-limits".to_owned());
        thread
            .spawn(move || {
                runtime.block_on(async {
                    stopped.notified().await;
                    let gone = async { while all_gone.recv().await.is_some() {} };
                    let _ = tokio::time::timeout(FAREWELL, gone).await;
                });
            })
            .map_err(no_thread)?;
        Ok(Self(Arc::new(Inner { core, stop })))
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.stop.notify_one();
    }
}

impl Core {
    pub(super) fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Where this process hears of what was granted to it.
    pub(super) fn channel(&self) -> &str {
        &self.channel
    }

    pub(super) fn wires(&self) -> &Wires {
        &self.wires
    }

    pub(super) fn next_line(&self) -> u64 {
        self.next()
    }

    /// A name for a session that no other has had or will have.
    pub(super) fn next_session(&self) -> String {
        session_name(&self.process, self.next())
    }

    fn next(&self) -> u64 {
        self.numbers.fetch_add(1, Ordering::Relaxed) + 1
    }

    pub(super) fn runtime(&self) -> &Handle {
        &self.runtime
    }

    pub(super) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        self.runtime.spawn(task);
    }

    /// Runs a session, for the end of which the thread waits.
    pub(super) fn run(&self, member: &Arc<Member>) {
        let name = member.session().to_owned();
        self.sessions().insert(name, Arc::downgrade(member));
        let alive = self.alive.clone();
        let work = Arc::clone(member).work();
        self.runtime.spawn(async move {
            work.await;
            drop(alive);
        });
    }

    pub(super) fn forget(&self, session: &str) {
        self.sessions().remove(session);
    }

    /// What the server says to one of the sessions of this process.
    pub(super) fn hand_on(&self, line: u64, push: &Push) {
        let member = self.sessions().get(&push.session).and_then(Weak::upgrade);
        if let Some(member) = member {
            member.hear(line, &push.letters);
        }
    }

    fn members(&self) -> Vec<Arc<Member>> {
        self.sessions().values().filter_map(Weak::upgrade).collect()
    }

    fn sessions(&self) -> MutexGuard<'_, HashMap<String, Weak<Member>>> {
        self.sessions.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn session_name(process: &str, number: u64) -> String {
    format!("{process}-{number}")
}

/// 16 hexadecimal digits that no other process has: of random keys, and the number of the process.
fn process_name() -> String {
    let hash = RandomState::new().hash_one(std::process::id());
    format!("{hash:016x}")
}

impl fmt::Debug for RedisBackend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisBackend")
            .field("server", &self.0.core.settings.server.addr().to_string())
            .field("namespace", &self.0.core.settings.namespace)
            .finish_non_exhaustive()
    }
}
