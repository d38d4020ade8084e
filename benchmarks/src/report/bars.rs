//! What is wanted, and what the run has seen.

use super::figures::{Container, Figures};
use super::{size, time};

/// A figure that is to be reached.
pub(super) struct Bar {
    pub(super) what: String,
    pub(super) wanted: String,
    /// Nothing if the run does not have it.
    pub(super) seen: Option<Seen>,
}

pub(super) struct Seen {
    /// What is judged: of a time that of the quietest round, of a ratio the median of the rounds' own.
    pub(super) judged: String,
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

pub(super) fn bars(figures: &Figures) -> Vec<Bar> {
    let mut bars = Vec::new();
    let mut bar = |what: String, wanted: String, seen| bars.push(Bar { what, wanted, seen });
    for (from, way, bytes, most) in PINGS {
        bar(
            format!("a ping from {from}, {way}, {}", size(bytes)),
            format!("at most {}", time(most)),
            figures.p50(from, way, bytes).map(|p50| Seen {
                judged: time(p50.least()),
                at_worst: time(p50.most()),
                is_met: p50.least() <= most,
            }),
        );
    }
    for from in ["C", "Deno"] {
        bar(
            format!("a ping from {from} beside one from Rust, {IN_PLACE}, 10 KB"),
            "at most 300 ns more".into(),
            close_to_rust(figures, from),
        );
    }
    for (peer, least) in [
        ("JSON over HTTP, across CPUs", 500.0),
        ("JSON over HTTP, one CPU", 150.0),
    ] {
        bar(
            format!("a ping from Rust, {IN_PLACE}, 100 B, beside {peer}"),
            format!("at least {least:.0} × faster"),
            times_faster(figures, peer, least),
        );
    }
    bar(
        format!("a ping from Rust, {BY_COPY}, beside {SERDE}, at every size"),
        "faster".into(),
        faster_than_serde(figures),
    );
    for (what, name, most, unit) in [
        ("a bridge opens in", "each further one, p50", 150.0, "µs"),
        ("a bridge holds", "resident memory of each of 100", 3.0, "MB"),
    ] {
        bar(
            what.into(),
            format!("at most {most:.0} {unit}"),
            opened(figures, name, most),
        );
    }
    for name in [BY_COPY, "in place"] {
        bar(
            format!("8 threads on one bridge, {name}"),
            "at least 80 % of what 2 reach".into(),
            held_by_threads(figures, name),
        );
    }
    // In the kernel alone: of an inspection most is waking another thread.
    for way in ["refused by the kernel, by id", "refused by the kernel, by name"] {
        bar(
            format!("a lookup ({way}), from 10 to 1,000 containers"),
            "within 20 %".into(),
            flat(figures, way),
        );
    }
    bars
}

/// What a container may take: what, beside what, and the most, as a part of the other's time. `just bench-runtime` has
/// the same.
const CONTAINERS: [(&str, &str, f64); 2] = [
    ("create + start", "runc run", 1.5),
    ("selur run --rm", "podman run --rm", 1.0 / 5.0),
];

/// What is wanted of a row about containers, and whether it is so.
pub(super) fn container_bar(row: &Container) -> Option<(String, bool)> {
    let (beside, other) = row.beside.as_ref()?;
    let bar = CONTAINERS
        .iter()
        .find(|(what, of, _)| *what == row.what && of == beside);
    let (_, _, most) = bar?;
    let wanted = match *most < 1.0 {
        true => format!("theirs at least {:.0} ×", 1.0 / most),
        false => format!("ours at most {most} ×"),
    };
    Some((wanted, row.median <= most * other))
}

fn close_to_rust(figures: &Figures, from: &str) -> Option<Seen> {
    let p50 = |from| figures.p50(from, IN_PLACE, 10_240);
    let more = p50(from)?.with(p50("Rust")?, |ours, rust| ours - rust);
    Some(Seen {
        judged: format!("{:.0} ns more", more.median()),
        at_worst: format!("{:.0} ns more", more.most()),
        is_met: more.median() <= 300.0,
    })
}

fn times_faster(figures: &Figures, peer: &str, least: f64) -> Option<Seen> {
    let ours = figures.p50("Rust", IN_PLACE, 100)?;
    let ratio = figures
        .p50("peers", peer, 100)?
        .with(ours, |theirs, ours| theirs / ours);
    Some(Seen {
        judged: format!("{:.0} ×", ratio.median()),
        at_worst: format!("{:.0} ×", ratio.least()),
        is_met: ratio.median() >= least,
    })
}

/// At the size where it is closest.
fn faster_than_serde(figures: &Figures) -> Option<Seen> {
    let serde = figures
        .pings
        .iter()
        .find(|row| row.is_peer() && row.way == SERDE)?;
    let ratios = serde.by_bytes.iter().filter_map(|(bytes, percentiles)| {
        let ours = figures.p50("Rust", BY_COPY, *bytes)?;
        Some((*bytes, percentiles.p50.with(ours, |theirs, ours| theirs / ours)))
    });
    let (bytes, ratio) = ratios.min_by(|a, b| a.1.median().total_cmp(&b.1.median()))?;
    Some(Seen {
        judged: format!("{:.1} × at least, at {}", ratio.median(), size(bytes)),
        at_worst: format!("{:.1} ×", ratio.least()),
        is_met: ratio.median() > 1.0,
    })
}

fn opened(figures: &Figures, name: &str, most: f64) -> Option<Seen> {
    let row = figures.open.iter().find(|row| row.what == name)?;
    // Memory depends on no speed: the most is judged.
    let judged = match row.unit.as_str() {
        "MB" => row.figure.most(),
        _ => row.figure.least(),
    };
    Some(Seen {
        judged: amount(judged, &row.unit),
        at_worst: amount(row.figure.most(), &row.unit),
        is_met: judged <= most,
    })
}

fn held_by_threads(figures: &Figures, name: &str) -> Option<Seen> {
    let share = figures
        .rate(name, 8)?
        .with(figures.rate(name, 2)?, |eight, two| 100.0 * eight / two);
    Some(Seen {
        judged: format!("{:.0} %", share.median()),
        at_worst: format!("{:.0} %", share.least()),
        is_met: share.median() >= 80.0,
    })
}

fn flat(figures: &Figures, way: &str) -> Option<Seen> {
    let mut rows = figures.lookups.iter().filter(|lookup| lookup.way == way);
    let first = rows.next()?.percentiles.p50.clone();
    let (most, least) = rows.fold((first.clone(), first), |(most, least), row| {
        let p50 = &row.percentiles.p50;
        (most.with(p50, f64::max), least.with(p50, f64::min))
    });
    let more = most.with(&least, |most, least| 100.0 * (most / least - 1.0));
    Some(Seen {
        judged: format!("{:.0} %", more.median()),
        at_worst: format!("{:.0} %", more.most()),
        is_met: more.median() <= 20.0,
    })
}

/// A figure with its unit.
pub(super) fn amount(figure: f64, unit: &str) -> String {
    match figure {
        ..10.0 => format!("{figure:.2} {unit}"),
        _ => format!("{figure:.0} {unit}"),
    }
}
