//! What k6 does to the server: how many users come, how long they stay, and which seconds are
//! judged.

use std::ops::Range;

use serde::Serialize;

/// The mean over this many seconds is "now": at 10 to 20 answers per second, a single second says
/// little.
pub(crate) const SMOOTHING: usize = 3;

/// Times are in seconds; the phases last whole ones, because everything is counted by the second.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Load {
    /// Users on `/file`, who start over as soon as they are served.
    pub(crate) file_vus: u32,
    /// Requests for `/file` per second, however long they take, instead of `file_vus`; 0 is off.
    pub(crate) file_rate: u32,
    /// Users on `/messages` before the ramp and after the drop.
    pub(crate) vus: u32,
    /// Users on `/messages` at the end of the ramp.
    pub(crate) peak_vus: u32,
    pub(crate) steady: u32,
    pub(crate) ramp: u32,
    pub(crate) drop: u32,
    pub(crate) recovery: u32,
    /// How long a user waits for an answer.
    pub(crate) client_timeout: f64,
}

/// A part of the run that is judged as a whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    Before,
    Peak,
    After,
}

impl Phase {
    pub(crate) const ALL: [Self; 3] = [Self::Before, Self::Peak, Self::After];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Before => "before",
            Self::Peak => "peak",
            Self::After => "after",
        }
    }
}

impl Load {
    /// Seconds from the first request to the last.
    pub(crate) fn seconds(&self) -> u32 {
        self.steady + self.ramp + self.drop + self.recovery
    }

    /// The second in which the users begin to leave.
    pub(crate) fn drop_at(&self) -> u32 {
        self.steady + self.ramp
    }

    /// The seconds by which a phase is judged. The one place that defines them:
    ///
    /// * before: the steady part, without its first sixth, in which server and k6 warm up;
    /// * at the peak: the last sixth of the ramp, where the users are most;
    /// * after: the second half of the recovery, which shows whether the server came back at all.
    ///
    /// None is shorter than the smoothing, as long as the part it is taken from is not.
    pub(crate) fn window(&self, phase: Phase) -> Range<usize> {
        let at_least = |part: u32, all: u32| part.max(SMOOTHING as u32).min(all);
        let (from, to) = match phase {
            Phase::Before => (self.steady / 6, self.steady),
            Phase::Peak => (
                self.drop_at() - at_least(self.ramp / 6, self.ramp),
                self.drop_at(),
            ),
            Phase::After => (
                self.seconds() - at_least(self.recovery / 2, self.recovery),
                self.seconds(),
            ),
        };
        from as usize..to as usize
    }

    /// Users on `/messages` at a time, as planned.
    pub(crate) fn vus_at(&self, second: f64) -> f64 {
        let (low, high) = (f64::from(self.vus), f64::from(self.peak_vus));
        let ramped = (second - f64::from(self.steady)) / f64::from(self.ramp);
        let dropped = (second - f64::from(self.drop_at())) / f64::from(self.drop);
        low + (high - low) * (ramped.clamp(0.0, 1.0) - dropped.clamp(0.0, 1.0))
    }

    /// The environment of the k6 script.
    pub(crate) fn env(&self) -> [(&'static str, String); 9] {
        [
            ("FILE_VUS", self.file_vus.to_string()),
            ("FILE_RATE", self.file_rate.to_string()),
            ("VUS", self.vus.to_string()),
            ("PEAK_VUS", self.peak_vus.to_string()),
            ("STEADY", self.steady.to_string()),
            ("RAMP", self.ramp.to_string()),
            ("DROP", self.drop.to_string()),
            ("RECOVERY", self.recovery.to_string()),
            ("CLIENT_TIMEOUT", self.client_timeout.to_string()),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::args::{FULL, QUICK};

    #[test]
    fn the_windows_of_the_full_run() {
        assert_eq!(FULL.load.window(Phase::Before), 5..30);
        assert_eq!(FULL.load.window(Phase::Peak), 80..90);
        assert_eq!(FULL.load.window(Phase::After), 121..151);
    }

    #[test]
    fn short_windows_are_not_shorter_than_the_smoothing() {
        assert_eq!(QUICK.load.window(Phase::Peak).len(), SMOOTHING);
    }

    #[test]
    fn users_follow_the_ramp() {
        let at = |second| FULL.load.vus_at(second);
        assert_eq!(
            [at(0.0), at(30.0), at(60.0), at(90.0)],
            [10.0, 10.0, 80.0, 150.0]
        );
        assert_eq!([at(91.0), at(151.0)], [10.0, 10.0]);
    }

    #[test]
    fn the_script_has_the_numbers_of_the_full_run_and_reads_every_one() {
        let script = include_str!("overload.js");
        for (name, value) in FULL.load.env() {
            let line = format!("number('{name}', {value})");
            assert!(script.contains(&line), "overload.js lacks {line}");
        }
    }
}
