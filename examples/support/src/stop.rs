//! Being asked to end.

use std::{future::Future, process::ExitCode};

use anyhow::Result;

/// Runs an example: its error is one line, and when it is asked to end, all that it started ends
/// before.
pub async fn until_stopped(example: impl Future<Output = Result<()>>) -> ExitCode {
    let done = tokio::select! {
        // Ctrl-C reaches the other processes too, whose end is then not the news.
        biased;
        () = stopped() => None,
        done = example => Some(done),
    };
    match done {
        Some(Ok(())) => ExitCode::SUCCESS,
        Some(Err(error)) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
        None => {
            eprintln!("stopped");
            std::process::exit(130);
        }
    }
}

/// Ctrl-C, or being asked to end.
async fn stopped() {
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        let mut asked = signal(SignalKind::terminate()).expect("signals can be watched");
        tokio::select! {
            _ = tokio::signal::ctrl_c() => (),
            _ = asked.recv() => (),
        }
    }
    #[cfg(not(unix))]
    let _ = tokio::signal::ctrl_c().await;
}
