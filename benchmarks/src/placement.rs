//! On which processors the two sides of a conversation run.

use crate::measure::Outcome;
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

/// Waking a processor that idles costs more than the conversation: what shares one is compared with what shares one.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Placement {
    /// Both sides take turns on one.
    OneCpu,
    /// Each has its own.
    AcrossCpus,
}

impl Placement {
    pub(crate) const BOTH: [Placement; 2] = [Placement::OneCpu, Placement::AcrossCpus];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Placement::OneCpu => "one CPU",
            Placement::AcrossCpus => "across CPUs",
        }
    }

    /// The processor of the client, and that of the server.
    pub(crate) fn cpus(self) -> Outcome<(usize, usize)> {
        let allowed = allowed()?;
        let first = *allowed.first().ok_or("no processor")?;
        match self {
            Placement::OneCpu => Ok((first, first)),
            Placement::AcrossCpus => {
                let second = allowed.get(1).ok_or("there is one processor only")?;
                Ok((first, *second))
            }
        }
    }
}

/// The processors that this program may run on, as it was started.
fn allowed() -> Outcome<Vec<usize>> {
    static ALLOWED: std::sync::OnceLock<Vec<usize>> = std::sync::OnceLock::new();
    if let Some(allowed) = ALLOWED.get() {
        return Ok(allowed.clone());
    }
    let set = sched_getaffinity(None)?;
    let cpus = (0..CpuSet::MAX_CPU).filter(|cpu| set.is_set(*cpu)).collect();
    Ok(ALLOWED.get_or_init(|| cpus).clone())
}

/// Keeps the calling thread, and those that it starts, on one processor.
pub(crate) fn pin(cpu: usize) -> Outcome<()> {
    allowed()?;
    let mut set = CpuSet::new();
    set.set(cpu);
    Ok(sched_setaffinity(None, &set)?)
}
