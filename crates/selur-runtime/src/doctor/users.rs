//! What the machine grants to users who are not root.

use super::facts::{Facts, subordinate_ids};
use super::finding::{Finding, Subject};
use crate::oci::rootless;

const SUBJECT: Subject = Subject::OciRootless;
/// As many as an image may be made for.
const ENOUGH_IDS: u64 = 65_536;

/// Whether users may make user namespaces: what the settings say, and what a trial says.
pub(super) fn namespaces(facts: &Facts, tried: Option<Result<(), String>>) -> Finding {
    let number = |text: &Option<String>| text.as_deref().and_then(|text| text.trim().parse::<u64>().ok());
    let most = number(&facts.max_user_namespaces);
    let found = |text: String| Finding::ok(SUBJECT, "user_namespaces", text);
    if most == Some(0) {
        return found("max_user_namespaces is 0".into()).missing("`sysctl user.max_user_namespaces=28633`");
    }
    if number(&facts.unprivileged_userns_clone) == Some(0) {
        return found("unprivileged_userns_clone is 0".into())
            .missing("`sysctl kernel.unprivileged_userns_clone=1`");
    }
    let most = most.map_or("not limited".to_owned(), |most| format!("{most} at most"));
    let is_restricted = number(&facts.apparmor_restricts_userns) == Some(1);
    const RESTRICTED: &str = "AppArmor takes the powers away that they have there: \
         `sysctl kernel.apparmor_restrict_unprivileged_userns=0`, or a profile that allows `userns`";
    match tried {
        Some(Ok(())) => found(most),
        Some(Err(why)) if is_restricted => found(format!("{most}; tried: {why}")).missing(RESTRICTED),
        Some(Err(why)) => found(format!("{most}; tried: {why}")).missing(
            "boot a kernel with CONFIG_USER_NS; inside of a container, run that privileged, or with a filter that \
             allows unshare",
        ),
        None if is_restricted => found(most).missing(RESTRICTED),
        None => found(format!("{most}; not tried, for want of a shim")),
    }
}

/// Overlays that users mount.
pub(super) fn overlay(tried: Option<Result<(), String>>) -> Finding {
    let found = |text: &str| Finding::ok(SUBJECT, "overlay", text);
    match tried {
        Some(Ok(())) => found("mounted in a user namespace, with userxattr"),
        Some(Err(why)) => found(&format!("tried with userxattr: {why}"))
            .missing("boot Linux 5.11 or newer, and allow user namespaces"),
        None => found("not tried, for want of a shim"),
    }
}

/// The ids that a user may map beside their own.
pub(super) fn subordinate(facts: &Facts, user: u32) -> Finding {
    let name = facts.user_name(user);
    let who = name.map_or_else(|| user.to_string(), str::to_owned);
    let users = subordinate_ids(&facts.subordinate_users, name, user);
    let groups = subordinate_ids(&facts.subordinate_groups, name, user);
    let found = Finding::ok(
        SUBJECT,
        "subordinate_ids",
        format!("{who} has {users} users and {groups} groups"),
    );
    if users >= ENOUGH_IDS && groups >= ENOUGH_IDS {
        return found;
    }
    found.warning(format!(
        "files of an image's other users go to whom is mapped: `usermod --add-subuids 100000-165535 --add-subgids \
         100000-165535 {who}`, if nobody has those"
    ))
}

/// Whether the ids can be mapped: programs do that, where there is more than the user's own.
pub(super) fn mapping() -> Finding {
    let found = |text: &str| Finding::ok(SUBJECT, "id_mapping", text);
    match rootless::mapping() {
        Ok(mapping) if mapping.tools.is_some() => found("the user's own id, and subordinate ones"),
        Ok(_) => found("the user's own id alone"),
        Err(error) => {
            let (what, remedy) = super::cause_and_remedy(&error, "have root install uidmap");
            found(&what).missing(remedy)
        }
    }
}

/// The cgroups that belong to the user.
pub(super) fn delegation(has: impl Fn(&str) -> bool) -> Finding {
    const WANTED: [&str; 4] = ["cpu", "memory", "pids", "freezer"];
    let (own, lacking): (Vec<&str>, Vec<&str>) = WANTED.iter().partition(|name| has(name));
    let text = match own.is_empty() {
        true => "none".to_owned(),
        false => own.join(", "),
    };
    let found = Finding::ok(SUBJECT, "cgroup_delegation", text);
    if lacking.is_empty() {
        return found;
    }
    found.warning(format!(
        "containers have no limits, statistics or pauses by {}: {}",
        lacking.join(", "),
        rootless::DELEGATE
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::Verdict::{Missing, Ok as Good, Warning};

    #[test]
    fn user_namespaces_are_judged_by_settings_and_by_trial() {
        let some = |text: &str| Some(text.to_owned());
        let failed = || Some(Err("Operation not permitted".to_owned()));
        let cases = [
            (some("95000\n"), None, None, Some(Ok(())), Good, ""),
            (None, None, None, Some(Ok(())), Good, ""),
            (some("0\n"), None, None, failed(), Missing, "max_user_namespaces"),
            (
                some("9"),
                some("0\n"),
                None,
                failed(),
                Missing,
                "unprivileged_userns_clone=1",
            ),
            (some("9"), some("1"), some("1\n"), failed(), Missing, "AppArmor"),
            (some("9"), some("1"), some("1\n"), None, Missing, "AppArmor"),
            (some("9"), None, some("1\n"), Some(Ok(())), Good, ""),
            (some("9"), None, None, failed(), Missing, "CONFIG_USER_NS"),
            (some("garbage"), some(""), some("?"), Some(Ok(())), Good, ""),
        ];
        for (most, clone, restricts, tried, verdict, words) in cases {
            let facts = Facts {
                max_user_namespaces: most,
                unprivileged_userns_clone: clone,
                apparmor_restricts_userns: restricts,
                ..Facts::default()
            };
            let finding = namespaces(&facts, tried);
            assert_eq!(finding.verdict, verdict, "{facts:?} {finding:?}");
            assert!(
                finding.remedy.as_deref().unwrap_or_default().contains(words),
                "{finding:?}"
            );
        }
    }

    #[test]
    fn ids_of_both_kinds_are_needed() {
        let facts = |users: &str, groups: &str| Facts {
            users: "root:x:0:0::/root:/bin/sh\nalice:x:1000:1000::/home:/bin/sh\n".into(),
            subordinate_users: users.into(),
            subordinate_groups: groups.into(),
            ..Facts::default()
        };
        let line = "alice:100000:65536\n";
        for (users, groups, verdict) in [
            (line, line, Good),
            (line, "", Warning),
            ("", "", Warning),
            ("1000:1:65536", line, Good),
        ] {
            let finding = subordinate(&facts(users, groups), 1000);
            assert_eq!(finding.verdict, verdict, "{finding:?}");
            assert!(finding.found.starts_with("alice has"), "{finding:?}");
        }
        assert!(subordinate(&facts("", ""), 7).found.starts_with("7 has"));
    }

    #[test]
    fn controllers_that_are_not_the_users_are_named() {
        assert_eq!(delegation(|_| true).verdict, Good);
        let some = delegation(|name| name == "pids");
        assert_eq!((some.verdict, some.found.as_str()), (Warning, "pids"));
        assert!(
            some.remedy
                .is_some_and(|remedy| remedy.contains("by cpu, memory, freezer"))
        );
        assert_eq!(delegation(|_| false).found, "none");
    }
}
