//! One connection through the proxy.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, PoisonError, atomic::Ordering::Relaxed},
    time::Duration,
};

use rand::{Rng as _, SeedableRng as _, rngs::SmallRng};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{
        TcpStream,
        tcp::{ReadHalf, WriteHalf},
    },
    sync::{mpsc, watch},
    time::{Instant, sleep_until},
};

use super::{Counts, Faults, resp};

pub(super) struct Connection {
    faults: watch::Sender<Faults>,
    counts: Arc<Counts>,
    /// The names of commands that have no reply yet.
    asked: Mutex<VecDeque<String>>,
    random: Mutex<SmallRng>,
}

/// What becomes of a frame.
enum Fate {
    Pass,
    Drop,
    /// The connection ends with it.
    Cut,
}

/// How a direction came to its end.
#[derive(PartialEq, Eq)]
enum End {
    Closed,
    Cut,
}

impl Connection {
    pub(super) fn new(number: usize, faults: watch::Sender<Faults>, counts: Arc<Counts>) -> Self {
        Self {
            faults,
            counts,
            asked: Mutex::default(),
            random: Mutex::new(SmallRng::seed_from_u64(number as u64)),
        }
    }

    /// Carries frames until one side closes or all is reset.
    pub(super) async fn carry(
        &self,
        mut client: TcpStream,
        mut server: TcpStream,
        mut resets: watch::Receiver<usize>,
    ) {
        for stream in [&client, &server] {
            let _ = stream.set_nodelay(true);
        }
        let (mut from_client, mut to_client) = client.split();
        let (mut from_server, mut to_server) = server.split();
        let requests = self.direct(
            &mut from_client,
            &mut to_server,
            |faults| faults.holds_requests,
            |frame| self.request(frame),
        );
        let replies = self.direct(
            &mut from_server,
            &mut to_client,
            |faults| faults.holds_replies,
            |frame| self.reply(frame),
        );
        let end = tokio::select! {
            end = requests => end,
            end = replies => end,
            _ = resets.changed() => End::Cut,
        };
        if end == End::Cut {
            for stream in [&client, &server] {
                reset(stream);
            }
        }
    }

    /// One direction, until its sender closes it.
    async fn direct(
        &self,
        from: &mut ReadHalf<'_>,
        to: &mut WriteHalf<'_>,
        is_held: impl Fn(&Faults) -> bool,
        fate: impl Fn(&[u8]) -> Fate,
    ) -> End {
        let (sent, mut due) = mpsc::unbounded_channel();
        let send = |thing| sent.send((Instant::now() + self.delay(), thing));
        let read = async {
            let mut bytes = Vec::new();
            let mut end = End::Closed;
            while end == End::Closed && from.read_buf(&mut bytes).await.is_ok_and(|read| read > 0) {
                while let Some(length) = resp::frame_length(&bytes) {
                    let frame: Vec<u8> = bytes.drain(..length).collect();
                    match fate(&frame) {
                        Fate::Pass => drop(send(Ok(frame))),
                        Fate::Drop => (),
                        Fate::Cut => {
                            end = End::Cut;
                            break;
                        }
                    }
                }
            }
            // It is on its way as long as everything before it.
            let _ = send(Err(end));
            std::future::pending().await
        };
        let write = async {
            let mut faults = self.faults.subscribe();
            while let Some((at, thing)) = due.recv().await {
                sleep_until(at).await;
                let _ = faults.wait_for(|faults| !is_held(faults)).await;
                match thing {
                    Ok(frame) if to.write_all(&frame).await.is_ok() => (),
                    Ok(_) => break,
                    Err(end) => return end,
                }
            }
            End::Closed
        };
        tokio::select! {
            never = read => never,
            end = write => end,
        }
    }

    fn delay(&self) -> Duration {
        self.faults.borrow().delay
    }

    fn request(&self, frame: &[u8]) -> Fate {
        let name = resp::words(frame).next().unwrap_or_default();
        // Its answers are pushes.
        if !name.to_ascii_lowercase().ends_with("subscribe") {
            self.asked().push_back(name.into());
        }
        Fate::Pass
    }

    fn reply(&self, frame: &[u8]) -> Fate {
        if frame.first() == Some(&b'>') {
            return self.push(frame);
        }
        let command = self.asked().pop_front().unwrap_or_default();
        let cut = self.faults.borrow().cut;
        if cut.is_some_and(|cut| cut.concerns(&command) && self.happens(cut.chance)) {
            self.faults.send_modify(|faults| {
                if let Some(cut) = &mut faults.cut {
                    cut.at_most = cut.at_most.saturating_sub(1);
                }
            });
            self.counts.cut_replies.fetch_add(1, Relaxed);
            return Fate::Cut;
        }
        Fate::Pass
    }

    fn push(&self, frame: &[u8]) -> Fate {
        let kind = resp::words(frame).next();
        if !kind.is_some_and(|kind| kind.ends_with("message")) {
            return Fate::Pass;
        }
        self.counts.pushes.fetch_add(1, Relaxed);
        let chance = self.faults.borrow().dropped_pushes;
        if !self.happens(chance) {
            return Fate::Pass;
        }
        self.counts.dropped_pushes.fetch_add(1, Relaxed);
        Fate::Drop
    }

    fn happens(&self, chance: f64) -> bool {
        let mut random = self.random.lock().unwrap_or_else(PoisonError::into_inner);
        random.random_bool(chance)
    }

    fn asked(&self) -> std::sync::MutexGuard<'_, VecDeque<String>> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Its end is abrupt: a reset instead of a goodbye.
pub(super) fn reset(stream: &TcpStream) {
    let _ = stream.set_zero_linger();
}
