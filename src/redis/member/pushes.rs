//! Which pushed grants were seen.

use std::collections::BTreeSet;

/// What was pushed to a session comes twice: when it happens, and in the next answer, until it is
/// acknowledged. It counts once.
#[derive(Debug, Default)]
pub(super) struct Pushes {
    /// All up to this number were seen.
    acknowledged: u64,
    /// And these.
    beyond: BTreeSet<u64>,
}

impl Pushes {
    pub(super) fn acknowledged(&self) -> u64 {
        self.acknowledged
    }

    /// An answer has said all up to this number, of this or of an earlier count.
    pub(super) fn know(&mut self, upto: u64, starts_anew: bool) {
        if starts_anew {
            *self = Self::default();
        }
        self.acknowledged = self.acknowledged.max(upto);
        self.beyond.retain(|&number| number > self.acknowledged);
    }

    /// `false` if it was seen before.
    pub(super) fn note(&mut self, number: u64) -> bool {
        if number <= self.acknowledged || !self.beyond.insert(number) {
            return false;
        }
        while self.beyond.remove(&(self.acknowledged + 1)) {
            self.acknowledged += 1;
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::Pushes;

    #[test]
    fn each_counts_once_in_any_order() {
        let mut pushes = Pushes::default();
        let seen: Vec<bool> = [1, 3, 1, 3, 2, 2, 5].map(|n| pushes.note(n)).into();
        assert_eq!(seen, [true, true, false, false, true, false, true]);
        assert_eq!(pushes.acknowledged(), 3);
        assert!(pushes.note(4));
        assert_eq!(pushes.acknowledged(), 5);
        pushes.know(7, false);
        assert!(!pushes.note(7) && pushes.note(8));
        pushes.know(2, true);
        assert!(pushes.note(3));
    }
}
