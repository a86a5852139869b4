//! The differential test finds out what is broken.

use super::{clocked::Clocked, differential::compare, server::Server};

/// What is looked for in a script, and what is put in its place.
const MUTATIONS: [(&str, &str, &str); 13] = [
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
fn each_mutation_changes_the_script() {
    let shipped = crate::redis::script::operation_text();
    for (name, from, _) in MUTATIONS {
        assert!(shipped.contains(from), "nothing to break: {name}");
    }
}
