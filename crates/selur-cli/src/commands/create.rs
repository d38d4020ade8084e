//! `create`, and what `run` shares with it: the specification from the options, the image before the container.

use super::mounts;
use crate::cli::{Create, Global, Network, Pull};
use crate::failure::Failure;
use crate::output;
use crate::progress::PullDisplay;
use crate::session::Session;
use selur_core::{ContainerId, ContainerSpec, CreateOptions, NetworkMode, PullPolicy, SpecError, Status};
use selur_protocol::{ContainerName, ImageReference};
use serde_json::json;
use std::collections::BTreeMap;
use std::io::IsTerminal;

/// Makes a container and prints its id.
///
/// # Errors
/// The options, the image or the machine do not allow it.
pub(crate) fn create(create: &Create, global: &Global) -> Result<u8, Failure> {
    let options = options(create)?;
    let session = Session::open(global)?;
    fetch(
        &session,
        &options,
        create.pull,
        PullDisplay::beside(global.format),
    )?;
    let id = session.bridge().create_container(&options)?;
    print_id(&session, id)?;
    session.remind("this container ended with this command");
    Ok(0)
}

/// Prints the id of a container that goes on existing.
///
/// # Errors
/// Standard output is closed.
pub(crate) fn print_id(session: &Session, id: ContainerId) -> Result<(), Failure> {
    if session.is_json() {
        output::json(&json!({ "id": id.to_string() }))?;
    } else {
        output::line(id)?;
    }
    Ok(())
}

/// What the options ask for.
///
/// # Errors
/// An option is not built yet, or has no meaning.
pub(crate) fn options(create: &Create) -> Result<CreateOptions, Failure> {
    refuse_what_is_not_built(create)?;
    let Some((image, command)) = create.image_and_command.split_first() else {
        return Err(Failure::new(
            Status::InvalidRequest,
            "the image is missing",
            "Give one, such as busybox.",
        ));
    };
    let mut spec = base(create)?;
    say_how(&mut spec, create, command)?;
    say_where(&mut spec, create)?;
    spec.check().map_err(refused)?;
    let options = CreateOptions::new(image.as_str()).spec(spec);
    Ok(match &create.name {
        Some(name) => {
            // The kernel refuses it as well, but only after the image was pulled.
            ContainerName::parse(name).map_err(|reason| {
                let failure = Failure::from(reason);
                let message = format!("--name {name:?}: {}", failure.message());
                failure.with_message(message)
            })?;
            options.name(name.as_str())
        }
        None => options,
    })
}

/// The specification that the options change: the file's, else the defaults.
fn base(create: &Create) -> Result<ContainerSpec, Failure> {
    let Some(path) = &create.spec else {
        return Ok(ContainerSpec::default());
    };
    let (name, json) = if path.as_os_str() == "-" {
        if std::io::stdin().is_terminal() {
            return Err(Failure::new(
                Status::InvalidRequest,
                "standard input is a terminal, which holds no specification",
                "Pipe one into it: `cat spec.json | selur create --spec - IMAGE`.",
            ));
        }
        ("standard input".into(), std::io::read_to_string(std::io::stdin()))
    } else {
        (path.to_string_lossy(), std::fs::read_to_string(path))
    };
    let json = json.map_err(|error| Failure::io(format_args!("cannot read {name}"), &error))?;
    ContainerSpec::from_json(&json).map_err(|error| {
        // Where the text breaks off in a field's name, the path to that field ends with a question mark.
        let words = error.to_string().replacen(": ?: ", ": ", 1);
        refused(error).with_message(format!("{name}: {words}"))
    })
}

/// What is run, as whom, and what becomes of it. What is not said stays as it is; lists grow.
fn say_how(spec: &mut ContainerSpec, create: &Create, command: &[String]) -> Result<(), Failure> {
    fn set<T: Clone>(field: &mut Option<T>, option: &Option<T>) {
        if option.is_some() {
            field.clone_from(option);
        }
    }
    if let Some(program) = &create.entrypoint {
        spec.entrypoint = Some(match program.as_str() {
            "" => Vec::new(),
            program => vec![program.to_owned()],
        });
    }
    if !command.is_empty() {
        spec.command = Some(command.to_vec());
    }
    spec.environment.extend(variables(&create.env)?);
    set(&mut spec.working_directory, &create.workdir);
    set(&mut spec.user, &create.user);
    set(&mut spec.stop_signal, &create.stop_signal);
    spec.labels.extend(pairs(&create.label)?);
    spec.stdin |= create.interactive;
    spec.terminal |= create.tty;
    // What had to be pulled has been pulled with its progress shown, before the create: see `fetch`.
    match create.pull {
        Some(Pull::Never) => spec.pull = PullPolicy::Never,
        Some(Pull::Missing | Pull::Always) => spec.pull = PullPolicy::Missing,
        None => {}
    }
    if let Some(policy) = &create.restart {
        spec.restart = policy.clone().try_into().map_err(refused)?;
    }
    if let Some(timeout) = create.stop_timeout {
        // The argument's grammar bounds it.
        spec.stop_timeout_ms = u32::try_from(timeout.as_millis()).ok();
    }
    Ok(())
}

/// What it sees, and what it may use and do.
fn say_where(spec: &mut ContainerSpec, create: &Create) -> Result<(), Failure> {
    if create.hostname.is_some() {
        spec.hostname.clone_from(&create.hostname);
    }
    match create.network {
        Some(Network::None) => spec.network = NetworkMode::None,
        Some(Network::Host) => spec.network = NetworkMode::Host,
        None => {}
    }
    spec.extra_hosts.extend(create.add_host.iter().cloned());
    for text in &create.volume {
        spec.mounts.push(mounts::volume(text)?);
    }
    for text in &create.mount {
        spec.mounts.push(mounts::mount(text)?);
    }
    for text in &create.tmpfs {
        spec.mounts.push(mounts::tmpfs(text)?);
    }
    if let Some(text) = &create.memory {
        let bytes = mounts::bytes(text).ok_or_else(|| {
            let advice = "Such as --memory 64m.";
            Failure::new(
                Status::InvalidRequest,
                format!("--memory: {}", mounts::no_size(text)),
                advice,
            )
        })?;
        spec.resources.memory_bytes = Some(bytes);
    }
    if create.cpus.is_some() {
        spec.resources.cpus = create.cpus;
    }
    if let Some(text) = &create.pids_limit {
        let pids = text.parse().map_err(|_| {
            let message = format!("--pids-limit: {text:?} is out of its range");
            let advice = "Give a whole number from 1 to 4194304.";
            Failure::new(Status::InvalidRequest, message, advice)
        })?;
        spec.resources.pids = Some(pids);
    }
    spec.read_only_root |= create.read_only;
    let names =
        |names: &[String]| -> Vec<String> { names.iter().map(|name| name.to_ascii_uppercase()).collect() };
    spec.capabilities.add.extend(names(&create.cap_add));
    spec.capabilities.drop.extend(names(&create.cap_drop));
    Ok(())
}

/// Pulls the image if the policy says so, with its progress shown: a create pulls too, but silently.
///
/// # Errors
/// The reference is none, or the pull failed.
pub(crate) fn fetch(
    session: &Session,
    options: &CreateOptions,
    policy: Option<Pull>,
    display: PullDisplay,
) -> Result<(), Failure> {
    let reference = ImageReference::parse(&options.image)
        .map_err(Failure::from)?
        .to_string();
    let is_missing = || Ok::<_, Failure>(!session.images()?.iter().any(|image| image.reference == reference));
    let of_spec = options.spec.as_ref().map(|spec| spec.pull).unwrap_or_default();
    let pulls = match (policy, of_spec) {
        (Some(Pull::Never), _) | (None, PullPolicy::Never) => false,
        (Some(Pull::Always), _) | (None, PullPolicy::Always) => true,
        (Some(Pull::Missing), _) | (None, PullPolicy::Missing) => is_missing()?,
    };
    if pulls {
        session.pull(&reference, display)?;
    }
    Ok(())
}

fn refuse_what_is_not_built(create: &Create) -> Result<(), Failure> {
    let refuse = |message: &str, advice: &str| Err(Failure::new(Status::Unsupported, message, advice));
    if !create.publish.is_empty() {
        return refuse(
            "published ports (-p) are not built yet",
            "Use `--network host`: the container then listens on this machine's own ports.",
        );
    }
    Ok(())
}

/// Of each `KEY=VALUE` itself; of `KEY` that with the value which it has here, or nothing.
///
/// # Errors
/// There is no key.
pub(crate) fn variables(entries: &[String]) -> Result<Vec<String>, Failure> {
    let read = |entry: &String| match entry.split_once('=').map_or(entry.as_str(), |(key, _)| key) {
        "" => Some(Err(without_name("--env", "variable of the environment", entry))),
        key if key.len() < entry.len() => Some(Ok(entry.clone())),
        key => Some(Ok(format!("{key}={}", std::env::var(key).ok()?))),
    };
    entries.iter().filter_map(read).collect()
}

/// The keys and values of labels.
///
/// # Errors
/// There is no key.
pub(crate) fn pairs(labels: &[String]) -> Result<BTreeMap<String, String>, Failure> {
    let read = |label: &String| match label.split_once('=').unwrap_or((label, "")) {
        ("", _) => Err(without_name("--label", "label", label)),
        (key, value) => Ok((key.to_owned(), value.to_owned())),
    };
    labels.iter().map(read).collect()
}

fn without_name(option: &str, what: &str, text: &str) -> Failure {
    let message = format!("{option}: {text:?} names no {what}");
    Failure::new(Status::InvalidRequest, message, "Write KEY=VALUE or KEY.")
}

fn refused(error: SpecError) -> Failure {
    Failure::new(
        error.status(),
        error.to_string(),
        "`selur help run` describes the options.",
    )
}
