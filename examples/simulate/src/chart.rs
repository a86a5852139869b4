//! The figures as pictures: one figure over the load, a line for each discipline, a panel for each
//! deadline.

use anyhow::{Result, anyhow};
use plotters::{
    coord::{
        Shift,
        ranged1d::{AsRangedCoord, ValueFormatter},
    },
    prelude::*,
    style::text_anchor::*,
};
use tower_concurrency_limiter::admission::Nanos;

use crate::{
    discipline::Discipline,
    scenario::{Scenario, seconds},
    summary::Summary,
    traffic::Class,
};

const SIZE: (u32, u32) = (1200, 470);
const HEAD: u32 = 72;
const INK: RGBColor = RGBColor(45, 52, 62);
const FAINT: RGBColor = RGBColor(150, 158, 168);

/// Colours that most can tell apart (Okabe and Ito, 2008). Lines that coincide are drawn from the
/// widest to the thinnest, so that all can be seen.
fn style(discipline: Discipline) -> (RGBColor, u32) {
    match discipline {
        Discipline::Fifo => (RGBColor(205, 60, 40), 9),
        Discipline::Priority => (RGBColor(230, 159, 0), 5),
        Discipline::Lanes => (RGBColor(86, 180, 233), 7),
        Discipline::Lifo => (RGBColor(190, 120, 170), 4),
        Discipline::Overload => (RGBColor(0, 120, 90), 3),
        Discipline::All => (RGBColor(40, 40, 40), 2),
    }
}

/// What is drawn over the load.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Figure {
    Goodput,
    Fairness,
    Wait(Class),
}

impl Figure {
    pub(crate) const EACH: [Self; 4] = [
        Self::Goodput,
        Self::Fairness,
        Self::Wait(Class::Interactive),
        Self::Wait(Class::Batch),
    ];

    pub(crate) fn file(self) -> &'static str {
        match self {
            Self::Goodput => "goodput.svg",
            Self::Fairness => "fairness.svg",
            Self::Wait(Class::Interactive) => "p99-interactive.svg",
            Self::Wait(Class::Normal) => "p99-normal.svg",
            Self::Wait(Class::Batch) => "p99-batch.svg",
        }
    }

    fn title(self) -> &'static str {
        match self {
            Self::Goodput => "Goodput: what was answered in time",
            Self::Fairness => "Fairness among tenants, one of them noisy",
            Self::Wait(Class::Interactive) => "Wait of interactive requests, 99th percentile",
            Self::Wait(Class::Normal) => "Wait of normal requests, 99th percentile",
            Self::Wait(Class::Batch) => "Wait of batch requests, 99th percentile",
        }
    }

    fn axis(self) -> &'static str {
        match self {
            Self::Goodput => "share of capacity",
            Self::Fairness => "Jain's index",
            Self::Wait(_) => "ms (logarithmic)",
        }
    }

    fn label(self, value: f64) -> String {
        match self {
            Self::Goodput | Self::Fairness => format!("{value:.1}"),
            Self::Wait(_) => format!("{value:.0}"),
        }
    }

    fn of(self, result: &Summary) -> Option<f64> {
        match self {
            Self::Goodput => Some(result.goodput),
            Self::Fairness => result.fairness,
            Self::Wait(class) => {
                let wait = result.waits(class).p99?;
                Some((1e3 * wait).max(SHORTEST)) // no logarithm of 0
            }
        }
    }
}

/// In milliseconds.
const SHORTEST: f64 = 1.0;

pub(crate) fn svg(figure: Figure, scenario: &Scenario, results: &[Summary]) -> Result<String> {
    let mut svg = String::new();
    draw(&mut svg, figure, scenario, results)
        .map_err(|error| anyhow!("cannot draw the chart: {error}"))?;
    Ok(svg)
}

type Drawn<'a, T = ()> = Result<T, Box<dyn std::error::Error + 'a>>;
type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;

fn draw<'a>(
    svg: &'a mut String,
    figure: Figure,
    scenario: &Scenario,
    results: &[Summary],
) -> Drawn<'a> {
    let root = SVGBackend::with_string(svg, SIZE).into_drawing_area();
    root.fill(&WHITE)?;
    let (head, panels) = root.split_vertically(HEAD);
    heading(&head, figure.title())?;
    let panels = panels.split_evenly((1, scenario.deadlines.len()));
    for (panel, &deadline) in panels.iter().zip(&scenario.deadlines) {
        let all = &scenario.loads;
        let loads = all[0] - 0.1..all[all.len() - 1] + 0.1;
        match figure {
            Figure::Wait(_) => {
                let longest = scenario.deadlines.iter().copied().fold(0, Nanos::max);
                let waits = (SHORTEST..2e3 * seconds(longest)).log_scale();
                draw_panel(panel, figure, deadline, results, loads, waits)?;
            }
            _ => draw_panel(panel, figure, deadline, results, loads, 0.0..1.05)?,
        }
    }
    root.present()?;
    Ok(())
}

fn heading<'a>(area: &Area<'a>, title: &str) -> Drawn<'a> {
    area.draw(&Text::new(
        title.to_owned(),
        (18, 12),
        ("sans-serif", 22).into_font().color(&INK),
    ))?;
    let small = ("sans-serif", 15)
        .into_font()
        .color(&INK)
        .pos(Pos::new(HPos::Left, VPos::Center));
    let mut left = 20;
    for discipline in Discipline::EACH {
        let (color, width) = style(discipline);
        let name = discipline.name();
        area.draw(&PathElement::new(
            [(left, 54), (left + 26, 54)],
            color.stroke_width(width),
        ))?;
        area.draw(&Text::new(name, (left + 33, 54), small.clone()))?;
        left += 62 + 8 * name.len() as i32;
    }
    let note = small.color(&FAINT).pos(Pos::new(HPos::Right, VPos::Center));
    area.draw(&Text::new(
        "a line ends where there is nothing to measure",
        (SIZE.0 as i32 - 20, 54),
        note,
    ))?;
    Ok(())
}

fn draw_panel<'a, Y>(
    panel: &Area<'a>,
    figure: Figure,
    deadline: Nanos,
    results: &[Summary],
    loads: std::ops::Range<f64>,
    values: Y,
) -> Drawn<'a>
where
    Y: AsRangedCoord<Value = f64>,
    Y::CoordDescType: Ranged<ValueType = f64> + ValueFormatter<f64>,
{
    let text = ("sans-serif", 14).into_font().color(&INK);
    let caption = format!("deadline in the queue: {} s", seconds(deadline));
    let mut chart = ChartBuilder::on(panel)
        .margin(10)
        .margin_right(18)
        .caption(caption, ("sans-serif", 17).into_font().color(&INK))
        .x_label_area_size(40)
        .y_label_area_size(66)
        .build_cartesian_2d(loads, values)?;
    chart
        .configure_mesh()
        .disable_x_mesh()
        .light_line_style(TRANSPARENT)
        .bold_line_style(FAINT.mix(0.35))
        .axis_style(FAINT)
        .x_desc("load, in multiples of capacity")
        .y_desc(figure.axis())
        .y_labels(6)
        .y_label_formatter(&|value| figure.label(*value))
        .label_style(text.clone())
        .axis_desc_style(text)
        .draw()?;
    let mut each = Discipline::EACH;
    each.sort_by_key(|discipline| std::cmp::Reverse(style(*discipline).1));
    for discipline in each {
        let (color, width) = style(discipline);
        let here = results.iter().filter(|result| {
            result.setting.discipline == discipline && result.setting.deadline == deadline
        });
        let points: Vec<_> = here
            .filter_map(|result| Some((result.setting.load, figure.of(result)?)))
            .collect();
        chart.draw_series(LineSeries::new(points.clone(), color.stroke_width(width)))?;
        let dots = points.into_iter();
        chart.draw_series(dots.map(|point| Circle::new(point, width / 2 + 2, color.filled())))?;
    }
    Ok(())
}
