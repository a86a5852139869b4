//! What k6 saw: one sample per request.

use std::io::Read;

use anyhow::{Context, Result, ensure};
use serde::Deserialize;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    Ok,
    /// A 503.
    Refused,
    /// The client gave up.
    Timeout,
    /// Anything else: another status, a refused or broken connection.
    Error,
}

/// `S` is what tells the scenarios of the script apart.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sample<S> {
    /// When the request ended, in seconds since the first one began.
    pub at: f64,
    pub scenario: S,
    pub outcome: Outcome,
    pub latency_ms: f64,
}

/// k6's code for a request that took longer than its timeout.
const REQUEST_TIMEOUT: &str = "1050";

/// A line of k6's CSV output, with times in milliseconds.
#[derive(Deserialize)]
struct Line<'a> {
    metric_name: &'a str,
    timestamp: f64,
    metric_value: f64,
    error_code: &'a str,
    scenario: &'a str,
    status: &'a str,
}

impl Line<'_> {
    fn outcome(&self) -> Outcome {
        match (self.status, self.error_code) {
            ("200", "") => Outcome::Ok,
            ("503", _) => Outcome::Refused,
            (_, REQUEST_TIMEOUT) => Outcome::Timeout,
            _ => Outcome::Error,
        }
    }
}

/// Reads k6's CSV output until it ends, and shows each sample as it comes. Requests of no known
/// scenario are left out.
pub fn read<S>(
    csv: impl Read,
    scenario: impl Fn(&str) -> Option<S>,
    mut show: impl FnMut(&Sample<S>),
) -> Result<Vec<Sample<S>>> {
    let mut reader = csv::Reader::from_reader(csv);
    let names = reader.headers().context("k6 gave no samples")?.clone();
    let mut record = csv::StringRecord::new();
    let mut samples = Vec::new();
    let mut start = None;
    while reader
        .read_record(&mut record)
        .context("cannot read k6's samples")?
    {
        let line: Line<'_> = record
            .deserialize(Some(&names))
            .context("cannot read k6's samples")?;
        if line.metric_name != "http_req_duration" {
            continue;
        }
        let Some(scenario) = scenario(line.scenario) else {
            continue;
        };
        let start = *start.get_or_insert(line.timestamp - line.metric_value);
        let sample = Sample {
            at: ((line.timestamp - start) / 1000.0).max(0.0),
            scenario,
            outcome: line.outcome(),
            latency_ms: line.metric_value,
        };
        show(&sample);
        samples.push(sample);
    }
    ensure!(!samples.is_empty(), "k6 made no request");
    Ok(samples)
}

#[cfg(test)]
mod tests {
    use super::*;

    const CSV: &str = "\
metric_name,timestamp,metric_value,error_code,scenario,status,extra_tags,metadata
http_req_duration,900,1.0,,,200,,
http_reqs,1010,1.0,,file,200,,
http_req_duration,1010,10.0,,file,200,,
http_req_duration,1500,300.5,1503,messages,503,,
http_req_duration,7500,6000.0,1050,messages,0,,
http_req_duration,7600,0.0,1212,messages,0,,
http_req_duration,7700,2.0,,messages,200,a=b,
";

    /// Those of the two routes, by their first letters.
    fn samples(csv: &str) -> Result<Vec<Sample<char>>> {
        read(csv.as_bytes(), |name| name.chars().next(), |_| ())
    }

    #[test]
    fn requests_of_scenarios_are_kept_and_named() {
        let samples = samples(CSV).unwrap();
        let outcomes: Vec<_> = samples.iter().map(|sample| sample.outcome).collect();
        use Outcome::{Error, Ok, Refused, Timeout};
        assert_eq!(outcomes, [Ok, Refused, Timeout, Error, Ok]);
        assert_eq!(samples[0].scenario, 'f');
        assert_eq!((samples[1].scenario, samples[1].latency_ms), ('m', 300.5));
    }

    #[test]
    fn time_begins_with_the_first_request() {
        let samples = samples(CSV).unwrap();
        assert_eq!(
            samples[0].at, 0.01,
            "it began at 1000 ms and ended at 1010 ms"
        );
        assert_eq!(samples[2].at, 6.5);
    }

    #[test]
    fn no_requests_are_an_error() {
        let header = CSV.lines().next().unwrap();
        assert_eq!(
            samples(header).unwrap_err().to_string(),
            "k6 made no request"
        );
    }
}
