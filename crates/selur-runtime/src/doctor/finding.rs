//! What was found, as types.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What findings are about: a backend, and for the one of real containers, as whom.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Subject {
    /// Containers in memory.
    Simulated,
    /// Real containers, as root.
    Oci,
    /// Real containers of a user who is not root.
    OciRootless,
    /// The Docker Engine API, of Docker or Podman.
    Docker,
}

impl Subject {
    /// All of them, in the order in which they are told.
    pub const ALL: [Subject; 4] = [
        Subject::Simulated,
        Subject::Oci,
        Subject::OciRootless,
        Subject::Docker,
    ];

    /// Which of the two kinds of real containers this process would run.
    pub fn oci_of_this_user() -> Subject {
        if rustix::process::geteuid().is_root() {
            Subject::Oci
        } else {
            Subject::OciRootless
        }
    }

    /// Its name, for people.
    pub fn title(self) -> &'static str {
        match self {
            Subject::Simulated => "simulated",
            Subject::Oci => "oci",
            Subject::OciRootless => "oci without root",
            Subject::Docker => "docker",
        }
    }
}

/// What a finding means for its backend. The worse is the greater.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// As it should be.
    Ok,
    /// The backend works, with less.
    Warning,
    /// The backend does not work.
    Missing,
}

impl Verdict {
    /// Its name, as in JSON.
    pub fn name(self) -> &'static str {
        match self {
            Verdict::Ok => "ok",
            Verdict::Warning => "warning",
            Verdict::Missing => "missing",
        }
    }
}

/// One thing that was looked at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct Finding {
    /// Whom it is about.
    pub backend: Subject,
    /// What was looked at: `kernel`, `runc`, `state_root`…
    pub check: String,
    /// What is there, with its version or figure.
    pub found: String,
    /// What that means.
    pub verdict: Verdict,
    /// What mends it, where it is not as it should be.
    pub remedy: Option<String>,
}

impl Finding {
    pub(super) fn ok(backend: Subject, check: &str, found: impl Into<String>) -> Finding {
        Finding {
            backend,
            check: check.to_owned(),
            found: found.into(),
            verdict: Verdict::Ok,
            remedy: None,
        }
    }

    pub(super) fn warning(self, remedy: impl Into<String>) -> Finding {
        self.judged(Verdict::Warning, remedy)
    }

    pub(super) fn missing(self, remedy: impl Into<String>) -> Finding {
        self.judged(Verdict::Missing, remedy)
    }

    fn judged(self, verdict: Verdict, remedy: impl Into<String>) -> Finding {
        Finding {
            verdict,
            remedy: Some(remedy.into()),
            ..self
        }
    }
}

/// How a backend fares.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct Summary {
    /// Whom it is about.
    pub backend: Subject,
    /// The worst of its findings.
    pub verdict: Verdict,
    /// How many warnings there are.
    pub warnings: usize,
    /// How much is missing.
    pub missing: usize,
}

/// What this machine offers and lacks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct Checkup {
    /// The backend that was chosen.
    pub chosen: Subject,
    /// Whether that one can run here.
    pub usable: bool,
    /// Each backend.
    pub backends: Vec<Summary>,
    /// All that was looked at, ordered by backend.
    pub findings: Vec<Finding>,
}

impl Checkup {
    pub(super) fn new(chosen: Subject, findings: Vec<Finding>) -> Checkup {
        let backends = Subject::ALL.map(|backend| {
            let count = |verdict| {
                let of_it = |finding: &&Finding| finding.backend == backend && finding.verdict == verdict;
                findings.iter().filter(of_it).count()
            };
            let (warnings, missing) = (count(Verdict::Warning), count(Verdict::Missing));
            let verdict = match (missing, warnings) {
                (0, 0) => Verdict::Ok,
                (0, _) => Verdict::Warning,
                _ => Verdict::Missing,
            };
            Summary {
                backend,
                verdict,
                warnings,
                missing,
            }
        });
        let is_missing = |summary: &&Summary| summary.backend == chosen && summary.missing > 0;
        Checkup {
            chosen,
            usable: !backends.iter().any(|summary| is_missing(&summary)),
            backends: backends.to_vec(),
            findings,
        }
    }

    /// The findings about one backend.
    pub fn about(&self, backend: Subject) -> impl Iterator<Item = &Finding> {
        self.findings
            .iter()
            .filter(move |finding| finding.backend == backend)
    }
}
