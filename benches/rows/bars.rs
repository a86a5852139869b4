//! What the figures of this crate must be, beside those of the others.

use std::fmt::Write;

use super::{call, contended, dropped, expiring, hand_off, instructions};
use crate::{
    candidates::Candidate::{self, AtHead, ByHand, FromFn, Noop, UntilBodyEnd},
    support::{figures::Row, titles},
};

/// A figure of this crate, or its ratio to that of another candidate, and a bound for it.
struct Bar {
    title: &'static str,
    of: Candidate,
    beside: Option<Candidate>,
    bound: Bound,
}

enum Bound {
    AtMost(f64),
    AtLeast(f64),
}

use Bound::{AtLeast, AtMost};

const BARS: [Bar; 14] = [
    bar(titles::PER_CALL, AtHead, None, AtMost(0.0)),
    bar(titles::PER_CALL, UntilBodyEnd, None, AtMost(0.0)),
    bar(titles::PER_REQUEST, AtHead, Some(Noop), AtMost(1.0)),
    bar(titles::PER_REQUEST, UntilBodyEnd, Some(Noop), AtMost(1.5)),
    bar(titles::HEAP_PER_WAITER, AtHead, None, AtMost(300.0)),
    bar(call::TIME, AtHead, Some(ByHand), AtMost(0.25)),
    bar(instructions::PER_CALL, AtHead, Some(ByHand), AtMost(0.2)),
    bar(instructions::PER_REQUEST, AtHead, Some(ByHand), AtMost(0.5)),
    bar(instructions::PER_REQUEST, AtHead, Some(FromFn), AtMost(0.5)),
    bar(contended::RATE, AtHead, Some(ByHand), AtLeast(1.35)),
    bar(hand_off::P50, AtHead, Some(ByHand), AtMost(1.0)),
    bar(expiring::CPU, AtHead, Some(ByHand), AtMost(0.5)),
    bar(expiring::LATENESS, AtHead, None, AtMost(5.0)),
    bar(dropped::GROWTH, AtHead, None, AtMost(2.0)),
];

const fn bar(title: &'static str, of: Candidate, beside: Option<Candidate>, bound: Bound) -> Bar {
    Bar {
        title,
        of,
        beside,
        bound,
    }
}

impl Bar {
    fn measured(&self, rows: &[Row]) -> Option<f64> {
        let row = rows.iter().find(|row| row.title == self.title)?;
        let value = row.of(self.of)?;
        match self.beside {
            None => Some(value),
            Some(other) => Some(value / row.of(other)?),
        }
    }
}

/// The bars that were measured, as a table in Markdown.
pub(crate) fn markdown(rows: &[Row]) -> String {
    let mut text = String::from("| bar | measured | bound | |\n|---|---|---|---|");
    for bar in &BARS {
        let Some(measured) = bar.measured(rows) else {
            continue;
        };
        let beside = bar
            .beside
            .map_or(String::new(), |other| format!(", beside {}", other.name()));
        let (bound, holds) = match bar.bound {
            AtMost(bound) => (format!("at most {bound}"), measured <= bound),
            AtLeast(bound) => (format!("at least {bound}"), measured >= bound),
        };
        let verdict = if holds { "holds" } else { "MISSED" };
        let _ = write!(
            text,
            "\n| {}: {}{beside} | {measured:.2} | {bound} | {verdict} |",
            bar.title,
            bar.of.name(),
        );
    }
    text
}
