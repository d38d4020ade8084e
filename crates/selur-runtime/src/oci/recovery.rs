//! Mends what processes left that died in the middle.

use super::Site;
use super::hold::{Hold, Patience, ids_in};
use selur_protocol::ContainerId;
use selur_shim::{Errand, Life, Lock, Traces};
use std::collections::BTreeSet;
use std::fs;
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// How long a shim without a container, or an errand without a bridge, may take to leave.
const LEAVING_LIMIT: Duration = Duration::from_secs(5);
/// How long the runc of an errand that was killed may take to follow.
const DYING_LIMIT: Duration = Duration::from_secs(1);

/// Removes half-made containers, and finds the ends and the lost shims that nobody saw. What fails here fails again,
/// with its reason, where it matters.
pub(super) fn sweep(site: &Arc<Site>) {
    for id in site.traces() {
        if !site.root.state(id).exists()
            && let Ok(Some(hold)) = site.try_hold(id)
            && !site.root.state(id).exists()
        {
            site.reap_half_made(id, hold);
        }
    }
    site.sweep_volumes();
    for name in site.claimed_names() {
        let _ = site.free_stale_name(&name);
    }
    for id in site.ids().unwrap_or_default() {
        if site.needs_care(id) {
            look_after(site, id);
        }
        site.end_orphans(id);
    }
}

/// Sees to a container whose shim seems to have died: records its end, or has a new shim take it over. A process that
/// the shim had started and not recorded yet is ended: the start was never answered.
pub(super) fn look_after(site: &Arc<Site>, id: ContainerId) {
    let abort = CancellationToken::new();
    let Ok(hold) = site.hold(id, &abort) else {
        return;
    };
    if let Ok(life) = site.settle(id, &hold) {
        // Where no shim can be started, the next effect on the container says why.
        let _ = site.ensure_shim(id, &life, &hold);
        if site.has_unrecorded_process(id, &life) {
            let _ = site.launcher.launch(&site.root, id, Errand::Reap);
        }
    }
}

impl Site {
    /// Whether the disk, or runc, says that the container runs, but no shim holds it.
    pub(super) fn needs_care(&self, id: ContainerId) -> bool {
        let Some(life) = Life::read(&self.root, id).ok().flatten() else {
            return false;
        };
        life.has_process() && !self.has_shim(id).unwrap_or(true) || self.has_unrecorded_process(id, &life)
    }

    /// Whether runc knows of a process that the life does not: its shim died between the two.
    fn has_unrecorded_process(&self, id: ContainerId, life: &Life) -> bool {
        !life.has_process() && self.root.runc_state(id).exists() && !self.has_shim(id).unwrap_or(true)
    }

    /// The same, be it that somebody sees to it.
    pub(super) fn has_leftover(&self, id: ContainerId) -> bool {
        let life = Life::read(&self.root, id).ok().flatten();
        life.is_some_and(|life| !life.has_process()) && self.root.runc_state(id).exists()
    }

    /// Ends what execs left in a container whose errands died. Where none did, no process of the container is looked at.
    pub(super) fn end_orphans(&self, id: ContainerId) {
        let home = self.root.home(id);
        let mut patience = Patience::new(DYING_LIMIT);
        loop {
            match Traces::of(&home) {
                Traces::Dead => break,
                Traces::Dying if patience.wait() => {}
                Traces::Dying | Traces::None => return,
            }
        }
        let _ = self.launcher.launch(&self.root, id, Errand::Sweep);
    }

    /// The same when an errand seems to have died: its socket was closed, which the kernel does before it releases its
    /// lock, and runc may outlive it for a moment.
    pub(super) fn end_orphans_of(&self, id: ContainerId, number: u64) {
        let lock = self.root.home(id).exec_lock(number);
        let mut patience = Patience::new(LEAVING_LIMIT);
        while Lock::is_held(&lock).unwrap_or(false) && patience.wait() {}
        self.end_orphans(id);
    }

    /// The ids of which anything is there, be it containers or what dead processes left of them.
    fn traces(&self) -> BTreeSet<ContainerId> {
        let directories = [
            self.root.containers(),
            self.root.locks(),
            self.root.alive_files(),
            self.root.runc(),
            self.root.volume_uses(),
        ];
        let mut traces: BTreeSet<ContainerId> = directories
            .iter()
            .flat_map(|directory| ids_in(directory).unwrap_or_default())
            .collect();
        let pins = self.store.pins().unwrap_or_default();
        traces.extend(pins.into_iter().map(|(id, _)| id));
        // Lives that were being written.
        for entry in fs::read_dir(self.root.states()).into_iter().flatten().flatten() {
            let name = entry.file_name();
            let id = name.to_str().and_then(|name| name.strip_prefix('.'));
            traces.extend(id.and_then(ContainerId::parse));
        }
        traces
    }

    /// Removes what there is of a container that does not exist, and its lock.
    pub(super) fn reap_half_made(&self, id: ContainerId, hold: Hold) {
        if self.root.runc_state(id).exists() {
            let _ = self.launcher.launch(&self.root, id, Errand::Reap);
        }
        // A shim that was launched before is about to see that there is no container.
        let mut patience = Patience::new(LEAVING_LIMIT);
        let bar = loop {
            match self.try_bar_shims(id) {
                Ok(Some(bar)) => break bar,
                Ok(None) if patience.wait() => {}
                // Whoever comes next tries again.
                _ => return,
            }
        };
        self.remove_cgroups(id);
        let removed = self.hands.remove(self.root.home(id).path());
        let unpinned = self.store.unpin(id);
        let released = self.release_volumes(id);
        let _ = fs::remove_file(self.root.state_draft(id));
        let _ = fs::remove_file(self.root.alive(id));
        drop(bar);
        if removed.is_ok() && unpinned.is_ok() && released.is_ok() {
            self.release_gone(id, hold);
        }
    }
}
