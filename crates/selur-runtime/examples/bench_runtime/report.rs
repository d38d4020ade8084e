//! The table of what was measured.

use crate::{Outcome, ROUNDS};
use std::fmt::Write;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

/// A measured time, and what it is held against.
pub(crate) struct Row {
    pub(crate) what: &'static str,
    pub(crate) median: Duration,
    pub(crate) bar: Option<Bar>,
}

/// How a time must stand to another.
pub(crate) struct Bar {
    pub(crate) beside: &'static str,
    pub(crate) other: Duration,
    /// The most that this may take, as a part of the other, if that is bounded.
    pub(crate) most: Option<f64>,
}

impl Row {
    pub(crate) fn plain(what: &'static str, median: Duration) -> Row {
        Row {
            what,
            median,
            bar: None,
        }
    }

    fn ratio(&self) -> Option<f64> {
        let bar = self.bar.as_ref()?;
        Some(self.median.as_secs_f64() / bar.other.as_secs_f64())
    }

    pub(crate) fn is_kept(&self) -> bool {
        let most = self.bar.as_ref().and_then(|bar| bar.most);
        self.ratio()
            .is_none_or(|ratio| ratio <= most.unwrap_or(f64::INFINITY))
    }
}

pub(crate) fn table(rows: &[Row]) -> String {
    let mut text = "| what | median | beside | ratio | bar |\n|---|---:|---|---:|---|\n".to_owned();
    for row in rows {
        let median = milliseconds(row.median);
        // Writing to a String cannot fail.
        let _ = match (&row.bar, row.ratio()) {
            (Some(bar), Some(ratio)) => {
                let (beside, other) = (bar.beside, milliseconds(bar.other));
                let verdict = if row.is_kept() { "kept" } else { "missed" };
                let bound = match bar.most {
                    Some(most) if most < 1.0 => format!("{:.0} × faster at least: {verdict}", 1.0 / most),
                    Some(most) => format!("{most} × at most: {verdict}"),
                    None => String::new(),
                };
                let ratio = if ratio < 1.0 {
                    format!("1 / {:.1}", 1.0 / ratio)
                } else {
                    format!("{ratio:.2}")
                };
                writeln!(
                    text,
                    "| {} | {median} | {beside}: {other} | {ratio} | {bound} |",
                    row.what
                )
            }
            _ => writeln!(text, "| {} | {median} | | | |", row.what),
        };
    }
    text
}

/// For programs: what, its median, what stands beside it, that one's median; milliseconds.
pub(crate) fn tsv(rows: &[Row]) -> String {
    let line = |row: &Row| {
        let other = |bar: &Bar| format!("{}\t{:.3}", bar.beside, 1e3 * bar.other.as_secs_f64());
        let beside = row.bar.as_ref().map_or("\t".into(), other);
        format!("{}\t{:.3}\t{beside}\n", row.what, 1e3 * row.median.as_secs_f64())
    };
    rows.iter().map(line).collect()
}

/// Writes the page of the last run.
pub(crate) fn write(table: &str) -> Outcome<()> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/benchmarks/runtime.md");
    let directory = path.parent().ok_or("no directory")?;
    std::fs::create_dir_all(directory)?;
    let kernel = std::fs::read_to_string("/proc/sys/kernel/osrelease")?;
    let kernel = kernel.trim().split('-').next().unwrap_or_default().to_owned();
    let processors = std::thread::available_parallelism()?;
    let (date, commit) = (
        said("date", &["-u", "+%F"])?,
        said("git", &["rev-parse", "--short", "HEAD"])?,
    );
    let page = format!(
        "# How long containers take\n\n\
         Written by `just bench-runtime --write` on {date} at {commit}: medians of {ROUNDS}, in one run in which ours and theirs take turns, \
         on Linux {kernel} with {processors} processors. Every container runs `/bin/true` of the same busybox.\n\n\
         {table}\n\
         `runc run` has a bundle with the same configuration, on a plain copy of the image's files: no overlay, no log, no state on disk.\n\
         Both `run --rm` are as a user types them, each with its defaults; ours is to have no network, theirs a bridge. The last row takes that \
         difference away.\nPodman has storage of its own in a temporary directory, with the overlay driver, and is warm.\n"
    );
    std::fs::write(path, page)?;
    Ok(())
}

fn said(program: &str, arguments: &[&str]) -> Outcome<String> {
    let output = Command::new(program).args(arguments).output()?;
    Ok(String::from_utf8(output.stdout)?.trim().to_owned())
}

fn milliseconds(time: Duration) -> String {
    format!("{:.1} ms", time.as_secs_f64() * 1000.0)
}
