//! `create`, and what `run` shares with it: the specification from the options, the image before the container.

use crate::cli::{Create, Global, Network, Pull};
use crate::failure::Failure;
use crate::output;
use crate::progress::PullDisplay;
use crate::session::Session;
use selur_core::{ContainerId, ContainerSpec, CreateOptions, NetworkMode, PullPolicy, Status};
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
    let mut spec = ContainerSpec {
        command: (!command.is_empty()).then(|| command.to_vec()),
        environment: create.env.iter().filter_map(|entry| variable(entry)).collect(),
        working_directory: create.workdir.clone(),
        user: create.user.clone(),
        hostname: create.hostname.clone(),
        stop_signal: create.stop_signal.clone(),
        ..ContainerSpec::default()
    };
    spec.entrypoint = create.entrypoint.as_ref().map(|program| match program.as_str() {
        "" => Vec::new(),
        program => vec![program.to_owned()],
    });
    spec.labels = create.label.iter().map(|label| pair(label)).collect();
    spec.network = match create.network {
        Network::None => NetworkMode::None,
        Network::Host => NetworkMode::Host,
    };
    // What had to be pulled has been pulled with its progress shown, before the create: see `fetch`.
    spec.pull = match create.pull {
        Pull::Never => PullPolicy::Never,
        Pull::Missing | Pull::Always => PullPolicy::Missing,
    };
    if let Some(policy) = &create.restart {
        spec.restart = policy.clone().try_into().map_err(refused)?;
    }
    if let Some(timeout) = create.stop_timeout {
        // The argument's grammar bounds it.
        spec.stop_timeout_ms = u32::try_from(timeout.as_millis()).ok();
    }
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

/// Pulls the image if the policy says so, with its progress shown: a create pulls too, but silently.
///
/// # Errors
/// The reference is none, or the pull failed.
pub(crate) fn fetch(
    session: &Session,
    options: &CreateOptions,
    policy: Pull,
    display: PullDisplay,
) -> Result<(), Failure> {
    let reference = ImageReference::parse(&options.image)
        .map_err(Failure::from)?
        .to_string();
    let is_missing = || Ok::<_, Failure>(!session.images()?.iter().any(|image| image.reference == reference));
    let pulls = match policy {
        Pull::Never => false,
        Pull::Always => true,
        Pull::Missing => is_missing()?,
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
    if create.interactive || create.tty {
        return refuse(
            "interactive containers and terminals (-i, -t) are not built yet",
            "Leave them out: `selur run` shows the output and passes signals on.",
        );
    }
    Ok(())
}

/// `KEY=VALUE` as it is; `KEY` with the value that it has here, or nothing.
fn variable(entry: &str) -> Option<String> {
    if entry.contains('=') {
        return Some(entry.to_owned());
    }
    Some(format!("{entry}={}", std::env::var(entry).ok()?))
}

fn pair(label: &str) -> (String, String) {
    let (key, value) = label.split_once('=').unwrap_or((label, ""));
    (key.to_owned(), value.to_owned())
}

fn refused(error: impl std::fmt::Display) -> Failure {
    Failure::new(
        Status::InvalidRequest,
        error.to_string(),
        "`selur help run` describes the options.",
    )
}
