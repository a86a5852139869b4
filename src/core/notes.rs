//! What waiters of a FIFO find that were not simply granted their units.

use std::{collections::BTreeMap, sync::Arc};

use super::waiter_cell::WaiterCell;
use crate::admission::{Nanos, Ticket};

/// What became of a waiter.
pub(super) enum Note {
    /// With the time after which to retry.
    TimedOut(Option<Nanos>),
    /// It has another place, in the general queue.
    Moved(Arc<WaiterCell>, Ticket),
}

/// Notes, by the numbers of the waiters.
#[derive(Default)]
pub(super) struct Notes(BTreeMap<u64, Span>);

/// The notes of one waiter, or of a run of them.
enum Span {
    /// Those up to `end`, without it, timed out, and so many of them have not looked yet. When
    /// thousands expire at once, they are one span.
    TimedOut {
        end: u64,
        left: u64,
    },
    One(Note),
}

impl Notes {
    /// How many spans there are: 0 if all waiters have looked.
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    pub(super) fn insert(&mut self, number: u64, note: Note) {
        let Note::TimedOut(None) = note else {
            self.0.insert(number, Span::One(note));
            return;
        };
        if let Some((_, Span::TimedOut { end, left })) = self.0.range_mut(..number).next_back() {
            if *end == number {
                *end += 1;
                *left += 1;
                return;
            }
        }
        let end = number + 1;
        self.0.insert(number, Span::TimedOut { end, left: 1 });
    }

    /// Takes the note on a waiter, which looks once.
    pub(super) fn take(&mut self, number: u64) -> Option<Note> {
        let (&start, span) = self.0.range_mut(..=number).next_back()?;
        match span {
            Span::TimedOut { end, left } if number < *end => {
                *left -= 1;
                if *left == 0 {
                    self.0.remove(&start);
                }
                Some(Note::TimedOut(None))
            }
            Span::One(_) if start == number => match self.0.remove(&start)? {
                Span::One(note) => Some(note),
                Span::TimedOut { .. } => None,
            },
            _ => None,
        }
    }
}

#[cfg(all(test, not(tcl_loom)))]
mod tests {
    use super::*;

    fn is_timed_out(note: Option<Note>) -> bool {
        matches!(note, Some(Note::TimedOut(None)))
    }

    #[test]
    fn a_run_of_waiters_is_one_span() {
        let mut notes = Notes::default();
        for number in (3..10).chain(11..20) {
            notes.insert(number, Note::TimedOut(None));
        }
        notes.insert(20, Note::TimedOut(Some(7)));
        assert_eq!(notes.len(), 3);
        for number in [2, 10, 21] {
            assert!(notes.take(number).is_none(), "{number} was granted");
        }
        assert!(matches!(notes.take(20), Some(Note::TimedOut(Some(7)))));
        for number in (11..20).rev().chain(3..10) {
            assert!(is_timed_out(notes.take(number)), "{number}");
        }
        assert_eq!(notes.len(), 0);
        assert!(notes.take(3).is_none());
    }
}
