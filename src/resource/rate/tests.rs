//! What a rate says of itself, and which rates are refused in which words.

use std::{sync::Arc, time::Duration};

use super::{
    super::{InvalidResource, error::ResourceFault},
    *,
};

fn refusal(rate: Rate) -> String {
    let fault = rate.rule().expect_err("out of range");
    let name: Arc<str> = "llm".into();
    let error = InvalidResource(ResourceFault::Rate { name, fault });
    assert!(error.is_rate() && !error.is_limit() && !error.is_name());
    error.to_string()
}

#[test]
fn a_rate_becomes_a_rule_in_nanoseconds() {
    let rule = Rate::per_minute(500).rule().expect("in range");
    let any_window = RateRule {
        count: 500,
        period: 60_000_000_000,
        shape: Shape::AnyWindow,
    };
    assert_eq!(rule, any_window);

    let rule = Rate::per_day(7).burst(9).rule().expect("in range");
    let paced = RateRule {
        count: 7,
        period: 86_400_000_000_000,
        shape: Shape::Gcra { burst: 9 },
    };
    assert_eq!(rule, paced);
}

#[test]
fn the_ends_of_the_ranges_are_in_range() {
    assert!(
        Rate::new(1, Duration::from_nanos(1))
            .smooth()
            .rule()
            .is_ok()
    );
    let largest = Rate::new(Rate::MAX_COUNT, Rate::MAX_PERIOD);
    assert!(largest.rule().is_ok());
    assert!(largest.burst(Rate::MAX_COUNT).rule().is_ok());
}

#[test]
fn a_rate_is_read_as_it_is_written() {
    const RATE: Rate = Rate::per_hour(3).smooth();
    assert_eq!(RATE.to_string(), "3 per 3600s, burst 1");
    assert_eq!((RATE.count(), RATE.burst_size()), (3, Some(1)));
    assert_eq!(RATE.period(), Duration::from_secs(3600));
    assert_eq!(
        Rate::new(2, Duration::from_millis(1500)).to_string(),
        "2 per 1.5s"
    );
}

#[test]
fn a_refused_rate_names_the_cure() {
    assert_eq!(
        refusal(Rate::per_minute(0)),
        "resource \"llm\": rate 0 per 60s admits nothing; use a count of 1 or more"
    );
    assert_eq!(
        refusal(Rate::per_second(Rate::MAX_COUNT + 1)),
        "resource \"llm\": rate 9007199254740993 per 1s has a count out of range; use at most \
         9007199254740992, `Rate::MAX_COUNT`"
    );
    assert_eq!(
        refusal(Rate::new(5, Duration::ZERO)),
        "resource \"llm\": rate 5 per 0ns has no period; use one above 0, such as \
         `Duration::from_secs(60)`"
    );
    assert_eq!(
        refusal(Rate::new(5, Rate::MAX_PERIOD + Duration::from_secs(1))),
        "resource \"llm\": rate 5 per 315360001s has a period out of range; use at most 315360000s, \
         `Rate::MAX_PERIOD`"
    );
    assert!(refusal(Rate::new(5, Duration::MAX)).contains("Rate::MAX_PERIOD"));
    assert_eq!(
        refusal(Rate::per_second(5).burst(0)),
        "resource \"llm\": rate 5 per 1s, burst 0 admits nothing; use a burst of 1 or more, or leave \
         out `.burst(n)`"
    );
    assert!(refusal(Rate::per_second(5).burst(u64::MAX)).contains("has a burst out of range"));
}

#[test]
fn a_refused_load_rate_is_told_from_a_rate_of_requests() {
    let fault = Rate::per_minute(0).rule().expect_err("count 0");
    let name: Arc<str> = "llm".into();
    let error = InvalidResource(ResourceFault::LoadRate { name, fault });
    assert_eq!(
        error.to_string(),
        "resource \"llm\": load rate 0 per 60s admits nothing; use a count of 1 or more"
    );
    assert!(error.is_rate());
}
