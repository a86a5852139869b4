//! What is broken is found out, by the differential test or by those of single promises.

use std::panic::catch_unwind;

use super::{
    clocked::{Clocked, at_said_times, in_broken_world},
    differential::compare,
    scripts,
    server::Server,
};

/// What is looked for in a script, and what is put in its place.
const MUTATIONS: [(&str, &str, &str); 20] = [
    (
        "anybody returns anything",
        "math.min(tonumber(ARGV[at + 1]), held)",
        "tonumber(ARGV[at + 1])",
    ),
    (
        "nobody ages",
        "w.arrived + C.credit <= now and 0 or",
        "false and 0 or",
    ),
    (
        "what exceeds the limit blocks others",
        "w.is_aside = our.exceeds(w)",
        "w.is_aside = false",
    ),
    (
        "those that stand aside give way to nobody",
        "ipairs({ '', ASIDE })",
        "ipairs({ '' })",
    ),
    (
        "a lane has no cap",
        "return l.used + units <= l.cap",
        "return true",
    ),
    (
        "last in, first out",
        "a.level == b.level and a.seq < b.seq",
        "a.level == b.level and a.seq > b.seq",
    ),
    ("nobody gives way", "victim.priority >= w.priority", "true"),
    (
        "a reserve is lent",
        "S.used + our.left(w.lane, w.priority) +",
        "S.used +",
    ),
    (
        "a window lets one more in",
        "math.min(amount, r.count) - r.count, 0",
        "math.min(amount, r.count) - r.count - 1, 0",
    ),
    (
        "a window leaks",
        "r.sum, r.is_changed = r.sum + e.amount, true",
        "r.sum, r.is_changed = r.sum, true",
    ),
    (
        "a cell rate does not carry",
        "if part >= r.count then",
        "if false then",
    ),
    (
        "virtual time stands still",
        "S.high, S.low = present_high, present_low",
        "",
    ),
    (
        "a replay works again",
        "if s_operation == ARGV[2] then",
        "if false then",
    ),
    (
        "the late stay",
        "if S.waiting == 0 or now <= S.soonest then",
        "if true then",
    ),
    (
        "anybody cancels",
        "our.find_waiter(me .. ' ' .. ARGV[at])",
        "our.find_waiter('one-1 ' .. ARGV[at])",
    ),
    ("no mailbox", "our.call_many('HSET', MAIL, mail)", ""),
    (
        "anybody returns anything, the long way",
        "local back = math.min(units, owner.held[some] or 0)",
        "local back = units; owner.held[some] = owner.held[some] or 0",
    ),
    (
        "a return counts twice",
        "used, held = used - units, held - units",
        "used, held = used - 2 * units, held - units",
    ),
    (
        "a return counts twice, the long way",
        "our.count_held(class, index, -units)",
        "our.count_held(class, index, -2 * units)",
    ),
    (
        "a grant is forgotten",
        "our.hold(owner, w.class, w.lane, w.units)",
        "",
    ),
];

/// A name, what is looked for, what is put in its place, and a test that fails for it.
type Failure = (&'static str, &'static str, &'static str, fn());

/// What the differential test cannot see, as it has one clock, no failures and nobody who is
/// silent: and a test that does.
const FAILURES: [Failure; 12] = [
    (
        "the clock of the client, which is an hour ahead",
        "tonumber(ARGV[#ARGV])",
        "tonumber(ARGV[#ARGV]) + (ARGV[1] == 'b-1' and 3600000000 or 0)",
        scripts::two_sessions_share_one_limit,
    ),
    (
        "the clock of the client, which is an hour behind",
        "tonumber(ARGV[#ARGV])",
        "tonumber(ARGV[#ARGV]) - (ARGV[1] == 'b-1' and 3600000000 or 0)",
        scripts::two_sessions_share_one_limit,
    ),
    (
        "nobody learns",
        "S.learn == 0",
        "true",
        scripts::a_new_state_learns_before_it_grants,
    ),
    (
        "a step of the clock is nothing",
        "if our.check_time() then",
        "if false then",
        scripts::after_a_silence_or_a_step_back_all_have_to_say_what_they_hold,
    ),
    (
        "another run of the server is the same",
        "S.run_id ~= run_id",
        "false",
        scripts::another_run_of_the_server_is_a_discontinuity_and_has_a_floor,
    ),
    (
        "leases never end",
        "'(' .. our.text(now - lease)",
        "'(0'",
        scripts::a_silent_session_loses_what_it_holds_and_the_next_gets_it_in_the_same_call,
    ),
    (
        "what the dead held is not given back",
        "our.give_back_all(known)",
        "",
        scripts::a_silent_session_loses_what_it_holds_and_the_next_gets_it_in_the_same_call,
    ),
    (
        "who is slow is dead",
        "listeners[2 * i] == 0",
        "true",
        scripts::a_session_to_which_nobody_listens_is_dead_soon,
    ),
    (
        "who is dead is slow",
        "listeners[2 * i] == 0",
        "false",
        scripts::a_session_to_which_nobody_listens_is_dead_soon,
    ),
    (
        "no mailbox",
        "our.call_many('HSET', MAIL, mail)",
        "",
        scripts::what_is_granted_elsewhere_is_pushed_and_told_until_it_is_acknowledged,
    ),
    (
        "nobody is told",
        "call('PUBLISH', our.channel(name)",
        "(function() end)(our.channel(name)",
        scripts::what_is_granted_elsewhere_is_pushed_and_told_until_it_is_acknowledged,
    ),
    (
        "a session of another epoch goes on",
        "s_epoch ~= epoch or ARGV[3] ~= epoch",
        "false",
        scripts::strangers_and_those_of_another_epoch_have_to_attach,
    ),
];

const SEQUENCES: u64 = 60;

#[test]
fn broken_scripts_are_found_out() {
    let mut survivors = Vec::new();
    for (name, from, to) in MUTATIONS {
        let server = Server::start(); // a broken script may never end
        let mutation = |text: &str| text.replace(from, to);
        let mut broken = Clocked::broken(&server, &mutation);
        let found = (0..SEQUENCES).find_map(|seed| compare(&mut broken, seed).err());
        println!("{name}: {}", found.as_deref().unwrap_or("SURVIVES"));
        if found.is_none() {
            survivors.push(name);
        }
    }
    assert_eq!(survivors, [""; 0], "these mutations survive");
}

#[test]
fn broken_promises_are_found_out() {
    let mut survivors = Vec::new();
    for (name, from, to, test) in FAILURES {
        println!("{name}:"); // and why it fails
        if in_broken_world(from, to, || catch_unwind(test)).is_ok() {
            survivors.push(name);
        }
    }
    assert_eq!(survivors, [""; 0], "these mutations survive");
}

#[test]
fn each_mutation_changes_the_script() {
    let shipped = crate::redis::script::operation_text();
    for (name, from, _) in MUTATIONS {
        assert!(shipped.contains(from), "nothing to break: {name}");
    }
    let clocked = at_said_times(shipped);
    for (name, from, ..) in FAILURES {
        let attached = crate::redis::script::attach_text();
        let is_there = clocked.contains(from) || attached.contains(from);
        assert!(is_there, "nothing to break: {name}");
    }
}
