//! One promise after another.

use redis::Value;

use super::{clocked::Clocked, server::Server};
use crate::redis::{
    protocol::{
        Ask, Attach, Class, Config, Done, LaneConfig, LaneToken, Operation, RateConfig, Refusal,
        Reply, ReserveConfig, Settled, Timing, WaitsStill, Whose,
    },
    script::{self, Keys, Letter, Push},
};

const SECOND: u64 = 1_000_000;

const START: u64 = 1_790_000_000 * SECOND;

const TIMING: Timing = Timing {
    heartbeat: SECOND / 2,
    lease: 5 * SECOND,
    cold_start: 0,
    fast_death: false,
};

const EMPTY: Operation<'_> = Operation {
    session: "",
    operation: 0,
    epoch: 1,
    timing: TIMING,
    acknowledged: 0,
    returned: &[],
    settled: &[],
    cancelled: &[],
    asks: &[],
    spare: &[],
};

const ANY: Class = Class {
    lane: None,
    priority: None,
};

fn plain(limit: u32) -> Config {
    Config {
        revision: 1,
        limit,
        max_waiting: 100,
        credit: Some(60 * SECOND),
        lanes: Vec::new(),
        keyed: None,
        reserves: Vec::new(),
        rates: Vec::new(),
    }
}

fn ask(id: u64, units: u32) -> Ask {
    Ask {
        id,
        class: ANY,
        priority: 10,
        units,
        load: 1,
        patience: 60 * SECOND,
        max_waiting: None,
    }
}

fn at_once(id: u64, units: u32) -> Ask {
    Ask {
        patience: 0,
        ..ask(id, units)
    }
}

/// A resource, and a time.
struct Shared<'a> {
    scripts: Clocked<'a>,
    keys: Keys,
    config: Config,
    timing: Timing,
    now: u64,
    _server: Server,
}

impl Shared<'_> {
    fn new(config: Config) -> Self {
        let server = Server::start();
        Self {
            scripts: Clocked::new(&server),
            keys: Keys::new("shop", "db"),
            config,
            timing: TIMING,
            now: START,
            _server: server,
        }
    }

    fn attach_as(&mut self, attach: &Attach<'_>) -> Reply {
        let call = script::attach(&self.keys, attach);
        let value = self.scripts.call(&call, self.now).expect("a reply");
        script::parse_reply(&value).expect("a reply of a script")
    }

    fn attach(&mut self, session: &str, operation: u64) -> Done {
        let config = self.config.clone();
        let reply = self.attach_as(&first_words(session, operation, &config, self.timing));
        done(reply)
    }

    fn raw(&mut self, operation: &Operation<'_>) -> Value {
        let operation = Operation {
            timing: self.timing,
            ..operation.clone()
        };
        let call = script::operate(&self.keys, &operation);
        self.scripts.call(&call, self.now).expect("a reply")
    }

    fn operate(&mut self, operation: &Operation<'_>) -> Reply {
        let value = self.raw(operation);
        let reply = script::parse_reply(&value).expect("a reply of a script");
        assert_eq!(self.audit(), [""; 0], "after {operation:?}");
        reply
    }

    fn ask(&mut self, session: &str, operation: u64, asks: &[Ask]) -> Done {
        done(self.operate(&Operation {
            session,
            operation,
            asks,
            ..EMPTY
        }))
    }

    fn give_back(&mut self, session: &str, operation: u64, units: u32) -> Done {
        done(self.operate(&Operation {
            session,
            operation,
            returned: &[(ANY, units)],
            ..EMPTY
        }))
    }

    fn audit(&mut self) -> Vec<String> {
        let value = self.scripts.call(&script::audit(&self.keys), self.now);
        let differences = script::parse_audit(&value.expect("a reply")).expect("an audit");
        differences
            .iter()
            .map(|difference| format!("{difference:?}"))
            .collect()
    }
}

fn first_words<'a>(
    session: &'a str,
    operation: u64,
    config: &'a Config,
    timing: Timing,
) -> Attach<'a> {
    Attach {
        session,
        operation,
        run_id: "first",
        epoch: 0,
        config,
        timing,
        held: &[],
        waiters: &[],
    }
}

#[track_caller]
fn done(reply: Reply) -> Done {
    match reply {
        Reply::Done(done) => done,
        other => panic!("{other:?}"),
    }
}

fn granted(done: &Done) -> Vec<u64> {
    done.granted.iter().map(|granted| granted.id).collect()
}

fn queued(done: &Done) -> Vec<u64> {
    done.queued.iter().map(|(id, _)| *id).collect()
}

#[test]
pub(super) fn two_sessions_share_one_limit() {
    let mut db = Shared::new(plain(3));
    db.attach("a-1", 1);
    db.attach("b-1", 1);
    assert_eq!(granted(&db.ask("a-1", 2, &[ask(1, 2)])), [1]);
    let b = db.ask("b-1", 2, &[ask(1, 1), ask(2, 1), at_once(3, 1)]);
    assert_eq!((granted(&b), queued(&b)), (vec![1], vec![2]));
    assert_eq!(b.refused, [(3, Refusal::Timeout { next: None })]);
    assert_eq!((b.in_use, b.waiting, b.sessions, b.limit), (3, 1, 2, 3));
    let a = db.give_back("a-1", 3, 1);
    assert_eq!(
        (a.in_use, a.waiting),
        (3, 0),
        "it went to the waiter in the same call"
    );
}

#[test]
fn an_operation_again_is_answered_with_the_same_bytes_and_does_nothing() {
    let mut db = Shared::new(plain(2));
    db.attach("a-1", 1);
    for operation in [
        Operation {
            session: "a-1",
            operation: 2,
            asks: &[ask(1, 1)],
            ..EMPTY
        },
        Operation {
            session: "a-1",
            operation: 3,
            asks: &[ask(2, 2)],
            ..EMPTY
        },
    ] {
        let first = db.raw(&operation);
        db.now += 1_000;
        assert_eq!(db.raw(&operation), first);
    }
    let beat = done(db.operate(&Operation {
        session: "a-1",
        operation: 4,
        ..EMPTY
    }));
    assert_eq!((beat.in_use, beat.waiting), (1, 1));
    let late = Operation {
        session: "a-1",
        operation: 3,
        ..EMPTY
    };
    assert_eq!(db.operate(&late), Reply::Stale);
    let config = db.config.clone();
    assert_eq!(
        db.attach_as(&first_words("a-1", 4, &config, TIMING)),
        Reply::Stale
    );
}

#[test]
pub(super) fn strangers_and_those_of_another_epoch_have_to_attach() {
    let mut db = Shared::new(plain(1));
    let operation = Operation {
        session: "a-1",
        operation: 2,
        ..EMPTY
    };
    assert_eq!(
        db.operate(&operation),
        Reply::AttachFirst,
        "nothing is known"
    );
    db.attach("b-1", 1);
    assert_eq!(
        db.operate(&operation),
        Reply::AttachFirst,
        "it is not known"
    );
    let other = Operation {
        session: "b-1",
        operation: 2,
        epoch: 2,
        ..EMPTY
    };
    assert_eq!(db.operate(&other), Reply::AttachFirst);
}

#[test]
fn returning_more_than_is_held_returns_what_is_held() {
    let mut db = Shared::new(plain(4));
    db.attach("a-1", 1);
    db.attach("b-1", 1);
    db.ask("a-1", 2, &[ask(1, 1)]);
    db.ask("b-1", 2, &[ask(1, 3)]);
    assert_eq!(db.give_back("a-1", 3, 1).in_use, 3);
    assert_eq!(db.give_back("a-1", 4, 1).in_use, 3, "twice");
    assert_eq!(db.give_back("b-1", 3, 100).in_use, 0);
}

#[test]
pub(super) fn what_is_granted_elsewhere_is_pushed_and_told_until_it_is_acknowledged() {
    let mut db = Shared::new(plain(1));
    db.attach("one-1", 1);
    db.attach("two-7", 1);
    let mut listener = db._server.connect();
    let mut listener = listener.as_pubsub();
    listener
        .subscribe(script::channel("two-7"))
        .expect("subscribed");
    db.ask("one-1", 2, &[ask(1, 1)]);
    db.ask("two-7", 2, &[ask(5, 1)]);
    db.give_back("one-1", 3, 1);
    let message = listener.get_message().expect("a push");
    let push = Push::parse(message.get_payload_bytes()).expect("a push of a script");
    assert_eq!((&*push.tag, &*push.session), (db.keys.tag(), "two-7"));
    let [Letter::Granted(grant)] = *push.letters else {
        panic!("{push:?}");
    };
    assert_eq!((grant.id, grant.push, grant.at), (5, Some(1), START));
    for operation in [3, 4] {
        let told = done(db.operate(&Operation {
            session: "two-7",
            operation,
            ..EMPTY
        }));
        assert_eq!(told.granted, [grant]);
        assert_eq!(told.pushed, 1);
    }
    let acknowledged = Operation {
        session: "two-7",
        operation: 5,
        acknowledged: 1,
        ..EMPTY
    };
    assert_eq!(done(db.operate(&acknowledged)).granted, []);
}

#[test]
fn who_gives_way_is_told() {
    let mut db = Shared::new(Config {
        max_waiting: 1,
        ..plain(1)
    });
    db.attach("a-1", 1);
    db.attach("b-1", 1);
    db.ask("a-1", 2, &[ask(1, 1), ask(2, 1)]);
    let important = Ask {
        priority: 20,
        ..ask(1, 1)
    };
    assert_eq!(queued(&db.ask("b-1", 2, &[important, ask(2, 1)])), [1]);
    let told = done(db.operate(&Operation {
        session: "a-1",
        operation: 3,
        ..EMPTY
    }));
    assert_eq!(told.refused, [(2, Refusal::Shed)]);
}

#[test]
pub(super) fn a_silent_session_loses_what_it_holds_and_the_next_gets_it_in_the_same_call() {
    let mut db = Shared::new(plain(1));
    db.attach("a-1", 1);
    db.attach("b-1", 1);
    db.ask("a-1", 2, &[ask(1, 1)]);
    assert_eq!(queued(&db.ask("b-1", 2, &[ask(1, 1)])), [1]);
    let mut operation = 2;
    while db.now < START + 5 * SECOND {
        db.now += SECOND;
        operation += 1;
        let beat = done(db.operate(&Operation {
            session: "b-1",
            operation,
            ..EMPTY
        }));
        assert_eq!(
            (granted(&beat), beat.sessions),
            (vec![], 2),
            "within its lease"
        );
    }
    db.now += TIMING.heartbeat / 4; // so often it is looked for
    operation += 1;
    let beat = done(db.operate(&Operation {
        session: "b-1",
        operation,
        ..EMPTY
    }));
    assert_eq!((granted(&beat), beat.sessions), (vec![1], 1));
    let back = Operation {
        session: "a-1",
        operation: 3,
        ..EMPTY
    };
    assert_eq!(db.operate(&back), Reply::AttachFirst);
    let config = db.config.clone();
    let debt = done(db.attach_as(&Attach {
        held: &[(ANY, 1)],
        ..first_words("a-1", 4, &config, TIMING)
    }));
    assert_eq!((debt.in_use, debt.limit), (2, 1), "what still runs counts");
    assert!(granted(&db.ask("b-1", operation + 1, &[at_once(2, 1)])).is_empty());
}

#[test]
pub(super) fn a_session_to_which_nobody_listens_is_dead_soon() {
    let mut db = Shared::new(plain(1));
    db.timing.fast_death = true;
    db.attach("a-1", 1);
    db.attach("b-1", 1);
    let mut listener = db._server.connect();
    let mut listener = listener.as_pubsub();
    listener
        .subscribe(script::channel("a-1"))
        .expect("subscribed");
    db.ask("a-1", 2, &[ask(1, 1)]);
    db.ask("b-1", 2, &[ask(1, 1)]);
    db.now += SECOND;
    let beat = done(db.operate(&Operation {
        session: "b-1",
        operation: 3,
        ..EMPTY
    }));
    assert!(granted(&beat).is_empty(), "it may only be slow");
    listener
        .unsubscribe(script::channel("a-1"))
        .expect("unsubscribed");
    db.now += SECOND / 2;
    let beat = done(db.operate(&Operation {
        session: "b-1",
        operation: 4,
        ..EMPTY
    }));
    assert_eq!(granted(&beat), [1]);
}

/// Waits, its session attached once more, at the old place.
fn waits_still(db: &mut Shared<'_>, session: &str, operation: u64, sequence: u64) -> Done {
    let config = db.config.clone();
    let waiters = [WaitsStill {
        ask: ask(1, 1),
        sequence: Some(sequence),
        waited: SECOND,
    }];
    let attach = Attach {
        waiters: &waiters,
        ..first_words(session, operation, &config, db.timing)
    };
    done(db.attach_as(&attach))
}

#[test]
fn who_does_not_listen_is_granted_nothing_until_it_attaches() {
    let mut db = Shared::new(plain(1));
    db.timing.fast_death = true;
    for session in ["a-1", "b-1", "c-1"] {
        db.attach(session, 1);
    }
    db.ask("a-1", 2, &[ask(1, 1)]);
    let place = db.ask("b-1", 2, &[ask(1, 1)]).queued[0].1;
    db.ask("c-1", 2, &[ask(1, 1)]);
    let mut listener = db._server.connect();
    let mut listener = listener.as_pubsub();
    listener
        .subscribe(script::channel("c-1"))
        .expect("subscribed");
    db.give_back("a-1", 3, 1);
    let beat = |session, operation| Operation {
        session,
        operation,
        ..EMPTY
    };
    let told = done(db.operate(&beat("c-1", 3)));
    assert_eq!(granted(&told), [1], "nobody hears for b, which is before c");
    assert_eq!(db.operate(&beat("b-1", 3)), Reply::AttachFirst);
    waits_still(&mut db, "b-1", 4, place);
    db.give_back("c-1", 4, 1);
    assert_eq!(granted(&done(db.operate(&beat("a-1", 4)))), [0; 0]);
    waits_still(&mut db, "b-1", 5, place);
    let told = done(db.operate(&beat("b-1", 6)));
    assert_eq!(told.in_use, 1, "it has kept its place");
}

#[test]
fn a_silent_session_is_granted_nothing_until_it_attaches() {
    let mut db = Shared::new(plain(1));
    for session in ["a-1", "b-1", "c-1"] {
        db.attach(session, 1);
    }
    db.ask("a-1", 2, &[ask(1, 1)]);
    let place = db.ask("b-1", 2, &[ask(1, 1)]).queued[0].1;
    db.ask("c-1", 2, &[ask(1, 1)]);
    let beat = |session, operation| Operation {
        session,
        operation,
        ..EMPTY
    };
    for operation in 3..5 {
        db.now += SECOND;
        done(db.operate(&beat("a-1", operation)));
        done(db.operate(&beat("c-1", operation)));
    }
    db.give_back("a-1", 5, 1); // of the three, b has said nothing for two seconds
    assert_eq!(granted(&done(db.operate(&beat("c-1", 5)))), [1]);
    db.ask("a-1", 6, &[ask(2, 1)]);
    assert_eq!(db.operate(&beat("b-1", 3)), Reply::AttachFirst);
    waits_still(&mut db, "b-1", 4, place);
    db.give_back("c-1", 6, 1);
    let told = done(db.operate(&beat("b-1", 5)));
    assert_eq!(granted(&told), [1], "it has kept its place");
}

#[test]
fn who_keeps_units_to_spare_is_told_when_somebody_waits() {
    let mut db = Shared::new(plain(4));
    db.attach("a-1", 1);
    db.attach("b-1", 1);
    let spare = done(db.operate(&Operation {
        session: "a-1",
        operation: 2,
        asks: &[ask(1, 1)],
        spare: &[(ANY, 3)],
        ..EMPTY
    }));
    assert_eq!(spare.spare, [(ANY, 3)]);
    let mut listener = db._server.connect();
    let mut listener = listener.as_pubsub();
    listener
        .subscribe(script::channel("a-1"))
        .expect("subscribed");
    assert_eq!(queued(&db.ask("b-1", 2, &[ask(1, 1)])), [1]);
    let message = listener.get_message().expect("a push");
    let push = Push::parse(message.get_payload_bytes()).expect("a push of a script");
    assert_eq!(push.letters, [Letter::Recall]);
    assert_eq!(
        queued(&db.ask("b-1", 3, &[ask(2, 1)])),
        [2],
        "and told once"
    );
    db.give_back("a-1", 3, 3);
    let message = listener.get_message();
    assert!(message.is_err(), "{message:?}");
}

#[test]
fn the_waiters_of_the_dead_do_not_hold_the_line_up() {
    let mut db = Shared::new(plain(1));
    for session in ["a-1", "b-1", "c-1"] {
        db.attach(session, 1);
    }
    db.ask("a-1", 2, &[ask(1, 1)]);
    db.ask("b-1", 2, &[ask(1, 1)]);
    db.ask("c-1", 2, &[ask(1, 1)]);
    let left = script::leave(&db.keys, "b-1", 3, TIMING, &[]);
    let left = db.scripts.call(&left, db.now).expect("a reply");
    assert!(matches!(script::parse_reply(&left), Ok(Reply::Done(_))));
    assert_eq!(db.give_back("a-1", 3, 1).in_use, 1);
    let told = done(db.operate(&Operation {
        session: "c-1",
        operation: 3,
        ..EMPTY
    }));
    assert_eq!(granted(&told), [1]);
}

#[test]
pub(super) fn a_new_state_learns_before_it_grants() {
    let mut db = Shared::new(plain(2));
    db.timing.cold_start = SECOND;
    let first = db.attach("a-1", 1);
    assert_eq!(first.learning_until, Some(START + SECOND));
    let asked = db.ask("a-1", 2, &[ask(1, 1), at_once(2, 1)]);
    assert_eq!((granted(&asked), queued(&asked)), (vec![], vec![1]));
    db.now += SECOND - 1;
    let early = done(db.operate(&Operation {
        session: "a-1",
        operation: 3,
        ..EMPTY
    }));
    assert!(granted(&early).is_empty());
    db.now += 1;
    let then = done(db.operate(&Operation {
        session: "a-1",
        operation: 4,
        ..EMPTY
    }));
    assert_eq!((granted(&then), then.learning_until), (vec![1], None));
}

#[test]
pub(super) fn after_a_silence_or_a_step_back_all_have_to_say_what_they_hold() {
    for step in [3 * SECOND as i64, -(SECOND as i64)] {
        let mut db = Shared::new(plain(2));
        db.attach("a-1", 1);
        db.attach("b-1", 1);
        db.ask("a-1", 2, &[ask(1, 1)]);
        db.ask("b-1", 2, &[ask(1, 1), ask(2, 1)]);
        db.now = db.now.wrapping_add_signed(step);
        let beat = Operation {
            session: "a-1",
            operation: 3,
            ..EMPTY
        };
        assert_eq!(db.operate(&beat), Reply::AttachFirst);
        let config = db.config.clone();
        let place = WaitsStill {
            ask: ask(2, 1),
            sequence: Some(START),
            waited: SECOND,
        };
        let b = Attach {
            epoch: 1,
            held: &[],
            waiters: &[place],
            ..first_words("b-1", 4, &config, TIMING)
        };
        let b = done(db.attach_as(&b));
        assert_eq!((b.epoch, granted(&b), queued(&b)), (2, vec![], vec![2]));
        assert_eq!(b.learning_until, Some(db.now + 5 * SECOND));
        assert_eq!(db.audit(), [""; 0]);
        let a = Attach {
            epoch: 1,
            held: &[(ANY, 1)],
            ..first_words("a-1", 4, &config, TIMING)
        };
        let a = done(db.attach_as(&a));
        assert_eq!((a.learning_until, a.in_use), (None, 2), "all have said it");
        assert_eq!(db.audit(), [""; 0]);
    }
}

#[test]
pub(super) fn another_run_of_the_server_is_a_discontinuity_and_has_a_floor() {
    let mut db = Shared::new(plain(1));
    db.attach("a-1", 1);
    db.timing.cold_start = SECOND;
    let config = db.config.clone();
    let again = Attach {
        run_id: "second",
        epoch: 1,
        ..first_words("a-1", 2, &config, db.timing)
    };
    let again = done(db.attach_as(&again));
    assert_eq!(again.epoch, 2);
    assert!(again.learning_until.is_some(), "others may be unknown here");
    db.now += SECOND;
    let beat = Operation {
        session: "a-1",
        operation: 3,
        epoch: 2,
        asks: &[ask(1, 1)],
        ..EMPTY
    };
    assert_eq!(granted(&done(db.operate(&beat))), [1]);
}

#[test]
fn a_session_that_knew_a_later_epoch_makes_a_later_one() {
    let mut db = Shared::new(plain(1));
    db.attach("a-1", 1);
    let config = db.config.clone();
    let known = Attach {
        epoch: 7,
        ..first_words("b-1", 1, &config, TIMING)
    };
    assert_eq!(done(db.attach_as(&known)).epoch, 8);
}

#[test]
fn the_higher_revision_counts() {
    let mut db = Shared::new(plain(1));
    db.attach("a-1", 1);
    let other = plain(5);
    let b = done(db.attach_as(&first_words("b-1", 1, &other, TIMING)));
    assert_eq!((b.limit, b.is_own_config), (1, false), "the same revision");
    let newer = Config {
        revision: 2,
        ..plain(6)
    };
    let c = done(db.attach_as(&first_words("c-1", 1, &newer, TIMING)));
    assert_eq!((c.limit, c.revision, c.is_own_config), (6, 2, true));
    let older = script::configure(
        &db.keys,
        TIMING,
        &Config {
            revision: 2,
            ..plain(9)
        },
    );
    let older = db.scripts.call(&older, db.now).expect("a reply");
    assert_eq!(script::parse_configured(&older), Ok(Some((2, false))));
    let a = done(db.operate(&Operation {
        session: "a-1",
        operation: 2,
        ..EMPTY
    }));
    assert_eq!((a.limit, a.is_own_config), (6, false));
}

/// Another limit, and what the session is told then.
fn resize(db: &mut Shared<'_>, revision: u64, limit: u32, operation: u64) -> Done {
    let config = Config {
        revision,
        ..plain(limit)
    };
    let call = script::configure(&db.keys, TIMING, &config);
    db.scripts.call(&call, db.now).expect("a reply");
    assert_eq!(db.audit(), [""; 0]);
    db.ask("a-1", operation, &[])
}

#[test]
fn a_claim_above_a_lowered_limit_blocks_nobody() {
    let mut db = Shared::new(plain(4));
    db.attach("a-1", 1);
    let all = db.ask("a-1", 2, &[ask(1, 2), ask(2, 4), ask(3, 1), ask(4, 1)]);
    assert_eq!((granted(&all), queued(&all)), (vec![1], vec![2, 3, 4]));
    let lowered = resize(&mut db, 2, 3, 3);
    assert_eq!((granted(&lowered), lowered.waiting), (vec![3], 2));
    let returned = db.give_back("a-1", 4, 2);
    assert!(granted(&returned).contains(&4), "past the wide one");
    assert_eq!(queued(&db.ask("a-1", 5, &[ask(5, 4)])), [5]);
    assert!(granted(&db.ask("a-1", 6, &[ask(6, 1)])).contains(&6));
    let raised = resize(&mut db, 3, 4, 7);
    assert_eq!((raised.in_use, raised.waiting), (3, 2));
    assert_eq!(
        queued(&db.ask("a-1", 8, &[ask(7, 1)])),
        [7],
        "behind them again"
    );
    let returned = db.give_back("a-1", 9, 3);
    assert!(granted(&returned).contains(&2));
    assert_eq!((returned.in_use, returned.waiting), (4, 2));
    let returned = db.give_back("a-1", 10, 4);
    assert!(granted(&returned).contains(&5), "in the order of arrival");
    assert_eq!((returned.in_use, returned.waiting), (4, 1));
}

#[test]
fn a_paused_limit_keeps_the_order() {
    let mut db = Shared::new(plain(2));
    db.attach("a-1", 1);
    db.ask("a-1", 2, &[ask(1, 2), ask(2, 2), ask(3, 1)]);
    resize(&mut db, 2, 0, 3);
    let paused = db.give_back("a-1", 4, 2);
    assert_eq!((granted(&paused), paused.waiting), (vec![], 2));
    assert_eq!(queued(&db.ask("a-1", 5, &[ask(4, 1)])), [4]);
    let raised = resize(&mut db, 3, 2, 6);
    assert_eq!((granted(&raised), raised.waiting), (vec![2], 2));
    let returned = db.give_back("a-1", 7, 2);
    assert_eq!((returned.in_use, returned.waiting), (2, 0));
}

/// As of a priority that waits until its deadline unless there is a credit.
#[test]
fn without_a_credit_a_higher_priority_goes_first_however_late() {
    for (credit, first) in [(None, 3), (Some(SECOND), 2)] {
        let mut db = Shared::new(Config { credit, ..plain(1) });
        db.attach("a-1", 1);
        db.ask("a-1", 2, &[ask(1, 1), ask(2, 1)]);
        db.now += 2 * SECOND;
        let urgent = Ask {
            priority: 200,
            ..ask(3, 1)
        };
        assert_eq!(queued(&db.ask("a-1", 3, &[urgent])), [3]);
        assert_eq!(granted(&db.give_back("a-1", 4, 1)), [first]);
    }
}

#[test]
fn another_configuration_sorts_those_who_hold_and_wait_in_anew() {
    let mut db = Shared::new(plain(2));
    db.attach("a-1", 1);
    db.attach("b-1", 1);
    let token = LaneToken(7);
    let in_lane = |id| Ask {
        class: Class {
            lane: Some(token),
            priority: None,
        },
        ..ask(id, 1)
    };
    db.ask("a-1", 2, &[in_lane(1), in_lane(2), in_lane(3)]);
    db.ask("b-1", 2, &[ask(1, 1)]);
    let lane = |token, cap| LaneConfig {
        token,
        weight: 1,
        cap,
    };
    let lanes = Config {
        revision: 2,
        lanes: vec![lane(token, 1), lane(LaneToken::OTHERS, 9)],
        rates: vec![RateConfig {
            by_load: false,
            count: 9,
            period: SECOND,
            burst: None,
        }],
        ..plain(4)
    };
    let call = script::configure(&db.keys, TIMING, &lanes);
    db.scripts.call(&call, db.now).expect("a reply");
    assert_eq!(db.audit(), [""; 0]);
    let b = done(db.operate(&Operation {
        session: "b-1",
        operation: 3,
        ..EMPTY
    }));
    assert_eq!(
        (granted(&b), b.in_use, b.waiting),
        (vec![1], 3, 1),
        "the lane has one too many"
    );
    let back = Operation {
        session: "a-1",
        operation: 3,
        returned: &[(in_lane(0).class, 2)],
        ..EMPTY
    };
    assert_eq!(granted(&done(db.operate(&back))), [3]);
}

#[test]
fn spare_units_are_what_nobody_wants() {
    let mut db = Shared::new(plain(5));
    db.attach("a-1", 1);
    db.attach("b-1", 1);
    let spare = |operation| Operation {
        session: "a-1",
        operation,
        spare: &[(ANY, 3)],
        ..EMPTY
    };
    assert_eq!(done(db.operate(&spare(2))).spare, [(ANY, 3)]);
    assert_eq!(done(db.operate(&spare(3))).spare, [(ANY, 2)]);
    db.ask("b-1", 2, &[ask(1, 4)]);
    db.give_back("a-1", 4, 2);
    assert_eq!(done(db.operate(&spare(5))).spare, [], "somebody waits");
}

#[test]
fn without_memory_returning_works_and_asking_is_refused() {
    let mut db = Shared::new(plain(2));
    db.attach("a-1", 1);
    db.ask("a-1", 2, &[ask(1, 2), ask(2, 1)]);
    let memory = |db: &mut Shared<'_>, most: &str| {
        let command = &mut redis::cmd("CONFIG");
        let command = command.arg("SET").arg("maxmemory").arg(most);
        command
            .query::<()>(&mut db.scripts.connection)
            .expect("configured");
    };
    memory(&mut db, "1kb");
    let asking = Operation {
        session: "a-1",
        operation: 3,
        asks: &[ask(3, 1)],
        ..EMPTY
    };
    let call = script::operate(&db.keys, &asking);
    let error = db
        .scripts
        .call(&call, db.now)
        .expect_err("there is no memory");
    assert_eq!(error.code(), Some("OOM"));
    let back = db.give_back("a-1", 3, 2);
    assert_eq!(
        (granted(&back), back.in_use),
        (vec![2], 1),
        "under the same number"
    );
    memory(&mut db, "0");
    assert_eq!(granted(&db.ask("a-1", 4, &[ask(4, 1)])), [4]);
}

#[test]
fn the_last_to_leave_leaves_a_state_that_ends() {
    let mut db = Shared::new(plain(1));
    db.attach("a-1", 1);
    db.ask("a-1", 2, &[ask(1, 1), ask(2, 1)]);
    let call = script::leave(&db.keys, "a-1", 3, TIMING, &[]);
    db.scripts.call(&call, db.now).expect("a reply");
    let key = format!("cq1:{{{}}}:s", db.keys.tag());
    let time_to_live = |db: &mut Shared<'_>| -> i64 {
        let command = &mut redis::cmd("TTL");
        command
            .arg(&key)
            .query(&mut db.scripts.connection)
            .expect("a time")
    };
    assert!((86_000..=86_400).contains(&time_to_live(&mut db)));
    let value = db.scripts.call(&call, db.now).expect("a reply");
    assert_eq!(
        script::parse_reply(&value),
        Ok(Reply::AttachFirst),
        "it is gone"
    );
    let back = db.attach("a-1", 4);
    assert_eq!(
        (back.in_use, back.waiting, time_to_live(&mut db)),
        (0, 0, -1)
    );
}

#[test]
fn large_numbers_stay_exact() {
    let most = 2_147_483_647;
    let mut db = Shared::new(Config {
        rates: vec![RateConfig {
            by_load: true,
            count: 1 << 40,
            period: 4_096,
            burst: Some(1 << 40),
        }],
        ..plain(most)
    });
    db.attach("a-1", 1);
    let large = Ask {
        load: (1 << 40) - 1,
        ..ask(u64::from(u32::MAX) + 9, most)
    };
    let first = db.ask("a-1", 2, &[large]);
    assert_eq!(first.in_use, u64::from(most));
    let grant = first.granted[0];
    assert_eq!(
        (grant.id, grant.load, grant.at),
        (large.id, large.load, START)
    );
    assert_eq!(db.give_back("a-1", 3, most - 1).in_use, 1);
    let next = db.ask(
        "a-1",
        4,
        &[
            Ask {
                load: 1,
                ..ask(2, 1)
            },
            Ask {
                load: 1 << 28,
                ..ask(3, 1)
            },
        ],
    );
    assert_eq!((granted(&next), queued(&next)), (vec![2], vec![3]));
    assert_eq!(
        next.next,
        Some((START + 1, true)),
        "2^28 come back in a microsecond"
    );
}

#[test]
fn a_refund_is_bounded_by_what_was_spent() {
    let mut db = Shared::new(Config {
        rates: vec![RateConfig {
            by_load: true,
            count: 4,
            period: SECOND,
            burst: None,
        }],
        ..plain(9)
    });
    db.attach("a-1", 1);
    let load = |id, load| Ask {
        load,
        ..at_once(id, 1)
    };
    assert_eq!(granted(&db.ask("a-1", 2, &[load(1, 4)])), [1]);
    let settled = Settled {
        at: START,
        load: 4,
        actual: Some(1),
    };
    let twice = Operation {
        session: "a-1",
        operation: 3,
        settled: &[settled, settled],
        ..EMPTY
    };
    db.operate(&twice);
    let next = db.ask("a-1", 4, &[load(2, 4), load(3, 1)]);
    assert_eq!(granted(&next), [2]);
    let at = Some(START + SECOND);
    assert_eq!(next.refused, [(3, Refusal::Timeout { next: at })]);
}

#[test]
fn what_the_scripts_cannot_count_is_refused_with_a_cure() {
    let lane = |token| LaneConfig {
        token: LaneToken(token),
        weight: 1,
        cap: 1,
    };
    let rate = |count, period, burst| RateConfig {
        by_load: false,
        count,
        period,
        burst,
    };
    assert_eq!(plain(0).check(), Ok(()));
    let fine = rate(1 << 32, 1 << 20, Some(1 << 32));
    assert_eq!(
        Config {
            rates: vec![fine; 4],
            ..plain(1)
        }
        .check(),
        Ok(())
    );
    let weight = |weight| Config {
        lanes: vec![LaneConfig { weight, ..lane(1) }],
        ..plain(1)
    };
    let rates = |rates| Config { rates, ..plain(1) };
    let reserve = |token| ReserveConfig {
        units: 1,
        whose: Whose::Lane(LaneToken(token)),
    };
    let reserves = |reserves| Config {
        reserves,
        lanes: vec![lane(1)],
        ..plain(1)
    };
    let keyed = |most, token| Config {
        keyed: Some((lane(0), most)),
        lanes: vec![LaneConfig { token, ..lane(1) }],
        ..plain(1)
    };
    let faults = [
        (
            Config {
                revision: 1 << 53,
                ..plain(1)
            },
            "revision 9007199254740992 is out of range; use at most 9007199254740991",
        ),
        (
            Config {
                max_waiting: 1 << 21,
                ..plain(1)
            },
            "queue bound 2097152 is out of range; use at most 1048576 where the resource is shared",
        ),
        (
            Config {
                credit: Some(1 << 52),
                ..plain(1)
            },
            "priority credit of 4503599627370496 µs is out of range; use at most 4503599627370495 µs",
        ),
        (
            Config {
                lanes: (0..1025).map(lane).collect(),
                ..plain(1)
            },
            "1025 lanes exceed what a shared resource can declare; use at most 1024, or keyed lanes",
        ),
        (weight(0), "lane weight 0 is out of range; use 1 to 1048576"),
        (
            weight(1 << 21),
            "lane weight 2097152 is out of range; use 1 to 1048576",
        ),
        (
            Config {
                lanes: vec![lane(1), lane(1)],
                ..plain(1)
            },
            "two lanes have the hash 0000000000000001; give one of them another name",
        ),
        (
            keyed(0, LaneToken::OTHERS),
            "number of keyed lanes, 0, is out of range; use 1 to 1048576",
        ),
        (
            keyed(5, LaneToken(1)),
            "keyed lanes need one for requests without a key; declare that of the others, too",
        ),
        (
            reserves(vec![reserve(1), reserve(1)]),
            "units are reserved twice for the same requests; reserve the sum once",
        ),
        (
            reserves(vec![reserve(2)]),
            "units are reserved for lane 0000000000000002, which is not declared; declare it",
        ),
        (
            rates(vec![fine; 5]),
            "5 rates exceed what a shared resource can have; use at most 4",
        ),
        (
            rates(vec![rate(0, 5, None)]),
            "rate count 0 is out of range; use 1 to 1099511627776",
        ),
        (
            rates(vec![rate(1, 0, None)]),
            "rate period of 0 µs is out of range; use 1 to 4398046511104 µs",
        ),
        (
            rates(vec![rate(1, 5, Some(0))]),
            "rate burst 0 is out of range; use 1 to 1099511627776",
        ),
        (
            rates(vec![rate(1 << 33, 1 << 20, Some(1))]),
            "rate of 8589934592 per 1048576 µs, burst 1, is out of range; use a shorter period or a \
             smaller burst, so that the larger of count and burst times the period is at most \
             4503599627370496",
        ),
    ];
    for (config, words) in faults {
        let fault = config.check().expect_err(words);
        assert_eq!(fault.to_string(), words);
    }
}
