//! The smallest HTTP/1 client: one connection, one request at a time.

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

pub(crate) struct Client<T> {
    stream: T,
    response: Vec<u8>,
}

impl<T: AsyncRead + AsyncWrite + Unpin> Client<T> {
    /// Makes a first request, to learn how long the responses are.
    pub(crate) async fn new(stream: T) -> Self {
        let mut client = Self {
            stream,
            response: Vec::new(),
        };
        client.send().await;
        while !client.response.ends_with(b"\r\n\r\nok") {
            let read = client.stream.read_buf(&mut client.response).await;
            assert_ne!(read.expect("the server answers"), 0, "the connection stays");
        }
        client
    }

    /// One request, which must be admitted.
    pub(crate) async fn request(&mut self) {
        self.send().await;
        let read = self.stream.read_exact(&mut self.response).await;
        read.expect("the server answers");
        assert!(
            self.response.starts_with(b"HTTP/1.1 200 ") && self.response.ends_with(b"\r\n\r\nok"),
            "every request is admitted"
        );
    }

    async fn send(&mut self) {
        let sent = self
            .stream
            .write_all(b"GET / HTTP/1.1\r\nhost: local\r\n\r\n");
        sent.await.expect("the server listens");
    }
}
