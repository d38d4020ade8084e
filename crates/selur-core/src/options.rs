//! What a bridge is built from, and what requests are made of.

use crate::guest::Guest;
use crate::{Bridge, Error};
use selur_runtime::{ContainerSpec, Runtime, ShimLocation};
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// What performs the effects.
#[derive(Clone, Default)]
#[non_exhaustive]
pub enum Backend {
    /// The real one: [`Backend::Oci`]. Never the simulated one.
    #[default]
    Auto,
    /// Containers that exist in memory only: [`selur_runtime::simulated`].
    Simulated,
    /// Real containers.
    Oci,
    /// Containers of a Docker or a Podman daemon: [`BridgeBuilder::socket`].
    Docker,
    /// A runtime of the caller's own.
    Custom(Arc<dyn Runtime>),
}

impl fmt::Debug for Backend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Backend::Auto => f.write_str("Auto"),
            Backend::Simulated => f.write_str("Simulated"),
            Backend::Oci => f.write_str("Oci"),
            Backend::Docker => f.write_str("Docker"),
            Backend::Custom(runtime) => write!(f, "Custom({})", runtime.name()),
        }
    }
}

/// Builds a [`Bridge`].
///
/// ```
/// use selur_core::{Backend, Bridge};
/// use std::time::Duration;
///
/// let bridge = Bridge::builder()
///     .backend(Backend::Simulated)
///     .default_deadline(Some(Duration::from_secs(30)))
///     .build()?;
/// assert_eq!(bridge.info().backend, "simulated");
/// # Ok::<(), selur_core::Error>(())
/// ```
#[derive(Clone, Debug, Default)]
#[must_use = "a builder does nothing until it builds"]
pub struct BridgeBuilder {
    pub(crate) guest: Guest,
    pub(crate) backend: Backend,
    pub(crate) state_root: Option<PathBuf>,
    pub(crate) shim: ShimLocation,
    pub(crate) socket: Option<PathBuf>,
    pub(crate) default_deadline: Option<Duration>,
}

impl BridgeBuilder {
    /// Where the guest comes from; the embedded one unless given.
    pub fn guest(mut self, guest: Guest) -> BridgeBuilder {
        self.guest = guest;
        self
    }

    /// What performs the effects; the real one unless given.
    pub fn backend(mut self, backend: Backend) -> BridgeBuilder {
        self.backend = backend;
        self
    }

    /// The folder that the oci backend keeps its state in; `$SELUR_ROOT` and its defaults unless given.
    pub fn state_root(mut self, folder: impl Into<PathBuf>) -> BridgeBuilder {
        self.state_root = Some(folder.into());
        self
    }

    /// The program that holds a container, for the oci backend: a path, or a program with arguments. `$SELUR_SHIM` and its
    /// defaults unless given.
    pub fn shim(mut self, program: impl Into<ShimLocation>) -> BridgeBuilder {
        self.shim = program.into();
        self
    }

    /// The socket of the daemon, for the docker backend; `$DOCKER_HOST`, else the first of the usual places unless given.
    pub fn socket(mut self, path: impl Into<PathBuf>) -> BridgeBuilder {
        self.socket = Some(path.into());
        self
    }

    /// How long a request may take until it is answered `timeout`; none is without end, as it is unless given.
    pub fn default_deadline(mut self, deadline: Option<Duration>) -> BridgeBuilder {
        self.default_deadline = deadline;
        self
    }

    /// Loads the guest and opens the backend. The bridge starts its threads, and lists what exists, with the first
    /// request that is not a ping.
    ///
    /// # Errors
    /// - `invalid_request`: the guest is refused; the message says why.
    /// - `internal_error`: the guest traps when it is loaded.
    /// - `unsupported`, `permission_denied`: the backend cannot run here; the message says what is missing.
    pub fn build(self) -> Result<Bridge, Error> {
        Bridge::open(self)
    }
}

/// What a container is made from.
///
/// ```
/// use selur_core::{ContainerSpec, CreateOptions};
///
/// let options = CreateOptions::new("nginx").name("web").spec(ContainerSpec {
///     environment: vec!["PORT=8080".into()],
///     ..ContainerSpec::default()
/// });
/// assert_eq!(options, CreateOptions::from("nginx").name("web").spec(options.spec.clone().unwrap()));
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct CreateOptions {
    /// The image reference: `nginx`, `127.0.0.1:5000/team/app:v1`.
    pub image: String,
    /// The container's name, if it is to have one.
    pub name: Option<String>,
    /// How it is to run; the image's way if absent.
    pub spec: Option<ContainerSpec>,
}

impl CreateOptions {
    /// A container without a name that runs as its image says.
    pub fn new(image: impl Into<String>) -> CreateOptions {
        CreateOptions {
            image: image.into(),
            name: None,
            spec: None,
        }
    }

    /// The container's name.
    pub fn name(mut self, name: impl Into<String>) -> CreateOptions {
        self.name = Some(name.into());
        self
    }

    /// How it is to run.
    pub fn spec(mut self, spec: ContainerSpec) -> CreateOptions {
        self.spec = Some(spec);
        self
    }
}

impl From<&str> for CreateOptions {
    fn from(image: &str) -> CreateOptions {
        CreateOptions::new(image)
    }
}

impl From<&CreateOptions> for CreateOptions {
    fn from(options: &CreateOptions) -> CreateOptions {
        options.clone()
    }
}

/// How a container is deleted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Deletion {
    /// Only if no process of it runs.
    #[default]
    Plain,
    /// A process is killed first, and what waits for the container is cancelled.
    Force,
}
