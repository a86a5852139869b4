//! TLS on the way to a server.

#[cfg(feature = "redis-tls")]
mod with {
    use std::{io, sync::Arc};

    use rustls::{
        ClientConfig, RootCertStore,
        crypto::{CryptoProvider, ring},
        pki_types::ServerName,
    };
    use tokio::net::TcpStream;
    use tokio_rustls::{TlsConnector, client::TlsStream};

    use crate::redis::error::InvalidBackend;

    /// How connections are made secure. It belongs to one backend: nothing is installed for the
    /// process.
    #[derive(Clone)]
    pub(crate) struct Tls(TlsConnector);

    impl Tls {
        /// By the certificates of the system, and the cryptography that the process has chosen; if
        /// it has chosen none, that of `ring`.
        pub(crate) fn of_the_system() -> Result<Self, InvalidBackend> {
            let loaded = rustls_native_certs::load_native_certs();
            let mut roots = RootCertStore::empty();
            let (trusted, _) = roots.add_parsable_certificates(loaded.certs);
            if trusted == 0 {
                let why = loaded.errors.first();
                let why = why.map_or_else(|| "there are none".to_owned(), ToString::to_string);
                return Err(InvalidBackend::tls(format!(
                    "certificates of the system cannot be loaded: {why}; install them, or name a file \
                     of them in the environment variable `SSL_CERT_FILE`"
                )));
            }
            let chosen = CryptoProvider::get_default().cloned();
            let provider = chosen.unwrap_or_else(|| Arc::new(ring::default_provider()));
            let config = ClientConfig::builder_with_provider(provider)
                .with_safe_default_protocol_versions()
                .map_err(|error| {
                    InvalidBackend::tls(format!(
                        "cryptography of the process is unfit for TLS: {error}; install a provider \
                         with TLS 1.2 or 1.3"
                    ))
                })?
                .with_root_certificates(roots)
                .with_no_client_auth();
            Ok(Self(TlsConnector::from(Arc::new(config))))
        }

        pub(crate) async fn connect(
            &self,
            host: &str,
            port: u16,
        ) -> io::Result<TlsStream<TcpStream>> {
            let unfit = |error| io::Error::new(io::ErrorKind::InvalidInput, error);
            let name = ServerName::try_from(host.to_owned()).map_err(unfit)?;
            let stream = TcpStream::connect((host, port)).await?;
            stream.set_nodelay(true)?;
            self.0.connect(name, stream).await
        }
    }
}

#[cfg(not(feature = "redis-tls"))]
mod with {
    use std::io;

    use tokio::net::TcpStream;

    use crate::redis::error::InvalidBackend;

    /// There is none without the feature `redis-tls`.
    #[derive(Clone)]
    pub(crate) enum Tls {}

    impl Tls {
        pub(crate) fn of_the_system() -> Result<Self, InvalidBackend> {
            Err(InvalidBackend::url(
                "server URL asks for TLS; enable the feature `redis-tls` of tower-concurrency-limiter"
                    .to_owned(),
            ))
        }

        pub(crate) async fn connect(&self, _: &str, _: u16) -> io::Result<TcpStream> {
            match *self {}
        }
    }
}

pub(crate) use with::Tls;

/// The same URL for a connection that is made elsewhere, if it asks for TLS.
pub(super) fn without_tls(url: &str) -> Option<String> {
    let (scheme, rest) = url.split_once("://")?;
    match scheme.to_ascii_lowercase().as_str() {
        "rediss" => Some(format!("redis://{rest}")),
        "valkeys" => Some(format!("valkey://{rest}")),
        _ => None,
    }
}
