//! The run as a picture: what each process held, and what the clients got.

use std::ops::Range;

use anyhow::Result;
use example_support::{
    Outcome,
    paint::{self, Area, Drawn, FAINT, INK, Sign},
};
use plotters::{prelude::*, style::text_anchor::*};
use test_support::holders::{Nanos, Until};

use crate::{
    course::Course,
    plan::{KILLED, PAUSED, Plan},
    run::{Events, Measured, Sample},
};

const SIZE: (u32, u32) = (1200, 660);
/// Below: what the clients got.
const REQUESTS: u32 = 216;
const STEPS: usize = 360;
const LIMIT: RGBColor = RGBColor(205, 40, 50);

/// Colours that most can tell apart (Okabe and Ito, 2008), not too loud for areas.
const PROCESSES: [RGBColor; 4] = [
    RGBColor(86, 160, 211),
    RGBColor(233, 160, 60),
    RGBColor(90, 175, 140),
    RGBColor(196, 145, 185),
];
const OUTCOMES: [(Outcome, &str, RGBColor); 4] = [
    (Outcome::Ok, "ok", RGBColor(22, 140, 90)),
    (Outcome::Refused, "503", RGBColor(232, 145, 20)),
    (Outcome::Timeout, "timeouts", RGBColor(205, 40, 50)),
    (Outcome::Error, "no connection", RGBColor(125, 75, 170)),
];

fn color_of(process: u32) -> RGBColor {
    PROCESSES[(process as usize - 1) % PROCESSES.len()]
}

pub(crate) fn svg(plan: &Plan, measured: &Measured) -> Result<String> {
    let title = format!(
        "{} processes share a limit of {}",
        plan.processes, plan.limit
    );
    paint::svg(SIZE, |root| {
        let (head, panels) = root.split_vertically(64);
        let (held, requests) = panels.split_vertically(SIZE.1 - 64 - REQUESTS);
        let names: Vec<_> = (1..=plan.processes)
            .map(|process| format!("process {process}"))
            .collect();
        let mut signs: Vec<_> = (1..=plan.processes)
            .zip(&names)
            .map(|(process, name)| (Sign::Area(color_of(process)), name.as_str()))
            .collect();
        signs.push((Sign::Line(INK), "most at once"));
        let step = 1e3 * plan.end_at.as_secs_f64() / STEPS as f64;
        let note = format!("areas are means of {step:.0} ms; only valid permits count");
        paint::heading(&head, &title, &signs, &note)?;
        draw_held(&held, plan, measured)?;
        draw_requests(&requests, plan, &measured.samples)
    })
}

fn draw_held<'a>(panel: &Area<'a>, plan: &Plan, measured: &Measured) -> Drawn<'a> {
    let seconds = plan.end_at.as_secs_f64();
    let end = measured.start + plan.end_at.as_nanos() as Nanos;
    let changes = measured.holders.changes(Until::Lost);
    let course = Course::new(&changes, 1..=plan.processes, (measured.start, end), STEPS);
    let limit = f64::from(plan.limit);
    let top = 1.32 * limit;
    let text = ("sans-serif", 14).into_font().color(&INK);
    let mut chart = ChartBuilder::on(panel)
        .margin(10)
        .margin_right(24)
        .x_label_area_size(30)
        .y_label_area_size(60)
        .build_cartesian_2d(0.0..seconds, 0.0..top)?;

    let mut sum = vec![0.0; STEPS];
    let mut stack = Vec::new();
    for (process, held) in (1..).zip(&course.by) {
        for (sum, held) in sum.iter_mut().zip(held) {
            *sum += held;
        }
        stack.push((color_of(process), sum.clone()));
    }
    // The sums from the largest to the smallest: of each, the part above the next stays to be seen.
    for (color, sum) in stack.iter().rev() {
        chart.draw_series(AreaSeries::new(stairs(sum, course.step), 0.0, color))?;
    }
    let most = stairs(&course.most, course.step);
    chart.draw_series(LineSeries::new(most, INK.stroke_width(1)))?;

    chart
        .configure_mesh()
        .disable_x_mesh()
        .light_line_style(TRANSPARENT)
        .bold_line_style(FAINT.mix(0.35))
        .axis_style(FAINT)
        .y_desc("permits held")
        .y_labels(plan.limit.min(12) as usize)
        .y_label_formatter(&|units| format!("{units:.0}"))
        .x_label_formatter(&|at| format!("{at:.0}"))
        .label_style(text.clone())
        .axis_desc_style(text.clone())
        .draw()?;
    chart.draw_series(DashedLineSeries::new(
        [(0.0, limit), (seconds, limit)],
        7,
        4,
        LIMIT.stroke_width(2),
    ))?;
    let label = text.color(&LIMIT).pos(Pos::new(HPos::Left, VPos::Bottom));
    let place = (0.004 * seconds, 1.01 * limit);
    let name = format!("the limit: {}", plan.limit);
    chart.draw_series([Text::new(name, place, label)])?;

    for (at, row, name) in marks(measured.start, &measured.events) {
        let height = top * (0.97 - 0.075 * f64::from(row));
        let line = [(at, 0.0), (at, height)];
        chart.draw_series([PathElement::new(line, INK.stroke_width(1))])?;
        let style = ("sans-serif", 14).into_font().color(&INK);
        let style = style.pos(Pos::new(HPos::Left, VPos::Center));
        let place = (at + 0.006 * seconds, height - 0.02 * top);
        chart.draw_series([Text::new(name, place, style)])?;
    }
    Ok(())
}

/// When what happened, in seconds, and the row of its label: two that follow each other closely
/// must not overlap.
fn marks(start: Nanos, events: &Events) -> [(f64, u32, String); 4] {
    let Events {
        killed,
        paused,
        lost,
        resumed,
    } = *events;
    let at = |at: Nanos| (at - start) as f64 / 1e9;
    [
        (at(killed), 0, format!("process {KILLED} is killed")),
        (at(paused), 0, format!("process {PAUSED} stands still")),
        (at(lost), 1, "its permits are no longer valid".into()),
        (at(resumed), 0, "it goes on".into()),
    ]
}

fn draw_requests<'a>(panel: &Area<'a>, plan: &Plan, samples: &[Sample]) -> Drawn<'a> {
    let seconds = plan.end_at.as_secs();
    let rates = OUTCOMES.map(|(outcome, _, color)| {
        let mut counts = vec![0.0; seconds as usize];
        for sample in samples.iter().filter(|sample| sample.outcome == outcome) {
            if let Some(count) = counts.get_mut(sample.at as usize) {
                *count += 1.0;
            }
        }
        (color, counts)
    });
    let top = 1.1
        * rates
            .iter()
            .flat_map(|(_, counts)| counts)
            .fold(1.0, |top: f64, &rate| top.max(rate));
    let (head, plot) = panel.split_vertically(20);
    let signs = OUTCOMES.map(|(_, name, color)| (Sign::Line(color), name));
    paint::legend(&head, (72, 8), &signs)?;
    let text = ("sans-serif", 14).into_font().color(&INK);
    let span: Range<f64> = 0.0..seconds as f64;
    let mut chart = ChartBuilder::on(&plot)
        .margin(10)
        .margin_right(24)
        .x_label_area_size(36)
        .y_label_area_size(60)
        .build_cartesian_2d(span, 0.0..top)?;
    chart
        .configure_mesh()
        .disable_x_mesh()
        .light_line_style(TRANSPARENT)
        .bold_line_style(FAINT.mix(0.35))
        .axis_style(FAINT)
        .x_desc("seconds")
        .y_desc("requests/s")
        .y_labels(4)
        .x_label_formatter(&|at| format!("{at:.0}"))
        .y_label_formatter(&|rate| format!("{rate:.0}"))
        .label_style(text.clone())
        .axis_desc_style(text)
        .draw()?;
    // What matters most is drawn last, on top.
    for (color, counts) in rates.iter().rev() {
        if counts.iter().any(|&count| count > 0.0) {
            chart.draw_series(LineSeries::new(stairs(counts, 1.0), color.stroke_width(2)))?;
        }
    }
    Ok(())
}

/// The outline of steps of this width.
fn stairs(heights: &[f64], width: f64) -> Vec<(f64, f64)> {
    (0_u32..)
        .zip(heights)
        .flat_map(|(step, &height)| {
            let [left, right] = [step, step + 1].map(|step| f64::from(step) * width);
            [(left, height), (right, height)]
        })
        .collect()
}
