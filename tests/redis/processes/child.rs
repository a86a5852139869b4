//! A process of its own, which can be killed and paused.

use std::{
    env,
    io::{BufRead, BufReader, Write},
    process::{Child, ChildStdin, Command, Output, Stdio},
    sync::mpsc::{self, Receiver},
    thread,
    time::Duration,
};

use rustix::process::{Pid, Signal, kill_process};

use super::venue::{Process, Venue};

const URL: &str = "CONCURRENCY_LIMITER_TEST_URL";
const NAMESPACE: &str = "CONCURRENCY_LIMITER_TEST_NAMESPACE";
const LEASE: &str = "CONCURRENCY_LIMITER_TEST_LEASE_MS";
const ANSWER: &str = "> ";

/// The test binary once more, as another process. It does what it is told, a line each.
pub(crate) struct OtherProcess {
    child: Child,
    words: ChildStdin,
    answers: Receiver<String>,
}

impl OtherProcess {
    /// Runs the test `entry` of this binary, which has to be [`obey`].
    pub(crate) fn start(entry: &str, venue: &Venue, lease: Duration) -> Self {
        let mut child = Command::new(env::current_exe().expect("this test"))
            .args(["--exact", entry, "--nocapture", "--test-threads=1"])
            .env(URL, venue.url())
            .env(NAMESPACE, venue.namespace())
            .env(LEASE, lease.as_millis().to_string())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("another process");
        let words = child.stdin.take().expect("piped");
        let lines = BufReader::new(child.stdout.take().expect("piped")).lines();
        let (told, answers) = mpsc::channel();
        thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                if let Some((_, answer)) = line.split_once(ANSWER) {
                    let _ = told.send(answer.to_owned());
                }
            }
        });
        let process = Self {
            child,
            words,
            answers,
        };
        assert_eq!(process.answer(), "ready");
        process
    }

    /// Tells it something, and waits for the answer.
    pub(crate) fn tell(&mut self, word: &str) -> String {
        writeln!(self.words, "{word}").expect("it listens");
        self.answer()
    }

    fn answer(&self) -> String {
        let patience = Duration::from_secs(20);
        self.answers.recv_timeout(patience).expect("an answer")
    }

    pub(crate) fn kill(&mut self) {
        self.child.kill().expect("it runs");
        self.child.wait().expect("it ends");
    }

    pub(crate) fn pause(&self) {
        self.signal(Signal::STOP);
    }

    pub(crate) fn resume(&self) {
        self.signal(Signal::CONT);
    }

    fn signal(&self, signal: Signal) {
        let id = Pid::from_child(&self.child);
        kill_process(id, signal).expect("it runs");
    }
}

impl Drop for OtherProcess {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What the other process does: nothing, if this is the first one.
pub(crate) fn obey() {
    let (Ok(url), Ok(namespace), Ok(lease)) = (env::var(URL), env::var(NAMESPACE), env::var(LEASE))
    else {
        return;
    };
    let lease = Duration::from_millis(lease.parse().expect("a number"));
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("a runtime");
    let venue = Venue::new(url).named(&namespace);
    let process = runtime.block_on(async {
        let backend = venue
            .builder()
            .lease(lease)
            .connect_lazy()
            .expect("a good URL");
        backend.ready().await.expect("a server");
        let sharing = backend.strict();
        Process::with(backend, sharing, |builder| builder.concurrency(1)).await
    });
    let say = |answer: &str| println!("{ANSWER}{answer}");
    let mut permits = Vec::new();
    say("ready");
    for line in std::io::stdin().lines().map_while(Result::ok) {
        match line.as_str() {
            "acquire" => {
                let request = process.limiter.request([&process.db]);
                let request = request.timeout(Duration::from_secs(10)).acquire();
                match runtime.block_on(request) {
                    Ok(permit) => {
                        permits.push(permit);
                        say("held");
                    }
                    Err(rejection) => say(rejection.reason().as_str()),
                }
            }
            "is it valid" => match permits.iter().all(|permit| permit.is_valid()) {
                true => say("valid"),
                false => say("lost"),
            },
            "is it lost" => {
                let lost = permits.iter().map(|permit| permit.lost());
                let lost = futures_util::future::join_all(lost);
                let patience = Duration::from_secs(2);
                let lost = runtime.block_on(async { tokio::time::timeout(patience, lost).await });
                say(if lost.is_ok() { "lost" } else { "not lost" });
            }
            "return" => {
                permits.clear();
                say("returned");
            }
            other => panic!("what is {other}?"),
        }
    }
}

/// Runs an ignored test of this binary as a process of its own.
#[track_caller]
pub(crate) fn run_alone(test: &str) {
    let mut command = Command::new(env::current_exe().expect("this test"));
    command.args(["--exact", test, "--ignored", "--nocapture"]);
    succeeds(&command.output().expect("another process"));
}

/// Checks that the one test of a process passed.
#[track_caller]
pub(crate) fn succeeds(output: &Output) {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let (out, err) = (text(&output.stdout), text(&output.stderr));
    assert!(
        output.status.success() && out.contains("1 passed"),
        "{out}\n{err}"
    );
}
