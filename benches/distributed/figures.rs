//! Measured figures, and what they must be.

use std::fmt::Write;

/// A measured quantity, and a bound for it if there is one.
pub(crate) struct Figure {
    title: String,
    value: f64,
    bound: Option<Bound>,
}

#[derive(Clone, Copy)]
enum Bound {
    AtMost(f64),
    AtLeast(f64),
}

impl Figure {
    pub(crate) fn new(title: impl Into<String>, value: f64) -> Self {
        Self {
            title: title.into(),
            value,
            bound: None,
        }
    }

    pub(crate) fn at_most(mut self, bound: f64) -> Self {
        self.bound = Some(Bound::AtMost(bound));
        self
    }

    pub(crate) fn at_least(mut self, bound: f64) -> Self {
        self.bound = Some(Bound::AtLeast(bound));
        self
    }
}

/// The figures as a table in Markdown.
pub(crate) fn markdown(figures: &[Figure]) -> String {
    let mut text = String::from("| what | measured | bar | |\n|---|---:|---|---|");
    for Figure {
        title,
        value,
        bound,
    } in figures
    {
        let digits = if *value < 100.0 { 2 } else { 0 };
        let (bound, holds) = match *bound {
            None => (String::new(), None),
            Some(Bound::AtMost(bound)) => (format!("at most {bound}"), Some(*value <= bound)),
            Some(Bound::AtLeast(bound)) => (format!("at least {bound}"), Some(*value >= bound)),
        };
        let verdict = holds.map_or("", |holds| if holds { "holds" } else { "MISSED" });
        let _ = write!(
            text,
            "\n| {title} | {value:.digits$} | {bound} | {verdict} |"
        );
    }
    text
}

/// The medians of so many rounds, each of which measures all there is to compare.
pub(crate) fn medians<const N: usize>(
    rounds: usize,
    mut measure: impl FnMut() -> [f64; N],
) -> [f64; N] {
    let rounds: Vec<[f64; N]> = (0..rounds).map(|_| measure()).collect();
    std::array::from_fn(|figure| percentile(rounds.iter().map(|round| round[figure]), 50))
}

/// The value below which this percentage of the samples lies.
pub(crate) fn percentile(samples: impl IntoIterator<Item = f64>, percent: usize) -> f64 {
    let mut samples: Vec<f64> = samples.into_iter().collect();
    samples.sort_by(f64::total_cmp);
    samples[(samples.len() - 1) * percent / 100]
}
