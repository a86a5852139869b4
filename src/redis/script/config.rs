//! A configuration, as the scripts read it and as far as they can count.

use std::{error::Error, fmt};

use crate::redis::protocol::{Config, LaneToken, RateConfig, Whose};

use super::RATES;

/// What the scripts cannot keep, as a sentence, and what to do about it.
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
            format!(
                "revision {} is out of range; use at most {}",
                self.revision,
                (1_u64 << 53) - 1
            )
        })?;
        check(self.max_waiting <= MAX_WAITING, || {
            format!(
                "queue bound {} is out of range; use at most {MAX_WAITING} where the resource is shared",
                self.max_waiting
            )
        })?;
        check(self.credit.is_none_or(|credit| credit < 1 << 52), || {
            format!(
                "priority credit of {} µs is out of range; use at most {} µs",
                self.credit.unwrap_or_default(),
                (1_u64 << 52) - 1
            )
        })?;
        self.check_lanes()?;
        self.check_reserves()?;
        check(self.rates.len() <= RATES, || {
            format!(
                "{} rates exceed what a shared resource can have; use at most {RATES}",
                self.rates.len()
            )
        })?;
        self.rates.iter().try_for_each(check_rate)
    }

    fn check_lanes(&self) -> Result<(), ConfigFault> {
        check(self.lanes.len() <= MAX_LANES, || {
            format!(
                "{} lanes exceed what a shared resource can declare; use at most {MAX_LANES}, or keyed lanes",
                self.lanes.len()
            )
        })?;
        let keyed = self.keyed.as_ref();
        for lane in self.lanes.iter().chain(keyed.map(|(kind, _)| kind)) {
            check((1..=MAX_WEIGHT).contains(&lane.weight), || {
                format!(
                    "lane weight {} is out of range; use 1 to {MAX_WEIGHT}",
                    lane.weight
                )
            })?;
        }
        for (index, lane) in self.lanes.iter().enumerate() {
            check(
                self.lanes[..index].iter().all(|l| l.token != lane.token),
                || {
                    format!(
                        "two lanes have the hash {}; give one of them another name",
                        lane.token
                    )
                },
            )?;
        }
        if let Some((_, most)) = keyed {
            check((1..=MAX_KEYED).contains(most), || {
                format!("number of keyed lanes, {most}, is out of range; use 1 to {MAX_KEYED}")
            })?;
            check(self.has_lane(LaneToken::OTHERS), || {
                "keyed lanes need one for requests without a key; declare that of the others, too"
                    .into()
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
                || "units are reserved twice for the same requests; reserve the sum once".into(),
            )?;
            let Whose::Lane(token) = reserve.whose else {
                continue;
            };
            check(self.has_lane(token), || {
                format!("units are reserved for lane {token}, which is not declared; declare it")
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
            "rate count {} is out of range; use 1 to {MAX_COUNT}",
            rate.count
        )
    })?;
    check((1..=MAX_PERIOD).contains(&rate.period), || {
        format!(
            "rate period of {} µs is out of range; use 1 to {MAX_PERIOD} µs",
            rate.period
        )
    })?;
    let Some(burst) = rate.burst else {
        return Ok(());
    };
    check((1..=MAX_COUNT).contains(&burst), || {
        format!("rate burst {burst} is out of range; use 1 to {MAX_COUNT}")
    })?;
    let product = u128::from(rate.count.max(burst)) * u128::from(rate.period);
    check(product <= MAX_PRODUCT, || {
        format!(
            "rate of {} per {} µs, burst {burst}, is out of range; use a shorter period or a smaller burst, \
             so that the larger of count and burst times the period is at most {MAX_PRODUCT}",
            rate.count, rate.period
        )
    })
}

fn check(holds: bool, cure: impl FnOnce() -> String) -> Result<(), ConfigFault> {
    if holds {
        Ok(())
    } else {
        Err(ConfigFault(cure()))
    }
}
