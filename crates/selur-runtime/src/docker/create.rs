//! Makes a container: what was asked for in the daemon's words, with selur's defaults and not the daemon's.

use super::documents::{ImageConfig, Made};
use super::failure::{self, About, invalid};
use super::lifecycle::{finish, until};
use super::site::Site;
use super::transport::Call;
use super::{SHORT_ANSWER_BYTES, images, labels, lives, volumes};
use crate::oci::{DEFAULT_CAPABILITIES, check_sources};
use crate::spec::parse_extra_host;
use crate::{ContainerSpec, Done, Mount, NetworkMode, RestartPolicy, RuntimeError};
use bollard::models::{
    ContainerCreateBody, HostConfig, HostConfigLogConfig, Mount as DaemonMount, MountBindOptions,
    MountBindOptionsPropagationEnum, MountType, RestartPolicy as DaemonPolicy, RestartPolicyNameEnum,
};
use bollard::query_parameters::RemoveContainerOptions;
use hyper::Method;
use selur_protocol::{ContainerId, Status};
use std::collections::HashMap;
use std::sync::Arc;
use tokio_util::sync::CancellationToken;

pub(super) async fn create(
    site: &Arc<Site>,
    id: ContainerId,
    image: String,
    name: Option<String>,
    spec: ContainerSpec,
    abort: CancellationToken,
) -> Result<Done, RuntimeError> {
    spec.check()?;
    labels::check(&spec.labels)?;
    check_mounts(&spec)?;
    if until(&abort, site.look(id)).await?.is_some() {
        let message = format!("the container {id} exists already");
        return Err(RuntimeError::new(Status::ContainerAlreadyExists, message));
    }
    let found = images::resolve(site, &image, spec.pull, &|_| {}, &abort).await?;
    until(&abort, volumes::make_all(site, &spec)).await?;
    let labels = labels::of_container(id, &image, &found.digest, &spec)?;
    let mut body = body(id, &spec, &image, &found.config, site.daemon.is_podman)?;
    body.labels = Some(labels);
    if abort.is_cancelled() {
        return Err(failure::cancelled());
    }
    // Cancelled when whoever waits goes away, too.
    let unwanted = abort.child_token();
    let _gone = unwanted.clone().drop_guard();
    let site = site.clone();
    finish(&abort, async move {
        let daemon_name = name.clone().unwrap_or_else(|| lives::placeholder(id));
        let query = [("name", daemon_name.as_str())];
        let call = Call::new(Method::POST, "/containers/create")
            .query(&query)
            .json(&body);
        let made = async {
            let mut answer = site.client.send(call, Some(SHORT_ANSWER_BYTES)).await?;
            let mut bytes = Vec::new();
            while let Some(piece) = answer.piece().await? {
                bytes.extend_from_slice(&piece);
            }
            serde_json::from_slice::<Made>(&bytes).map_err(failure::DaemonError::nonsense)
        };
        let made = match made.await {
            Ok(made) => made,
            Err(error) => {
                // Where its answer was lost, the daemon may have made it.
                let is_lost = !matches!(error, failure::DaemonError::Refused { .. });
                if is_lost && let Ok(Some(lost)) = site.find(id).await {
                    undo(&site, &lost).await?;
                }
                return Err(refused(error, name.as_deref()));
            }
        };
        let looking = async {
            if unwanted.is_cancelled() {
                return Err(failure::cancelled());
            }
            site.expect(id).await
        };
        match looking.await {
            Ok(look) => Ok(look.done()),
            Err(error) => {
                undo(&site, &made.id).await?;
                Err(error)
            }
        }
    })
    .await
}

/// Refuses what the daemons would take for something else: podman splits its mounts at commas, and makes directories
/// on the host where nothing is.
fn check_mounts(spec: &ContainerSpec) -> Result<(), RuntimeError> {
    for (index, mount) in spec.mounts.iter().enumerate() {
        let (source, target, no_colon) = match mount {
            Mount::Bind { source, target, .. } | Mount::Volume { source, target, .. } => {
                (source.as_str(), target, false)
            }
            Mount::Tmpfs { target, .. } => ("", target, true),
        };
        for (field, path) in [("source", source), ("target", target)] {
            if path.contains(',') || no_colon && path.contains(':') {
                return Err(invalid(format!(
                    "mounts[{index}].{field}: {path:?} has a comma or a colon, at which daemons split it: rename it"
                )));
            }
        }
    }
    check_sources(spec)
}

fn refused(error: failure::DaemonError, name: Option<&str>) -> RuntimeError {
    let doing = match name {
        Some(name) => format!("cannot make the container {name}"),
        None => "cannot make the container".to_owned(),
    };
    let error = error.into_runtime(About::Creation, doing);
    match (error.status(), name) {
        (Status::ContainerAlreadyExists, Some(name)) => {
            let message = format!(
                "a container of this daemon has the name {name} already, which may be one that selur did not make \
                 (`docker ps -a` lists them): choose another, or delete that one first"
            );
            RuntimeError::with_source(Status::ContainerAlreadyExists, message, error)
        }
        _ => error,
    }
}

async fn undo(site: &Site, daemon_id: &str) -> Result<(), RuntimeError> {
    let options = RemoveContainerOptions {
        force: true,
        v: true,
        link: false,
    };
    let removed = site
        .client
        .typed()
        .remove_container(daemon_id, Some(options))
        .await;
    match removed.map_err(failure::DaemonError::from) {
        Err(error) if !error.is_missing() => {
            Err(error.into_runtime(About::Container, "cannot undo the creation of a container"))
        }
        _ => Ok(()),
    }
}

fn body(
    id: ContainerId,
    spec: &ContainerSpec,
    image: &str,
    of_image: &ImageConfig,
    is_podman: bool,
) -> Result<ContainerCreateBody, RuntimeError> {
    let mut arguments = arguments(spec, of_image).into_iter();
    let program = arguments.next().filter(|program| !program.is_empty());
    let program =
        program.ok_or_else(|| invalid(format!("{image} names no command: say which one to run")))?;
    let own_hostname = || id.to_string().chars().take(12).collect();
    let hostname = match spec.network {
        NetworkMode::None => Some(spec.hostname.clone().unwrap_or_else(own_hostname)),
        NetworkMode::Host => spec.hostname.clone(),
    };
    Ok(ContainerCreateBody {
        image: Some(image.to_owned()),
        // Written out whole: the daemons differ in what an empty list means.
        entrypoint: Some(vec![program]),
        cmd: Some(arguments.collect()),
        env: Some(spec.environment.clone()),
        working_dir: spec.working_directory.clone(),
        user: spec.user.clone(),
        hostname,
        stop_signal: spec.stop_signal.clone(),
        stop_timeout: spec.stop_timeout_ms.map(|ms| i64::from(ms.div_ceil(1000))),
        open_stdin: Some(spec.stdin),
        // Else an input that ends never ends for the process. A terminal has no end.
        stdin_once: Some(spec.stdin && !spec.terminal),
        tty: Some(spec.terminal),
        host_config: Some(host_config(spec, is_podman)?),
        ..ContainerCreateBody::default()
    })
}

/// Entrypoint and command as Docker joins them.
fn arguments(spec: &ContainerSpec, image: &ImageConfig) -> Vec<String> {
    let (entrypoint, command) = match (&spec.entrypoint, &spec.command) {
        (Some(entrypoint), command) => (entrypoint, command.as_ref()),
        (None, Some(command)) => (&image.entrypoint, Some(command)),
        (None, None) => (&image.entrypoint, Some(&image.cmd)),
    };
    entrypoint
        .iter()
        .chain(command.into_iter().flatten())
        .cloned()
        .collect()
}

fn host_config(spec: &ContainerSpec, is_podman: bool) -> Result<HostConfig, RuntimeError> {
    let network = match spec.network {
        NetworkMode::None => "none",
        NetworkMode::Host => "host",
    };
    let hosts = spec.extra_hosts.iter().map(|entry| {
        let (name, address) = parse_extra_host(entry)?;
        Ok(format!("{name}:{address}"))
    });
    let hosts = hosts.collect::<Result<Vec<_>, RuntimeError>>()?;
    let bytes = |bytes: u64| i64::try_from(bytes).unwrap_or(i64::MAX);
    let memory = spec.resources.memory_bytes.map(bytes);
    let (cap_add, cap_drop) = capabilities(spec);
    Ok(HostConfig {
        network_mode: Some(network.to_owned()),
        restart_policy: Some(policy(spec.restart)),
        memory,
        // No more than the memory: it does not swap.
        memory_swap: memory,
        #[allow(
            clippy::cast_possible_truncation,
            reason = "a number of processors, which was checked"
        )]
        nano_cpus: spec.resources.cpus.map(|cpus| (cpus * 1e9) as i64),
        // Podman has a limit of its own where none is given.
        pids_limit: Some(spec.resources.pids.map_or(-1, i64::from)),
        readonly_rootfs: Some(spec.read_only_root),
        cap_add: Some(cap_add),
        cap_drop: Some(cap_drop),
        security_opt: Some(vec!["no-new-privileges".to_owned()]),
        extra_hosts: (!hosts.is_empty()).then_some(hosts),
        mounts: Some(spec.mounts.iter().filter_map(mount).collect()),
        tmpfs: Some(
            spec.mounts
                .iter()
                .filter_map(|mount| tmpfs(mount, is_podman))
                .collect(),
        ),
        log_config: Some(log_config(is_podman)),
        ..HostConfig::default()
    })
}

/// Logs are read through the daemon: it must keep them, and not for ever. Podman names the driver otherwise.
fn log_config(is_podman: bool) -> HostConfigLogConfig {
    let own = |(name, value): (&str, &str)| (name.to_owned(), value.to_owned());
    let (driver, options) = match is_podman {
        true => ("k8s-file", HashMap::from([("max-size", "10m")].map(own))),
        false => (
            "json-file",
            HashMap::from([("max-size", "10m"), ("max-file", "3")].map(own)),
        ),
    };
    HostConfigLogConfig {
        typ: Some(driver.to_owned()),
        config: Some(options),
    }
}

fn policy(policy: RestartPolicy) -> DaemonPolicy {
    let (name, most) = match policy {
        // To the daemons, none at most is without end.
        RestartPolicy::No | RestartPolicy::OnFailure(Some(0)) => (RestartPolicyNameEnum::NO, None),
        RestartPolicy::OnFailure(most) => (RestartPolicyNameEnum::ON_FAILURE, most.map(i64::from)),
    };
    DaemonPolicy {
        name: Some(name),
        maximum_retry_count: most,
    }
}

/// What is added and dropped. Podman's defaults are fewer than Docker's: all are written out.
fn capabilities(spec: &ContainerSpec) -> (Vec<String>, Vec<String>) {
    let asked = &spec.capabilities;
    if asked.add.iter().any(|name| name == "ALL") {
        return (asked.add.clone(), asked.drop.clone());
    }
    let given = asked.over(&DEFAULT_CAPABILITIES, u64::MAX);
    let given = given.into_iter().map(str::to_owned).collect();
    (given, vec!["ALL".to_owned()])
}

fn mount(mount: &Mount) -> Option<DaemonMount> {
    let of = |typ, source: Option<&String>, target: &String, read_only| DaemonMount {
        typ: Some(typ),
        source: source.cloned(),
        target: Some(target.clone()),
        read_only: Some(read_only),
        ..DaemonMount::default()
    };
    Some(match mount {
        Mount::Bind {
            source,
            target,
            read_only,
        } => DaemonMount {
            bind_options: Some(MountBindOptions {
                propagation: Some(MountBindOptionsPropagationEnum::RPRIVATE),
                ..MountBindOptions::default()
            }),
            ..of(MountType::BIND, Some(source), target, *read_only)
        },
        Mount::Volume {
            source,
            target,
            read_only,
        } => of(MountType::VOLUME, Some(source), target, *read_only),
        Mount::Tmpfs { .. } => return None,
    })
}

/// A tmpfs by its options: podman takes other sizes and modes from a mount than Docker.
fn tmpfs(mount: &Mount, is_podman: bool) -> Option<(String, String)> {
    let Mount::Tmpfs {
        target,
        size_bytes,
        mode,
        read_only,
    } = mount
    else {
        return None;
    };
    let access = if *read_only { "ro" } else { "rw" };
    let mode = mode.as_deref().unwrap_or("1777");
    let mut options = format!("{access},noexec,nosuid,nodev,mode={mode}");
    if let Some(bytes) = size_bytes {
        options.push_str(&format!(",size={bytes}"));
    }
    if is_podman {
        // Else it begins with what the image has there.
        options.push_str(",notmpcopyup");
    }
    Some((target.clone(), options))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a failed unwrap fails the test")]
mod tests {
    use super::*;
    use crate::{Capabilities, Resources};
    use serde_json::{Value, json};

    fn made(spec: &ContainerSpec) -> Value {
        let image = ImageConfig {
            entrypoint: vec!["/entry".into()],
            cmd: vec!["serve".into()],
            ..ImageConfig::default()
        };
        let body = body(ContainerId::from_bytes([1; 16]), spec, "x", &image, false);
        serde_json::to_value(body.unwrap()).unwrap()
    }

    #[test]
    fn what_is_not_asked_for_has_selurs_defaults() {
        let body = made(&ContainerSpec::default());
        assert_eq!(body["HostConfig"]["NetworkMode"], "none");
        assert_eq!(body["HostConfig"]["RestartPolicy"]["Name"], "no");
        assert_eq!(body["HostConfig"]["PidsLimit"], -1);
        assert_eq!(body["HostConfig"]["CapDrop"], json!(["ALL"]));
        assert_eq!(body["HostConfig"]["CapAdd"].as_array().map(Vec::len), Some(14));
        assert_eq!(body["HostConfig"]["SecurityOpt"], json!(["no-new-privileges"]));
        assert_eq!(
            (&body["Entrypoint"], &body["Cmd"]),
            (&json!(["/entry"]), &json!(["serve"]))
        );
        assert_eq!(body["Hostname"], "010101010101");
    }

    #[test]
    fn what_is_asked_for_reaches_the_daemon() {
        let spec = ContainerSpec::from_json(
            r#"{"command":["a","b"],"entrypoint":[],"environment":["A=1"],"working_directory":"/w","user":"7:8",
                "hostname":"h","network":"host","restart":"on-failure:3","stop_signal":"SIGINT","stop_timeout_ms":1500,
                "stdin":true,"mounts":[{"type":"bind","source":"/s","target":"/t","read_only":true},
                {"type":"volume","source":"v","target":"/v"},
                {"type":"tmpfs","target":"/m","size_bytes":4096,"mode":"1777"}],
                "resources":{"memory_bytes":8388608,"cpus":1.5,"pids":9},"read_only_root":true,
                "capabilities":{"drop":["CHOWN"],"add":["NET_ADMIN"]},"extra_hosts":["db:[fd00::7]"]}"#,
        );
        let body = made(&spec.unwrap());
        assert_eq!(
            (&body["Entrypoint"], &body["Cmd"]),
            (&json!(["a"]), &json!(["b"]))
        );
        assert_eq!(
            (&body["StopTimeout"], &body["StdinOnce"]),
            (&json!(2), &json!(true))
        );
        let host = &body["HostConfig"];
        assert_eq!(
            host["RestartPolicy"],
            json!({ "Name": "on-failure", "MaximumRetryCount": 3 })
        );
        assert_eq!(
            (&host["Memory"], &host["MemorySwap"]),
            (&json!(8_388_608), &json!(8_388_608))
        );
        assert_eq!(
            (&host["NanoCpus"], &host["PidsLimit"]),
            (&json!(1_500_000_000), &json!(9))
        );
        assert_eq!(host["ExtraHosts"], json!(["db:fd00::7"]));
        assert_eq!(host["Mounts"][0]["BindOptions"]["Propagation"], "rprivate");
        assert_eq!(host["Mounts"][1]["Source"], "v");
        assert_eq!(
            host["Tmpfs"],
            json!({ "/m": "rw,noexec,nosuid,nodev,mode=1777,size=4096" })
        );
        let given = host["CapAdd"].as_array().unwrap();
        assert!(given.contains(&json!("CAP_NET_ADMIN")) && !given.contains(&json!("CAP_CHOWN")));
    }

    #[test]
    fn an_image_without_a_command_needs_one() {
        let none = ImageConfig::default();
        let spec = ContainerSpec::default();
        let refused = body(ContainerId::from_bytes([1; 16]), &spec, "x", &none, false);
        assert_eq!(
            refused.map(drop).map_err(|error| error.status()),
            Err(Status::InvalidRequest)
        );
    }

    #[test]
    fn mounts_that_the_daemon_would_take_for_others_are_refused() {
        let refused = |mounts: &str| {
            let spec = ContainerSpec::from_json(&format!(r#"{{"mounts":[{mounts}]}}"#));
            let checked = check_mounts(&spec.unwrap());
            checked.map_err(|error| (error.status(), error.chain().contains("mounts[0]")))
        };
        let no = Err((Status::InvalidRequest, true));
        assert_eq!(
            refused(r#"{"type":"bind","source":"/nonexistent/s","target":"/t"}"#),
            no
        );
        assert_eq!(
            refused(r#"{"type":"bind","source":"/","target":"/t,ro=false"}"#),
            no
        );
        assert_eq!(refused(r#"{"type":"tmpfs","target":"/m:exec"}"#), no);
        assert_eq!(refused(r#"{"type":"bind","source":"/","target":"/t:u"}"#), Ok(()));
    }

    #[test]
    fn no_restarts_at_most_is_no_policy() {
        let spec = ContainerSpec {
            restart: RestartPolicy::OnFailure(Some(0)),
            resources: Resources::default(),
            capabilities: Capabilities {
                add: vec!["ALL".into()],
                drop: vec![],
            },
            ..ContainerSpec::default()
        };
        let body = made(&spec);
        assert_eq!(body["HostConfig"]["RestartPolicy"]["Name"], "no");
        assert_eq!(body["HostConfig"]["CapAdd"], json!(["ALL"]));
    }
}
