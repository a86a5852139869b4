//! The scripts and the queue of a limiter decide the same.
//!
//! Both are driven with the same operations at the same times. `DIFFERENTIAL=seed` runs one
//! sequence and prints it, `DIFFERENTIAL_CASES=n` runs more of them.

use std::{collections::BTreeMap, env};

use super::{clocked::Clocked, server::Server};
use crate::{
    admission::{
        Admission, Arrival, Attributes, Beneficiary, By, Demand, Demands, Drain, LaneId, LaneRule,
        LaneRules, Ledger, Queue, RateRule, ReserveRule, ResourceRules, ResourceSpec, Shape,
        Sharing, Ticket, Usage, Verdict,
    },
    redis::{
        protocol::{
            Ask, Attach, Class, Config, Done, Granted, LaneConfig, LaneToken, Operation,
            RateConfig, Refusal, Reply, ReserveConfig, Settled, Timing, Whose,
        },
        script::{self, Call, Keys},
    },
};

/// As large as the times of a server are today.
const START: u64 = 1_790_000_000_000_000;

const OPERATIONS: usize = 200;

const TIMING: Timing = Timing {
    heartbeat: 1 << 48,
    lease: 1 << 50,
    cold_start: 0,
    fast_death: false,
};

const SESSIONS: [&str; 3] = ["one-1", "one-2", "two-1"];

/// xorshift64*
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 11
    }

    fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }

    fn chance(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }

    fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.below(from.len() as u64) as usize]
    }
}

/// A usage of one resource that is not shared with anybody.
struct Account(Usage, usize);

impl Ledger for Account {
    fn usage(&self, _: u32) -> Usage {
        self.0
    }

    fn take(&mut self, _: u32, units: u32) {
        assert!(self.0.fits(units), "the model granted over the limit");
        self.0 = self.0.taking(units);
    }

    fn contend(&mut self, _: u32) {}

    fn set_limit(&mut self, _: u32, limit: u32) {
        self.0 = self.0.with_limit(limit);
    }

    fn calm(&mut self, _: u32, _: Drain) {}

    fn waiting(&mut self, _: u32, waiters: usize) {
        self.1 = waiters;
    }
}

/// The rules of one sequence, as both know them.
#[derive(Clone, Debug)]
struct Rules {
    limit: u32,
    max_waiting: u64,
    credit: Option<u64>,
    revision: u64,
    strict: bool,
    has_lanes: bool,
    declared: Vec<(u64, LaneRule)>,
    others: Option<LaneRule>,
    keyed: Option<(LaneRule, u32)>,
    reserves: Vec<(u32, Whose)>,
    rates: Vec<RateConfig>,
}

impl Rules {
    fn random(random: &mut Random) -> Self {
        let mut rules = Self {
            limit: random.pick(&[1, 2, 3, 5, 8, 13]),
            max_waiting: random.pick(&[0, 1, 2, 3, 5, 1_000]),
            credit: random.pick(&[None, None, Some(15), Some(40)]),
            revision: 1,
            strict: false,
            has_lanes: random.chance(60),
            declared: Vec::new(),
            others: None,
            keyed: None,
            reserves: Vec::new(),
            rates: Vec::new(),
        };
        if rules.has_lanes {
            rules.random_lanes(random);
        }
        if random.chance(35) {
            rules.random_reserves(random);
        }
        if random.chance(30) {
            // Nothing but rates keeps anybody.
            rules.limit = 1_000;
            rules.max_waiting = 1_000;
        }
        if rules.limit == 1_000 || random.chance(35) {
            let number = 1 + random.below(2);
            rules.rates = (0..number).map(|by| random_rate(random, by == 1)).collect();
        }
        rules
    }

    fn random_lanes(&mut self, random: &mut Random) {
        let lane = |random: &mut Random| LaneRule {
            weight: random.pick(&[1, 1, 2, 3, 7, 1_000_003, 1 << 20]),
            max: random.pick(&[1, 2, 3, u32::MAX, u32::MAX]),
        };
        let number = 1 + random.below(3);
        self.declared = (0..number).map(|id| (1_000 + id, lane(random))).collect();
        if random.chance(40) {
            self.keyed = Some((lane(random), random.pick(&[1, 2, 5])));
        }
        if self.keyed.is_some() || random.chance(50) {
            self.others = Some(lane(random));
        }
        if let Some((kind, _)) = self.keyed {
            // Without a lane for the rest, the queue makes it one of the kind.
            self.others = self.others.filter(|_| random.chance(50)).or(Some(kind));
        }
        self.strict = self.keyed.is_none() && random.chance(30);
    }

    fn random_reserves(&mut self, random: &mut Random) {
        let mut left = self.limit.saturating_sub(1);
        for _ in 0..1 + random.below(3) {
            if left == 0 {
                return;
            }
            let units = 1 + random.below(left.into()) as u32;
            let whose = match self.declared.len() as u64 {
                lanes if lanes > 0 && random.chance(50) => {
                    Whose::Lane(LaneToken(self.declared[random.below(lanes) as usize].0))
                }
                _ => Whose::Priority(random.pick(&[8, 11, 50])),
            };
            if self.reserves.iter().all(|(_, other)| *other != whose) {
                self.reserves.push((units, whose));
                left -= units;
            }
        }
    }

    /// What each lane may use, by largest remainder.
    fn portions(&self) -> Vec<u32> {
        let weights: Vec<u64> = self.lanes().map(|(_, rule)| rule.weight.into()).collect();
        let total: u64 = weights.iter().sum();
        let limit = u64::from(self.limit);
        let mut portions: Vec<u64> = weights.iter().map(|w| limit * w / total).collect();
        let mut order: Vec<usize> = (0..weights.len()).collect();
        order.sort_by_key(|&i| (std::cmp::Reverse(limit * weights[i] % total), i));
        let left = (limit - portions.iter().sum::<u64>()) as usize;
        order[..left].iter().for_each(|&i| portions[i] += 1);
        portions.into_iter().map(|p| p.max(1) as u32).collect()
    }

    fn lanes(&self) -> impl Iterator<Item = (LaneToken, LaneRule)> + '_ {
        let declared = self
            .declared
            .iter()
            .map(|&(id, rule)| (LaneToken(id), rule));
        declared.chain(self.others.map(|rule| (LaneToken::OTHERS, rule)))
    }

    fn config(&self) -> Config {
        let portions = match self.strict {
            true => self.portions(),
            false => vec![u32::MAX; self.lanes().count()],
        };
        let lane = |(token, rule): (LaneToken, LaneRule), portion: u32| LaneConfig {
            token,
            weight: rule.weight,
            cap: rule.max.min(portion),
        };
        let keyed = |(rule, most)| (lane((LaneToken(0), rule), u32::MAX), most);
        let config = Config {
            revision: self.revision,
            limit: self.limit,
            max_waiting: self.max_waiting,
            credit: self.credit,
            lanes: self
                .lanes()
                .zip(portions)
                .map(|(l, p)| lane(l, p))
                .collect(),
            keyed: self.keyed.map(keyed),
            reserves: self
                .reserves
                .iter()
                .map(|&(units, whose)| ReserveConfig { units, whose })
                .collect(),
            rates: self.rates.clone(),
        };
        config.check().expect("a configuration that can be kept");
        config
    }

    fn spec(&self) -> ResourceSpec {
        let lanes = LaneRules {
            sharing: if self.strict {
                Sharing::Strict
            } else {
                Sharing::Shared
            },
            declared: self
                .declared
                .iter()
                .map(|&(id, rule)| (LaneId::new(id), rule))
                .collect(),
            others: self.others,
            keyed: self.keyed.map(|(rule, most)| (rule, most as usize)),
        };
        let beneficiary = |whose| match whose {
            Whose::Lane(LaneToken(id)) => Beneficiary::Lane(LaneId::new(id)),
            Whose::Priority(least) => Beneficiary::Priority(least),
        };
        ResourceSpec {
            max_waiting: self.max_waiting as usize,
            limit: self.limit,
            rules: ResourceRules {
                lanes: self.has_lanes.then_some(lanes),
                reserves: self
                    .reserves
                    .iter()
                    .map(|&(units, whose)| ReserveRule {
                        units,
                        beneficiary: beneficiary(whose),
                    })
                    .collect(),
                rates: self.rates.iter().map(rate_rule).collect(),
                ..ResourceRules::default()
            },
        }
    }
}

fn random_rate(random: &mut Random, by_load: bool) -> RateConfig {
    let large = random.chance(20);
    RateConfig {
        by_load,
        count: if large {
            (1 << 33) + random.below(1 << 33)
        } else {
            1 + random.below(12)
        },
        period: random.pick(&[7, 100, 300, 1_000]),
        burst: random.chance(50).then(|| match large {
            true => 1 + random.below(1 << 34),
            false => 1 + random.below(15),
        }),
    }
}

fn rate_rule(rate: &RateConfig) -> (By, RateRule) {
    let by = if rate.by_load { By::Load } else { By::Request };
    let shape = rate
        .burst
        .map_or(Shape::AnyWindow, |burst| Shape::Gcra { burst });
    let RateConfig { count, period, .. } = *rate;
    (
        by,
        RateRule {
            count,
            period,
            shape,
        },
    )
}

/// Somebody who waits or holds, in both worlds.
#[derive(Clone, Debug)]
struct Request {
    session: usize,
    class: Class,
    priority: u8,
    units: u32,
    load: u64,
    /// The lane that it got in the queue.
    lane: u32,
    ticket: Option<Ticket>,
    /// Since when it holds.
    at: Option<u64>,
    is_settled: bool,
}

/// What one operation is expected to say.
#[derive(Debug, Default, PartialEq, Eq)]
struct Said {
    granted: Vec<(u64, u64)>,
    queued: Vec<u64>,
    refused: Vec<(u64, &'static str)>,
}

#[derive(Debug, Default)]
struct Session {
    operation: u64,
    /// Pushes that it has seen.
    seen: u64,
    acknowledged: u64,
    /// What it is to find in its mailbox.
    granted: Vec<(u64, u64)>,
    shed: Vec<u64>,
    /// What it may find again, until it has acknowledged it.
    shed_before: Vec<u64>,
}

struct Model {
    queue: Queue<u64>,
    account: Account,
    requests: BTreeMap<u64, Request>,
    sessions: [Session; 3],
    caller: usize,
    said: Said,
}

impl Model {
    fn new(rules: &Rules) -> Self {
        Self {
            queue: Queue::new([rules.spec()], rules.credit),
            account: Account(Usage::new(rules.limit), 0),
            requests: BTreeMap::new(),
            sessions: Default::default(),
            caller: 0,
            said: Said::default(),
        }
    }

    fn demands(request: &Request) -> Demands {
        let demand = Demand {
            lane: request.lane,
            ..Demand::new(0, request.units)
        };
        Demands::collect([demand].into_iter())
    }

    fn cancel(&mut self, id: u64) {
        let own = self
            .requests
            .get(&id)
            .filter(|request| request.session == self.caller);
        let ticket = own.and_then(|request| request.ticket);
        if let Some(ticket) = ticket {
            self.queue.cancel(ticket, &mut self.account);
            self.requests.remove(&id);
        }
    }

    fn give_back(&mut self, id: u64) {
        let request = self.requests.remove(&id).expect("held");
        self.account.0 = self.account.0.returning(request.units);
        self.queue
            .returned(&Self::demands(&request), request.priority);
    }

    fn settle(&mut self, now: u64, id: u64, actual: Option<u64>) -> Settled {
        let request = self.requests.get_mut(&id).expect("held");
        request.is_settled = true;
        let (at, load) = (request.at.expect("granted"), request.load);
        let demands = Self::demands(request);
        let bounded = actual.map(|actual| self.queue.bounded_load(&demands, actual));
        self.queue.settle_load(now, &demands, at, load, bounded);
        Settled { at, load, actual }
    }

    /// Who is late goes first, as in the scripts.
    fn expire(&mut self, now: u64) {
        while let Some((id, verdict)) = self.queue.next_expired(now - 1, &mut self.account) {
            self.judge(now, id, verdict);
        }
        self.queue.is_due(now);
    }

    fn grant(&mut self, now: u64) {
        while let Some((id, verdict)) = self.queue.next_verdict(now, &mut self.account) {
            self.judge(now, id, verdict);
        }
    }

    fn judge(&mut self, now: u64, id: u64, verdict: Verdict) {
        let request = self.requests.get_mut(&id).expect("it waits");
        let owner = &mut self.sessions[request.session];
        let is_own = request.session == self.caller;
        self.said.queued.retain(|queued| *queued != id || !is_own);
        match verdict {
            Verdict::Granted => {
                request.ticket = None;
                request.at = Some(now);
                match is_own {
                    true => self.said.granted.push((id, request.load)),
                    false => owner.granted.push((id, request.load)),
                }
                return;
            }
            Verdict::TimedOut { .. } if is_own => self.said.refused.push((id, "timeout")),
            Verdict::Shed { .. } if is_own => self.said.refused.push((id, "shed")),
            Verdict::Shed { .. } => owner.shed.push(id),
            Verdict::TimedOut { .. } | Verdict::Closed => {}
        }
        self.requests.remove(&id);
    }

    fn arrive(&mut self, now: u64, ask: &Ask) {
        let arrival = Arrival {
            payload: ask.id,
            demands: Demands::collect([Demand::new(0, ask.units)].into_iter()),
            deadline: now + ask.patience,
            claims: Attributes {
                lane_hash: None,
                priority: ask.priority,
                lane: ask.class.lane.map(|token| LaneId::new(token.0)),
                load: ask.load,
                fail_fast: false,
            },
            max_waiting: ask.max_waiting.map(|bound| bound as usize),
        };
        let (answer, back) = self.queue.arrive(now, arrival, &mut self.account);
        let mut request = Request {
            session: self.caller,
            class: ask.class,
            priority: ask.priority,
            units: ask.units,
            load: ask.load,
            lane: back.as_ref().map_or(0, |arrival| arrival.demands[0].lane),
            ticket: None,
            at: None,
            is_settled: false,
        };
        request.load = self.queue.bounded_load(&Self::demands(&request), ask.load);
        match answer {
            Admission::Granted => {
                request.at = Some(now);
                self.said.granted.push((ask.id, request.load));
            }
            Admission::Queued(ticket) => {
                request.lane = self.queue.demands(ticket).expect("it waits")[0].lane;
                request.ticket = Some(ticket);
                self.said.queued.push(ask.id);
            }
            Admission::NoTime { .. } | Admission::WouldTimeOut { .. } => {
                self.said.refused.push((ask.id, "timeout"));
            }
            Admission::QueueFull { .. } => self.said.refused.push((ask.id, "full")),
            Admission::Closed => unreachable!("it is never closed"),
        }
        if matches!(answer, Admission::Granted | Admission::Queued(_)) {
            self.requests.insert(ask.id, request);
        }
        self.grant(now);
    }

    /// Those that hold, of this session or of any.
    fn held(&self, session: Option<usize>) -> Vec<u64> {
        let held = self.requests.iter().filter(|(_, request)| {
            request.at.is_some() && session.is_none_or(|session| session == request.session)
        });
        held.map(|(&id, _)| id).collect()
    }

    fn waiting(&self, session: usize) -> Vec<u64> {
        let waiting = self.requests.iter();
        let waiting = waiting.filter(|(_, r)| r.ticket.is_some() && r.session == session);
        waiting.map(|(&id, _)| id).collect()
    }
}

struct World<'a, 'm> {
    scripts: &'a mut Clocked<'m>,
    keys: Keys,
    random: Random,
    rules: Rules,
    model: Model,
    now: u64,
    next_id: u64,
    is_loud: bool,
}

/// Compares one sequence.
pub(super) fn compare(scripts: &mut Clocked<'_>, seed: u64) -> Result<(), String> {
    let mut random = Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
    random.next();
    let rules = Rules::random(&mut random);
    let mut world = World {
        scripts,
        keys: Keys::new("test", &format!("{seed}")),
        model: Model::new(&rules),
        random,
        rules,
        now: START,
        next_id: 0,
        is_loud: env::var("DIFFERENTIAL").is_ok(),
    };
    let result = world.run();
    let _ = redis::cmd("FLUSHALL").query::<()>(&mut scripts.connection);
    result
}

impl World<'_, '_> {
    fn run(&mut self) -> Result<(), String> {
        if self.is_loud {
            println!("{:?}", self.rules);
        }
        for session in 0..SESSIONS.len() {
            self.attach(session)?;
        }
        for step in 0..OPERATIONS {
            let result = match self.random.chance(6) {
                true => self.resize(),
                false => self.operate(),
            };
            result.map_err(|fault| format!("at {step}: {fault}, with {:?}", self.rules))?;
            if step % 2 == 0 {
                self.audit()
                    .map_err(|fault| format!("at {step}: {fault}"))?;
            }
        }
        self.audit()
    }

    fn call(&mut self, call: &Call) -> Result<redis::Value, String> {
        let reply = self.scripts.call(call, self.now);
        reply.map_err(|error| error.to_string())
    }

    fn attach(&mut self, session: usize) -> Result<(), String> {
        let call = script::attach(
            &self.keys,
            &Attach {
                session: SESSIONS[session],
                operation: 0,
                run_id: "run",
                epoch: 0,
                config: &self.rules.config(),
                timing: TIMING,
                held: &[],
                waiters: &[],
            },
        );
        let reply = self.call(&call)?;
        match script::parse_reply(&reply) {
            Ok(Reply::Done(done)) if done.is_own_config && done.learning_until.is_none() => Ok(()),
            other => Err(format!("attach was answered with {other:?}")),
        }
    }

    fn audit(&mut self) -> Result<(), String> {
        let reply = self.call(&script::audit(&self.keys))?;
        match script::parse_audit(&reply) {
            Ok(differences) if differences.is_empty() => self.check_queue(),
            other => Err(format!("the audit found {other:?}")),
        }
    }

    /// Who waits, and in which lane.
    fn check_queue(&mut self) -> Result<(), String> {
        let queue = format!("cq1:{{{}}}:q", self.keys.tag());
        let command = &mut redis::cmd("ZRANGE");
        let members = command
            .arg(queue)
            .arg(0)
            .arg(-1)
            .query(&mut self.scripts.connection);
        let members: Vec<String> = members.map_err(|error| error.to_string())?;
        let waiter = |member: &String| {
            let id = member.split(' ').nth(2)?.parse::<u64>().ok()?;
            let place = member.trim_start_matches('a'); // of those that stand aside
            Some((id, place.get(..7)?.parse::<u32>().ok()?))
        };
        let mut waiting: Vec<_> = members.iter().filter_map(waiter).collect();
        waiting.sort_unstable();
        let requests = self.model.requests.iter();
        let expected = requests.filter(|(_, request)| request.ticket.is_some());
        let expected: Vec<_> = expected.map(|(&id, request)| (id, request.lane)).collect();
        if self.is_loud {
            println!("    in lanes: {waiting:?}");
        }
        match waiting == expected {
            true => Ok(()),
            false => Err(format!(
                "{waiting:?} wait in lanes, instead of {expected:?}"
            )),
        }
    }

    /// Another limit, by hand.
    fn resize(&mut self) -> Result<(), String> {
        let limit = self.random.pick(&[0, 1, 2, 4, 8, 15]);
        self.rules.limit = limit;
        self.rules.revision += 1;
        if self.is_loud {
            println!("{} limit {limit}", self.now - START);
        }
        self.model.caller = usize::MAX;
        let model = &mut self.model;
        let queue = &mut model.queue;
        queue.set_limit(self.now, 0, limit, &mut model.account);
        self.model.expire(self.now);
        self.model.grant(self.now);
        let reply = self.call(&script::configure(&self.keys, TIMING, &self.rules.config()))?;
        match script::parse_configured(&reply) {
            Ok(Some((revision, true))) if revision == self.rules.revision => Ok(()),
            other => Err(format!("another limit was answered with {other:?}")),
        }
    }

    fn random_class(&mut self, priority: u8) -> Class {
        let mut tokens: Vec<u64> = self.rules.declared.iter().map(|(id, _)| *id).collect();
        tokens.extend([
            77,
            1 << 40,
            u64::MAX - 5,
            4_000_000_007,
            0x0123_4567_89ab_cdef,
        ]);
        let has_lane = self.rules.has_lanes && self.random.chance(85);
        let by_priority = self.rules.reserves.iter();
        let mut by_priority = by_priority.filter(|(_, whose)| matches!(whose, Whose::Priority(_)));
        Class {
            lane: has_lane.then(|| LaneToken(self.random.pick(&tokens))),
            priority: by_priority.next().map(|_| priority),
        }
    }

    fn random_ask(&mut self) -> Ask {
        let random = &mut self.random;
        let priority = match random.chance(50) {
            true => 10,
            false => random.pick(&[0, 8, 9, 10, 11, 49, 50, 255]),
        };
        let most = u64::from(self.rules.limit.max(1)).min(4);
        // Some claim more than a limit that was lowered.
        let most = if random.chance(20) { 6 } else { most };
        let units = if random.chance(60) {
            1
        } else {
            1 + random.below(most) as u32
        };
        let load = match random.chance(10) {
            true => random.below(1 << 38),
            false => random.below(9),
        };
        let patience = random.pick(&[0, 0, 5, 30, 100, 100, 1_000]);
        let max_waiting = random.chance(10).then(|| random.below(5));
        self.next_id += 1;
        Ask {
            id: self.next_id,
            class: self.random_class(priority),
            priority,
            units,
            load,
            patience,
            max_waiting,
        }
    }

    /// One that is held, and whose class says in which lane: of several lanes the first.
    fn held_by(&mut self, session: usize) -> Option<u64> {
        let held = self.model.held(Some(session));
        let id = *held.get(self.random.below(held.len().max(1) as u64) as usize)?;
        let class = self.model.requests[&id].class;
        let same = held
            .into_iter()
            .filter(|id| self.model.requests[id].class == class);
        same.min_by_key(|id| self.model.requests[id].lane)
    }

    fn operate(&mut self) -> Result<(), String> {
        let step = self.random.pick(&[0, 0, 1, 1, 3, 8, 20, 60, 400]);
        // Often exactly when something is due, or just before.
        let due = self
            .model
            .queue
            .next_event()
            .filter(|_| self.random.chance(35));
        let due = due.map(|due| due - self.random.below(2));
        self.now = due.map_or(self.now + step, |due| due.max(self.now));
        let now = self.now;
        let caller = self.random.below(3) as usize;
        self.model.caller = caller;
        self.model.said = Said::default();

        let mut cancelled = Vec::new();
        if self.random.chance(15) {
            let waiting = self.model.waiting(caller);
            cancelled.extend(waiting.first().or(Some(&self.next_id)));
            cancelled.iter().for_each(|id| self.model.cancel(*id));
        }
        let mut returned = Vec::new();
        let mut settled = Vec::new();
        let mut settle = Vec::new();
        for _ in 0..self.random.below(4) {
            let Some(id) = self.held_by(caller) else {
                break;
            };
            let again = self.random.chance(50);
            if self.random.chance(40) && (again || !self.model.requests[&id].is_settled) {
                let load = self.model.requests[&id].load;
                let actual = match self.random.below(4) {
                    0 => None,
                    1 => Some(load / 2),
                    2 => Some(load + self.random.below(6)),
                    _ => Some(self.random.below(12)),
                };
                settle.push((id, actual, self.model.requests[&id].clone()));
                self.model.requests.get_mut(&id).expect("held").is_settled = true;
            }
            if self.random.chance(70) {
                let request = &self.model.requests[&id];
                returned.push((request.class, request.units));
                self.model.give_back(id);
            }
        }
        for (id, actual, request) in settle {
            let was = self.model.requests.insert(id, request);
            settled.push(self.model.settle(now, id, actual));
            if was.is_none() {
                self.model.requests.remove(&id);
            }
        }
        if self.random.chance(10) {
            // What it does not hold stays where it is.
            let class = self.random_class(10);
            let held = self.model.held(Some(caller));
            if held.iter().all(|id| self.model.requests[id].class != class) {
                returned.push((class, 2));
            }
        }
        self.model.expire(now);
        self.model.grant(now);
        let asks: Vec<Ask> = (0..self.random.below(4))
            .map(|_| self.random_ask())
            .collect();
        asks.iter().for_each(|ask| self.model.arrive(now, ask));

        let session = &mut self.model.sessions[caller];
        session.operation += 1;
        if self.random.chance(70) {
            session.acknowledged = session.seen;
        }
        let operation = Operation {
            session: SESSIONS[caller],
            operation: session.operation,
            epoch: 1,
            timing: TIMING,
            acknowledged: session.acknowledged,
            returned: &returned,
            settled: &settled,
            cancelled: &cancelled,
            asks: &asks,
            spare: &[],
        };
        if self.is_loud {
            println!("{} {operation:?}", now - START);
        }
        let call = script::operate(&self.keys, &operation);
        let reply = self.call(&call)?;
        if self.random.chance(5) {
            let again = self.call(&call)?;
            if again != reply {
                return Err(format!(
                    "the same again was answered with {again:?} after {reply:?}"
                ));
            }
        }
        match script::parse_reply(&reply) {
            Ok(Reply::Done(done)) => self.check(&done),
            other => Err(format!("it was answered with {other:?}")),
        }
    }

    fn check(&mut self, done: &Done) -> Result<(), String> {
        let model = &mut self.model;
        let session = &mut model.sessions[model.caller];
        let new = done
            .granted
            .iter()
            .filter(|g| g.push.is_none_or(|push| push > session.seen));
        let (own, mail): (Vec<&Granted>, Vec<&Granted>) =
            new.partition(|granted| granted.push.is_none());
        let mail: Vec<_> = mail
            .iter()
            .map(|granted| (granted.id, granted.load))
            .collect();
        let mut said = Said {
            granted: own
                .iter()
                .map(|granted| (granted.id, granted.load))
                .collect(),
            queued: done.queued.iter().map(|(id, _)| *id).collect(),
            refused: Vec::new(),
        };
        let mut shed = Vec::new();
        for &(id, refusal) in &done.refused {
            match refusal {
                Refusal::Timeout { .. } => said.refused.push((id, "timeout")),
                Refusal::Full { .. } => said.refused.push((id, "full")),
                Refusal::Shed if session.shed_before.contains(&id) => {}
                Refusal::Shed if session.shed.contains(&id) => shed.push(id),
                Refusal::Shed => said.refused.push((id, "shed")),
            }
        }
        said.refused.sort_unstable();
        model.said.refused.sort_unstable();
        if self.is_loud {
            println!("    {done:?}");
        }
        shed.sort_unstable();
        session.shed.sort_unstable();
        let in_use = u64::from(model.account.0.in_use());
        let problem = if said != model.said {
            format!("{said:?} instead of {:?}", model.said)
        } else if mail != session.granted {
            format!("mail {mail:?} instead of {:?}", session.granted)
        } else if shed != session.shed {
            format!("shed {shed:?} instead of {:?}", session.shed)
        } else if done.in_use != in_use {
            format!("{} in use instead of {in_use}", done.in_use)
        } else if done.waiting != model.account.1 as u64 {
            format!("{} waiting instead of {}", done.waiting, model.account.1)
        } else {
            session.granted.clear();
            session.shed_before.append(&mut session.shed);
            session.seen = done.pushed;
            return Ok(());
        };
        Err(problem)
    }
}

#[test]
fn the_scripts_decide_what_the_queue_decides() {
    let server = Server::start();
    let mut scripts = Clocked::new(&server);
    let number = |name: &str| env::var(name).ok().and_then(|n| n.parse::<u64>().ok());
    let seeds = match number("DIFFERENTIAL") {
        Some(seed) => seed..seed + 1,
        None => 0..number("DIFFERENTIAL_CASES").unwrap_or(200),
    };
    for seed in seeds {
        if let Err(fault) = compare(&mut scripts, seed) {
            panic!("DIFFERENTIAL={seed}: {fault}");
        }
    }
}
