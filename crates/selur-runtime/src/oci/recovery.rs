//! Mends what processes left that died in the middle.

use super::Site;
use super::hold::{Hold, ids_in};
use selur_protocol::ContainerId;
use selur_shim::Errand;
use std::fs;
use std::sync::Arc;
use tokio_util::sync::CancellationToken;

/// Removes half-made containers, and finds the ends and the lost shims that nobody saw. What fails here fails again,
/// with its reason, where it matters.
pub(super) fn sweep(site: &Arc<Site>) {
    for id in ids_in(&site.root.containers()).unwrap_or_default() {
        if !site.root.state(id).exists()
            && let Ok(Some(hold)) = site.try_hold(id)
            && !site.root.state(id).exists()
        {
            site.reap_half_made(id, hold);
        }
    }
    let pins = site
        .store
        .pins()
        .unwrap_or_default()
        .into_iter()
        .map(|(id, _)| id);
    for id in pins.chain(site.volume_users().unwrap_or_default()) {
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
    let lost: Vec<ContainerId> = site.ids().unwrap_or_default();
    let lost: Vec<_> = lost
        .into_iter()
        .filter(|id| site.may_have_lost_its_shim(*id))
        .collect();
    for id in lost {
        look_after(site, id);
    }
}

/// Sees to a container whose shim seems to have died: records its end, or has a new shim take it over.
pub(super) fn look_after(site: &Arc<Site>, id: ContainerId) {
    let abort = CancellationToken::new();
    let Ok(hold) = site.hold(id, &abort) else {
        return;
    };
    if let Ok(life) = site.settle(id, &hold) {
        // Where no shim can be started, the next effect on the container says why.
        let _ = site.ensure_shim(id, &life, &hold);
    }
}

impl Site {
    /// Whether the disk says that the container runs, but no shim holds it.
    pub(super) fn may_have_lost_its_shim(&self, id: ContainerId) -> bool {
        let life = selur_shim::Life::read(&self.root, id).ok().flatten();
        life.is_some_and(|life| life.has_process()) && !self.has_shim(id).unwrap_or(true)
    }

    /// Removes what there is of a container that does not exist, and its lock.
    pub(super) fn reap_half_made(&self, id: ContainerId, hold: Hold) {
        if self.root.runc_state(id).exists() {
            let _ = self.launcher.launch(&self.root, id, Errand::Reap);
        }
        self.remove_cgroups(id);
        let removed = self.hands.remove(self.root.home(id).path());
        let unpinned = self.store.unpin(id);
        let released = self.release_volumes(id);
        let _ = fs::remove_file(self.root.state_draft(id));
        let _ = fs::remove_file(self.root.alive(id));
        if removed.is_ok() && unpinned.is_ok() && released.is_ok() {
            self.release_gone(id, hold);
        }
    }
}
