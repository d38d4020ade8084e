//! A doctor: tells what this machine offers to each backend, what it lacks, and what mends that.
//!
//! It looks and tries, and changes nothing: what it mounts or unshares ends with a child process, and nothing is made
//! below the state root. Whatever files, programs and daemons say is a finding, never a panic; whatever does not answer
//! within three seconds is one, too.

mod facts;
mod finding;
mod kernel;
mod programs;
pub(crate) mod remedies;
mod room;
mod sockets;
mod trial;
mod users;

pub use finding::{Checkup, Finding, Subject, Summary, Verdict};

use crate::oci::rootless;
use crate::{DockerOptions, OciOptions, RuntimeError};
use facts::Facts;

/// Looks at this machine. Blocks, for some seconds at most.
///
/// ```no_run
/// use selur_runtime::{DockerOptions, OciOptions};
/// use selur_runtime::doctor::{self, Subject};
///
/// let checkup = doctor::examine(&OciOptions::default(), &DockerOptions::default(), Subject::oci_of_this_user());
/// for finding in &checkup.findings {
///     println!("{}: {}: {}", finding.backend.title(), finding.check, finding.found);
/// }
/// assert!(checkup.usable);
/// ```
pub fn examine(options: &OciOptions, docker: &DockerOptions, chosen: Subject) -> Checkup {
    let facts = Facts::read();
    let user = rustix::process::geteuid().as_raw();
    let mut findings = vec![Finding::ok(
        Subject::Simulated,
        "memory",
        "containers in memory need nothing of the machine",
    )];
    findings.extend(as_root(&facts, options, user));
    findings.extend(as_user(&facts, options, user));
    findings.extend(sockets::findings(docker));
    Checkup::new(chosen, findings)
}

fn as_root(facts: &Facts, options: &OciOptions, user: u32) -> Vec<Finding> {
    let subject = Subject::Oci;
    let mut findings = vec![kernel::release(subject, facts), kernel::privileges(user, facts)];
    findings.push(kernel::cgroups(facts));
    findings.push(overlay(user, options));
    findings.push(kernel::seccomp(subject, facts));
    findings.extend(kernel::system_calls(subject));
    findings.push(kernel::security_modules(facts));
    findings.push(programs::runc(subject, options));
    findings.push(programs::shim(subject, options));
    if user == 0 {
        findings.extend(room::findings(subject, options));
    }
    findings
}

/// Where root looks, it is for the settings that users will meet.
fn as_user(facts: &Facts, options: &OciOptions, user: u32) -> Vec<Finding> {
    let subject = Subject::OciRootless;
    let tried = |what| programs::try_in_shim(options, what);
    let mut findings = vec![kernel::release(subject, facts)];
    findings.push(users::namespaces(facts, tried("user-namespace")));
    findings.push(users::overlay(tried("user-overlay")));
    findings.push(programs::id_mappers());
    if user != 0 {
        findings.push(users::subordinate(facts, user));
        findings.push(users::mapping());
        let delegation = rootless::Delegation::own();
        findings.push(users::delegation(|controller| delegation.has(controller)));
    }
    findings.push(kernel::seccomp(subject, facts));
    findings.extend(kernel::system_calls(subject));
    findings.push(programs::runc(subject, options));
    findings.push(programs::shim(subject, options));
    if user != 0 {
        findings.extend(room::findings(subject, options));
    }
    findings
}

fn overlay(user: u32, options: &OciOptions) -> Finding {
    let found = |text: &str| Finding::ok(Subject::Oci, "overlay", text);
    if user != 0 {
        return found("not tried: only root may mount one");
    }
    match programs::try_in_shim(options, "overlay") {
        Some(Ok(())) => found("mounted"),
        Some(Err(why)) => found(&format!("tried: {why}")).missing(remedies::OVERLAY),
        None => found("not tried, for want of a shim"),
    }
}

/// Splits a refusal, `what is wrong: what to do`, in its two parts; without the second, `otherwise` is it.
fn cause_and_remedy(error: &RuntimeError, otherwise: &str) -> (String, String) {
    let text = error.chain();
    match text.rsplit_once(": ") {
        Some((what, remedy)) => (what.to_owned(), remedy.to_owned()),
        None => (text, otherwise.to_owned()),
    }
}
