//! What the charts have in common.

use anyhow::{Result, anyhow};
use plotters::{coord::Shift, prelude::*, style::text_anchor::*};

pub const INK: RGBColor = RGBColor(45, 52, 62);
pub const FAINT: RGBColor = RGBColor(150, 158, 168);

pub type Drawn<'a, T = ()> = Result<T, Box<dyn std::error::Error + 'a>>;
pub type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;

/// How a thing in the legend looks.
#[derive(Clone, Copy, Debug)]
pub enum Sign {
    Line(RGBColor),
    Area(RGBColor),
}

/// A chart as an SVG.
pub fn svg(size: (u32, u32), draw: impl for<'a> FnOnce(&Area<'a>) -> Drawn<'a>) -> Result<String> {
    let mut svg = String::new();
    {
        let root = SVGBackend::with_string(&mut svg, size).into_drawing_area();
        let drawn: Drawn<'_> = (|| {
            root.fill(&WHITE)?;
            draw(&root)?;
            Ok(root.present()?)
        })();
        drawn.map_err(|error| anyhow!("cannot draw the chart: {error}"))?;
    }
    Ok(svg)
}

/// The title, and below it what the signs mean and a note at the right.
pub fn heading<'a>(area: &Area<'a>, title: &str, signs: &[(Sign, &str)], note: &str) -> Drawn<'a> {
    area.draw(&Text::new(
        title.to_owned(),
        (18, 12),
        ("sans-serif", 22).into_font().color(&INK),
    ))?;
    legend(area, (20, 50), signs)?;
    let right = area.dim_in_pixel().0 as i32 - 20;
    let faint = ("sans-serif", 15).into_font().color(&FAINT);
    let faint = faint.pos(Pos::new(HPos::Right, VPos::Center));
    area.draw(&Text::new(note.to_owned(), (right, 50), faint))?;
    Ok(())
}

/// What the signs mean, in a row.
pub fn legend<'a>(
    area: &Area<'a>,
    (mut left, middle): (i32, i32),
    signs: &[(Sign, &str)],
) -> Drawn<'a> {
    let small = ("sans-serif", 15)
        .into_font()
        .color(&INK)
        .pos(Pos::new(HPos::Left, VPos::Center));
    for &(sign, name) in signs {
        match sign {
            Sign::Line(color) => area.draw(&PathElement::new(
                [(left, middle), (left + 22, middle)],
                color.stroke_width(3),
            ))?,
            Sign::Area(color) => area.draw(&Rectangle::new(
                [(left, middle - 7), (left + 22, middle + 7)],
                color.filled(),
            ))?,
        }
        area.draw(&Text::new(
            name.to_owned(),
            (left + 28, middle),
            small.clone(),
        ))?;
        left += 60 + 8 * name.chars().count() as i32;
    }
    Ok(())
}
