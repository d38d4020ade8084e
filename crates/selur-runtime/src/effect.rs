//! Effects: what the kernel wants done, with everything that is needed to do it.

use crate::{ContainerSpec, Inspection};
use selur_protocol::abi::Report;
use selur_protocol::{ContainerId, Signal};
use std::time::Duration;

/// One thing to do to one container.
#[derive(Clone, Debug, PartialEq)]
pub struct Effect {
    /// The container.
    pub container: ContainerId,
    /// What to do.
    pub operation: Operation,
}

/// What is done to a container.
#[derive(Clone, Debug, PartialEq)]
pub enum Operation {
    /// Makes it, pulling the image if the specification's policy says so.
    Create {
        /// The image, in full: `docker.io/library/nginx:latest`. It is of the grammar of
        /// [`selur_protocol::ImageReference`].
        image: String,
        /// Its name, if it has one; of the grammar of [`selur_protocol::ContainerName`].
        name: Option<String>,
        /// How it is to run.
        spec: Box<ContainerSpec>,
    },
    /// Starts it: a new generation. Resolves when the process runs.
    Start,
    /// Sends the stop signal, then SIGKILL. Resolves when the process has ended.
    Stop {
        /// How long the process has before SIGKILL; none is the specification's, else 10 s.
        timeout: Option<Duration>,
    },
    /// Sends a signal. Resolves when it is sent.
    Kill {
        /// Which.
        signal: Signal,
    },
    /// Freezes it.
    Pause,
    /// Thaws it.
    Resume,
    /// Removes it and everything of it. Removing what does not exist succeeds if forced.
    Delete {
        /// Whether a running process is killed first.
        force: bool,
    },
    /// Tells what is known of it.
    Inspect,
}

/// What came of an effect.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Done {
    /// The newest report of the container's life, where the effect may have changed it.
    pub report: Option<Report>,
    /// The answer of an inspect.
    pub inspection: Option<Box<Inspection>>,
}
