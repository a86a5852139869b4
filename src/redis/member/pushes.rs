//! Which pushed grants were seen.

use std::collections::BTreeSet;

/// What was pushed to a session comes twice: when it happens, and in the next answer, until it is acknowledged. It
/// counts once.
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
    }
}
