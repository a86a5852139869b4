//! A resource in virtual time, and users that want as much of it as their limits allow.

use std::{
    cmp::Reverse,
    collections::{BinaryHeap, VecDeque},
    time::Duration,
};

use super::super::{AdaptiveLimit, Outcome, Sample};

/// A resource that serves `servers` jobs at once and queues the rest, in order of arrival.
pub(super) struct Simulation {
    pub(super) servers: usize,
    /// The time a job takes once it is served.
    pub(super) service: Duration,
    pub(super) length: Length,
    /// How many jobs it takes in; it refuses more, at a tenth of the time.
    pub(super) capacity: usize,
    pub(super) users: Vec<User>,
    now: u64,
    serving: usize,
    queue: VecDeque<Job>,
    events: BinaryHeap<Reverse<(u64, Job)>>,
    random: u64,
}

/// How the times of the jobs differ.
#[derive(Clone, Copy)]
pub(super) enum Length {
    /// By up to a tenth.
    Even,
    /// Exponentially: some jobs take many times the average.
    Uneven,
}

pub(super) struct User {
    pub(super) limit: Box<dyn AdaptiveLimit>,
    /// How many jobs it has at any time.
    pub(super) demand: usize,
    in_use: usize,
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Job {
    began: u64,
    user: usize,
    refused: bool,
}

/// What was seen of a user's limit, permit by permit.
#[derive(Clone, Debug)]
pub(super) struct Seen {
    pub(super) least: usize,
    pub(super) most: usize,
    pub(super) mean: f64,
    /// Of all jobs that the resource could have served, how many it has served for this user.
    pub(super) utilization: f64,
}

impl Simulation {
    /// 20 servers that take 10 ms for a job.
    pub(super) fn new(
        length: Length,
        limits: impl IntoIterator<Item = Box<dyn AdaptiveLimit>>,
    ) -> Self {
        Self {
            servers: 20,
            service: Duration::from_millis(10),
            length,
            capacity: usize::MAX,
            users: limits.into_iter().map(User::new).collect(),
            now: 0,
            serving: 0,
            queue: VecDeque::new(),
            events: BinaryHeap::new(),
            random: 1,
        }
    }

    /// Runs for some time. What was seen of each user.
    pub(super) fn run(&mut self, time: Duration) -> Vec<Seen> {
        let began = self.now;
        let end = began + nanos(time);
        let mut limits = vec![Vec::new(); self.users.len()];
        let mut served = vec![0_usize; self.users.len()];
        while self.now < end {
            let job = self.next();
            let user = &self.users[job.user];
            limits[job.user].push(user.limit.limit());
            served[job.user] += usize::from(!job.refused);
        }
        let took = (self.now - began) as f64;
        let servable = took / nanos(self.service) as f64 * self.servers as f64;
        let seen = limits.iter().zip(served).map(|(limits, served)| Seen {
            least: *limits.iter().min().expect("permits"),
            most: *limits.iter().max().expect("permits"),
            mean: limits.iter().sum::<usize>() as f64 / limits.len() as f64,
            utilization: served as f64 / servable,
        });
        seen.collect()
    }

    /// Runs for some time with a single user.
    pub(super) fn run_alone(&mut self, time: Duration) -> Seen {
        let [seen] = &self.run(time)[..] else {
            panic!("a single user");
        };
        seen.clone()
    }

    /// Until the next job ends.
    fn next(&mut self) -> Job {
        self.arrive();
        let Reverse((now, job)) = self.events.pop().expect("a job");
        self.now = now;
        if !job.refused {
            self.serving -= 1;
            self.serve();
        }
        let user = &mut self.users[job.user];
        let outcome = match job.refused {
            true => Outcome::Overload,
            false => Outcome::Success,
        };
        let held = Duration::from_nanos(now - job.began);
        let said = user.limit.update(&Sample::new(held, user.in_use, outcome));
        assert_eq!(said, user.limit.limit(), "what `update` returned");
        user.in_use -= 1;
        job
    }

    /// Everybody who may and would begins a job.
    fn arrive(&mut self) {
        loop {
            let eager = self.users.iter().enumerate();
            let eager = eager.filter(|(_, user)| user.in_use < user.limit.limit().min(user.demand));
            let Some((user, _)) = eager.min_by_key(|(_, user)| user.in_use) else {
                return;
            };
            self.users[user].in_use += 1;
            let refused = self.serving + self.queue.len() >= self.capacity;
            let job = Job {
                began: self.now,
                user,
                refused,
            };
            if refused {
                let at = self.now + nanos(self.service) / 10;
                self.events.push(Reverse((at, job)));
            } else {
                self.queue.push_back(job);
                self.serve();
            }
        }
    }

    fn serve(&mut self) {
        while self.serving < self.servers {
            let Some(job) = self.queue.pop_front() else {
                return;
            };
            self.serving += 1;
            let random = self.random();
            let length = match self.length {
                Length::Even => 0.9 + 0.2 * random,
                Length::Uneven => -(1.0 - random).ln(),
            };
            let takes = self.service.mul_f64(length);
            self.events.push(Reverse((self.now + nanos(takes), job)));
        }
    }

    /// From 0 to 1, evenly: xorshift64*, of G. Marsaglia and S. Vigna.
    fn random(&mut self) -> f64 {
        self.random ^= self.random >> 12;
        self.random ^= self.random << 25;
        self.random ^= self.random >> 27;
        let bits = self.random.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 11;
        bits as f64 / (1_u64 << 53) as f64
    }
}

impl User {
    fn new(limit: Box<dyn AdaptiveLimit>) -> Self {
        Self {
            limit,
            demand: usize::MAX,
            in_use: 0,
        }
    }
}

fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).expect("years")
}
