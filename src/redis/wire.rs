//! The connection to a server, and how it is kept.

use std::{
    hash::{BuildHasher, RandomState},
    io,
    sync::{Arc, Weak},
    time::Duration,
};

use redis::{
    AsyncConnectionConfig, Client, ConnectionAddr, ConnectionInfo, ErrorKind, PushInfo, PushKind,
    RedisError, ServerErrorKind, Value,
    aio::{MultiplexedConnection, SendError},
};
use tokio::{
    sync::watch,
    task::AbortHandle,
    time::{Instant, sleep, timeout},
};

use super::{
    backend::Core,
    error,
    greeting::Greeting,
    script::{Call, Push},
    tls::Tls,
};

/// The connection to one server. There is one for each node: what is asked of a session goes in
/// order, and the answers and wake-ups come in the order in which the server made them.
///
/// A connection manager would swap connections without saying so. Here whoever uses a connection
/// says that it is broken, and sees when there is another: each session introduces itself there
/// first.
pub(super) struct Wire {
    /// `None` for the server of the URL.
    node: Option<(String, u16)>,
    state: watch::Sender<Option<Line>>,
    /// How the last attempt to connect went.
    attempt: watch::Sender<Option<Attempt>>,
    /// The number of the last connection that was found broken.
    broken: watch::Sender<u64>,
}

/// What the server says about itself, or why it was not reached, from "server 127.0.0.1:6379" on.
pub(super) type Attempt = Result<Arc<Greeting>, Arc<str>>;

/// A connection that works, until it does not.
#[derive(Clone)]
pub(super) struct Line {
    /// Grows with each connection of the backend.
    pub(super) number: u64,
    pub(super) connection: MultiplexedConnection,
    pub(super) greeting: Arc<Greeting>,
    /// Of a connection that was not made by the client.
    _driver: Option<Arc<Driver>>,
}

/// What reads and writes a connection. It ends with the last that uses it.
struct Driver(AbortHandle);

impl Drop for Driver {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Line {
    /// Has the server run a script. The text goes along only if the server does not know it.
    pub(super) async fn call(&self, call: &Call) -> redis::RedisResult<Value> {
        let mut connection = self.connection.clone();
        let reply = connection.send_packed_command(&call.evalsha()).await;
        let is_unknown =
            |error: &RedisError| error.kind() == ErrorKind::Server(ServerErrorKind::NoScript);
        match reply.and_then(Value::extract_error) {
            Err(error) if is_unknown(&error) => {
                let reply = connection.send_packed_command(&call.eval()).await;
                reply.and_then(Value::extract_error)
            }
            reply => reply,
        }
    }
}

/// The first pause after a failed attempt; it doubles up to [`LONGEST_PAUSE`].
const FIRST_PAUSE: Duration = Duration::from_millis(25);
const LONGEST_PAUSE: Duration = Duration::from_millis(250);

impl Wire {
    pub(super) fn new(node: Option<(String, u16)>) -> Arc<Self> {
        Arc::new(Self {
            node,
            state: watch::Sender::new(None),
            attempt: watch::Sender::new(None),
            broken: watch::Sender::new(0),
        })
    }

    /// Whether there is a connection, and which.
    pub(super) fn state(&self) -> watch::Receiver<Option<Line>> {
        self.state.subscribe()
    }

    pub(super) fn attempt(&self) -> watch::Receiver<Option<Attempt>> {
        self.attempt.subscribe()
    }

    /// Whether this connection was found broken, though it may still be shown.
    pub(super) fn is_broken(&self, number: u64) -> bool {
        number <= *self.broken.borrow()
    }

    /// The connection of this number does not answer any more.
    pub(super) fn report_broken(&self, number: u64) {
        self.broken.send_if_modified(|last| {
            let is_news = *last < number;
            *last = number.max(*last);
            is_news
        });
    }

    /// Connects, and connects again, for as long as the backend lives.
    pub(super) async fn keep(self: Arc<Self>, core: Weak<Core>) {
        let mut pause = FIRST_PAUSE;
        while let Some(core) = core.upgrade() {
            match self.connect(&core).await {
                Ok(line) => {
                    let made = Instant::now();
                    let number = line.number;
                    let greeting = Arc::clone(&line.greeting);
                    self.state.send_replace(Some(line));
                    self.attempt.send_replace(Some(Ok(greeting)));
                    drop(core);
                    let mut broken = self.broken.subscribe();
                    let _ = broken.wait_for(|&last| last >= number).await;
                    self.state.send_replace(None);
                    if made.elapsed() > LONGEST_PAUSE {
                        pause = FIRST_PAUSE;
                    } else {
                        // A server that turns every session away is not to be stormed.
                        sleep(jittered(pause)).await;
                        pause = (pause * 2).min(LONGEST_PAUSE);
                    }
                }
                Err(error) => {
                    self.attempt
                        .send_replace(Some(Err(error::fault(&error).into())));
                    drop(core);
                    sleep(jittered(pause)).await;
                    pause = (pause * 2).min(LONGEST_PAUSE);
                }
            }
        }
    }

    async fn connect(self: &Arc<Self>, core: &Arc<Core>) -> redis::RedisResult<Line> {
        let settings = core.settings();
        let number = core.next_line();
        let patience = settings.down_after;
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(patience))
            .set_response_timeout(Some(patience))
            .set_push_sender(self.listener(Arc::downgrade(core), number));
        let (server, tls) = settings.way_to(self.node.as_ref());
        let (mut connection, driver) = match tls {
            None => {
                let client = Client::open(server)?;
                let connection = client.get_multiplexed_async_connection_with_config(&config);
                (connection.await?, None)
            }
            Some(tls) => {
                let connection = timeout(patience, secured(tls, &server, config)).await;
                let late = |_| RedisError::from(io::Error::from(io::ErrorKind::TimedOut));
                let (connection, driver) = connection.map_err(late)??;
                (connection, Some(Arc::new(driver)))
            }
        };
        let greeting = Greeting::ask(&mut connection).await?;
        connection.subscribe(core.channel()).await?;
        Ok(Line {
            number,
            connection,
            greeting: Arc::new(greeting),
            _driver: driver,
        })
    }

    /// Hands on what the server says of its own accord. Runs where the connection is read, and must
    /// not block it.
    fn listener(
        self: &Arc<Self>,
        core: Weak<Core>,
        number: u64,
    ) -> impl Fn(PushInfo) -> Result<(), SendError> + Send + Sync + 'static {
        let wire = Arc::downgrade(self);
        move |push| {
            match (push.kind, push.data.as_slice()) {
                (PushKind::Disconnection, _) => {
                    if let Some(wire) = wire.upgrade() {
                        wire.report_broken(number);
                    }
                }
                (PushKind::Message, [_, Value::BulkString(words)]) => {
                    if let (Some(core), Ok(push)) = (core.upgrade(), Push::parse(words)) {
                        core.hand_on(number, &push);
                    }
                }
                _ => {}
            }
            Ok(())
        }
    }
}

/// The client makes TLS connections by what is installed for the whole process, so these are made
/// here.
async fn secured(
    tls: &Tls,
    server: &ConnectionInfo,
    config: AsyncConnectionConfig,
) -> redis::RedisResult<(MultiplexedConnection, Driver)> {
    let ConnectionAddr::Tcp(host, port) = server.addr() else {
        return Err(io::Error::from(io::ErrorKind::InvalidInput).into()); // no URL asks for it
    };
    let stream = tls.connect(host, *port).await?;
    let login = server.redis_settings();
    let (connection, driver) =
        MultiplexedConnection::new_with_config(login, stream, config).await?;
    let driver = Driver(tokio::spawn(driver).abort_handle());
    Ok((connection, driver))
}

/// Three quarters of it to five: so that a thousand processes do not come back in step.
fn jittered(pause: Duration) -> Duration {
    let chance = RandomState::new().hash_one(0_u8) % 512;
    pause * (768 + chance as u32) / 1024
}
