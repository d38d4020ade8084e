//! Makes a container: files only, no process. It exists when its life is written, which is the last step.

use super::config::Config;
use super::hold::Patience;
use super::{Site, block, failure, mounts, resources};
use crate::spec::parse_extra_host;
use crate::store::ImageContent;
use crate::{ContainerSpec, Done, RuntimeError};
use selur_protocol::{ContainerId, Status};
use selur_shim::{Durability, EventKind, Home, Life};
use std::fs::{self, DirBuilder, File};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// How long another process may hold the lock of a container that does not exist.
const SWEEPING_LIMIT: Duration = Duration::from_secs(5);

pub(super) async fn create(
    site: &Arc<Site>,
    id: ContainerId,
    image: String,
    name: Option<String>,
    spec: ContainerSpec,
    abort: CancellationToken,
) -> Result<Done, RuntimeError> {
    spec.check()?;
    resources::check(&spec, site.mapping())?;
    mounts::check_sources(&spec)?;
    if let Some(name) = name.clone() {
        // A name that is taken is not worth a pull; whether it is free is decided when it is claimed.
        block(site, move |site| site.refuse_taken(&name)).await?;
    }
    let content = site
        .store
        .resolve(&image, spec.pull, &|_| {}, abort.clone())
        .await?;
    block(site, move |site| {
        if abort.is_cancelled() {
            return Err(failure::cancelled());
        }
        let config = Config::new(id, name, image, spec, &content)?;
        let life = site.make(id, &config, &content)?;
        Ok(Done {
            report: Some(life.report()),
            inspection: None,
        })
    })
    .await
}

impl Site {
    fn refuse_taken(&self, name: &str) -> Result<(), RuntimeError> {
        let taken = fs::symlink_metadata(self.root.name(name)).is_ok() && !self.free_stale_name(name)?;
        if taken {
            return Err(RuntimeError::new(
                Status::ContainerAlreadyExists,
                format!("a container has the name {name} already: choose another, or delete that one first"),
            ));
        }
        Ok(())
    }

    fn make(&self, id: ContainerId, config: &Config, content: &ImageContent) -> Result<Life, RuntimeError> {
        let exists = || {
            RuntimeError::new(
                Status::ContainerAlreadyExists,
                format!("the container {id} exists already"),
            )
        };
        // A sweep of another process may have seen the file of the lock before it was locked.
        let mut patience = Patience::new(SWEEPING_LIMIT);
        let hold = loop {
            let hold = self.try_hold(id)?;
            if self.root.state(id).exists() {
                return Err(exists());
            }
            match hold {
                Some(hold) => break hold,
                None if patience.wait() => {}
                None => return Err(exists()),
            }
        };
        match self.fill(id, config, content) {
            Ok(life) => {
                self.tell(EventKind::Created, id, &life);
                Ok(life)
            }
            Err(error) => {
                if let Some(name) = &config.name {
                    let _ = self.release_name(name, id);
                }
                self.reap_half_made(id, hold);
                Err(error)
            }
        }
    }

    fn fill(&self, id: ContainerId, config: &Config, content: &ImageContent) -> Result<Life, RuntimeError> {
        let failed = |error: io::Error| failure::io("cannot make the container", error);
        if let Some(name) = &config.name {
            self.claim_name(name, id)?;
        }
        self.use_volumes(id, &config.spec)?;
        // Both wait for the disk.
        std::thread::scope(|scope| {
            let pin = scope.spawn(|| self.store.pin(id, &content.manifest_digest));
            let written = write_home(&self.root.home(id), config).map_err(failed);
            let pinned = pin
                .join()
                .unwrap_or_else(|_| Err(failure::internal("the image could not be kept")));
            pinned.and(written)
        })?;
        let life = Life::created(config.name.clone()).map_err(failed)?;
        match life.write(&self.root, id, Durability::Disk) {
            Ok(()) => Ok(life),
            Err(error) => {
                // It may stand there already, but not on the disk.
                let _ = fs::remove_file(self.root.state(id));
                Err(failed(error))
            }
        }
    }
}

fn write_home(home: &Home, config: &Config) -> io::Result<()> {
    let private = |path: &Path| DirBuilder::new().mode(0o700).create(path);
    private(home.path())?;
    for directory in [
        home.bundle(),
        home.rootfs(),
        home.work(),
        home.empty(),
        home.etc(),
        home.logs(),
    ] {
        private(&directory)?;
    }
    // The upper directory is the container's root directory, which every user of the container passes through.
    DirBuilder::new().mode(0o755).create(home.upper())?;
    fs::set_permissions(home.upper(), fs::Permissions::from_mode(0o755))?;
    fs::set_permissions(home.etc(), fs::Permissions::from_mode(0o755))?;
    write_etc(home, config)?;
    File::create(home.etc().join("resolv.conf"))?.set_permissions(fs::Permissions::from_mode(0o644))?;
    let mut file = File::create(home.config())?;
    file.write_all(&serde_json::to_vec(config)?)?;
    file.sync_data()
}

/// Writes the files of its own that a container is given, where they are not. They are not put on disk when it is made:
/// a start writes them anew that a power failure emptied. What the container wrote there itself stays.
pub(super) fn write_etc(home: &Home, config: &Config) -> io::Result<()> {
    let files = [
        ("hostname", format!("{}\n", config.hostname)),
        ("hosts", hosts(config)),
    ];
    for (name, content) in files {
        let path = home.etc().join(name);
        if fs::metadata(&path).is_ok_and(|found| found.len() > 0) {
            continue;
        }
        fs::write(&path, content)?;
        fs::set_permissions(path, fs::Permissions::from_mode(0o644))?;
    }
    Ok(())
}

/// Source: moby `libnetwork/etchosts`.
fn hosts(config: &Config) -> String {
    let mut hosts = format!(
        "127.0.0.1\tlocalhost {}\n::1\tlocalhost ip6-localhost ip6-loopback\nfe00::0\tip6-localnet\n\
         ff00::0\tip6-mcastprefix\nff02::1\tip6-allnodes\nff02::2\tip6-allrouters\n",
        config.hostname
    );
    for entry in &config.spec.extra_hosts {
        if let Ok((name, address)) = parse_extra_host(entry) {
            hosts += &format!("{address}\t{name}\n");
        }
    }
    hosts
}
