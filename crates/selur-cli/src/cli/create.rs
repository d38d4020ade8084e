//! The arguments of `run` and `create`: how a container is to run.

use super::duration;
use clap::{Args, ValueEnum};
use std::path::PathBuf;
use std::time::Duration;

#[derive(Debug, Args)]
pub(crate) struct Run {
    /// Print the container's id and leave it running
    #[arg(short, long)]
    pub(crate) detach: bool,
    /// Remove the container when it has ended, also when interrupted
    ///
    /// This command does it, and there is no daemon: so it goes neither with -d, which ends this command before, nor with
    /// --restart, and a container that Ctrl-P Ctrl-Q leaves stays.
    #[arg(long, conflicts_with = "restart")]
    pub(crate) rm: bool,
    #[command(flatten)]
    pub(crate) create: Create,
}

/// How a container is to run.
#[derive(Debug, Args)]
pub(crate) struct Create {
    /// A name: letters, digits, _ . and -
    #[arg(long, allow_hyphen_values = true)]
    pub(crate) name: Option<String>,
    /// Set a variable; KEY alone takes its value from here
    #[arg(short, long, value_name = "KEY[=VALUE]")]
    pub(crate) env: Vec<String>,
    /// The working directory in the container
    #[arg(short, long, value_name = "PATH", allow_hyphen_values = true)]
    pub(crate) workdir: Option<String>,
    /// Run as: user or user:group, names or numbers
    #[arg(short, long, allow_hyphen_values = true)]
    pub(crate) user: Option<String>,
    /// Instead of the image's entrypoint; "" is none
    #[arg(long, value_name = "PROGRAM")]
    pub(crate) entrypoint: Option<String>,
    /// Mount a path of this machine or a named volume: SOURCE:TARGET[:ro]
    #[arg(short, long, value_name = "MOUNT", allow_hyphen_values = true)]
    pub(crate) volume: Vec<String>,
    /// The same in words: type=bind|volume|tmpfs,source=…,target=…[,readonly]
    #[arg(long, value_name = "MOUNT", allow_hyphen_values = true)]
    pub(crate) mount: Vec<String>,
    /// An empty directory in memory: TARGET[:size=64m,mode=1777,ro]
    #[arg(long, value_name = "MOUNT", allow_hyphen_values = true)]
    pub(crate) tmpfs: Vec<String>,
    /// The most memory, and as much with swap: 64m, 1g
    #[arg(short, long, value_name = "SIZE", allow_hyphen_values = true)]
    pub(crate) memory: Option<String>,
    /// The most processors' time: 1.5 is one and a half
    #[arg(long, value_name = "NUMBER", allow_hyphen_values = true)]
    pub(crate) cpus: Option<f64>,
    /// The most processes and threads: 1 to 4194304
    #[arg(long, value_name = "NUMBER", allow_hyphen_values = true)]
    pub(crate) pids_limit: Option<String>,
    /// Let nothing be written to the root file system
    #[arg(long)]
    pub(crate) read_only: bool,
    /// Give a capability: NET_ADMIN, ALL
    #[arg(long, value_name = "NAME", allow_hyphen_values = true)]
    pub(crate) cap_add: Vec<String>,
    /// Take a capability
    #[arg(long, value_name = "NAME", allow_hyphen_values = true)]
    pub(crate) cap_drop: Vec<String>,
    /// Tell the container an address
    #[arg(long, value_name = "NAME:ADDRESS", allow_hyphen_values = true)]
    pub(crate) add_host: Vec<String>,
    /// A whole specification in JSON, which the other options change; `-` is standard input
    #[arg(long, value_name = "FILE")]
    pub(crate) spec: Option<PathBuf>,
    /// Which network the container sees [default: none]
    #[arg(long, value_name = "MODE", allow_hyphen_values = true)]
    pub(crate) network: Option<Network>,
    /// The container's host name [default: the id's first 12 digits]
    #[arg(long, value_name = "NAME", allow_hyphen_values = true)]
    pub(crate) hostname: Option<String>,
    /// Set a label
    #[arg(short, long, value_name = "KEY[=VALUE]")]
    pub(crate) label: Vec<String>,
    /// Start again when it ends by itself: no, on-failure or on-failure:N
    #[arg(long, value_name = "POLICY", allow_hyphen_values = true)]
    pub(crate) restart: Option<String>,
    /// What `stop` sends first [default: the image's, else SIGTERM]
    #[arg(long, value_name = "SIGNAL", allow_hyphen_values = true)]
    pub(crate) stop_signal: Option<String>,
    /// How long `stop` waits before SIGKILL [default: 10s]
    #[arg(long, value_name = "TIME", value_parser = duration, allow_hyphen_values = true)]
    pub(crate) stop_timeout: Option<Duration>,
    /// When to fetch the image [default: missing]
    #[arg(long, value_name = "WHEN", allow_hyphen_values = true)]
    pub(crate) pull: Option<Pull>,
    /// Not built yet: use --network host
    #[arg(short, long, value_name = "PORTS")]
    pub(crate) publish: Vec<String>,
    /// Give the process a standard input, and pass this one on
    #[arg(short, long)]
    pub(crate) interactive: bool,
    /// Give the process a terminal, which is this one
    #[arg(short, long)]
    pub(crate) tty: bool,
    /// The image, then a command instead of the image's own
    #[arg(required = true, trailing_var_arg = true, value_names = ["IMAGE", "COMMAND"])]
    pub(crate) image_and_command: Vec<String>,
}

/// Which network a container sees.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Network {
    /// Its own, with nothing but loopback
    None,
    /// The host's
    Host,
}

/// When an image is fetched.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Pull {
    /// If the store lacks it
    Missing,
    /// Each time
    Always,
    /// Never
    Never,
}
