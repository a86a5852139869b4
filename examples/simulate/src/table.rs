//! The figures as a table, for the terminal and for the page.

use example_support::Rows;

use crate::{scenario::seconds, summary::Summary, traffic::Class};

pub(crate) fn of(results: &[Summary]) -> Rows {
    let head = vec![
        "discipline",
        "deadline s",
        "load",
        "goodput",
        "late",
        "refused",
        "timed out",
        "shed",
        "interactive p50 ms",
        "p99",
        "normal p50",
        "p99",
        "batch p50",
        "p99",
        "fairness",
        "others",
    ];
    let rows = results.iter().map(|result| {
        let setting = result.setting;
        let mut row = vec![
            setting.discipline.name().to_owned(),
            seconds(setting.deadline).to_string(),
            setting.load.to_string(),
        ];
        let shares = [
            result.goodput,
            result.late,
            result.refused,
            result.timed_out,
            result.shed,
        ];
        row.extend(shares.map(|share| format!("{share:.3}")));
        for class in Class::ALL {
            let waits = result.waits(class);
            row.extend([waits.p50, waits.p99].map(milliseconds));
        }
        row.push(
            result
                .fairness
                .map_or("-".into(), |index| format!("{index:.3}")),
        );
        row.push(format!("{:.3}", result.others));
        row
    });
    let rows = rows.collect();
    Rows {
        head,
        rows,
        names: 1,
    }
}

fn milliseconds(seconds: Option<f64>) -> String {
    seconds.map_or("-".into(), |seconds| format!("{:.0}", 1e3 * seconds))
}
