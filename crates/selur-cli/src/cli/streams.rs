//! The arguments of what flows: exec, attach, start, logs, stats, top, events.

use super::duration;
use clap::Args;
use jiff::Timestamp;

#[derive(Debug, Args)]
pub(crate) struct Exec {
    /// Pass standard input on
    #[arg(short, long)]
    pub(crate) interactive: bool,
    /// Give the process a terminal, which is this one
    ///
    /// With -i every key goes to the process, Ctrl-C too.
    #[arg(short, long)]
    pub(crate) tty: bool,
    /// Run as: user or user:group, names or numbers [default: as the container does]
    #[arg(short, long, allow_hyphen_values = true)]
    pub(crate) user: Option<String>,
    /// The working directory in the container [default: the container's]
    #[arg(short, long, value_name = "PATH", allow_hyphen_values = true)]
    pub(crate) workdir: Option<String>,
    /// Set a variable; KEY alone takes its value from here
    #[arg(short, long, value_name = "KEY[=VALUE]")]
    pub(crate) env: Vec<String>,
    /// The container, then the program and its arguments
    #[arg(required = true, num_args = 2.., trailing_var_arg = true, value_names = ["CONTAINER", "COMMAND"])]
    pub(crate) container_and_command: Vec<String>,
}

#[derive(Debug, Args)]
pub(crate) struct Attach {
    /// Only watch: pass neither input nor signals on
    #[arg(long)]
    pub(crate) no_stdin: bool,
    /// The container
    #[arg(value_name = "CONTAINER")]
    pub(crate) container: String,
}

#[derive(Debug, Args)]
pub(crate) struct Start {
    /// Show what it writes, pass signals on, and end as it does
    #[arg(short, long)]
    pub(crate) attach: bool,
    /// The same, and pass standard input on
    #[arg(short, long)]
    pub(crate) interactive: bool,
    #[command(flatten)]
    pub(crate) containers: super::Containers,
}

#[derive(Debug, Args)]
pub(crate) struct Logs {
    /// Go on as the container writes, until it has ended
    #[arg(short, long)]
    pub(crate) follow: bool,
    /// Only the last so many lines [default: all]
    #[arg(short = 'n', long, value_name = "LINES", value_parser = tail, allow_hyphen_values = true)]
    pub(crate) tail: Option<Tail>,
    /// Only what was written since then: 10m ago, 2026-01-31T12:00:00Z or seconds since 1970
    #[arg(long, value_name = "TIME", value_parser = moment, allow_hyphen_values = true)]
    pub(crate) since: Option<Moment>,
    /// Say when each line was written, in UTC
    #[arg(short, long)]
    pub(crate) timestamps: bool,
    /// Only standard output
    #[arg(long, conflicts_with = "stderr")]
    pub(crate) stdout: bool,
    /// Only standard error
    #[arg(long)]
    pub(crate) stderr: bool,
    /// The container
    #[arg(value_name = "CONTAINER")]
    pub(crate) container: String,
}

#[derive(Debug, Args)]
pub(crate) struct Stats {
    /// Print what is used now, and end
    #[arg(long)]
    pub(crate) no_stream: bool,
    /// Ids, names, or the first digits (4 at least) of ids [default: all that run]
    #[arg(value_name = "CONTAINER")]
    pub(crate) containers: Vec<String>,
}

#[derive(Debug, Args)]
pub(crate) struct Top {
    /// The container
    #[arg(value_name = "CONTAINER")]
    pub(crate) container: String,
}

#[derive(Debug, Args)]
pub(crate) struct Events {
    /// Also what happened since then: 10m ago, 2026-01-31T12:00:00Z or seconds since 1970
    #[arg(long, value_name = "TIME", value_parser = moment, allow_hyphen_values = true)]
    pub(crate) since: Option<Moment>,
    /// Print what is known, and end; all of it unless --since says
    #[arg(long)]
    pub(crate) until_now: bool,
    /// Only these: container=, image=, volume= or kind=; what is said twice is either
    #[arg(short, long, value_name = "KEY=VALUE", allow_hyphen_values = true)]
    pub(crate) filter: Vec<String>,
}

/// How many of the last lines; none is all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Tail(pub(crate) Option<usize>);

fn tail(text: &str) -> Result<Tail, String> {
    match text {
        "all" => Ok(Tail(None)),
        text => text
            .parse()
            .map(|lines| Tail(Some(lines)))
            .map_err(|_| "write how many lines, or all".to_owned()),
    }
}

/// A moment, in nanoseconds since the Unix epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Moment(pub(crate) u64);

/// Reads `10m` (ago), RFC 3339, or seconds since the Unix epoch, whole or with a fraction.
fn moment(text: &str) -> Result<Moment, String> {
    moment_before(text, Timestamp::now())
}

fn moment_before(text: &str, now: Timestamp) -> Result<Moment, String> {
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let (seconds, fraction) = text.split_once('.').unwrap_or((text, "0"));
    let timestamp = if is_number(seconds) && is_number(fraction) && fraction.len() <= 9 {
        let nanoseconds = format!("{seconds}{fraction:0<9}");
        nanoseconds.parse().ok().map(Moment)
    } else if let Ok(age) = duration(text) {
        let now = u64::try_from(now.as_nanosecond()).unwrap_or(0);
        let age = u64::try_from(age.as_nanos()).unwrap_or(u64::MAX);
        Some(Moment(now.saturating_sub(age)))
    } else {
        let time = text.parse::<Timestamp>().ok();
        time.and_then(|time| u64::try_from(time.as_nanosecond()).ok())
            .map(Moment)
    };
    timestamp.ok_or_else(|| {
        format!("{text:?} is no time: write how long ago (10m), 2026-01-31T12:00:00Z or seconds since 1970")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_ages_dates_or_seconds() {
        let now: Timestamp = "2026-01-31T12:00:00Z".parse().unwrap();
        let at = |text: &str| moment_before(text, now).map(|moment| moment.0);
        assert_eq!(at("0"), Ok(0));
        assert_eq!(at("1700000000"), Ok(1_700_000_000_000_000_000));
        assert_eq!(at("1700000000.25"), Ok(1_700_000_000_250_000_000));
        assert_eq!(
            at("10m"),
            Ok(u64::try_from(now.as_nanosecond()).unwrap() - 600_000_000_000)
        );
        assert_eq!(at("2026-01-31T12:00:00Z"), at("0s"));
        assert_eq!(at("2026-01-31T13:00:00+01:00"), at("0s"));
        assert_eq!(
            at("2026-01-31T12:00:00.000000001Z"),
            Ok(at("0s").unwrap() + 1),
            "nanoseconds count"
        );
        for text in [
            "",
            "yesterday",
            "-5m",
            "1.",
            ".5",
            "1.0000000001",
            "99999999999999999999",
            "1900-01-01T00:00:00Z",
            "2026-01-31",
        ] {
            assert!(at(text).is_err(), "{text}");
        }
    }
}
