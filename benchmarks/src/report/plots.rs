//! The plots of the page.

use super::chart::{Axis, Scale, Series, THEMES, Theme, bars, lines};
use super::figures::Figures;
use super::{size, time};
use crate::measure::Outcome;
use std::path::Path;

pub(super) struct Plot {
    /// Of its files, before the theme's.
    pub(super) name: &'static str,
    pub(super) title: &'static str,
    draw: fn(&Path, &Theme, &'static str, &Figures) -> Outcome<()>,
}

pub(super) const PLOTS: [Plot; 4] = [
    Plot {
        name: "round-trip",
        title: "Round trip by size of the payload, p50",
        draw: round_trip,
    },
    Plot {
        name: "at-100-bytes",
        title: "Round trip with a payload of 100 B, p50",
        draw: at_100_bytes,
    },
    Plot {
        name: "throughput",
        title: "Pings of 100 B by threads on one bridge",
        draw: throughput,
    },
    Plot {
        name: "lookup",
        title: "Looking up a container by size of the table, p50",
        draw: lookup,
    },
];

/// Of selur's rows, those that a plot shows, and what it calls them.
const SHOWN: [(&str, &str, &str); 9] = [
    ("Rust", "in place, one slot", "selur, Rust in place"),
    ("Rust", "by copy", "selur, Rust by copy"),
    ("C", "in place, one slot", "selur, C in place"),
    ("C", "by copy", "selur, C by copy"),
    ("Deno", "in place, one slot", "selur, Deno in place"),
    ("Deno", "by copy", "selur, Deno by copy"),
    ("Python", "in place, one slot", "selur, Python in place"),
    ("Python", "by copy: ping(payload)", "selur, Python by copy"),
    ("Elixir", "by copy: ping/2", "selur, Elixir by copy"),
];
/// Where there is a line each, fewer are legible.
const WITHOUT_LINE: [&str; 8] = [
    "selur, C by copy",
    "selur, Deno by copy",
    "selur, Python in place",
    "fetch, JSON over HTTP, from Deno",
    "http.client, JSON over HTTP, from Python",
    "wasmtime-py, from Python",
    ":httpc, JSON over HTTP, from Elixir",
    "gen_tcp, JSON over HTTP, from Elixir",
];

pub(super) fn write(figures: &Figures, folder: &Path) -> Outcome<()> {
    for plot in &PLOTS {
        for theme in &THEMES {
            let path = folder.join(format!("{}-{}.svg", plot.name, theme.name));
            (plot.draw)(&path, theme, plot.title, figures)?;
        }
    }
    Ok(())
}

fn round_trip(path: &Path, theme: &Theme, title: &'static str, figures: &Figures) -> Outcome<()> {
    let mut series = pings(figures, |bytes| bytes > 0);
    series.retain(|series| !WITHOUT_LINE.contains(&series.label.as_str()));
    let sizes = [100, 1_024, 10_240, 102_400, 262_144];
    let x = Axis {
        label: "payload",
        scale: Scale::Logarithmic,
        low: 80.0,
        high: 330_000.0,
        ticks: sizes.map(|bytes| (f64::from(bytes), size(bytes))).to_vec(),
    };
    lines(
        path,
        theme,
        title,
        (620, 250),
        (&x, &times(&series, "time of a round trip")),
        &series,
    )
}

fn at_100_bytes(path: &Path, theme: &Theme, title: &'static str, figures: &Figures) -> Outcome<()> {
    let series = pings(figures, |bytes| bytes == 100);
    bars(
        path,
        theme,
        title,
        &times(&series, "time of a round trip, a power of ten each line"),
        &series,
        &time,
    )
}

fn throughput(path: &Path, theme: &Theme, title: &'static str, figures: &Figures) -> Outcome<()> {
    let series = ["in place", "by copy"].map(|way| Series {
        label: way.into(),
        is_ours: true,
        points: [1, 2, 4, 8]
            .into_iter()
            .filter_map(|threads| Some((f64::from(threads), figures.rate(way, threads)?.most() / 1e6)))
            .collect(),
    });
    let most = series
        .iter()
        .flat_map(|series| &series.points)
        .map(|(_, y)| *y)
        .fold(1.0, f64::max);
    let step = [0.25, 0.5, 1.0, 2.0, 5.0, 10.0]
        .into_iter()
        .find(|step| most / step <= 8.0)
        .unwrap_or(20.0);
    let tick = |number: i32| (f64::from(number) * step, format!("{}", f64::from(number) * step));
    let ticks: Vec<_> = (0..=(most / step).ceil() as i32).map(tick).collect();
    let y = Axis {
        label: "million pings a second",
        scale: Scale::Linear,
        low: 0.0,
        high: ticks.last().map_or(most, |(value, _)| *value),
        ticks,
    };
    let x = Axis {
        label: "threads",
        scale: Scale::Logarithmic,
        low: 0.9,
        high: 8.9,
        ticks: [1, 2, 4, 8]
            .map(|threads| (f64::from(threads), threads.to_string()))
            .to_vec(),
    };
    lines(path, theme, title, (380, 130), (&x, &y), &series)
}

fn lookup(path: &Path, theme: &Theme, title: &'static str, figures: &Figures) -> Outcome<()> {
    let line = |way: &str| Series {
        label: way.into(),
        is_ours: true,
        points: figures
            .lookups
            .iter()
            .filter(|lookup| lookup.way == way)
            .map(|lookup| (f64::from(lookup.containers), lookup.percentiles.p50.least()))
            .collect(),
    };
    let series: Vec<_> = figures.lookup_ways().into_iter().map(line).collect();
    let x = Axis {
        label: "containers in the table",
        scale: Scale::Logarithmic,
        low: 8.5,
        high: 1_180.0,
        ticks: [10.0, 100.0, 1_000.0]
            .map(|count| (count, count.to_string()))
            .to_vec(),
    };
    lines(
        path,
        theme,
        title,
        (400, 260),
        (&x, &times(&series, "time of a request")),
        &series,
    )
}

/// Of the payloads that are wanted, from those that are shown and all peers.
fn pings(figures: &Figures, is_wanted: fn(u32) -> bool) -> Vec<Series> {
    let named = |row: &super::figures::Pings| match row.is_peer() {
        true => Some(row.way.clone()),
        false => {
            let shown = SHOWN
                .iter()
                .find(|(from, way, _)| *from == row.from && *way == row.way)?;
            Some(shown.2.to_owned())
        }
    };
    let series = figures.pings.iter().filter_map(|row| {
        let sizes = row.by_bytes.iter().filter(|(bytes, _)| is_wanted(**bytes));
        Some(Series {
            label: named(row)?,
            is_ours: !row.is_peer(),
            points: sizes
                .map(|(bytes, percentiles)| (f64::from(*bytes), percentiles.p50.least()))
                .collect(),
        })
    });
    series.filter(|series| !series.points.is_empty()).collect()
}

/// A logarithmic axis from the power of ten below the shortest to a little above the longest.
fn times(series: &[Series], label: &'static str) -> Axis {
    let all = || {
        series
            .iter()
            .flat_map(|series| &series.points)
            .map(|(_, y)| y.log10())
    };
    let first = all().fold(9.0, f64::min).floor() as i32;
    let last = all().fold(0.0, f64::max);
    let tick = |power: i32| {
        let value = 10_f64.powi(power);
        let name = match power {
            ..3 => format!("{value} ns"),
            3..6 => format!("{} µs", value / 1e3),
            6..9 => format!("{} ms", value / 1e6),
            _ => format!("{} s", value / 1e9),
        };
        (value, name)
    };
    Axis {
        label,
        scale: Scale::Logarithmic,
        low: 10_f64.powi(first),
        high: 10_f64.powf(last + 0.1),
        ticks: (first..=last.floor() as i32).map(tick).collect(),
    }
}
