//! Measured figures, and how they are shown.

use std::fmt::Write;

use crate::candidates::Candidate;

/// One measured quantity of all candidates.
pub(crate) struct Row {
    pub(crate) title: String,
    pub(crate) digits: usize,
    pub(crate) values: Vec<(Candidate, f64)>,
}

impl Row {
    pub(crate) fn new(title: &str, values: Vec<(Candidate, f64)>) -> Self {
        Self {
            title: title.to_owned(),
            digits: 0,
            values,
        }
    }

    pub(crate) fn digits(mut self, digits: usize) -> Self {
        self.digits = digits;
        self
    }

    pub(crate) fn of(&self, candidate: Candidate) -> Option<f64> {
        self.values
            .iter()
            .find(|(c, _)| *c == candidate)
            .map(|(_, value)| *value)
    }

    fn cell(&self, candidate: Candidate) -> String {
        match self.of(candidate) {
            Some(value) => grouped(value, self.digits),
            None => "-".to_owned(),
        }
    }
}

/// Digits in groups of three.
fn grouped(value: f64, digits: usize) -> String {
    let plain = format!("{value:.digits$}");
    let (whole, rest) = plain.split_at(plain.find('.').unwrap_or(plain.len()));
    let mut text = String::new();
    for (index, digit) in whole.chars().enumerate() {
        let left = whole.len() - index;
        if left % 3 == 0 && text.ends_with(|c: char| c.is_ascii_digit()) {
            text.push(',');
        }
        text.push(digit);
    }
    text + rest
}

/// The rows as lines of text, for another process.
pub(crate) fn lines(rows: &[Row]) -> String {
    let mut text = String::new();
    for row in rows {
        for (candidate, value) in &row.values {
            let _ = writeln!(text, "{}\t{candidate:?}\t{value}", row.title);
        }
    }
    text
}

/// What [`lines`] has written.
pub(crate) fn parse(text: &str) -> Vec<Row> {
    let mut rows: Vec<Row> = Vec::new();
    for line in text.lines() {
        let mut parts = line.split('\t');
        let (Some(title), Some(candidate), Some(value)) =
            (parts.next(), parts.next(), parts.next())
        else {
            continue;
        };
        let candidate = Candidate::parse(candidate);
        let value = value.parse().expect("a number");
        match rows.iter_mut().find(|row| row.title == title) {
            Some(row) => row.values.push((candidate, value)),
            None => rows.push(Row::new(title, vec![(candidate, value)])),
        }
    }
    rows
}

/// The rows as a table in Markdown.
pub(crate) fn markdown(rows: &[Row], candidates: &[Candidate]) -> String {
    let mut text = String::from("| |");
    for candidate in candidates {
        let _ = write!(text, " {} |", candidate.name());
    }
    text += "\n|---|";
    text += &"---|".repeat(candidates.len());
    for row in rows {
        let _ = write!(text, "\n| {} |", row.title);
        for &candidate in candidates {
            let _ = write!(text, " {} |", row.cell(candidate));
        }
    }
    text += "\n| when full |";
    for candidate in candidates {
        let _ = write!(text, " {} |", candidate.when_full());
    }
    text
}
