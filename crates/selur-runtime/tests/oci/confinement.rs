//! What a container may not do, and what it sees.

use crate::support::*;
use selur_runtime::{ContainerSpec, NetworkMode};
use selur_testkit::ImageBuilder;
use std::process::Command;

/// Makes system calls and prints what the kernel answers.
const PROBE: &str = r#"
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/syscall.h>
#include <unistd.h>
static void try(const char *name, long outcome) {
    printf("%s %s\n", name, outcome == -1 ? strerrorname_np(errno) : "allowed");
}
int main(void) {
    char attributes[128] = {0};
    try("mount", mount("none", "/tmp", "tmpfs", 0, 0));
    try("bpf", syscall(SYS_bpf, 0, attributes, sizeof attributes));
    try("keyctl", syscall(SYS_keyctl, 0, -3, 0));
    try("unshare", syscall(SYS_unshare, 0x10000000));
    try("clone3", syscall(SYS_clone3, 0, 0));
    try("getpid", getpid());
    return 0;
}
"#;

async fn world() -> World {
    let image = ImageBuilder::busybox().files([
        (
            "etc/passwd",
            &b"root:x:0:0:root:/root:/bin/sh\nweb:x:1000:1001::/home/web:\n"[..],
        ),
        ("etc/group", b"root:x:0:\nweb:x:1001:\nextra:x:1002:web\n"),
        ("tmp/probe", &probe()),
    ]);
    World::with(&image).await
}

fn probe() -> Vec<u8> {
    let directory = tempfile::tempdir().unwrap();
    let (source, program) = (directory.path().join("probe.c"), directory.path().join("probe"));
    std::fs::write(&source, PROBE).unwrap();
    let compiler = Command::new("cc")
        .args(["-D_GNU_SOURCE", "-static", "-o"])
        .arg(&program)
        .arg(&source)
        .output();
    let compiler = compiler.expect("a C compiler: apt-get install gcc libc6-dev");
    assert!(
        compiler.status.success(),
        "{}",
        String::from_utf8_lossy(&compiler.stderr)
    );
    std::fs::read(program).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_container_is_confined_as_docker_confines_it() {
    let world = world().await;
    let script = "cat /proc/self/status /proc/mounts; mknod /dev/mem c 1 1 && head -c1 /dev/mem 2>&1; \
                  for f in /sys/x /proc/sys/kernel/hostname /sys/fs/cgroup/x; do (echo x > $f) 2>&1; done; true";
    let (code, output) = world.output_of(shell(script)).await;
    assert_eq!(code, Some(0), "{output}");
    for line in [
        "Seccomp:\t2",
        "NoNewPrivs:\t1",
        "CapBnd:\t00000000a80425fb",
        "CapInh:\t0000000000000000",
    ] {
        assert!(output.contains(line), "{line:?} is missing: {output}");
    }
    assert_eq!(output.matches("Read-only file system").count(), 3, "{output}");
    assert!(output.contains("/dev/mem: Operation not permitted"), "{output}");
    assert!(output.contains("tmpfs /proc/keys"), "{output}");
}

#[tokio::test(flavor = "multi_thread")]
async fn dangerous_system_calls_are_refused() {
    let world = world().await;
    let (code, output) = world.output_of(command(&["/tmp/probe"])).await;
    let expected = "mount EPERM\nbpf EPERM\nkeyctl EPERM\nunshare EPERM\nclone3 ENOSYS\ngetpid allowed\n";
    assert_eq!((code, output.as_str()), (Some(0), expected));
}

#[tokio::test(flavor = "multi_thread")]
async fn every_namespace_is_the_containers_own() {
    let world = world().await;
    let kinds = ["mnt", "pid", "uts", "ipc", "net", "cgroup"];
    let script = format!(
        "for n in {}; do readlink /proc/self/ns/$n; done; cat /proc/net/dev",
        kinds.join(" ")
    );
    let (_, output) = world.output_of(shell(&script)).await;
    for kind in kinds {
        let host = std::fs::read_link(format!("/proc/self/ns/{kind}")).unwrap();
        assert!(output.contains(&format!("{kind}:[")), "{output}");
        assert!(!output.contains(host.to_str().unwrap()), "{kind} is the host's");
    }
    assert_eq!(output.matches("lo:").count(), 1, "{output}");
    assert!(!output.contains("eth0"), "{output}");
    let (code, output) = world.output_of(shell("ping -c1 -W5 127.0.0.1")).await;
    assert_eq!(code, Some(0), "loopback is down: {output}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_hosts_network_is_seen_on_request() {
    let world = world().await;
    let spec = ContainerSpec {
        network: NetworkMode::Host,
        ..shell("readlink /proc/self/ns/net; cat /etc/resolv.conf")
    };
    let (_, output) = world.output_of(spec).await;
    let host = std::fs::read_link("/proc/self/ns/net").unwrap();
    let resolvers = std::fs::read_to_string("/etc/resolv.conf").unwrap_or_default();
    assert_eq!(output, format!("{}\n{resolvers}", host.display()));
}

#[tokio::test(flavor = "multi_thread")]
async fn names_users_directories_and_variables_arrive_as_they_were_given() {
    let world = world().await;
    let hostile = "$(touch /tmp/x) \"quoted\" \\ ' \n \u{1} \"user\":\"@user@\" ünï";
    let spec = ContainerSpec {
        user: Some("web".into()),
        hostname: Some("gate-1".into()),
        working_directory: Some("/srv/not there yet".into()),
        environment: vec![format!("HOSTILE={hostile}"), "EMPTY=".into()],
        labels: [("user".into(), "@user@".into()), ("\n\"".into(), hostile.into())].into(),
        ..shell(
            "env | grep -c GOGC; id; hostname; pwd; grep gate-1 /etc/hosts; cat /etc/hostname; echo \"$HOSTILE|$EMPTY|$HOME\"",
        )
    };
    let labels = spec.labels.clone();
    let id = world.create(spec).await;
    world.perform(id, selur_runtime::Operation::Start).await.unwrap();
    world.ended(id).await;
    let output = world.log(id, selur_runtime::OutputStream::Stdout).await;
    let expected = format!(
        "0\nuid=1000(web) gid=1001(web) groups=1001(web),1002(extra)\ngate-1\n/srv/not there yet\n\
         127.0.0.1\tlocalhost gate-1\ngate-1\n{hostile}||/home/web\n"
    );
    assert_eq!(output, expected);
    assert_eq!(world.inspect(id).await.labels, labels);
}
