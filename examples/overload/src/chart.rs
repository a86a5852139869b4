//! The run as a picture: what each route answered, second by second, while users came and went.

use anyhow::Result;
use example_support::{
    Outcome,
    paint::{self, Area, Drawn, FAINT, INK, Sign},
};
use plotters::prelude::*;

use crate::{
    load::Load,
    route::{Route, Sample},
    run::{Measured, Run},
    series::Series,
};

const SIZE: (u32, u32) = (1200, 430);
const USERS: RGBColor = RGBColor(226, 230, 236);

const ROUTES: [(Route, &str); 2] = [(Route::Messages, "/messages"), (Route::File, "/file")];
const OUTCOMES: [(Outcome, &str, RGBColor); 4] = [
    (Outcome::Ok, "ok", RGBColor(22, 140, 90)),
    (Outcome::Refused, "503", RGBColor(232, 145, 20)),
    (Outcome::Timeout, "timeouts", RGBColor(205, 40, 50)),
    (Outcome::Error, "other errors", RGBColor(125, 75, 170)),
];

/// The highest rates of each route in any of the runs, so that their charts can be compared by eye.
pub(crate) struct Scales {
    rates: [f64; 2],
    users: f64,
}

impl Scales {
    pub(crate) fn of(runs: &[(Run, Measured)]) -> Self {
        let highest = |route| {
            let series = runs.iter().flat_map(|(run, measured)| {
                OUTCOMES.map(|(outcome, ..)| {
                    Series::count(&measured.samples, route, outcome, &run.load)
                })
            });
            series.fold(1.0, |top: f64, series| {
                series.curve().fold(top, |top, (_, rate)| top.max(rate))
            })
        };
        Self {
            rates: ROUTES.map(|(route, _)| highest(route) * 1.08),
            users: runs
                .iter()
                .map(|(run, _)| f64::from(run.load.peak_vus.max(run.load.vus)) * 1.08)
                .fold(1.0, f64::max),
        }
    }
}

/// One chart, as an SVG: a panel for each route.
pub(crate) fn svg(run: &Run, measured: &Measured, scales: &Scales) -> Result<String> {
    paint::svg(SIZE, |root| draw(root, run, measured, scales))
}

fn draw<'a>(root: &Area<'a>, run: &Run, measured: &Measured, scales: &Scales) -> Drawn<'a> {
    let (head, panels) = root.split_vertically(64);
    let mut signs = OUTCOMES
        .map(|(_, name, color)| (Sign::Line(color), name))
        .to_vec();
    signs.push((Sign::Area(USERS), "users on /messages"));
    paint::heading(&head, run.title, &signs, "rates are means of 3 seconds")?;
    for (panel, (index, (route, name))) in panels
        .split_evenly((1, 2))
        .iter()
        .zip(ROUTES.into_iter().enumerate())
    {
        let top = scales.rates[index];
        draw_panel(
            panel,
            name,
            &measured.samples,
            route,
            &run.load,
            top,
            scales.users,
        )?;
    }
    Ok(())
}

fn draw_panel<'a>(
    panel: &Area<'a>,
    name: &str,
    samples: &[Sample],
    route: Route,
    load: &Load,
    top: f64,
    users: f64,
) -> Drawn<'a> {
    let seconds = f64::from(load.seconds());
    let text = ("sans-serif", 14).into_font().color(&INK);
    let mut chart = ChartBuilder::on(panel)
        .margin(10)
        .caption(name, ("sans-serif", 18).into_font().color(&INK))
        .x_label_area_size(40)
        .y_label_area_size(56)
        .right_y_label_area_size(52)
        .build_cartesian_2d(0.0..seconds, 0.0..top)?
        .set_secondary_coord(0.0..seconds, 0.0..users);
    let planned = (0..=load.seconds() * 4).map(|quarter| f64::from(quarter) / 4.0);
    chart.draw_secondary_series(AreaSeries::new(
        planned.map(|at| (at, load.vus_at(at))),
        0.0,
        USERS,
    ))?;
    chart
        .configure_mesh()
        .disable_x_mesh()
        .light_line_style(TRANSPARENT)
        .bold_line_style(FAINT.mix(0.35))
        .axis_style(FAINT)
        .x_desc("seconds")
        .y_desc("requests/s")
        .x_label_formatter(&|at| format!("{at:.0}"))
        .y_label_formatter(&|rate| format!("{rate:.0}"))
        .label_style(text.clone())
        .axis_desc_style(text.clone())
        .draw()?;
    chart
        .configure_secondary_axes()
        .axis_style(FAINT)
        .y_desc("users")
        .y_label_formatter(&|users| format!("{users:.0}"))
        .label_style(text.clone())
        .axis_desc_style(text)
        .draw()?;
    // What matters most is drawn last, on top.
    for (outcome, _, color) in OUTCOMES.into_iter().rev() {
        let series = Series::count(samples, route, outcome, load);
        // A line along zero would only hide that of the answers, should they come to that.
        if outcome == Outcome::Ok || series.curve().any(|(_, rate)| rate > 0.0) {
            chart.draw_series(LineSeries::new(series.curve(), color.stroke_width(2)))?;
        }
    }
    Ok(())
}
