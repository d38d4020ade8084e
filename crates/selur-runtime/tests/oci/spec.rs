//! Mounts, limits and powers: what a specification asks for is what a real container has.

use crate::support::*;
use selur_protocol::Status;
use selur_runtime::{Capabilities, ContainerSpec, Mount, Operation, OutputStream, Resources};
use selur_testkit::ImageBuilder;

fn bind(source: &std::path::Path, target: &str, read_only: bool) -> Mount {
    Mount::Bind {
        source: source.to_str().unwrap().into(),
        target: target.into(),
        read_only,
    }
}

fn tmpfs(target: &str) -> Mount {
    Mount::Tmpfs {
        target: target.into(),
        size_bytes: None,
        mode: None,
        read_only: false,
    }
}

fn words(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}

/// The value that the container's own cgroup shows under the names of v1 or v2.
fn cgroup_value(v1: &str, v2: &str) -> String {
    format!("cat /sys/fs/cgroup/{v1} 2>/dev/null || cat /sys/fs/cgroup/{v2}")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_container_sees_directories_and_files_of_the_host() {
    let world = World::new().await;
    let host = world.directory.path().join("host, with: odd \\ letters");
    std::fs::create_dir_all(host.join("inner")).unwrap();
    std::fs::write(host.join("file"), "from the host\n").unwrap();
    let spec = ContainerSpec {
        mounts: vec![
            bind(&host, "/mnt/both//ways/", false),
            bind(&host, "/mnt/only", true),
            bind(&host.join("file"), "/etc/motd", true),
        ],
        ..shell(
            "cat /etc/motd /mnt/only/file; echo made > /mnt/both/ways/inner/new; cat /mnt/only/inner/new; \
             (echo x > /mnt/only/file) 2>&1; (echo x > /etc/motd) 2>&1; ls /mnt",
        )
    };
    let id = world.create(spec).await;
    world.perform(id, Operation::Start).await.unwrap();
    world.ended(id).await;
    let output = world.log(id, OutputStream::Stdout).await;
    assert!(
        output.starts_with("from the host\nfrom the host\nmade\n"),
        "{output}"
    );
    assert_eq!(output.matches("Read-only file system").count(), 2, "{output}");
    assert!(output.ends_with("both\nonly\n"), "{output}");
    world.delete_stopped(id).await;
    assert_eq!(std::fs::read_to_string(host.join("inner/new")).unwrap(), "made\n");
    assert_eq!(
        std::fs::read_to_string(host.join("file")).unwrap(),
        "from the host\n"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_mounted_below_a_read_only_mount_is_read_only_too() {
    let world = World::new().await;
    let spec = ContainerSpec {
        // A directory of the host that has other file systems below it on every machine.
        mounts: vec![bind("/sys".as_ref(), "/host/sys", true)],
        ..shell("grep ' /host/sys' /proc/mounts | cut -d' ' -f2,4")
    };
    let (_, output) = world.output_of(spec).await;
    assert!(output.lines().count() > 1, "{output}");
    for line in output.lines() {
        assert!(line.contains(" ro,"), "{line}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_that_does_not_exist_is_refused() {
    let world = World::new().await;
    let missing = world.directory.path().join("missing");
    let spec = ContainerSpec {
        mounts: vec![bind(&missing, "/mnt", false)],
        ..shell("true")
    };
    let error = world
        .perform(new_id(), creation(None, spec.clone()))
        .await
        .unwrap_err();
    assert_eq!(error.status(), Status::InvalidRequest, "{error}");
    assert!(error.to_string().contains("mounts[0].source"), "{error}");

    std::fs::create_dir(&missing).unwrap();
    let id = world.create(spec).await;
    std::fs::remove_dir(&missing).unwrap();
    let error = world.perform(id, Operation::Start).await.unwrap_err();
    assert_eq!(error.status(), Status::InvalidRequest, "{error}");
    world.delete_stopped(id).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_read_only_root_takes_no_writes_and_a_tmpfs_does() {
    let world = World::new().await;
    let spec = ContainerSpec {
        read_only_root: true,
        mounts: vec![
            tmpfs("/scratch"),
            Mount::Tmpfs {
                target: "/small".into(),
                size_bytes: Some(1 << 20),
                mode: Some("750".into()),
                read_only: false,
            },
            Mount::Tmpfs {
                target: "/sealed".into(),
                size_bytes: None,
                mode: None,
                read_only: true,
            },
        ],
        ..shell(
            "(echo x > /etc/x) 2>&1; (echo x > /sealed/x) 2>&1; echo ok > /scratch/x && cat /scratch/x; \
             stat -c '%a %n' /scratch /small; grep -E ' /(scratch|small) ' /proc/mounts; \
             dd if=/dev/zero of=/small/x bs=64k count=64 2>&1 | grep -o 'No space left'; echo x > /dev/shm/x && echo shm",
        )
    };
    let (_, output) = world.output_of(spec).await;
    assert_eq!(output.matches("Read-only file system").count(), 2, "{output}");
    for line in [
        "\nok\n",
        "1777 /scratch\n",
        "750 /small\n",
        "No space left",
        "\nshm\n",
    ] {
        assert!(output.contains(line), "{line:?}: {output}");
    }
    for mount in output.lines().filter(|line| line.contains(" tmpfs ")) {
        for option in ["rw", "nosuid", "nodev", "noexec"] {
            assert!(mount.contains(option), "{option}: {mount}");
        }
    }
    assert!(output.contains("size=1024k"), "{output}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_that_needs_more_memory_than_it_may_have_is_killed() {
    let world = World::new().await;
    let limit = |memory_bytes, script: &str| ContainerSpec {
        resources: Resources {
            memory_bytes: Some(memory_bytes),
            ..Resources::default()
        },
        ..shell(script)
    };
    let shown = cgroup_value("memory/memory.limit_in_bytes", "memory.max");
    let swap = cgroup_value("memory/memory.memsw.limit_in_bytes", "memory.swap.max");
    let (_, output) = world
        .output_of(limit(32 << 20, &format!("{shown}; {swap}")))
        .await;
    let lines: Vec<_> = output.lines().collect();
    assert_eq!(lines[0], (32 << 20).to_string(), "{output}");
    assert!(lines[1] == lines[0] || lines[1] == "0", "{output}");
    // tail keeps the last line, and this one has no end.
    let id = world.create(limit(16 << 20, "exec tail /dev/zero")).await;
    world.perform(id, Operation::Start).await.unwrap();
    assert_eq!(world.ended(id).await.exit_code, Some(137));
    world.delete_stopped(id).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_container_makes_no_more_processes_than_it_may_have() {
    let world = World::new().await;
    let spec = ContainerSpec {
        resources: Resources {
            pids: Some(20),
            ..Resources::default()
        },
        ..shell(&format!(
            "{}; for i in $(seq 40); do sleep 1000 & done",
            cgroup_value("pids/pids.max", "pids.max")
        ))
    };
    let id = world.create(spec).await;
    world.perform(id, Operation::Start).await.unwrap();
    world.ended(id).await;
    assert_eq!(world.log(id, OutputStream::Stdout).await, "20\n");
    let said = world.log(id, OutputStream::Stderr).await;
    assert!(said.contains("can't fork"), "{said}");
    world.delete_stopped(id).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_part_of_a_processor_is_a_quota_of_its_period() {
    let world = World::new().await;
    let spec = |cpus| ContainerSpec {
        resources: Resources {
            cpus: Some(cpus),
            ..Resources::default()
        },
        ..shell(
            "cat /sys/fs/cgroup/cpu/cpu.cfs_quota_us /sys/fs/cgroup/cpu/cpu.cfs_period_us 2>/dev/null || cat /sys/fs/cgroup/cpu.max",
        )
    };
    let (_, output) = world.output_of(spec(0.25)).await;
    let numbers: Vec<_> = output.split_whitespace().collect();
    assert_eq!(numbers, ["25000", "100000"]);
    let error = world
        .perform(new_id(), creation(None, spec(1e6)))
        .await
        .unwrap_err();
    assert_eq!(error.status(), Status::InvalidRequest);
    assert!(error.to_string().contains("resources.cpus"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_container_has_exactly_the_capabilities_that_it_was_given() {
    let world = World::new().await;
    let cases: [(&[&str], &[&str], u64); 4] = [
        (&["NET_ADMIN"], &["CAP_KILL"], 0xa804_25fb & !(1 << 5) | 1 << 12),
        (&[], &["ALL"], 0),
        (&["NET_BIND_SERVICE", "CAP_CHOWN"], &["ALL"], 1 << 10 | 1),
        (&["SYS_ADMIN"], &[], 0xa804_25fb | 1 << 21),
    ];
    for (add, drop, expected) in cases {
        let spec = ContainerSpec {
            capabilities: Capabilities {
                add: words(add),
                drop: words(drop),
            },
            ..shell("grep Cap /proc/self/status")
        };
        let (_, output) = world.output_of(spec).await;
        for set in ["CapPrm", "CapEff", "CapBnd"] {
            assert!(
                output.contains(&format!("{set}:\t{expected:016x}")),
                "{add:?} {drop:?} {set} {expected:x}: {output}"
            );
        }
        assert!(output.contains("CapInh:\t0000000000000000"), "{output}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn all_capabilities_are_those_of_this_machine_and_the_seccomp_profile_follows() {
    let world = World::new().await;
    let spec = ContainerSpec {
        capabilities: Capabilities {
            add: words(&["ALL"]),
            drop: words(&["SYS_TIME"]),
        },
        ..shell("grep CapEff /proc/self/status; mkdir /mnt; mount -t tmpfs none /mnt 2>&1 && echo mounted")
    };
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let own = status
        .lines()
        .find_map(|line| u64::from_str_radix(line.strip_prefix("CapPrm:")?.trim(), 16).ok());
    let expected = own.unwrap() & !(1 << 25);
    let (_, output) = world.output_of(spec).await;
    assert_eq!(output, format!("CapEff:\t{expected:016x}\nmounted\n"));
    if own.unwrap() & 1 << 24 == 0 {
        let spec = ContainerSpec {
            capabilities: Capabilities {
                add: words(&["SYS_RESOURCE"]),
                drop: Vec::new(),
            },
            ..shell("true")
        };
        let error = world.perform(new_id(), creation(None, spec)).await.unwrap_err();
        assert_eq!(error.status(), Status::Unsupported);
        assert!(error.to_string().contains("CAP_SYS_RESOURCE"), "{error}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_container_knows_the_addresses_of_other_machines() {
    let world = World::with(&ImageBuilder::busybox().cmd(["/bin/sh"])).await;
    let spec = ContainerSpec {
        extra_hosts: words(&["db:10.1.2.3", "six.example:[fd00::7]"]),
        ..shell("tail -n2 /etc/hosts; ping -c1 -W1 db | head -n1")
    };
    let (_, output) = world.output_of(spec).await;
    assert!(
        output.starts_with("10.1.2.3\tdb\nfd00::7\tsix.example\n"),
        "{output}"
    );
}
