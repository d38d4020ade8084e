//! Runs further processes in a running container: each has an errand of the shim's program that starts it, waits for
//! it, and ends it when this side hangs up. Its bytes flow through kernel pipes, or a terminal, between it and here.

use super::session::{self, Channel};
use super::{Site, block, failure};
use crate::{ExecSpec, RuntimeError, Session};
use rustix::pipe::{PipeFlags, pipe_with};
use rustix::rand::{GetRandomFlags, getrandom};
use selur_protocol::{ContainerId, State};
use selur_shim::{Errand, Further};
use std::io;
use std::net::Shutdown;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use tokio_util::sync::CancellationToken;

pub(super) async fn exec(
    site: &Arc<Site>,
    id: ContainerId,
    spec: ExecSpec,
    abort: CancellationToken,
) -> Result<Session, RuntimeError> {
    spec.check()?;
    let failed = |error: io::Error| failure::io("cannot prepare the process", error);
    let (own, theirs) = UnixStream::pair().map_err(failed)?;
    let line = own.try_clone().map_err(failed)?;
    let mut random = [0; 8];
    getrandom(&mut random, GetRandomFlags::empty()).map_err(|error| failed(error.into()))?;
    let number = u64::from_ne_bytes(random);
    let launch = block(site, move |site| {
        let launched = launch(site, id, spec, number, (own, theirs));
        // An errand may have died when its process was there.
        let rescuer = site.clone();
        let rescue = move || rescuer.end_orphans_of(id, number);
        match launched {
            Ok(channel) => Ok(Channel {
                rescue: Some(Box::new(rescue)),
                ..channel
            }),
            Err(error) => {
                // Nobody has to wait for that.
                tokio::task::spawn_blocking(rescue);
                Err(error)
            }
        }
    });
    tokio::pin!(launch);
    let channel = tokio::select! {
        channel = &mut launch => channel?,
        () = abort.cancelled() => {
            // Where the process runs already, it is killed.
            let _ = line.shutdown(Shutdown::Both);
            let _ = launch.await;
            return Err(failure::cancelled());
        }
    };
    drop(line);
    session::open(channel).map_err(|error| failure::io("cannot wait for the process", error))
}

fn launch(
    site: &Site,
    id: ContainerId,
    spec: ExecSpec,
    number: u64,
    sockets: (UnixStream, UnixStream),
) -> Result<Channel, RuntimeError> {
    let life = site.life(id)?.ok_or_else(|| failure::not_found(id))?;
    if life.state != State::Running {
        return Err(failure::wrong_state("run a further process in", life.state));
    }
    let pipe = |is_wanted: bool| match is_wanted {
        true => pipe_with(PipeFlags::CLOEXEC)
            .map(Some)
            .map_err(|error| failure::io("cannot make a pipe", error.into())),
        false => Ok(None),
    };
    let stdin = pipe(spec.stdin && !spec.terminal)?;
    let stdout = pipe(!spec.terminal)?;
    let stderr = pipe(!spec.terminal)?;
    let (own_stdin, theirs): (Option<OwnedFd>, Vec<OwnedFd>) = match stdin {
        Some((read, write)) => (Some(write), vec![read]),
        None => (None, Vec::new()),
    };
    let mut theirs = theirs;
    let mut outputs = [stdout, stderr].map(|pipe| {
        pipe.map(|(read, write)| {
            theirs.push(write);
            read
        })
    });
    let passed: Vec<BorrowedFd<'_>> = theirs.iter().map(AsFd::as_fd).collect();
    let accepts_input = spec.stdin;
    let terminal = spec.terminal;
    let errand = Errand::Exec(Further {
        arguments: spec.command,
        environment: spec.environment,
        working_directory: spec.working_directory,
        user: spec.user,
        terminal,
        size: spec.size.map(|size| (size.rows, size.columns)),
        stdin: accepts_input,
        number: Some(number),
    });
    let launched = site
        .launcher
        .launch_over(Ok(sockets), &site.root, id, errand, &passed)?;
    let master = launched.descriptors.into_iter().next();
    if terminal && master.is_none() {
        return Err(failure::internal("the shim passed no terminal"));
    }
    Ok(Channel {
        end: launched.socket,
        stdin: own_stdin,
        outputs: [outputs[0].take(), outputs[1].take()],
        terminal: master,
        accepts_input,
        rescue: None,
    })
}
