//! What real containers need, and what to do where it is missing.

use super::{OciOptions, failure, launch, rootless};
use crate::RuntimeError;
use crate::doctor::remedies;
use launch::Launcher;
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use rustix::process::{PidfdFlags, pidfd_open};
use selur_protocol::Status;
use selur_shim::{Files, Root, SCHEMA_VERSION};
use std::env;
use std::fs::{self, DirBuilder, File};
use std::io::{self, Read};
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// `CAP_SYS_ADMIN`, which mounts need. Source: linux/capability.h.
const CAP_SYS_ADMIN: u32 = 21;
/// Source: linux/magic.h.
const CGROUP2_SUPER_MAGIC: i64 = 0x6367_7270;
/// The bits of a mode by which the group and everybody write.
pub(crate) const OTHERS_MAY_WRITE: u32 = 0o022;
/// The files that a root itself has are far shorter, in bytes.
const MAX_OWN_BYTES: u64 = 1 << 20;

/// What was found.
pub(super) struct Found {
    pub(super) root: Root,
    pub(super) launcher: Arc<Launcher>,
}

pub(super) fn check(options: &OciOptions) -> Result<Found, RuntimeError> {
    let mapping = match rustix::process::geteuid().is_root() {
        true => {
            privileges()?;
            None
        }
        false => Some(rootless::mapping()?),
    };
    kernel(mapping.is_some())?;
    let runc = runc(options)?;
    let shim = launch::find_shim(&options.shim)?;
    let launcher = Arc::new(Launcher { shim, runc, mapping });
    let root = open_root(state_root(options)?, &launcher)?;
    Ok(Found { root, launcher })
}

/// Where runc is.
pub(crate) fn runc(options: &OciOptions) -> Result<PathBuf, RuntimeError> {
    match &options.runc {
        Some(path) => executable(path).ok_or_else(|| {
            missing(format!(
                "{} cannot be executed: name a runc that can",
                path.display()
            ))
        }),
        None => find_runc(),
    }
}

fn missing(message: impl Into<String>) -> RuntimeError {
    RuntimeError::new(Status::Unsupported, message)
}

fn privileges() -> Result<(), RuntimeError> {
    let denied = |message: &str| Err(RuntimeError::new(Status::PermissionDenied, message));
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let effective = status
        .lines()
        .find_map(|line| u64::from_str_radix(line.strip_prefix("CapEff:")?.trim(), 16).ok());
    if effective.is_some_and(|capabilities| capabilities & 1 << CAP_SYS_ADMIN == 0) {
        return denied(&format!(
            "real containers need CAP_SYS_ADMIN, which this root lacks: {}",
            remedies::PRIVILEGES
        ));
    }
    Ok(())
}

fn kernel(is_rootless: bool) -> Result<(), RuntimeError> {
    let known = fs::read_to_string("/proc/filesystems").unwrap_or_default();
    let has_overlay = known
        .lines()
        .any(|line| line.split_whitespace().next_back() == Some("overlay"));
    // mount(2) loads the module by itself where it exists.
    let module = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let module = format!("/lib/modules/{}/kernel/fs/overlayfs", module.trim());
    if !has_overlay && !Path::new(&module).exists() {
        return Err(missing(format!(
            "the kernel has no overlayfs: {}",
            remedies::OVERLAY
        )));
    }
    if let Err(Errno::NOSYS) = pidfd_open(rustix::process::getpid(), PidfdFlags::empty()) {
        return Err(missing(
            "the kernel has no process descriptors (pidfd_open): Linux 5.3 or later has them",
        ));
    }
    let has_controllers = fs::read_dir("/sys/fs/cgroup").is_ok_and(|mut entries| entries.next().is_some());
    // Without root they are used where they are the user's.
    if !has_controllers && !is_rootless {
        return Err(missing(format!(
            "no cgroups are mounted at /sys/fs/cgroup: {}",
            remedies::CGROUPS
        )));
    }
    Ok(())
}

/// A program in `PATH`, or where distributions put those that users' paths lack.
pub(crate) fn find_program(name: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path)
        .chain(["/usr/sbin".into(), "/usr/bin".into()])
        .find_map(|directory| executable(&directory.join(name)))
}

fn find_runc() -> Result<PathBuf, RuntimeError> {
    if let Some(runc) = find_program("runc") {
        return Ok(runc);
    }
    match find_program("crun") {
        // crun up to 1.8 refuses every layout but the unified one.
        Some(crun) if has_unified_cgroups() => Ok(crun),
        Some(_) => Err(missing(
            "runc is missing, and the crun that is here does not work with this machine's cgroups (v1 or hybrid): \
             install runc, on Debian and Ubuntu with `apt-get install runc`",
        )),
        None => Err(missing(format!(
            "runc is missing, in PATH as in /usr/sbin: {}",
            remedies::RUNC
        ))),
    }
}

fn has_unified_cgroups() -> bool {
    rustix::fs::statfs("/sys/fs/cgroup").is_ok_and(|found| {
        #[allow(clippy::unnecessary_cast, reason = "the type differs between architectures")]
        let magic = found.f_type as i64;
        magic == CGROUP2_SUPER_MAGIC
    })
}

/// The absolute path of a file that may be executed.
pub(crate) fn executable(path: &Path) -> Option<PathBuf> {
    let found = fs::metadata(path).ok()?;
    let may_run = found.is_file() && found.permissions().mode() & 0o111 != 0;
    may_run.then(|| std::path::absolute(path).ok()).flatten()
}

/// The only place that knows which variables name the root, and in which order.
pub(crate) fn state_root(options: &OciOptions) -> Result<PathBuf, RuntimeError> {
    let chosen = options.state_root.clone();
    let chosen = chosen.or_else(|| {
        env::var_os("SELUR_ROOT")
            .filter(|root| !root.is_empty())
            .map(PathBuf::from)
    });
    let root = match chosen {
        Some(root) => root,
        None if rustix::process::geteuid().is_root() => PathBuf::from("/var/lib/selur"),
        None => rootless::state_root()?,
    };
    let root = std::path::absolute(&root)
        .map_err(|error| failure::io(format_args!("{} is no state root", root.display()), error))?;
    if root.to_str().is_none_or(|text| text.contains(char::is_control)) {
        return Err(RuntimeError::new(
            Status::InvalidRequest,
            format!(
                "{} is no state root: its path must be UTF-8 without control characters",
                root.display()
            ),
        ));
    }
    Ok(root)
}

/// Refuses a root in which anybody else may have put anything: what lies there is obeyed with all of this process's
/// rights, down to the hooks that runc runs.
fn check_owner(path: &Path) -> Result<(), RuntimeError> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let found = rustix::fs::open(path, flags, Mode::empty()).and_then(rustix::fs::fstat);
    let found = found.map_err(|error| unusable(path, error.into()))?;
    let own = rustix::process::geteuid().as_raw();
    let denied = |why: String| {
        let message = format!("cannot use {} as the state root: {why}", path.display());
        Err(RuntimeError::new(Status::PermissionDenied, message))
    };
    if found.st_uid != own {
        return denied(format!(
            "it belongs to the user {}, and this is the user {own}, with whose rights everything there would be run: {}",
            found.st_uid,
            remedies::STATE_ROOT
        ));
    }
    if found.st_mode & OTHERS_MAY_WRITE != 0 {
        return denied(format!(
            "others than its owner may write there, and have run what they like: {}, or `chmod go-w {}` if you know \
             everything in it",
            remedies::STATE_ROOT,
            path.display()
        ));
    }
    Ok(())
}

/// The content of a file that selur wrote, if there is one. What is no plain file is refused: a FIFO would be waited for.
pub(super) fn read_own(path: &Path) -> io::Result<Option<Vec<u8>>> {
    let foreign = || io::Error::new(io::ErrorKind::InvalidData, "it is no plain file");
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let file = match rustix::fs::open(path, flags, Mode::empty()) {
        Ok(file) => File::from(file),
        Err(Errno::NOENT) => return Ok(None),
        Err(Errno::LOOP | Errno::NXIO) => return Err(foreign()),
        Err(error) => return Err(error.into()),
    };
    if !file.metadata()?.is_file() {
        return Err(foreign());
    }
    let mut content = Vec::new();
    file.take(MAX_OWN_BYTES).read_to_end(&mut content)?;
    Ok(Some(content))
}

fn unusable(path: &Path, error: io::Error) -> RuntimeError {
    let message = format!(
        "cannot use {} as the state root: {}",
        path.display(),
        remedies::STATE_ROOT
    );
    failure::io(message, error)
}

fn open_root(path: PathBuf, launcher: &Launcher) -> Result<Root, RuntimeError> {
    let failed = |error: io::Error| unusable(&path, error);
    let root = Root::new(&path);
    let private = |path: &Path| DirBuilder::new().recursive(true).mode(0o700).create(path);
    private(&path).map_err(failed)?;
    check_owner(&path)?;
    let schema = path.join("schema");
    let known = read_own(&schema).map_err(failed)?.unwrap_or_default();
    let known = String::from_utf8_lossy(&known);
    // A crash before the first containers, or the first bridge at work just now, leaves it empty.
    let is_new = known.is_empty();
    rootless::check_recorded(&root, is_new, launcher.mapping.as_ref())?;
    if let Some(mapping) = &launcher.mapping
        && rootless::is_unfinished(&root)
    {
        // Once: later an errand says what the machine does not allow any more.
        launcher.files(root.path(), Files::Probe).map_err(failure::tree)?;
        // Before the schema, by which a root of root's is known.
        rootless::record(&root, mapping).map_err(failed)?;
    }
    if is_new {
        fs::write(&schema, format!("{SCHEMA_VERSION}\n")).map_err(failed)?;
    } else if known.trim().parse() != Ok(SCHEMA_VERSION) {
        return Err(missing(format!(
            "{} is of schema {:?}, this selur knows schema {SCHEMA_VERSION}: use the selur that made it, or name \
             another root by SELUR_ROOT",
            path.display(),
            known.trim()
        )));
    }
    for directory in root.directories() {
        private(&directory).map_err(failed)?;
    }
    Ok(root)
}
