//! The arguments of the `selur` command, as clap reads them. Nothing is done here.

mod create;
mod images;
mod streams;
mod volume;

pub(crate) use create::{Create, Network, Pull, Run};
pub(crate) use images::{Image, Images, Load, Prune, Rmi, Tag};
pub(crate) use streams::{Attach, Events, Exec, Logs, Start, Stats, Top};
pub(crate) use volume::{Volume, VolumeCreate, VolumeLs, Volumes};

use clap::{Args, Parser, Subcommand, ValueEnum};
use std::path::PathBuf;
use std::time::Duration;

const EXIT_CODES: &str = "\
Exit codes:
  0        done
  1        it failed: one line says what went wrong, the next what to do
  2        the arguments are wrong
  141      whoever read the output went away

`selur run`, `exec`, `attach`, `start -a` and `start -i` end as the process did, or with
  125      selur itself failed, or its arguments are wrong
  126      the command was found and cannot be executed
  127      the command was not found
  128 + n  signal n ended the process

Environment:
  SELUR_ROOT   where images and containers live, unless --root says
  DOCKER_HOST  the daemon's socket of --runtime docker: unix:///run/docker.sock
  SELUR_SHIM   another selur-shim than the one in this program
  SELUR_MAX_LAYER_BYTES  the most that one layer may have unpacked, such as 4G [default: 128G]
  NO_COLOR     no colours";

const DETACHING: &str = "\
In a terminal of the container's (-it), Ctrl-P Ctrl-Q leaves the container running and ends this command with 0. \
Elsewhere signals are passed on to the container: Ctrl-C three times kills it.";

const CREDENTIALS: &str = "\
There is no `selur login`. A registry is told the name and the password that ~/.docker/config.json has for it, or the \
credential helper that is named there; $DOCKER_CONFIG names another folder than ~/.docker. `docker login REGISTRY` writes \
it, and so does `podman login --authfile ~/.docker/config.json REGISTRY`.";

const FORMAT_HELP: &str = "\
How to print: for people, or for programs

With `json`, standard output carries one JSON document (ps, top, images, prune, inspect, info, version, demo, create, \
run -d) or one JSON document a line (start, stop, restart, kill, pause, resume, wait, rm, rmi, tag: one for each \
argument that succeeded; logs, run, exec, attach, pull, push, load, events: one for each event; stats: one for each sample), and \
standard error one document \
{\"error\":{\"status\",\"message\",\"advice\"}} for each failure. Of a command that takes several containers, images \
or volumes it also has \"container\", \"image\" or \"volume\": which one, as it was typed. What `rm -f` does not find is \
{\"container\",\"done\":\"absent\"}.";

/// Containers without a daemon, driven through one sealed WebAssembly kernel.
#[derive(Debug, Parser)]
#[command(name = "selur", version, after_help = EXIT_CODES, max_term_width = 100)]
#[command(subcommand_required = true, arg_required_else_help = true)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// What every command takes.
#[derive(Clone, Debug, Args)]
pub(crate) struct Global {
    /// Where images and containers live [default: $SELUR_ROOT, else /var/lib/selur for root, else
    /// $XDG_DATA_HOME/selur]
    #[arg(long, global = true, value_name = "DIR", help_heading = "Global options")]
    pub(crate) root: Option<PathBuf>,
    /// What performs the work; `auto` is `oci` and never `simulated`
    ///
    /// `simulated` is an empty world in memory that ends with the command: for trying arguments and for tests.
    #[arg(
        long,
        global = true,
        value_name = "NAME",
        default_value = "auto",
        allow_hyphen_values = true,
        help_heading = "Global options"
    )]
    pub(crate) runtime: RuntimeChoice,
    /// The daemon's socket, for `--runtime docker` alone [default: $DOCKER_HOST, else the first that exists of
    /// /var/run/docker.sock, $XDG_RUNTIME_DIR/podman/podman.sock and /run/podman/podman.sock]
    #[arg(long, global = true, value_name = "PATH", help_heading = "Global options")]
    pub(crate) socket: Option<PathBuf>,
    #[arg(long, global = true, value_name = "FORMAT", default_value = "table", allow_hyphen_values = true,
        help_heading = "Global options",
        help = "How to print: for people, or for programs", long_help = FORMAT_HELP)]
    pub(crate) format: Format,
    /// Give up on a request after this time: 30s, 500ms, 2m [default: never]
    ///
    /// It bounds each request (a pull, a create, a start, a wait…), not how long the container of `run` may run.
    #[arg(long, global = true, value_name = "TIME", value_parser = duration, allow_hyphen_values = true,
        help_heading = "Global options")]
    pub(crate) timeout: Option<Duration>,
}

/// Which backend performs the effects.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum RuntimeChoice {
    /// Real containers if this machine can
    Auto,
    /// A world in memory, gone with the command
    Simulated,
    /// Real containers: runc, overlayfs, namespaces
    Oci,
    /// Containers of a Docker or Podman daemon
    Docker,
}

/// How results are printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// For people
    Table,
    /// For programs
    Json,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Show on this machine that it works: a real container, driven, lost, recovered and removed
    Demo(Demo),
    /// Make a container and start it; show its output and end as it does
    #[command(after_help = DETACHING)]
    Run(Run),
    /// Make a container without starting it
    Create(Create),
    /// Run a further program in a running container
    Exec(Exec),
    /// Connect to a container's process: its output from now on, and its input
    #[command(after_help = DETACHING)]
    Attach(Attach),
    /// Start containers
    Start(Start),
    /// End containers' processes: the stop signal, then SIGKILL
    Stop(Stop),
    /// End containers' processes as stop does, and start them again
    Restart(Stop),
    /// Send containers a signal
    Kill(Kill),
    /// Freeze containers
    Pause(Containers),
    /// Thaw paused containers
    #[command(visible_alias = "unpause")]
    Resume(Containers),
    /// Wait until containers have ended for good; print their exit codes
    Wait(Containers),
    /// Print all that is known of containers, as JSON
    Inspect(Containers),
    /// Remove containers
    Rm(Rm),
    /// List containers
    Ps(Ps),
    /// Print what a container wrote
    Logs(Logs),
    /// Show what containers use: processors, memory, processes, devices, network
    Stats(Stats),
    /// List the processes of a container
    Top(Top),
    /// Print what happens to containers, images and volumes
    Events(Events),
    /// Fetch an image from its registry
    #[command(after_help = CREDENTIALS)]
    Pull(Image),
    /// List the images of the store
    Images(Images),
    /// Remove images from the store
    Rmi(Rmi),
    /// Take images from an OCI image layout or from what `docker save` wrote into the store
    Load(Load),
    /// Send an image of the store to its registry
    #[command(after_help = CREDENTIALS)]
    Push(Image),
    /// Give an image of the store another name
    Tag(Tag),
    /// Remove what no image and no container uses from the store, and say what that frees
    Prune(Prune),
    /// Work with named volumes, which outlive containers
    #[command(subcommand)]
    Volume(Volume),
    /// Describe this machine, the backend and the kernel guest
    ///
    /// It ends with 1 where no backend can be opened, and says why.
    Info(Info),
    /// Print the versions
    Version,
    /// Print a completion script for a shell
    Completions {
        /// Which shell
        shell: clap_complete::Shell,
    },
    /// Write the manual pages into a directory: `man -l DIR/selur-run.1` shows one
    Man {
        /// The directory; it is made if it does not exist
        directory: PathBuf,
    },
}

/// The arguments of the process that holds a demo's bridge, to be killed. It is no command for people.
#[derive(Debug, Parser)]
pub(crate) struct DemoWorker {
    #[command(flatten)]
    pub(crate) global: Global,
}

#[derive(Debug, Args)]
pub(crate) struct Demo {
    /// Without real containers: the same story told by the simulated runtime, which says so in each line
    #[arg(long)]
    pub(crate) simulated: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Containers {
    /// Ids, names, or the first digits (4 at least) of ids
    #[arg(required = true, value_name = "CONTAINER")]
    pub(crate) containers: Vec<String>,
}

#[derive(Debug, Args)]
pub(crate) struct Stop {
    /// How long to wait before SIGKILL [default: the container's own, else 10s]
    #[arg(short, long, value_name = "TIME", value_parser = duration, allow_hyphen_values = true)]
    pub(crate) time: Option<Duration>,
    #[command(flatten)]
    pub(crate) containers: Containers,
}

#[derive(Debug, Args)]
pub(crate) struct Kill {
    /// Which signal: SIGTERM, TERM or 15
    #[arg(
        short,
        long,
        value_name = "SIGNAL",
        default_value = "SIGKILL",
        allow_hyphen_values = true
    )]
    pub(crate) signal: String,
    #[command(flatten)]
    pub(crate) containers: Containers,
}

#[derive(Debug, Args)]
pub(crate) struct Rm {
    /// Kill a running container first; what does not exist is no error
    #[arg(short, long)]
    pub(crate) force: bool,
    #[command(flatten)]
    pub(crate) containers: Containers,
}

#[derive(Debug, Args)]
pub(crate) struct Info {
    /// Tell what this machine offers to each backend, what it lacks, and what mends that
    ///
    /// It looks and tries, and changes nothing. It ends with 0 if the runtime that --runtime chooses can run here, else
    /// with 1.
    #[arg(long)]
    pub(crate) check: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Ps {
    /// Also those that do not run
    #[arg(short, long)]
    pub(crate) all: bool,
    /// Only the ids
    #[arg(short, long)]
    pub(crate) quiet: bool,
}

/// Reads `30s`, `500ms`, `2m`, `1h`; a bare number is seconds.
fn duration(text: &str) -> Result<Duration, String> {
    let refusal = || format!("{text:?} is no time: write a whole number and ms, s, m or h, such as 30s");
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit_ms = match &text[digits.len()..] {
        "ms" => 1,
        "" | "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        _ => return Err(refusal()),
    };
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(refusal());
    }
    let number: u64 = digits.parse().map_err(|_| refusal())?;
    let ms = number
        .checked_mul(unit_ms)
        .filter(|ms| *ms <= u64::from(u32::MAX))
        .ok_or_else(refusal)?;
    Ok(Duration::from_millis(ms))
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn arguments_are_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn options_behind_the_image_belong_to_the_command() {
        let cli = Cli::try_parse_from(["selur", "run", "--rm", "busybox", "ls", "--rm", "-d"]).unwrap();
        let Command::Run(run) = cli.command else {
            panic!("not run")
        };
        assert!(run.rm && !run.detach);
        assert_eq!(run.create.image_and_command, ["busybox", "ls", "--rm", "-d"]);
    }

    #[test]
    fn options_right_behind_the_image_belong_to_the_command() {
        let cli = Cli::try_parse_from(["selur", "run", "busybox", "--rm", "--format", "json"]).unwrap();
        let Command::Run(run) = cli.command else {
            panic!("not run")
        };
        assert!(!run.rm && cli.global.format == Format::Table);
        assert_eq!(
            run.create.image_and_command,
            ["busybox", "--rm", "--format", "json"]
        );
    }

    #[test]
    fn global_options_stand_before_and_behind_the_command() {
        for arguments in [
            ["selur", "--format", "json", "ps"],
            ["selur", "ps", "--format", "json"],
        ] {
            assert_eq!(
                Cli::try_parse_from(arguments).unwrap().global.format,
                Format::Json
            );
        }
    }

    #[test]
    fn times_have_units_and_bounds() {
        let cases = [
            ("30s", 30_000),
            ("500ms", 500),
            ("2m", 120_000),
            ("7", 7_000),
            ("0", 0),
            ("1h", 3_600_000),
        ];
        for (text, ms) in cases {
            assert_eq!(duration(text), Ok(Duration::from_millis(ms)), "{text}");
        }
        for text in [
            "",
            "s",
            "-1s",
            "+1",
            "1.5s",
            "1d",
            "99999999h",
            "18446744073709551616",
            "1 s",
        ] {
            assert!(duration(text).is_err(), "{text}");
        }
    }
}
