//! The page and the plots of a run, from the lines that `scripts/bench` gathered.

mod bars;
mod chart;
mod figures;
mod page;
mod plots;

use crate::measure::Outcome;
use figures::Figures;
use std::path::Path;

/// Writes README.md and the plots into a folder, from the figures in another one.
pub(crate) fn write(figures: &Path, folder: &Path) -> Outcome<()> {
    let figures = Figures::read(figures)?;
    std::fs::create_dir_all(folder)?;
    plots::write(&figures, folder)?;
    std::fs::write(folder.join("README.md"), page::page(&figures))?;
    Ok(())
}

/// A time for people.
fn time(nanoseconds: f64) -> String {
    match nanoseconds {
        ..1e3 => format!("{nanoseconds:.0} ns"),
        1e3..1e4 => format!("{:.2} µs", nanoseconds / 1e3),
        1e4..1e5 => format!("{:.1} µs", nanoseconds / 1e3),
        1e5..1e6 => format!("{:.0} µs", nanoseconds / 1e3),
        _ => format!("{:.2} ms", nanoseconds / 1e6),
    }
}

/// A number of bytes for people.
fn size(bytes: u32) -> String {
    match bytes {
        0..1_024 => format!("{bytes} B"),
        _ => format!("{} KB", bytes / 1_024),
    }
}
