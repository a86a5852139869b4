//! A bare round trip.

use redis::aio::MultiplexedConnection;

use crate::clock::now;

/// A connection as ours is, with nothing around it.
pub(crate) struct Ping(MultiplexedConnection);

impl Ping {
    pub(crate) async fn to(url: &str) -> Self {
        let client = redis::Client::open(url).expect("a good URL");
        let connection = client.get_multiplexed_async_connection().await;
        Self(connection.expect("a server"))
    }

    /// Microseconds from here to the server and back.
    pub(crate) async fn micros(&mut self) -> f64 {
        let start = now();
        let pong: String = redis::cmd("PING")
            .query_async(&mut self.0)
            .await
            .expect("an answer");
        let took = start.elapsed();
        assert_eq!(pong, "PONG");
        took.as_secs_f64() * 1e6
    }
}
