//! Requests per second through `axum::serve` on the loopback interface, with 32 connections from
//! clients in the same runtime of two workers. All requests are admitted at once.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use tokio::{
    net::{TcpListener, TcpStream},
    time::sleep,
};

use crate::{
    candidates::{Candidate, Settings, router},
    support::{
        client::Client,
        clock::{cpu, now},
        figures::Row,
        rounds::medians,
        two_workers,
    },
};

const ROUNDS: usize = 9;
const WINDOW: Duration = Duration::from_millis(300);
const CONNECTIONS: usize = 32;

pub(crate) fn measure() -> Vec<Row> {
    let [rate, cost] = medians(ROUNDS, &Candidate::ALL, |candidate| {
        two_workers().block_on(load(candidate))
    });
    vec![
        Row::new("through `axum::serve` on loopback, requests/s", rate),
        Row::new("the same, CPU µs per request, client included", cost).digits(2),
    ]
}

/// Requests per second and CPU microseconds per request.
async fn load(candidate: Candidate) -> [f64; 2] {
    let listener = TcpListener::bind("127.0.0.1:0").await;
    let listener = listener.expect("there is a free port");
    let address = listener.local_addr().expect("the listener is bound");
    let router = router(candidate, Settings::limit(CONNECTIONS));
    let server = tokio::spawn(async move { axum::serve(listener, router).await });

    let mut clients = Vec::new();
    for _ in 0..CONNECTIONS {
        let stream = TcpStream::connect(address).await;
        clients.push(Client::new(stream.expect("the server listens")).await);
    }
    let over = Arc::new(AtomicBool::new(false));
    let (start, before) = (now(), cpu());
    let tasks: Vec<_> = clients
        .into_iter()
        .map(|mut client| {
            let over = Arc::clone(&over);
            tokio::spawn(async move {
                let mut answered = 0;
                while !over.load(Ordering::Relaxed) {
                    client.request().await;
                    answered += 1;
                }
                answered
            })
        })
        .collect();
    sleep(WINDOW).await;
    over.store(true, Ordering::Relaxed);
    let mut answered = 0;
    for task in tasks {
        answered += task.await.expect("every request is admitted");
    }
    let (took, used) = (start.elapsed(), cpu() - before);
    server.abort();
    let answered = f64::from(answered);
    [
        answered / took.as_secs_f64(),
        used.as_secs_f64() * 1e6 / answered,
    ]
}
