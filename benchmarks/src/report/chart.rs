//! Line charts and bar charts as SVG, in light or dark. Each line is named where it ends, in its own colour.

use crate::measure::Outcome;
use plotters::coord::ranged1d::{KeyPointHint, Ranged};
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};
use std::path::Path;

const WIDTH: u32 = 960;
const TITLE_Y: i32 = 26;
const TOP: u32 = 44;
const FONT: &str = "sans-serif";
/// Between the names of two lines.
const LEAST_GAP: i32 = 17;

pub(super) struct Theme {
    pub(super) name: &'static str,
    background: RGBColor,
    text: RGBColor,
    grid: RGBColor,
    ours: [RGBColor; 6],
    theirs: [RGBColor; 10],
}

pub(super) const THEMES: [Theme; 2] = [LIGHT, DARK];

const LIGHT: Theme = Theme {
    name: "light",
    background: RGBColor(255, 255, 255),
    text: RGBColor(31, 35, 40),
    grid: RGBColor(216, 222, 228),
    ours: [
        RGBColor(9, 105, 218),
        RGBColor(64, 150, 240),
        RGBColor(27, 124, 131),
        RGBColor(10, 48, 105),
        RGBColor(26, 127, 55),
        RGBColor(84, 100, 180),
    ],
    theirs: [
        RGBColor(154, 103, 0),
        RGBColor(110, 119, 129),
        RGBColor(188, 76, 0),
        RGBColor(130, 60, 20),
        RGBColor(207, 34, 46),
        RGBColor(130, 7, 30),
        RGBColor(130, 80, 223),
        RGBColor(81, 38, 151),
        RGBColor(191, 57, 137),
        RGBColor(120, 30, 90),
    ],
};

const DARK: Theme = Theme {
    name: "dark",
    background: RGBColor(13, 17, 23),
    text: RGBColor(230, 237, 243),
    grid: RGBColor(48, 54, 61),
    ours: [
        RGBColor(88, 166, 255),
        RGBColor(165, 214, 255),
        RGBColor(86, 211, 222),
        RGBColor(121, 140, 255),
        RGBColor(86, 211, 100),
        RGBColor(160, 180, 240),
    ],
    theirs: [
        RGBColor(227, 179, 65),
        RGBColor(177, 186, 196),
        RGBColor(255, 166, 87),
        RGBColor(240, 136, 62),
        RGBColor(255, 123, 114),
        RGBColor(248, 81, 73),
        RGBColor(210, 168, 255),
        RGBColor(188, 140, 255),
        RGBColor(255, 155, 206),
        RGBColor(247, 120, 186),
    ],
};

#[derive(Clone, Copy)]
pub(super) enum Scale {
    Linear,
    Logarithmic,
}

pub(super) struct Axis {
    pub(super) label: &'static str,
    pub(super) scale: Scale,
    pub(super) low: f64,
    pub(super) high: f64,
    pub(super) ticks: Vec<(f64, String)>,
}

pub(super) struct Series {
    pub(super) label: String,
    pub(super) is_ours: bool,
    /// Of lines the points, from left to right; of bars the one figure, and how it is said.
    pub(super) points: Vec<(f64, f64)>,
}

impl Axis {
    /// Where a value stands on the axis.
    fn place(&self, value: f64) -> f64 {
        match self.scale {
            Scale::Linear => value,
            Scale::Logarithmic => value.log10(),
        }
    }

    fn ranged(&self) -> Ticks {
        Ticks {
            low: self.place(self.low),
            high: self.place(self.high),
            places: self.ticks.iter().map(|(value, _)| self.place(*value)).collect(),
        }
    }

    fn name(&self, place: f64) -> String {
        let tick = self
            .ticks
            .iter()
            .find(|(value, _)| (self.place(*value) - place).abs() < 1e-9);
        tick.map_or(String::new(), |(_, name)| name.clone())
    }
}

/// A coordinate whose lines are at the ticks and nowhere else.
struct Ticks {
    low: f64,
    high: f64,
    places: Vec<f64>,
}

impl Ranged for Ticks {
    type FormatOption = plotters::coord::ranged1d::DefaultFormatting;
    type ValueType = f64;

    fn map(&self, value: &f64, limit: (i32, i32)) -> i32 {
        let share = (value - self.low) / (self.high - self.low);
        limit.0 + (share * f64::from(limit.1 - limit.0)).round() as i32
    }

    fn key_points<Hint: KeyPointHint>(&self, _: Hint) -> Vec<f64> {
        self.places.clone()
    }

    fn range(&self) -> std::ops::Range<f64> {
        self.low..self.high
    }
}

/// Draws lines, with their names in a margin of that width.
pub(super) fn lines(
    path: &Path,
    theme: &Theme,
    title: &str,
    (height, margin): (u32, u32),
    (x, y): (&Axis, &Axis),
    series: &[Series],
) -> Outcome<()> {
    let root = SVGBackend::new(path, (WIDTH, height)).into_drawing_area();
    root.fill(&theme.background)?;
    let text = |pixels: u32| (FONT, pixels).into_font().color(&theme.text);
    root.draw(&Text::new(title.to_owned(), (20, TITLE_Y - 10), text(18)))?;
    let mut chart = ChartBuilder::on(&root)
        .margin_top(TOP)
        .margin_right(margin)
        .margin_left(8)
        .margin_bottom(8)
        .x_label_area_size(48)
        .y_label_area_size(76)
        .build_cartesian_2d(x.ranged(), y.ranged())?;
    chart
        .configure_mesh()
        .x_desc(x.label)
        .y_desc(y.label)
        .x_label_formatter(&|place| x.name(*place))
        .y_label_formatter(&|place| y.name(*place))
        .label_style(text(13))
        .axis_desc_style(text(14))
        .axis_style(theme.text)
        .bold_line_style(theme.grid)
        .light_line_style(TRANSPARENT)
        .draw()?;
    let mut ends = Vec::new();
    for (series, color) in series.iter().zip(colors(theme, series)) {
        let places: Vec<_> = series
            .points
            .iter()
            .map(|(a, b)| (x.place(*a), y.place(*b)))
            .collect();
        let width = if series.is_ours { 3 } else { 2 };
        chart.draw_series(LineSeries::new(places.iter().copied(), color.stroke_width(width)))?;
        chart.draw_series(
            places
                .iter()
                .map(|place| Circle::new(*place, width + 1, color.filled())),
        )?;
        if let Some(end) = places.last() {
            ends.push((chart.backend_coord(end), &series.label, color));
        }
    }
    ends.sort_by_key(|((_, y), ..)| *y);
    let wanted: Vec<i32> = ends.iter().map(|((_, y), ..)| *y).collect();
    let places = apart(&wanted, (TOP as i32, height as i32 - 40));
    for (((from_x, from_y), label, color), at_y) in ends.into_iter().zip(places) {
        let name_x = (WIDTH - margin) as i32 + 22;
        let leader = [(from_x + 6, from_y), (name_x - 4, at_y)];
        root.draw(&PathElement::new(leader.to_vec(), color.mix(0.6)))?;
        let style = (FONT, 13)
            .into_font()
            .color(&color)
            .pos(Pos::new(HPos::Left, VPos::Center));
        root.draw(&Text::new(label.clone(), (name_x, at_y), style))?;
    }
    Ok(root.present()?)
}

/// Draws a bar for each figure, from the shortest on, with its name before it and what it is after it.
pub(super) fn bars(
    path: &Path,
    theme: &Theme,
    title: &str,
    x: &Axis,
    series: &[Series],
    said: &dyn Fn(f64) -> String,
) -> Outcome<()> {
    const ROW: i32 = 24;
    const NAMES: i32 = 330;
    const RIGHT: i32 = 90;
    const BOTTOM: i32 = 56;
    let height = TOP as i32 + ROW * series.len() as i32 + BOTTOM;
    let root = SVGBackend::new(path, (WIDTH, height as u32)).into_drawing_area();
    root.fill(&theme.background)?;
    let text = |pixels: u32| (FONT, pixels).into_font().color(&theme.text);
    root.draw(&Text::new(title.to_owned(), (20, TITLE_Y - 10), text(18)))?;

    let limits = (NAMES, WIDTH as i32 - RIGHT);
    let at = |value: f64| x.ranged().map(&x.place(value), limits);
    let below = height - BOTTOM;
    for (value, name) in &x.ticks {
        let line = vec![(at(*value), TOP as i32), (at(*value), below)];
        root.draw(&PathElement::new(line, theme.grid))?;
        let style = text(13).pos(Pos::new(HPos::Center, VPos::Top));
        root.draw(&Text::new(name.clone(), (at(*value), below + 6), style))?;
    }
    let style = text(14).pos(Pos::new(HPos::Center, VPos::Top));
    root.draw(&Text::new(
        x.label,
        ((limits.0 + limits.1) / 2, below + 28),
        style,
    ))?;

    let mut rows: Vec<_> = series
        .iter()
        .filter_map(|series| Some((series.points.first()?.1, series)))
        .collect();
    rows.sort_by(|a, b| a.0.total_cmp(&b.0));
    for (row, (figure, series)) in rows.into_iter().enumerate() {
        let color = if series.is_ours {
            theme.ours[0]
        } else {
            theme.theirs[1]
        };
        let top = TOP as i32 + ROW * row as i32;
        let bar = [(limits.0, top + 4), (at(figure), top + ROW - 4)];
        root.draw(&Rectangle::new(bar, color.filled()))?;
        let middle = top + ROW / 2;
        let name = text(13).pos(Pos::new(HPos::Right, VPos::Center));
        root.draw(&Text::new(series.label.clone(), (limits.0 - 8, middle), name))?;
        let after = text(13).pos(Pos::new(HPos::Left, VPos::Center));
        root.draw(&Text::new(said(figure), (at(figure) + 6, middle), after))?;
    }
    Ok(root.present()?)
}

fn colors(theme: &Theme, series: &[Series]) -> Vec<RGBColor> {
    let mut ours = theme.ours.iter().copied().cycle();
    let mut theirs = theme.theirs.iter().copied().cycle();
    let color = |series: &Series| match series.is_ours {
        true => ours.next(),
        false => theirs.next(),
    };
    series.iter().map(color).map(Option::unwrap_or_default).collect()
}

/// Ascending places that are as near to the wanted ones as the gap between them allows.
fn apart(wanted: &[i32], (low, high): (i32, i32)) -> Vec<i32> {
    let mut places: Vec<i32> = wanted.to_vec();
    // Each pass takes half of every overlap away on either side.
    for _ in 0..500 {
        for at in 1..places.len() {
            let overlap = LEAST_GAP - (places[at] - places[at - 1]);
            if overlap > 0 {
                places[at - 1] -= (overlap + 1) / 2;
                places[at] += (overlap + 1) / 2;
            }
        }
        if let (Some(first), Some(last)) = (places.first().copied(), places.last_mut()) {
            *last = (*last).min(high);
            places[0] = first.max(low);
        }
    }
    places
}
