//! What is wanted, and what the run has seen.

use super::figures::Figures;
use super::{size, time};

/// A figure that is to be reached.
pub(super) struct Bar {
    pub(super) what: String,
    pub(super) wanted: String,
    /// In the quietest round.
    pub(super) seen: String,
    /// In the slowest round, of a figure that is no ratio.
    pub(super) at_worst: String,
    pub(super) is_met: bool,
}

const IN_PLACE: &str = "in place, one slot";
const BY_COPY: &str = "by copy";
const SERDE: &str = "serde_json encode + decode";

/// What a ping may take: from, way, payload in bytes, p50 in nanoseconds.
const PINGS: [(&str, &str, u32, f64); 14] = [
    ("Rust", IN_PLACE, 100, 80.0),
    ("Rust", IN_PLACE, 1_024, 110.0),
    ("Rust", IN_PLACE, 10_240, 450.0),
    ("Rust", BY_COPY, 100, 90.0),
    ("Rust", BY_COPY, 1_024, 130.0),
    ("Rust", BY_COPY, 10_240, 550.0),
    ("C", IN_PLACE, 100, 120.0),
    ("Deno", IN_PLACE, 100, 250.0),
    ("Python", "by copy: ping(payload)", 100, 200.0),
    ("Python", "by copy: ping(payload)", 10_240, 700.0),
    ("Python", IN_PLACE, 100, 600.0),
    ("Python", IN_PLACE, 10_240, 600.0),
    ("Elixir", "by copy: ping/2", 100, 400.0),
    ("Elixir", "by copy: ping/2", 10_240, 1_200.0),
];

/// Those whose figures are in the run.
pub(super) fn bars(figures: &Figures) -> Vec<Bar> {
    let mut bars = Vec::new();
    for (from, way, bytes, most) in PINGS {
        bars.extend(figures.p50(from, way, bytes).map(|seen| Bar {
            what: format!("a ping from {from}, {way}, {}", size(bytes)),
            wanted: format!("at most {}", time(most)),
            seen: time(seen.least()),
            at_worst: time(seen.most()),
            is_met: seen.least() <= most,
        }));
    }
    for from in ["C", "Deno"] {
        bars.extend(close_to_rust(figures, from));
    }
    for (way, least) in [
        ("JSON over HTTP, across CPUs", 500.0),
        ("JSON over HTTP, one CPU", 150.0),
    ] {
        bars.extend(times_faster(figures, way, least));
    }
    bars.extend(faster_than_serde(figures));
    bars.extend(opened(figures));
    for way in [BY_COPY, IN_PLACE] {
        bars.extend(held_by_threads(figures, way));
    }
    for way in ["inspect by id", "inspect by name"] {
        bars.extend(flat(figures, way));
    }
    bars
}

fn close_to_rust(figures: &Figures, from: &str) -> Option<Bar> {
    let p50 = |from| Some(figures.p50(from, IN_PLACE, 10_240)?.least());
    let more = p50(from)? - p50("Rust")?;
    Some(Bar {
        what: format!("a ping from {from} beside one from Rust, {IN_PLACE}, 10 KB"),
        wanted: "at most 300 ns more".into(),
        seen: format!("{more:.0} ns more"),
        at_worst: String::new(),
        is_met: more <= 300.0,
    })
}

fn times_faster(figures: &Figures, peer: &str, least: f64) -> Option<Bar> {
    let theirs = figures.p50("peers", peer, 100)?.least();
    let ratio = theirs / figures.p50("Rust", IN_PLACE, 100)?.least();
    Some(Bar {
        what: format!("a ping from Rust, {IN_PLACE}, 100 B, beside {peer}"),
        wanted: format!("at least {least:.0} × faster"),
        seen: format!("{ratio:.0} ×"),
        at_worst: String::new(),
        is_met: ratio >= least,
    })
}

/// At the size where it is closest.
fn faster_than_serde(figures: &Figures) -> Option<Bar> {
    let serde = figures
        .pings
        .iter()
        .find(|row| row.is_peer() && row.way == SERDE)?;
    let ratios = serde.by_bytes.iter().filter_map(|(bytes, percentiles)| {
        let ours = figures.p50("Rust", BY_COPY, *bytes)?.least();
        Some((*bytes, percentiles.p50.least() / ours))
    });
    let (bytes, ratio) = ratios.min_by(|a, b| a.1.total_cmp(&b.1))?;
    Some(Bar {
        what: format!("a ping from Rust, {BY_COPY}, beside {SERDE}, at every size"),
        wanted: "faster".into(),
        seen: format!("{ratio:.1} × at least, at {}", size(bytes)),
        at_worst: String::new(),
        is_met: ratio > 1.0,
    })
}

fn opened(figures: &Figures) -> Vec<Bar> {
    let row = |name| figures.open.iter().find(|row| row.what == name);
    let time = row("each further one, p50").map(|row| Bar {
        what: "a bridge opens in".into(),
        wanted: "at most 150 µs".into(),
        seen: amount(row.figure.least(), &row.unit),
        at_worst: amount(row.figure.most(), &row.unit),
        is_met: row.figure.least() <= 150.0,
    });
    // Memory depends on no speed: the most counts.
    let memory = row("resident memory of each of 100").map(|row| Bar {
        what: "a bridge holds".into(),
        wanted: "at most 3 MB".into(),
        seen: amount(row.figure.most(), &row.unit),
        at_worst: amount(row.figure.most(), &row.unit),
        is_met: row.figure.most() <= 3.0,
    });
    time.into_iter().chain(memory).collect()
}

fn held_by_threads(figures: &Figures, way: &str) -> Option<Bar> {
    let name = if way == BY_COPY { way } else { "in place" };
    let share = figures.rate(name, 8)?.most() / figures.rate(name, 2)?.most();
    Some(Bar {
        what: format!("8 threads on one bridge, {name}"),
        wanted: "at least 80 % of what 2 reach".into(),
        seen: format!("{:.0} %", 100.0 * share),
        at_worst: String::new(),
        is_met: share >= 0.8,
    })
}

fn flat(figures: &Figures, way: &str) -> Option<Bar> {
    let rows = figures.lookups.iter().filter(|lookup| lookup.way == way);
    let p50s: Vec<f64> = rows.map(|lookup| lookup.percentiles.p50.least()).collect();
    let most = p50s.iter().copied().max_by(f64::total_cmp)?;
    let least = p50s.iter().copied().min_by(f64::total_cmp)?;
    let more = 100.0 * (most / least - 1.0);
    Some(Bar {
        what: format!("{way}, from 10 to 1,000 containers"),
        wanted: "within 20 %".into(),
        seen: format!("{more:.0} %"),
        at_worst: String::new(),
        is_met: more <= 20.0,
    })
}

/// A figure with its unit.
pub(super) fn amount(figure: f64, unit: &str) -> String {
    match figure {
        ..10.0 => format!("{figure:.2} {unit}"),
        _ => format!("{figure:.0} {unit}"),
    }
}
