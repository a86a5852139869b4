//! Limits that are shared by way of TLS.
//!
//! What a process trusts is in its environment, so each case is a process of its own: this
//! executable again.

use std::{
    env, fs,
    path::Path,
    process::{Command, Output},
    time::Duration,
};

use rcgen::{CertifiedKey, generate_simple_self_signed};
use tempfile::TempDir;
use test_support::{Options, Server};
use tower_concurrency_limiter::{Limiter, Resource, redis::RedisBackend};

/// Where the child finds the server.
const URL: &str = "TLS_TEST_URL";

/// A certificate for 127.0.0.1 and its key, in `folder`.
fn certify(folder: &Path, name: &str) -> [String; 2] {
    let names = ["127.0.0.1".to_owned(), "localhost".to_owned()];
    let CertifiedKey { cert, signing_key } = generate_simple_self_signed(names).unwrap();
    [("crt", cert.pem()), ("key", signing_key.serialize_pem())].map(|(ending, pem)| {
        let path = folder.join(format!("{name}.{ending}"));
        fs::write(&path, pem).unwrap();
        path.display().to_string()
    })
}

struct Scene {
    folder: TempDir,
    certificate: String,
    tls_port: u16,
    _server: Server,
}

impl Scene {
    /// A server that speaks TLS beside its other port, which the tests look after it by.
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let [certificate, key] = certify(folder.path(), "server");
        let tls_port = test_support::free_port();
        let settings = vec![
            ("tls-port", tls_port.to_string()),
            ("tls-cert-file", certificate.clone()),
            ("tls-key-file", key),
            ("tls-ca-cert-file", certificate.clone()),
            ("tls-auth-clients", "no".to_owned()),
        ];
        let server = Server::with(Options {
            requirepass: Some("secret"),
            settings,
            ..Options::default()
        });
        Self {
            folder,
            certificate,
            tls_port,
            _server: server,
        }
    }

    /// Runs one of the ignored tests below as a process that trusts this certificate.
    fn child(&self, test: &str, trusted: &str) -> Output {
        Command::new(env::current_exe().unwrap())
            .args(["--exact", test, "--ignored", "--nocapture"])
            .env(URL, format!("rediss://:secret@127.0.0.1:{}", self.tls_port))
            .env("SSL_CERT_FILE", trusted)
            .env_remove("SSL_CERT_DIR")
            .output()
            .unwrap()
    }
}

#[test]
fn a_limit_is_shared_by_way_of_tls_and_nothing_is_installed_for_the_process() {
    let scene = Scene::new();
    crate::processes::child::succeeds(
        &scene.child("tls::a_process_that_trusts_the_server", &scene.certificate),
    );
}

#[test]
fn a_certificate_that_is_not_trusted_is_refused() {
    let scene = Scene::new();
    let [other, _] = certify(scene.folder.path(), "other");
    crate::processes::child::succeeds(
        &scene.child("tls::a_process_that_does_not_trust_the_server", &other),
    );
}

#[test]
fn a_process_without_certificates_is_told_at_start_up() {
    let scene = Scene::new();
    let missing = scene.folder.path().join("missing.crt");
    crate::processes::child::succeeds(&scene.child(
        "tls::a_process_without_certificates",
        &missing.display().to_string(),
    ));
}

fn has_no_provider() -> bool {
    rustls::crypto::CryptoProvider::get_default().is_none()
}

#[tokio::test]
#[ignore = "run as a process of its own"]
async fn a_process_that_trusts_the_server() {
    let url = env::var(URL).unwrap();
    let zero = Duration::ZERO;
    let backend = RedisBackend::builder(&url)
        .cold_start(zero)
        .connect_lazy()
        .unwrap();
    backend.ready().await.unwrap();
    let other = RedisBackend::builder(&url)
        .cold_start(zero)
        .connect_lazy()
        .unwrap();
    let db = || Resource::builder("db").concurrency(1);
    let [own, foreign] = [&backend, &other].map(|backend| db().shared(backend).build());
    let [here, there] = [&own, &foreign].map(|db| Limiter::new(Duration::from_secs(10), [db]));
    let held = here.acquire([&own]).await.unwrap();
    let at_once = there.request([&foreign]).timeout(zero).acquire().await;
    assert!(at_once.is_err(), "one for both");
    let next = there.acquire([&foreign]);
    let release = async {
        tokio::task::yield_now().await;
        drop(held);
    };
    let (next, ()) = tokio::join!(next, release);
    assert!(next.is_ok(), "granted by a notification");
    drop(next);
    backend.close().await;
    other.close().await;
    assert!(has_no_provider(), "nothing is installed for the process");
}

#[tokio::test]
#[ignore = "run as a process of its own"]
async fn a_process_that_does_not_trust_the_server() {
    let url = env::var(URL).unwrap();
    let address = url.split_once('@').unwrap().1;
    let error = RedisBackend::connect_lazy(&url)
        .unwrap()
        .ready()
        .await
        .unwrap_err();
    let error = error.to_string();
    let words = format!("server {address} cannot be reached: invalid peer certificate: ");
    assert!(
        error.starts_with(&words) && !error.contains("secret"),
        "{error}"
    );
    let cure = "; add its certificate to those of the system, or to the file that the environment \
                variable `SSL_CERT_FILE` names";
    assert!(error.ends_with(cure), "{error}");
    assert!(has_no_provider());
}

#[test]
#[ignore = "run as a process of its own"]
fn a_process_without_certificates() {
    let error = RedisBackend::connect_lazy(env::var(URL).unwrap())
        .unwrap_err()
        .to_string();
    let words = "certificates of the system cannot be loaded: ";
    let cure = "; install them, or name a file of them in the environment variable `SSL_CERT_FILE`";
    assert!(error.starts_with(words) && error.ends_with(cure), "{error}");
    assert!(has_no_provider());
}
