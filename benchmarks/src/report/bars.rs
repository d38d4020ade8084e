//! What is wanted, and what the run has seen.

use super::figures::Figures;
use super::{size, time};

/// A figure that is to be reached.
pub(super) struct Bar {
    pub(super) what: String,
    pub(super) wanted: String,
    pub(super) seen: String,
    pub(super) is_met: bool,
}

const IN_PLACE: &str = "in place, one slot";
const BY_COPY: &str = "by copy";
const SERDE: &str = "serde_json encode + decode";

/// Those whose figures are in the run.
pub(super) fn bars(figures: &Figures) -> Vec<Bar> {
    let mut bars = Vec::new();
    for (name, way, most) in [
        ("zero-copy", IN_PLACE, [80.0, 110.0, 450.0]),
        ("copied", BY_COPY, [90.0, 130.0, 550.0]),
    ] {
        for (bytes, most) in [100, 1_024, 10_240].into_iter().zip(most) {
            bars.extend(figures.p50("Rust", way, bytes).map(|seen| Bar {
                what: format!("a {name} ping from Rust, {}", size(bytes)),
                wanted: format!("at most {}", time(most)),
                seen: time(seen),
                is_met: seen <= most,
            }));
        }
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

fn times_faster(figures: &Figures, peer: &str, least: f64) -> Option<Bar> {
    let ratio = figures.p50("peers", peer, 100)? / figures.p50("Rust", IN_PLACE, 100)?;
    Some(Bar {
        what: format!("a zero-copy ping of 100 B beside {peer}"),
        wanted: format!("at least {least:.0} × faster"),
        seen: format!("{ratio:.0} ×"),
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
        let ours = figures.p50("Rust", BY_COPY, *bytes)?;
        Some((*bytes, percentiles.p50 / ours))
    });
    let (bytes, ratio) = ratios.min_by(|a, b| a.1.total_cmp(&b.1))?;
    Some(Bar {
        what: format!("a copied ping beside {SERDE}, at every size"),
        wanted: "faster".into(),
        seen: format!("{ratio:.1} × at least, at {}", size(bytes)),
        is_met: ratio > 1.0,
    })
}

fn opened(figures: &Figures) -> Vec<Bar> {
    let bars = [
        ("each further one, p50", "a bridge opens in", 150.0),
        ("resident memory of each of 100", "a bridge holds", 3.0),
    ];
    let bar = |(name, what, most): (&str, &str, f64)| {
        let row = figures.open.iter().find(|row| row.what == name)?;
        Some(Bar {
            what: what.into(),
            wanted: format!("at most {most:.0} {}", row.unit),
            seen: amount(row.figure, &row.unit),
            is_met: row.figure <= most,
        })
    };
    bars.into_iter().filter_map(bar).collect()
}

fn held_by_threads(figures: &Figures, way: &str) -> Option<Bar> {
    let name = if way == BY_COPY { way } else { "in place" };
    let share = figures.rate(name, 8)? / figures.rate(name, 2)?;
    Some(Bar {
        what: format!("8 threads on one bridge, {name}"),
        wanted: "at least 80 % of what 2 reach".into(),
        seen: format!("{:.0} %", 100.0 * share),
        is_met: share >= 0.8,
    })
}

fn flat(figures: &Figures, way: &str) -> Option<Bar> {
    let rows = figures.lookups.iter().filter(|lookup| lookup.way == way);
    let p50s: Vec<f64> = rows.map(|lookup| lookup.percentiles.p50).collect();
    let most = p50s.iter().copied().max_by(f64::total_cmp)?;
    let least = p50s.iter().copied().min_by(f64::total_cmp)?;
    let more = 100.0 * (most / least - 1.0);
    Some(Bar {
        what: format!("{way}, from 10 to 1,000 containers"),
        wanted: "within 20 %".into(),
        seen: format!("{more:.0} %"),
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
