//! What is shown of a pull or a push while it runs: bars on a terminal, plain lines elsewhere, JSON lines for programs.

use crate::cli::Format;
use crate::output::{escape, json, note, short_digest, size};
use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use selur_core::PullProgress;
use serde_json::json;
use std::collections::HashMap;
use std::io::IsTerminal;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Shows one pull or push.
pub(crate) struct PullDisplay {
    look: Look,
    layers: Mutex<HashMap<String, Layer>>,
}

enum Look {
    Bars(MultiProgress),
    Lines,
    Json,
    Nothing,
}

struct Layer {
    bytes: u64,
    bar: Option<ProgressBar>,
}

impl PullDisplay {
    /// For `pull` and `push`, whose result is the progress.
    pub(crate) fn new(format: Format) -> PullDisplay {
        let look = match format {
            Format::Json => Look::Json,
            Format::Table if std::io::stderr().is_terminal() => {
                Look::Bars(MultiProgress::with_draw_target(ProgressDrawTarget::stderr()))
            }
            Format::Table => Look::Lines,
        };
        PullDisplay {
            look,
            layers: Mutex::default(),
        }
    }

    /// For commands that pull on the way: programs that read their result are told nothing.
    pub(crate) fn beside(format: Format) -> PullDisplay {
        match format {
            Format::Json => PullDisplay {
                look: Look::Nothing,
                layers: Mutex::default(),
            },
            Format::Table => PullDisplay::new(format),
        }
    }

    /// Says that the pull of an image begins.
    pub(crate) fn begin(&self, reference: &str) {
        self.begin_with("pulling", reference);
    }

    /// Says that the push of an image begins.
    pub(crate) fn begin_push(&self, reference: &str) {
        self.begin_with("pushing", reference);
    }

    fn begin_with(&self, verb: &str, reference: &str) {
        match &self.look {
            Look::Bars(_) | Look::Lines => note(format!("{verb} {reference}")),
            Look::Json => self.json(json!({ "event": verb, "reference": reference })),
            Look::Nothing => {}
        }
    }

    /// Shows one step.
    pub(crate) fn show(&self, progress: PullProgress) {
        match progress {
            PullProgress::Resolved { digest, layers } => self.resolved(&digest, &layers),
            PullProgress::Transferred { layer, bytes } => self.transferred(&layer, bytes),
            PullProgress::LayerDone { layer } => self.layer_done(&layer),
        }
    }

    fn resolved(&self, digest: &str, layers: &[(String, u64)]) {
        let mut known = self.layers();
        for (layer, bytes) in layers {
            let bar = match &self.look {
                Look::Bars(bars) => Some(bars.add(bar(layer, *bytes))),
                _ => None,
            };
            known.insert(layer.clone(), Layer { bytes: *bytes, bar });
        }
        match &self.look {
            Look::Lines => {
                let total = layers
                    .iter()
                    .fold(0u64, |sum, (_, bytes)| sum.saturating_add(*bytes));
                note(format!("{digest}: {} layers, {}", layers.len(), size(total)));
            }
            Look::Json => {
                let layers: Vec<_> = layers
                    .iter()
                    .map(|(digest, bytes)| json!({ "digest": digest, "size_bytes": bytes }))
                    .collect();
                self.json(json!({ "event": "resolved", "digest": digest, "layers": layers }));
            }
            Look::Bars(_) | Look::Nothing => {}
        }
    }

    fn transferred(&self, layer: &str, bytes: u64) {
        if let Some(bar) = self.layers().get(layer).and_then(|layer| layer.bar.as_ref()) {
            bar.set_position(bytes);
        }
        if let Look::Json = self.look {
            self.json(json!({ "event": "transferred", "layer": layer, "bytes": bytes }));
        }
    }

    fn layer_done(&self, layer: &str) {
        let layers = self.layers();
        let known = layers.get(layer);
        match &self.look {
            Look::Bars(_) => {
                if let Some(bar) = known.and_then(|layer| layer.bar.as_ref()) {
                    bar.finish();
                }
            }
            Look::Lines => {
                let bytes = known.map_or(0, |layer| layer.bytes);
                note(format!("{}: done, {}", short_digest(layer), size(bytes)));
            }
            Look::Json => self.json(json!({ "event": "layer_done", "layer": layer })),
            Look::Nothing => {}
        }
    }

    /// It goes on when nobody reads of it: the command fails when it prints its result.
    fn json(&self, event: serde_json::Value) {
        let _ = json(&event);
    }

    fn layers(&self) -> MutexGuard<'_, HashMap<String, Layer>> {
        self.layers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn bar(layer: &str, bytes: u64) -> ProgressBar {
    let template = "{prefix}  {bar:30}  {bytes:>10} / {total_bytes:<10}";
    let style = ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
    let bar = ProgressBar::new(bytes).with_style(style.progress_chars("=> "));
    bar.set_prefix(escape(&short_digest(layer)).into_owned());
    bar
}
