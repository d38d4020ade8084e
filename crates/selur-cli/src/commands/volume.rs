//! The commands about named volumes: create, ls, rm, inspect.

use super::create::pairs;
use crate::age;
use crate::cli::{Format, Global, Volume, VolumeCreate, VolumeLs, Volumes};
use crate::failure::{FAILED, Failure};
use crate::output::{self, Table};
use crate::session::Session;
use serde_json::json;

/// Does what is asked of volumes.
///
/// # Errors
/// The bridge cannot be opened, or the output is closed.
pub(crate) fn volume(volume: &Volume, global: &Global) -> Result<u8, Failure> {
    let session = Session::open(global)?;
    match volume {
        Volume::Create(create) => make(&session, create, global.format),
        Volume::Ls(ls) => list(&session, ls),
        Volume::Rm(volumes) => remove(&session, volumes, global.format),
        Volume::Inspect(volumes) => inspect(&session, volumes, global.format),
    }
}

fn make(session: &Session, create: &VolumeCreate, format: Format) -> Result<u8, Failure> {
    let labels = pairs(&create.label)?;
    let options = selur_core::VolumeOptions { labels };
    let code = each(&create.volumes, format, "created", session, |name| {
        session.create_volume(name, &options)
    })?;
    session.remind("the volume is gone with this command");
    Ok(code)
}

fn remove(session: &Session, volumes: &Volumes, format: Format) -> Result<u8, Failure> {
    each(volumes, format, "removed", session, |name| {
        session.delete_volume(name)
    })
}

/// Does something to each volume and prints its name; one that fails does not keep the others.
fn each(
    volumes: &Volumes,
    format: Format,
    done: &str,
    session: &Session,
    mut act: impl FnMut(&str) -> Result<(), Failure>,
) -> Result<u8, Failure> {
    let mut code = 0;
    for name in &volumes.names {
        match act(name) {
            Ok(()) if format == Format::Json => output::json(&json!({ "volume": name, "done": done }))?,
            Ok(()) => output::line(output::escape(name))?,
            Err(failure) => {
                session.explain(failure).about("volume", name).print(format);
                code = FAILED;
            }
        }
    }
    Ok(code)
}

fn list(session: &Session, ls: &VolumeLs) -> Result<u8, Failure> {
    let volumes = session.volumes()?;
    session.remind("its world is empty when a command begins");
    if session.is_json() {
        output::json(&volumes)?;
        return Ok(0);
    }
    if ls.quiet {
        for volume in &volumes {
            output::line(output::escape(&volume.name))?;
        }
        return Ok(0);
    }
    let mut table = Table::new(&["VOLUME", "CONTAINERS", "CREATED", "PATH"]);
    for volume in &volumes {
        table.row([
            volume.name.clone(),
            volume.containers.len().to_string(),
            age::since(&volume.created_at),
            volume.path.clone().unwrap_or_default(),
        ]);
    }
    table.print()?;
    Ok(0)
}

fn inspect(session: &Session, volumes: &Volumes, format: Format) -> Result<u8, Failure> {
    let (mut found, mut code) = (Vec::new(), 0);
    for name in &volumes.names {
        match session.inspect_volume(name) {
            Ok(volume) => found.push(volume),
            Err(failure) => {
                session.explain(failure).about("volume", name).print(format);
                code = FAILED;
            }
        }
    }
    output::json(&found)?;
    Ok(code)
}
