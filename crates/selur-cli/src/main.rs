//! The `selur` command: reads the arguments, opens a bridge, does one thing, prints it.
//!
//! Whatever containers may do is decided in the kernel: this program only asks and prints. It must never call a
//! runtime by itself.

mod age;
mod cli;
mod commands;
mod demo;
mod detach;
mod failure;
mod machine;
mod output;
mod place;
mod progress;
mod session;
mod session_io;
mod signals;
mod stdio;
mod terminal;

use clap::Parser;
use clap::error::ErrorKind;
use cli::{Cli, Command, DemoWorker, Format};
use failure::{Failure, RUN_FAILED};
use std::ffi::OsString;
use std::process::ExitCode;

fn main() -> ExitCode {
    let arguments: Vec<OsString> = std::env::args_os().collect();
    // The shim forks: it must be reached before anything starts a thread.
    if arguments
        .get(1)
        .is_some_and(|first| first == session::SHIM_SUBCOMMAND)
    {
        return selur_shim::main(arguments.into_iter().skip(2));
    }
    if arguments
        .get(1)
        .is_some_and(|first| first == demo::WORKER_SUBCOMMAND)
    {
        return hold_bridge(arguments);
    }
    let cli = match Cli::try_parse_from(&arguments) {
        Ok(cli) => cli,
        Err(error) => return refuse(&error, &arguments),
    };
    end(perform(&cli), cli.global.format)
}

/// What a demo has done in a process of its own.
fn hold_bridge(arguments: Vec<OsString>) -> ExitCode {
    let DemoWorker { global } = DemoWorker::parse_from(arguments.into_iter().skip(1));
    end(demo::worker(&global), global.format)
}

fn end(performed: Result<u8, Failure>, format: Format) -> ExitCode {
    match performed {
        Ok(code) => ExitCode::from(code),
        Err(failure) => {
            failure.print(format);
            ExitCode::from(failure.exit_code())
        }
    }
}

fn perform(cli: &Cli) -> Result<u8, Failure> {
    let global = &cli.global;
    match &cli.command {
        Command::Demo(demo) => demo::demo(demo, global),
        Command::Run(run) => commands::run::run(run, global),
        Command::Create(create) => commands::create::create(create, global),
        Command::Exec(exec) => commands::exec::exec(exec, global),
        Command::Attach(attach) => commands::attach::attach(attach, global),
        Command::Start(start) => commands::start::start(start, global),
        Command::Stop(stop) => commands::containers::stop(stop, global),
        Command::Restart(stop) => commands::containers::restart(stop, global),
        Command::Kill(kill) => commands::containers::kill(kill, global),
        Command::Pause(containers) => commands::containers::pause(containers, global),
        Command::Resume(containers) => commands::containers::resume(containers, global),
        Command::Wait(containers) => commands::containers::wait(containers, global),
        Command::Inspect(containers) => commands::containers::inspect(containers, global),
        Command::Rm(rm) => commands::containers::rm(rm, global),
        Command::Ps(ps) => commands::ps::ps(ps, global),
        Command::Logs(logs) => commands::logs::logs(logs, global),
        Command::Stats(stats) => commands::stats::stats(stats, global),
        Command::Top(top) => commands::top::top(top, global),
        Command::Events(events) => commands::events::events(events, global),
        Command::Pull(image) => commands::images::pull(image, global),
        Command::Images(images) => commands::images::images(images, global),
        Command::Rmi(rmi) => commands::images::rmi(rmi, global),
        Command::Load(load) => commands::images::load(load, global),
        Command::Push(image) => commands::images::push(image, global),
        Command::Tag(tag) => commands::images::tag(tag, global),
        Command::Prune(prune) => commands::prune::prune(prune, global),
        Command::Volume(volume) => commands::volume::volume(volume, global),
        Command::Info(info) if info.check => commands::check::check(global),
        Command::Info(_) => commands::system::info(global),
        Command::Version => commands::system::version(global),
        Command::Completions { shell } => commands::system::completions(*shell),
        Command::Man { directory } => commands::system::man(directory),
    }
}

/// Prints what clap says: help and version on standard output, refusals on standard error.
fn refuse(error: &clap::Error, arguments: &[OsString]) -> ExitCode {
    let code = match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => 0,
        _ if runs_a_program(arguments) => RUN_FAILED,
        _ => failure::WRONG_ARGUMENTS,
    };
    // It repeats what it refuses: once more, of what does no harm to a terminal.
    let harmless = arguments.iter().map(|argument| {
        let text = argument.to_string_lossy();
        output::escape(&text).into_owned()
    });
    let again = Cli::try_parse_from(harmless).err();
    let error = again.as_ref().unwrap_or(error);
    if code != 0 && wants_json(arguments) {
        Failure::refused(&error.render().to_string())
            .with_exit_code(code)
            .print(Format::Json);
    } else {
        // Who closed the output wants to know nothing.
        let _ = error.print();
    }
    ExitCode::from(code)
}

/// Whether arguments that cannot be read ask for JSON all the same. What stands behind `--` is a program's.
fn wants_json(arguments: &[OsString]) -> bool {
    let own: Vec<&OsString> = arguments
        .iter()
        .take_while(|argument| *argument != "--")
        .collect();
    own.iter().any(|argument| *argument == "--format=json")
        || own
            .windows(2)
            .any(|pair| pair[0] == "--format" && pair[1] == "json")
}

/// Whether refused arguments were meant for a command whose exit code is a process's: the first that is neither a global
/// option nor the value of one tells, and with `start` what stands behind it.
fn runs_a_program(arguments: &[OsString]) -> bool {
    let mut rest = arguments.iter().skip(1).filter_map(|argument| argument.to_str());
    while let Some(argument) = rest.next() {
        match argument {
            "--root" | "--runtime" | "--socket" | "--format" | "--timeout" => drop(rest.next()),
            _ if argument.starts_with('-') => {}
            "start" => return rest.any(connects),
            _ => return matches!(argument, "run" | "exec" | "attach"),
        }
    }
    false
}

/// Whether it is an option with which `start` stays: `-a`, `-i`, both in one, or in words.
fn connects(argument: &str) -> bool {
    match argument.strip_prefix('-') {
        Some(long) if long.starts_with('-') => matches!(long, "-attach" | "-interactive"),
        Some(letters) => letters.contains(['a', 'i']),
        None => false,
    }
}
