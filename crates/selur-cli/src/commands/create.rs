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
            ContainerName::parse(name)?;
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
    let json = std::fs::read_to_string(path)
        .map_err(|error| Failure::io(format_args!("cannot read {}", path.display()), &error))?;
    ContainerSpec::from_json(&json).map_err(refused)
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
    spec.environment
        .extend(create.env.iter().filter_map(|entry| variable(entry)));
    set(&mut spec.working_directory, &create.workdir);
    set(&mut spec.user, &create.user);
    set(&mut spec.stop_signal, &create.stop_signal);
    spec.labels.extend(create.label.iter().map(|label| pair(label)));
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
    if create.pids_limit.is_some() {
        spec.resources.pids = create.pids_limit;
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

/// `KEY=VALUE` as it is; `KEY` with the value that it has here, or nothing.
pub(crate) fn variable(entry: &str) -> Option<String> {
    if entry.contains('=') {
        return Some(entry.to_owned());
    }
    Some(format!("{entry}={}", std::env::var(entry).ok()?))
}

pub(crate) fn pair(label: &str) -> (String, String) {
    let (key, value) = label.split_once('=').unwrap_or((label, ""));
    (key.to_owned(), value.to_owned())
}

fn refused(error: SpecError) -> Failure {
    Failure::new(
        error.status(),
        error.to_string(),
        "`selur help run` describes the options.",
    )
}
