//! A configuration, as the scripts read it and as far as they can count.

use std::{error::Error, fmt};

use crate::redis::protocol::{Config, LaneToken, RateConfig, Whose};

use super::RATES;

/// What the scripts cannot keep, and what to do about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ConfigFault(String);

impl fmt::Display for ConfigFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Error for ConfigFault {}

const MAX_WEIGHT: u32 = 1 << 20;
const MAX_LANES: usize = 1 << 10;
const MAX_KEYED: u32 = 1 << 20;
const MAX_WAITING: u64 = 1 << 20;
const MAX_COUNT: u64 = 1 << 40;
const MAX_PERIOD: u64 = 1 << 42;
const MAX_PRODUCT: u128 = 1 << 52;

impl Config {
    /// Whether the scripts, which count in floating point, can keep it without an error.
    pub(crate) fn check(&self) -> Result<(), ConfigFault> {
        check(self.revision < 1 << 53, || {
            "choose a revision below 2^53".into()
        })?;
        check(self.max_waiting <= MAX_WAITING, || {
            format!("let at most {MAX_WAITING} wait for a shared resource")
        })?;
        check(self.credit.is_none_or(|credit| credit < 1 << 52), || {
            "choose a credit below 2^52 microseconds".into()
        })?;
        self.check_lanes()?;
        self.check_reserves()?;
        check(self.rates.len() <= RATES, || {
            format!("give a shared resource at most {RATES} rates")
        })?;
        self.rates.iter().try_for_each(check_rate)
    }

    fn check_lanes(&self) -> Result<(), ConfigFault> {
        check(self.lanes.len() <= MAX_LANES, || {
            format!("declare at most {MAX_LANES} lanes; use keyed lanes for more")
        })?;
        let keyed = self.keyed.as_ref();
        for lane in self.lanes.iter().chain(keyed.map(|(kind, _)| kind)) {
            check((1..=MAX_WEIGHT).contains(&lane.weight), || {
                format!(
                    "choose weights from 1 to {MAX_WEIGHT}, instead of {}",
                    lane.weight
                )
            })?;
        }
        for (index, lane) in self.lanes.iter().enumerate() {
            check(
                self.lanes[..index].iter().all(|l| l.token != lane.token),
                || format!("declare the lane {} once", lane.token),
            )?;
        }
        if let Some((_, most)) = keyed {
            check((1..=MAX_KEYED).contains(most), || {
                format!("allow from 1 to {MAX_KEYED} keyed lanes")
            })?;
            check(self.has_lane(LaneToken::OTHERS), || {
                "beside keyed lanes, declare the lane of those without a key".into()
            })?;
        }
        Ok(())
    }

    fn check_reserves(&self) -> Result<(), ConfigFault> {
        for (index, reserve) in self.reserves.iter().enumerate() {
            check(
                self.reserves[..index]
                    .iter()
                    .all(|r| r.whose != reserve.whose),
                || "add up what is reserved for the same".into(),
            )?;
            let Whose::Lane(token) = reserve.whose else {
                continue;
            };
            check(self.has_lane(token), || {
                format!("declare the lane {token}, for which something is reserved")
            })?;
        }
        Ok(())
    }

    fn has_lane(&self, token: LaneToken) -> bool {
        self.lanes.iter().any(|lane| lane.token == token)
    }

    /// What the scripts read. The same for the same rules, whatever the revision.
    pub(super) fn words(&self) -> String {
        let mut words = format!(
            "{} {} {} {}",
            self.limit,
            self.max_waiting,
            or_none(self.credit),
            self.lanes.len()
        );
        for lane in &self.lanes {
            words += &format!(" {} {} {}", lane.token, lane.weight, lane.cap);
        }
        match &self.keyed {
            Some((kind, most)) => words += &format!(" {most} {} {}", kind.weight, kind.cap),
            None => words += " 0 0 0",
        }
        words += &format!(" {}", self.reserves.len());
        for reserve in &self.reserves {
            words += &match reserve.whose {
                Whose::Lane(token) => format!(" {} l{token}", reserve.units),
                Whose::Priority(least) => format!(" {} p{least}", reserve.units),
            };
        }
        words += &format!(" {}", self.rates.len());
        for rate in &self.rates {
            let by = if rate.by_load { 'l' } else { 'r' };
            let burst = or_none(rate.burst);
            words += &format!(" {by} {} {} {burst}", rate.count, rate.period);
        }
        words
    }
}

fn or_none(number: Option<u64>) -> String {
    number.map_or_else(|| "-".to_owned(), |number| number.to_string())
}

fn check_rate(rate: &RateConfig) -> Result<(), ConfigFault> {
    check((1..=MAX_COUNT).contains(&rate.count), || {
        format!(
            "choose a rate of 1 to 2^40 per period, instead of {}",
            rate.count
        )
    })?;
    check((1..=MAX_PERIOD).contains(&rate.period), || {
        "choose a period of 1 to 2^42 microseconds".into()
    })?;
    let Some(burst) = rate.burst else {
        return Ok(());
    };
    check((1..=MAX_COUNT).contains(&burst), || {
        format!("choose a burst of 1 to 2^40, instead of {burst}")
    })?;
    let product = u128::from(rate.count.max(burst)) * u128::from(rate.period);
    check(product <= MAX_PRODUCT, || {
        "choose a shorter period or a smaller burst: the larger of count and burst, times the period in \
         microseconds, must be at most 2^52"
            .into()
    })
}

fn check(holds: bool, cure: impl FnOnce() -> String) -> Result<(), ConfigFault> {
    if holds {
        Ok(())
    } else {
        Err(ConfigFault(cure()))
    }
}
