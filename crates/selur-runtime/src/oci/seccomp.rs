//! Docker's default seccomp profile, in the form that an OCI runtime reads.

use super::bundle::CAPABILITIES;
use serde::Deserialize;
use serde_json::{Value, json};
use std::sync::LazyLock;

/// The profile for this machine and a container with these capabilities, as `linux.seccomp` has it.
pub(super) fn profile(capabilities: &[&str]) -> Value {
    static DEFAULT: LazyLock<Value> =
        LazyLock::new(|| convert(SOURCE, std::env::consts::ARCH, kernel(), &CAPABILITIES));
    let is_default = capabilities.len() == CAPABILITIES.len()
        && capabilities
            .iter()
            .all(|capability| CAPABILITIES.contains(capability));
    if is_default {
        DEFAULT.clone()
    } else {
        convert(SOURCE, std::env::consts::ARCH, kernel(), capabilities)
    }
}

/// The kernel's version.
pub(super) fn kernel() -> Version {
    version(&std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default())
}

/// Where it is from and under which licence: seccomp/README.md.
const SOURCE: &str = include_str!("seccomp/default.json");

/// What later releases of Docker no longer allow: what a ring does is hidden from the profile.
///
/// Source: moby 25.0, "seccomp: block io_uring_* syscalls in default profile".
const WITHDRAWN: [&str; 3] = ["io_uring_enter", "io_uring_register", "io_uring_setup"];
/// The address family of sockets to the hypervisor and to other virtual machines, past every network namespace.
///
/// Source: linux/socket.h; moby 23.0, "seccomp: block socket calls to AF_VSOCK in default profile".
const AF_VSOCK: u32 = 40;

/// A kernel's version: 6.1.
pub(super) type Version = (u32, u32);

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Profile {
    default_action: String,
    arch_map: Vec<Architectures>,
    syscalls: Vec<Rule>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Architectures {
    architecture: String,
    sub_architectures: Option<Vec<String>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Rule {
    names: Vec<String>,
    action: String,
    errno_ret: Option<u32>,
    args: Option<Vec<Value>>,
    includes: Option<Condition>,
    excludes: Option<Condition>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Condition {
    caps: Vec<String>,
    arches: Vec<String>,
    min_kernel: Option<String>,
}

/// Source: moby `profiles/seccomp/seccomp_linux.go`, `setupSeccomp`.
fn convert(source: &str, arch: &str, kernel: Version, capabilities: &[&str]) -> Value {
    let (go_arch, seccomp_arch) = match arch {
        "x86_64" => ("amd64", "SCMP_ARCH_X86_64"),
        "aarch64" => ("arm64", "SCMP_ARCH_AARCH64"),
        "s390x" => ("s390x", "SCMP_ARCH_S390X"),
        other => (other, ""),
    };
    let Ok(profile) = serde_json::from_str::<Profile>(source) else {
        // The profile is part of the program and a test reads it; if it could not be read, nothing would be allowed.
        return json!({ "defaultAction": "SCMP_ACT_ERRNO" });
    };
    let own = profile
        .arch_map
        .into_iter()
        .find(|map| map.architecture == seccomp_arch);
    let architectures = own.map_or_else(Vec::new, |map| {
        let sub = map.sub_architectures.unwrap_or_default();
        std::iter::once(map.architecture).chain(sub).collect()
    });
    let has = |capability: &String| capabilities.contains(&capability.as_str());
    let kernel_is = |least: &Option<String>| least.as_ref().is_none_or(|least| kernel >= version(least));
    let rules = profile.syscalls.into_iter().filter(|rule| {
        let included = rule.includes.as_ref().is_none_or(|includes| {
            includes.caps.iter().all(has)
                && (includes.arches.is_empty() || includes.arches.iter().any(|name| name == go_arch))
                && kernel_is(&includes.min_kernel)
        });
        let excluded = rule.excludes.as_ref().is_some_and(|excludes| {
            excludes.caps.iter().any(has)
                || excludes.arches.iter().any(|name| name == go_arch)
                || excludes.min_kernel.is_some() && kernel_is(&excludes.min_kernel)
        });
        included && !excluded
    });
    let rules = rules.map(|mut rule| {
        let allows = rule.action == "SCMP_ACT_ALLOW";
        rule.names
            .retain(|name| !allows || !WITHDRAWN.contains(&name.as_str()) && name != "socket");
        rule
    });
    let sockets = Rule {
        names: vec!["socket".into()],
        action: "SCMP_ACT_ALLOW".into(),
        errno_ret: None,
        args: Some(vec![
            json!({ "index": 0, "value": AF_VSOCK, "op": "SCMP_CMP_NE" }),
        ]),
        includes: None,
        excludes: None,
    };
    let rules: Vec<Value> = rules
        .chain([sockets])
        .filter(|rule| !rule.names.is_empty())
        .map(|rule| {
            let mut converted = json!({ "names": rule.names, "action": rule.action });
            if let Some(errno) = rule.errno_ret {
                converted["errnoRet"] = errno.into();
            }
            if let Some(args) = rule.args.filter(|args| !args.is_empty()) {
                converted["args"] = args.into();
            }
            converted
        })
        .collect();
    let mut converted = json!({ "defaultAction": profile.default_action, "syscalls": rules });
    if !architectures.is_empty() {
        converted["architectures"] = architectures.into();
    }
    converted
}

/// The first two numbers of `6.1.0-13-amd64`.
fn version(release: &str) -> Version {
    let mut numbers = release
        .split(|character: char| !character.is_ascii_digit())
        .map(|number| number.parse().unwrap_or(0));
    (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(profile: &Value, action: &str) -> Vec<String> {
        let rules = profile["syscalls"].as_array().cloned().unwrap_or_default();
        let rules = rules.iter().filter(|rule| rule["action"] == action);
        let names = rules.flat_map(|rule| rule["names"].as_array().cloned().unwrap_or_default());
        names.filter_map(|name| Some(name.as_str()?.to_owned())).collect()
    }

    #[test]
    fn what_needs_a_capability_or_another_kernel_is_left_out() {
        let profile = convert(SOURCE, "x86_64", (6, 1), &CAPABILITIES);
        let allowed = names(&profile, "SCMP_ACT_ALLOW");
        let holds = |name: &str| allowed.iter().any(|allowed| allowed == name);
        for name in ["read", "execve", "ptrace", "arch_prctl", "chroot"] {
            assert!(holds(name), "{name}");
        }
        for name in [
            "mount",
            "bpf",
            "keyctl",
            "unshare",
            "clone3",
            "kexec_load",
            "arm_fadvise64_64",
        ] {
            assert!(!holds(name), "{name}");
        }
        assert_eq!(names(&profile, "SCMP_ACT_ERRNO"), ["clone3"]);
        assert_eq!(profile["architectures"].as_array().map(Vec::len), Some(3));
        let powerful = convert(SOURCE, "x86_64", (6, 1), &["CAP_SYS_ADMIN"]);
        let allowed = names(&powerful, "SCMP_ACT_ALLOW");
        assert!(allowed.contains(&"mount".to_owned()) && !allowed.contains(&"chroot".to_owned()));
        let old = convert(SOURCE, "x86_64", (4, 4), &CAPABILITIES);
        assert!(!names(&old, "SCMP_ACT_ALLOW").contains(&"ptrace".to_owned()));
        assert_eq!(
            convert(SOURCE, "aarch64", (6, 1), &CAPABILITIES)["architectures"][1],
            "SCMP_ARCH_ARM"
        );
    }

    #[test]
    fn what_later_releases_of_docker_withdrew_is_not_allowed() {
        let profile = convert(SOURCE, "x86_64", (6, 1), &CAPABILITIES);
        let allowed = names(&profile, "SCMP_ACT_ALLOW");
        assert!(!allowed.iter().any(|name| name.starts_with("io_uring")));
        let rules = profile["syscalls"].as_array().cloned().unwrap_or_default();
        let of_sockets: Vec<_> = rules
            .iter()
            .filter(|rule| {
                rule["names"]
                    .as_array()
                    .is_some_and(|names| names.contains(&"socket".into()))
            })
            .collect();
        let not_to_machines = json!([{ "index": 0, "value": 40, "op": "SCMP_CMP_NE" }]);
        assert!(
            matches!(of_sockets[..], [rule] if rule["args"] == not_to_machines),
            "{of_sockets:?}"
        );
    }

    #[test]
    fn kernel_versions_are_compared_as_numbers() {
        assert!(version("4.10.2") > version("4.8"));
        assert_eq!(version("6.18.44-fc\n"), (6, 18));
    }
}
