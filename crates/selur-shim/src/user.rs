//! Which user a container's process runs as: names are looked up in the container's own files.

use crate::errand::Site;
use crate::{Failure, FailureKind, Mapping};
use rustix::fs::{Mode, OFlags, ResolveFlags, openat2};
use std::fs::{self, File};
use std::io::{self, Read};
use std::os::fd::AsRawFd;
use std::path::Path;

/// Stands in the bundle's template where the user belongs. As it begins and ends with a quote, no text within the
/// configuration can contain it.
pub const USER_PLACEHOLDER: &str = "\"user\":\"@user@\"";

/// Larger files of users and groups are refused, in bytes.
const MAX_FILE_BYTES: u64 = 4 << 20;

/// A resolved user.
#[derive(Debug, PartialEq, Eq)]
struct User {
    uid: u32,
    gid: u32,
    /// With the primary group: a process that drops it explicitly could else pass through group permissions that
    /// deny (CVE-2022-36109).
    groups: Vec<u32>,
}

/// Writes the bundle's configuration with the user in its place.
pub(crate) fn write_bundle_config(site: &Site, user: &str) -> Result<(), Failure> {
    let home = &site.home;
    let user = resolve_in(&home.rootfs(), user, site.mapping.as_ref())?;
    let doing = |error| Failure::while_doing("cannot write the bundle", error);
    let template = fs::read_to_string(home.bundle_template()).map_err(doing)?;
    let config = template.replacen(USER_PLACEHOLDER, &format!("\"user\":{user}"), 1);
    fs::write(home.bundle_config(), config).map_err(doing)
}

/// A user as the bundle has it, looked up in the files of the container with this root.
pub(crate) fn resolve_in(
    root: &Path,
    user: &str,
    mapping: Option<&Mapping>,
) -> Result<serde_json::Value, Failure> {
    let passwd = read_in_root(root, "etc/passwd")?;
    let group = read_in_root(root, "etc/group")?;
    let mut user = resolve(user, &passwd, &group)?;
    if let Some(mapping) = mapping {
        if !mapping.has(user.uid, user.gid) {
            return Err(not_mapped(&user, mapping));
        }
        // Of the groups that a process is in beside its own, those that do not exist here are left out.
        user.groups.retain(|group| mapping.has(user.uid, *group));
    }
    Ok(serde_json::json!({ "uid": user.uid, "gid": user.gid, "additionalGids": user.groups }))
}

fn not_mapped(user: &User, mapping: &Mapping) -> Failure {
    let there_are = match mapping.ids() {
        1 => "there is no id but your own".to_owned(),
        ids => format!("there are no more than {ids} ids"),
    };
    Failure::new(
        FailureKind::Unsupported,
        format!(
            "the container is to run as the user {} with the group {}, and without root {there_are}: ask root to add \
             subordinate ones with `usermod --add-subuids 100000-165535 --add-subgids 100000-165535 USER` and use a new \
             state root, or give it the user 0, which is root of the container only",
            user.uid, user.gid,
        ),
    )
}

/// Reads a file as the container would see it; empty if there is none. Symbolic links stay within the root.
///
/// What is no regular file is never opened: an image or a container with `CAP_MKNOD` may have a device there, and this
/// process is outside of the container's device rules. To open some devices, a watchdog or a tape, is to use them.
fn read_in_root(root: &Path, path: &str) -> Result<String, Failure> {
    let failed =
        |error: io::Error| Failure::while_doing(format_args!("cannot read the container's /{path}"), error);
    let root = File::open(root).map_err(failed)?;
    let flags = OFlags::PATH | OFlags::CLOEXEC;
    let resolve = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
    let found = match openat2(&root, path, flags, Mode::empty(), resolve) {
        Ok(found) => File::from(found),
        Err(rustix::io::Errno::NOENT | rustix::io::Errno::NOTDIR | rustix::io::Errno::LOOP) => {
            return Ok(String::new());
        }
        Err(error) => return Err(failed(error.into())),
    };
    let metadata = found.metadata().map_err(failed)?;
    if !metadata.is_file() || metadata.len() > MAX_FILE_BYTES {
        return Err(Failure::new(
            FailureKind::NoSuchUser,
            format!("the container's /{path} is no file of at most {MAX_FILE_BYTES} bytes"),
        ));
    }
    let file = File::open(format!("/proc/self/fd/{}", found.as_raw_fd())).map_err(failed)?;
    let mut content = Vec::new();
    file.take(MAX_FILE_BYTES)
        .read_to_end(&mut content)
        .map_err(failed)?;
    Ok(String::from_utf8_lossy(&content).into_owned())
}

/// Source: github.com/opencontainers/runc libcontainer/user `GetExecUser`, which Docker uses.
fn resolve(text: &str, passwd: &str, group: &str) -> Result<User, Failure> {
    let (user_text, group_text) = text.split_once(':').unwrap_or((text, ""));
    let user_text = if user_text.is_empty() { "0" } else { user_text };
    let number = |text: &str| {
        text.parse::<u32>()
            .ok()
            .filter(|number| *number <= i32::MAX as u32)
    };
    let missing = |what: &str, name: &str, file: &str| {
        Failure::new(
            FailureKind::NoSuchUser,
            format!("the container has no {what} {name:?}: use one of its {file}, or a number"),
        )
    };

    let wanted_uid = number(user_text);
    let entry = passwd.lines().map(fields).find(|fields| {
        fields.first().is_some_and(|name| *name == user_text)
            || wanted_uid.is_some() && fields.get(2).and_then(|uid| number(uid)) == wanted_uid
    });
    let name = entry.as_ref().and_then(|fields| fields.first().copied());
    let entry_number = |index: usize| entry.as_ref().and_then(|fields| number(fields.get(index)?));
    let uid = entry_number(2)
        .or(wanted_uid)
        .ok_or_else(|| missing("user", user_text, "/etc/passwd"))?;
    let own_gid = entry_number(3).unwrap_or(0);

    let groups = group.lines().map(fields);
    if group_text.is_empty() {
        let member = |fields: &Vec<&str>| {
            let members = fields.get(3).copied().unwrap_or("");
            name.is_some_and(|name| members.split(',').any(|member| member == name))
        };
        let mut gids = vec![own_gid];
        for gid in groups.filter(member).filter_map(|fields| number(fields.get(2)?)) {
            if !gids.contains(&gid) {
                gids.push(gid);
            }
        }
        return Ok(User {
            uid,
            gid: own_gid,
            groups: gids,
        });
    }
    let wanted_gid = number(group_text);
    let gid = groups
        .filter_map(|fields| {
            let gid = number(fields.get(2)?)?;
            (fields.first() == Some(&group_text) || wanted_gid == Some(gid)).then_some(gid)
        })
        .next()
        .or(wanted_gid)
        .ok_or_else(|| missing("group", group_text, "/etc/group"))?;
    Ok(User {
        uid,
        gid,
        groups: vec![gid],
    })
}

fn fields(line: &str) -> Vec<&str> {
    line.trim().split(':').collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a failed unwrap fails the test")]
mod tests {
    use super::*;

    const PASSWD: &str =
        "root:x:0:0:root:/root:/bin/sh\nmail:x:8:12::/var/mail:\n# a comment\nweb:x:1000:1000::/:\n";
    const GROUP: &str = "root:x:0:root\ndisk:x:6:root,web\nmail:x:12:\nweb:x:1000:\n";

    #[test]
    fn users_and_groups_are_found_by_name_and_by_number() {
        let cases: [(&str, u32, u32, &[u32]); 9] = [
            ("", 0, 0, &[0, 6]),
            ("root", 0, 0, &[0, 6]),
            ("web", 1000, 1000, &[1000, 6]),
            ("1000", 1000, 1000, &[1000, 6]),
            ("8", 8, 12, &[12]),
            ("4242", 4242, 0, &[0]),
            ("web:mail", 1000, 12, &[12]),
            ("4242:4343", 4242, 4343, &[4343]),
            (":mail", 0, 12, &[12]),
        ];
        for (text, uid, gid, groups) in cases {
            let groups = groups.to_vec();
            assert_eq!(
                resolve(text, PASSWD, GROUP).unwrap(),
                User { uid, gid, groups },
                "{text:?}"
            );
        }
    }

    #[test]
    fn unknown_names_and_numbers_out_of_range_are_refused() {
        for text in ["nobody", "web:nogroup", "-1", "4294967295", "web:-1"] {
            let failure = resolve(text, PASSWD, GROUP).unwrap_err();
            assert_eq!(failure.kind, FailureKind::NoSuchUser, "{text:?}");
        }
    }

    #[test]
    fn files_of_users_are_read_within_the_root_only() {
        let directory = tempfile::tempdir().unwrap();
        let root = directory.path().join("root");
        fs::create_dir_all(root.join("etc")).unwrap();
        fs::write(directory.path().join("secret"), "evil").unwrap();
        std::os::unix::fs::symlink("../../secret", root.join("etc/passwd")).unwrap();
        assert_eq!(read_in_root(&root, "etc/passwd").unwrap(), "");
        fs::write(root.join("secret"), "mine").unwrap();
        assert_eq!(read_in_root(&root, "etc/passwd").unwrap(), "mine");
        assert_eq!(read_in_root(&root, "etc/group").unwrap(), "");
    }

    #[test]
    fn what_is_no_file_is_refused_without_being_opened() {
        let directory = tempfile::tempdir().unwrap();
        fs::create_dir(directory.path().join("etc")).unwrap();
        // A socket cannot be opened at all: any attempt fails in another way.
        let _socket = std::os::unix::net::UnixListener::bind(directory.path().join("etc/passwd")).unwrap();
        let failure = read_in_root(directory.path(), "etc/passwd").unwrap_err();
        assert_eq!(failure.kind, FailureKind::NoSuchUser, "{failure:?}");
    }
}
