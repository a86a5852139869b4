//! What has to hold at twice what the resource can do, when the queue's deadline is what its
//! clients wait.

use std::fmt;

use crate::{discipline::Discipline, scenario::Scenario, summary::Summary, traffic::Class};

pub(crate) struct Fact {
    pub(crate) holds: bool,
    /// With the figures, whether or not it does.
    text: String,
}

impl fmt::Display for Fact {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let holds = if self.holds { "yes" } else { "NO" };
        write!(f, "{holds}: {}", self.text)
    }
}

pub(crate) const OVERLOAD: f64 = 2.0;

/// Of what the resource can do, whatever is asked of it.
const ENOUGH: f64 = 0.95;

/// Of the fair share. The rest are tenants with more than theirs to ask for: their own requests
/// queue up, and some end late.
const FAIR: f64 = 0.9;

/// None, if there were no such runs.
pub(crate) fn facts(scenario: &Scenario, results: &[Summary]) -> Vec<Fact> {
    let of = |discipline| {
        results.iter().find(|result| {
            let setting = result.setting;
            setting.discipline == discipline
                && setting.load == OVERLOAD
                && setting.deadline == scenario.patience
        })
    };
    let [
        Some(fifo),
        Some(lanes),
        Some(priority),
        _,
        Some(overload),
        Some(all),
    ] = Discipline::EACH.map(of)
    else {
        return Vec::new();
    };
    let busy = [
        goodput(overload, fifo),
        goodput(all, fifo),
        fairness(lanes, fifo),
        fairness(all, fifo),
        classes(priority),
    ];
    busy.into_iter().chain(calm(results)).collect()
}

fn name(result: &Summary) -> &'static str {
    result.setting.discipline.name()
}

fn goodput(result: &Summary, fifo: &Summary) -> Fact {
    Fact {
        holds: result.goodput >= ENOUGH,
        text: format!(
            "{}: goodput is {:.3} of capacity, at least {ENOUGH} (FIFO: {:.3})",
            name(result),
            result.goodput,
            fifo.goodput
        ),
    }
}

fn fairness(result: &Summary, fifo: &Summary) -> Fact {
    // Where nobody gets anything, nobody has a share.
    let [ours, fifos] = [result, fifo].map(|result| result.fairness.unwrap_or(0.0));
    Fact {
        holds: ours > fifos && ours >= FAIR && result.others >= FAIR,
        text: format!(
            "{}: fairness among tenants is {ours:.3}, at least {FAIR} and above FIFO's {fifos:.3}; all but \
             the noisy one get {:.3} of their fair share, at least {FAIR} (FIFO: {:.3})",
            name(result),
            result.others,
            fifo.others
        ),
    }
}

fn classes(result: &Summary) -> Fact {
    let [first, last] = [Class::Interactive, Class::Batch].map(|class| result.waits(class).p99);
    let text =
        |wait: Option<f64>| wait.map_or("never let in".to_owned(), |wait| format!("{wait:.3} s"));
    Fact {
        // Never is longer than anything.
        holds: first.is_some_and(|first| last.is_none_or(|last| first < last)),
        text: format!(
            "{}: the p99 wait of interactive requests is below that of batch: {} and {}",
            name(result),
            text(first),
            text(last)
        ),
    }
}

/// Where there is room for all, hardly anybody is turned away.
fn calm(results: &[Summary]) -> Option<Fact> {
    let calm = results.iter().filter(|result| result.setting.load <= 0.8);
    let lost = calm.map(|result| result.refused + result.timed_out + result.shed);
    let most = lost.max_by(f64::total_cmp)?;
    Some(Fact {
        holds: most < 0.001,
        text: format!(
            "at 0.8 times capacity and below, no discipline turns away more than one in a thousand: \
             {most:.5}"
        ),
    })
}
