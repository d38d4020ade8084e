//! Finds the shim and starts it.

use super::{failure, prerequisites};
use crate::RuntimeError;
use crate::hands::Hands;
use rustix::net::SendFlags;
use selur_protocol::{ContainerId, Status};
use selur_shim::{Errand, FailureKind, Files, Launch, Mapping, Reply, Root, Told, passing};
use selur_tree::TreeError;
use std::env;
use std::ffi::OsString;
use std::fs;
use std::io::{self, Read, Write};
use std::net::Shutdown;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

/// A shim that does not answer in this time is given up.
const ANSWER_LIMIT: Duration = Duration::from_secs(60);
/// One that fills volumes from the image first has so long.
const FILLING_LIMIT: Duration = Duration::from_secs(1_800);
/// A longer answer is none, in bytes.
const MAX_REPLY_BYTES: usize = 1 << 20;

/// Where the shim is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum ShimLocation {
    /// `$SELUR_SHIM`, else `selur-shim` beside the program or the library that this code is in, or in a `libexec`
    /// directory beside theirs, else in `/usr/local/libexec` or `/usr/libexec`.
    #[default]
    Search,
    /// This program.
    Path(PathBuf),
    /// This program with these arguments: it calls [`selur_shim::main`] before it starts a thread.
    Command {
        /// The program.
        program: PathBuf,
        /// What makes it the shim.
        arguments: Vec<OsString>,
    },
}

impl From<PathBuf> for ShimLocation {
    fn from(path: PathBuf) -> ShimLocation {
        ShimLocation::Path(path)
    }
}

/// A shim that was found.
#[derive(Clone, Debug)]
pub(crate) struct Shim {
    pub(crate) program: PathBuf,
    arguments: Vec<OsString>,
}

impl Shim {
    /// The program with what makes it the shim, and with no more of this process's environment than it needs.
    pub(crate) fn command(&self) -> Command {
        let path = env::var_os("PATH").unwrap_or_else(|| "/usr/sbin:/usr/bin:/sbin:/bin".into());
        let mut command = Command::new(&self.program);
        command.args(&self.arguments);
        command.env_clear().env("PATH", path).current_dir("/");
        command
    }
}

/// Starts shims.
#[derive(Debug)]
pub(super) struct Launcher {
    pub(super) shim: Shim,
    pub(super) runc: PathBuf,
    /// The ids of the user namespace that errands are done in, without root.
    pub(super) mapping: Option<Mapping>,
}

/// A shim that has done what it was asked to, or has begun it.
#[derive(Debug)]
pub(super) struct Launched {
    /// The socket on which it answered.
    pub(super) socket: UnixStream,
    /// What came with the answer.
    pub(super) descriptors: Vec<OwnedFd>,
}

impl Launcher {
    /// Starts a shim for an errand and waits for its answer. Blocks.
    pub(super) fn launch(&self, root: &Root, id: ContainerId, errand: Errand) -> Result<(), RuntimeError> {
        self.launch_over(UnixStream::pair(), root, id, errand, &[])
            .map(drop)
    }

    /// The same over a socket of the caller's, which passes descriptors both ways. To shut the socket down is to have
    /// the shim give up.
    pub(super) fn launch_over(
        &self,
        sockets: io::Result<(UnixStream, UnixStream)>,
        root: &Root,
        id: ContainerId,
        errand: Errand,
        descriptors: &[BorrowedFd<'_>],
    ) -> Result<Launched, RuntimeError> {
        let limit = match &errand {
            Errand::Start { volumes, .. } if !volumes.is_empty() => FILLING_LIMIT,
            _ => ANSWER_LIMIT,
        };
        let unanswered = |error: io::Error| {
            let log = root.home(id).shim_log();
            let message = format!("the container's shim did not answer: see {}", log.display());
            RuntimeError::with_source(Status::InternalError, message, error)
        };
        let launch = self.message(root.path(), id.to_string(), errand);
        let begun = self.begin(sockets, launch, limit, descriptors)?;
        let (socket, reply, descriptors) = begun.finish().map_err(unanswered)?;
        reply.result.map_err(failure::shim)?;
        Ok(Launched { socket, descriptors })
    }

    /// Has a shim do something with files in the user namespace, and gives what it tells. Blocks.
    pub(super) fn files(&self, root: &Path, files: Files) -> Result<Option<Told>, TreeError> {
        let doing = format!("{files:?}");
        let launch = self.message(root, String::new(), Errand::Files(files));
        let begun = self.begin(UnixStream::pair(), launch, FILLING_LIMIT, &[]);
        finish(begun, &doing)
    }

    fn message(&self, root: &Path, id: String, errand: Errand) -> Launch {
        let mut launch = Launch {
            version: 0,
            root: root.to_owned(),
            id,
            runc: self.runc.clone(),
            errand,
            mapping: self.mapping.clone(),
        };
        launch.version = launch.needed_version();
        launch
    }

    /// Starts a shim and tells it what to do.
    fn begin(
        &self,
        sockets: io::Result<(UnixStream, UnixStream)>,
        launch: Launch,
        limit: Duration,
        descriptors: &[BorrowedFd<'_>],
    ) -> Result<Begun, RuntimeError> {
        let (mut own, theirs) = sockets.map_err(|error| failure::io("cannot make a socket", error))?;
        let message = serde_json::to_vec(&launch).map_err(|error| {
            RuntimeError::with_source(Status::InternalError, "a path is not UTF-8", error)
        })?;
        let subject = match launch.id.as_str() {
            "" => "files",
            id => id,
        };
        let child = self.spawn(subject, theirs.into())?;
        let told = own
            .set_read_timeout(Some(limit))
            .and_then(|()| own.set_write_timeout(Some(ANSWER_LIMIT)))
            .and_then(|()| passing::send(&own, &message, descriptors))
            .and_then(|sent| own.write_all(message.get(sent..).unwrap_or_default()))
            .and_then(|()| own.shutdown(Shutdown::Write));
        Ok(Begun { child, own, told })
    }

    fn spawn(&self, subject: &str, peer: OwnedFd) -> Result<Child, RuntimeError> {
        let mut command = self.shim.command();
        command
            .arg(subject)
            .stdin(Stdio::from(peer))
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        command.spawn().map_err(|error| {
            failure::io(
                format_args!("cannot start the shim {}", self.shim.program.display()),
                error,
            )
        })
    }
}

/// A shim that was started and knows what to do.
struct Begun {
    child: Child,
    own: UnixStream,
    /// Whether it could be told.
    told: io::Result<()>,
}

impl Begun {
    /// Waits for the answer.
    fn finish(mut self) -> io::Result<(UnixStream, Reply, Vec<OwnedFd>)> {
        let answered = self
            .told
            .and_then(|()| passing::receive_line(&self.own, MAX_REPLY_BYTES));
        // What was started has forked and ended long since. A host that reaps all children, or ignores SIGCHLD, was
        // quicker perhaps.
        let _ = self.child.wait();
        let (reply, descriptors) = answered?;
        let reply = serde_json::from_slice(&reply)?;
        Ok((self.own, reply, descriptors))
    }
}

fn finish(begun: Result<Begun, RuntimeError>, doing: &str) -> Result<Option<Told>, TreeError> {
    let failed = |source: io::Error| TreeError::Io {
        what: format!("the shim does not answer to {doing}"),
        source,
    };
    let begun = begun.map_err(|error| failed(io::Error::other(error)))?;
    let (_, reply, _) = begun.finish().map_err(failed)?;
    match reply.result {
        Ok(()) => Ok(reply.told),
        Err(failure) => Err(match failure.kind {
            FailureKind::BadContent => TreeError::Content(failure.message),
            FailureKind::TooLarge => TreeError::TooLarge(failure.message),
            FailureKind::Unsupported => TreeError::Unsupported(failure.message),
            FailureKind::DiskFull => TreeError::Io {
                what: failure.message,
                source: io::ErrorKind::StorageFull.into(),
            },
            _ => TreeError::Io {
                what: "in the user namespace".into(),
                source: io::Error::other(failure.message),
            },
        }),
    }
}

/// Has shims touch the files that belong to the ids of the user namespace.
#[derive(Debug)]
pub(super) struct Errands {
    launcher: Arc<Launcher>,
    root: PathBuf,
}

impl Errands {
    pub(super) fn new(launcher: Arc<Launcher>, root: PathBuf) -> Errands {
        Errands { launcher, root }
    }
}

impl Hands for Errands {
    fn unpack(&self, directory: &Path, max_entries: u64, tar: &mut dyn Read) -> Result<bool, TreeError> {
        let broken = |source: io::Error| TreeError::Io {
            what: "feeding the unpacking shim".into(),
            source,
        };
        let (feed, theirs) = UnixStream::pair().map_err(broken)?;
        let unpack = Files::Unpack {
            directory: directory.to_owned(),
            max_entries,
        };
        let launch = self
            .launcher
            .message(&self.root, String::new(), Errand::Files(unpack));
        let begun = self
            .launcher
            .begin(UnixStream::pair(), launch, FILLING_LIMIT, &[theirs.as_fd()]);
        drop(theirs);
        let fed = begun.is_ok().then(|| pour(tar, &feed));
        drop(feed);
        let told = finish(begun, "unpack a layer");
        match (fed, told) {
            // Why this side stopped is the reason for everything else.
            (Some(Err(Stopped::Source(error))), _) => Err(TreeError::Reader(error)),
            (_, Err(error)) => Err(error),
            (Some(Err(Stopped::Sink(error))), _) => Err(broken(error)),
            (_, Ok(Some(Told::Unpacked { is_opaque }))) => Ok(is_opaque),
            (_, Ok(_)) => Err(broken(io::Error::other("it told nothing"))),
        }
    }

    fn measure(&self, paths: &[PathBuf]) -> Result<u64, TreeError> {
        let paths = paths.to_vec();
        match self.launcher.files(&self.root, Files::Measure { paths })? {
            Some(Told::Measured { bytes }) => Ok(bytes),
            _ => Ok(0),
        }
    }

    fn remove(&self, path: &Path) -> Result<(), TreeError> {
        // Most of what is removed was never there, or is empty.
        match fs::remove_dir(path) {
            Ok(()) => return Ok(()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(_) => {}
        }
        let path = path.to_owned();
        self.launcher.files(&self.root, Files::Remove { path }).map(drop)
    }
}

/// Which side of a copy ended it.
enum Stopped {
    Source(io::Error),
    Sink(io::Error),
}

fn pour(source: &mut dyn Read, sink: &UnixStream) -> Result<(), Stopped> {
    let mut buffer = vec![0; 128 << 10];
    loop {
        let count = match source.read(&mut buffer) {
            Ok(0) => return Ok(()),
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(Stopped::Source(error)),
        };
        let mut rest = buffer.get(..count).unwrap_or_default();
        while !rest.is_empty() {
            // The host of this library may not ignore SIGPIPE.
            match rustix::io::retry_on_intr(|| rustix::net::send(sink, rest, SendFlags::NOSIGNAL)) {
                Ok(sent) => rest = rest.get(sent..).unwrap_or_default(),
                Err(error) => return Err(Stopped::Sink(error.into())),
            }
        }
    }
}

pub(crate) fn find_shim(location: &ShimLocation) -> Result<Shim, RuntimeError> {
    let missing = |message: String| RuntimeError::new(Status::Unsupported, message);
    let check = |path: &Path, source: &str| {
        prerequisites::executable(path)
            .map(|program| Shim {
                program,
                arguments: Vec::new(),
            })
            .ok_or_else(|| {
                missing(format!(
                    "{source} {} cannot be executed: name the selur-shim program",
                    path.display()
                ))
            })
    };
    match location {
        ShimLocation::Path(path) => check(path, "the shim"),
        ShimLocation::Command { program, arguments } => check(program, "the shim").map(|shim| Shim {
            arguments: arguments.clone(),
            ..shim
        }),
        ShimLocation::Search => {
            if let Some(path) = env::var_os("SELUR_SHIM").filter(|path| !path.is_empty()) {
                return check(Path::new(&path), "SELUR_SHIM:");
            }
            let places = shim_places();
            let found = places.iter().find_map(|place| check(place, "").ok());
            found.ok_or_else(|| {
                let places: Vec<_> = places.iter().map(|place| place.display().to_string()).collect();
                missing(format!(
                    "selur-shim is missing: it is none of {}: install it there or name it by SELUR_SHIM",
                    places.join(", ")
                ))
            })
        }
    }
}

fn shim_places() -> Vec<PathBuf> {
    let mut places = Vec::new();
    for object in [own_object(), env::current_exe().ok()].into_iter().flatten() {
        let Some(directory) = object.parent() else {
            continue;
        };
        places.push(directory.join("selur-shim"));
        places.push(directory.join("libexec/selur-shim"));
        if let Some(above) = directory.parent() {
            places.push(above.join("libexec/selur/selur-shim"));
            places.push(above.join("libexec/selur-shim"));
        }
    }
    places.push("/usr/local/libexec/selur/selur-shim".into());
    places.push("/usr/libexec/selur/selur-shim".into());
    let mut seen = Vec::new();
    places.retain(|place| {
        let is_new = !seen.contains(place);
        seen.push(place.clone());
        is_new
    });
    places
}

/// The program or shared library that this function is in, from the process's own map of its memory.
fn own_object() -> Option<PathBuf> {
    let address = own_object as *const () as usize;
    let maps = fs::read_to_string("/proc/self/maps").ok()?;
    maps.lines().find_map(|line| {
        let (range, rest) = line.split_once(' ')?;
        let (begin, end) = range.split_once('-')?;
        let begin = usize::from_str_radix(begin, 16).ok()?;
        let end = usize::from_str_radix(end, 16).ok()?;
        let path = rest.find('/').and_then(|at| rest.get(at..))?;
        (begin..end).contains(&address).then(|| PathBuf::from(path))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_program_that_this_code_is_in_is_found() {
        assert_eq!(own_object(), env::current_exe().ok());
    }

    #[test]
    fn a_shim_that_is_missing_is_named() {
        let error = find_shim(&ShimLocation::Path("/nonexistent/selur-shim".into())).err();
        assert!(error.is_some_and(|error| error.to_string().contains("/nonexistent/selur-shim")));
    }
}
