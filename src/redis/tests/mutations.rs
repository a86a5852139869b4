//! The differential test finds out what is broken.

use super::{clocked::Clocked, differential::compare, server::Server};

/// What is looked for in a script, and what is put in its place.
const MUTATIONS: [(&str, &str, &str); 14] = [
    (
        "anybody returns anything",
        "math.min(units, owner.held[some] or 0)",
        "math.min(units, S.used)",
    ),
    (
        "nobody ages",
        "w.arrived + C.credit <= now and 0 or",
        "false and 0 or",
    ),
    (
        "a lane has no cap",
        "return l.used + units <= l.cap",
        "return true",
    ),
    (
        "a refund is not bounded",
        "amount = math.min(e.amount, amount)",
        "amount = amount",
    ),
    (
        "last in, first out",
        "a.level == b.level and a.seq < b.seq",
        "a.level == b.level and a.seq > b.seq",
    ),
    ("nobody gives way", "victim.priority >= w.priority", "true"),
    (
        "a reserve is lent",
        "local fits = S.used + left(w.lane, w.priority) +",
        "local fits = S.used +",
    ),
    (
        "a window is too long",
        "now - e.last < r.period then\n        break",
        "now - e.last <= r.period then\n        break",
    ),
    (
        "a window leaks",
        "r.sum, r.is_changed = r.sum + e.amount, true",
        "r.sum, r.is_changed = r.sum, true",
    ),
    (
        "a cell rate drifts",
        "whole, part = whole + 1, part - r.count",
        "whole, part = whole + 1, 0",
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
        "the late are served",
        "return w.deadline < now or",
        "return",
    ),
    (
        "anybody cancels",
        "find_waiter(me .. ' ' .. ARGV[at])",
        "find_waiter('one-1 ' .. ARGV[at])",
    ),
];

const SEQUENCES: u64 = 100;

#[test]
fn broken_scripts_are_found_out() {
    let server = Server::start();
    let mut survivors = Vec::new();
    for (name, from, to) in MUTATIONS {
        let mutation = |text: &str| text.replace(from, to);
        let mut broken = Clocked::broken(&server, &mutation);
        let found = (0..SEQUENCES).find_map(|seed| compare(&mut broken, seed).err());
        if found.is_none() {
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
}
