//! Alternation: every round measures every candidate once, so that what disturbs the machine for a
//! while disturbs all of them.

use crate::candidates::Candidate;

/// The medians over the rounds, for each candidate.
pub(crate) fn medians<const N: usize>(
    rounds: usize,
    candidates: &[Candidate],
    mut measure: impl FnMut(Candidate) -> [f64; N],
) -> [Vec<(Candidate, f64)>; N] {
    let mut samples = vec![Vec::with_capacity(rounds); candidates.len()];
    for _ in 0..rounds {
        for (candidate, samples) in candidates.iter().zip(&mut samples) {
            samples.push(measure(*candidate));
        }
    }
    std::array::from_fn(|figure| {
        candidates
            .iter()
            .zip(&samples)
            .map(|(candidate, samples)| {
                let values = samples.iter().map(|sample: &[f64; N]| sample[figure]);
                (*candidate, percentile(values.collect(), 50))
            })
            .collect()
    })
}

/// The same beyond the bare service.
pub(crate) fn beyond_bare(mut values: Vec<(Candidate, f64)>) -> Vec<(Candidate, f64)> {
    let bare = values
        .iter()
        .find(|(candidate, _)| *candidate == Candidate::Bare)
        .map_or(0.0, |(_, value)| *value);
    values.retain(|(candidate, _)| *candidate != Candidate::Bare);
    for (_, value) in &mut values {
        *value -= bare;
    }
    values
}

/// The value below which this percentage of the samples lies.
pub(crate) fn percentile(mut samples: Vec<f64>, percent: usize) -> f64 {
    samples.sort_by(f64::total_cmp);
    samples[(samples.len() - 1) * percent / 100]
}
