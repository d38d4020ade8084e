//! What the vectors say, as code that is shorter than the JSON it writes: most of them are cells of tables.
//!
//! Each module is one file of `conformance/vectors`. Expectations stand here as DESIGN has them; they are never taken
//! from what an implementation answers.

mod build;
mod containers;
mod faults;
mod frames;
mod hosted;
mod images;
mod lifecycle;
mod limits;
mod mounts;
mod options;
mod order;
mod specs;
mod states;
mod store;
mod streams;
mod volumes;
mod waits;

use crate::generated::{Error, Generated};
use crate::vector::{Vector, VectorFile};

/// Every file of vectors: its name without the suffix, what it is about, its vectors.
pub fn files() -> Vec<(&'static str, VectorFile)> {
    let topics: [(&str, &str, Vec<Vector>); 15] = [
        (
            "frames",
            "Frames: ping, and every way in which a frame can be malformed.",
            frames::vectors(),
        ),
        (
            "images",
            "The grammar of image references, and Docker's defaults.",
            images::vectors(),
        ),
        (
            "containers",
            "Names, ids and prefixes: what a container argument means.",
            containers::vectors(),
        ),
        (
            "options",
            "The optional fields: timeouts, signals and force.",
            options::vectors(),
        ),
        (
            "specs",
            "Container specifications: what is honoured, and what is refused.",
            specs::vectors(),
        ),
        (
            "states",
            "The state table: every command in every state.",
            states::vectors(),
        ),
        (
            "lifecycle",
            "Whole lives: what inspect tells, exit codes, restarts, lists.",
            lifecycle::vectors(),
        ),
        (
            "faults",
            "Failures of the runtime: their status, their message, and what they leave behind.",
            faults::vectors(),
        ),
        (
            "order",
            "What queues, what overtakes, and what cancelling does.",
            order::vectors(),
        ),
        ("waits", "Waiting for the exit code.", waits::vectors()),
        ("limits", "What is full, and what is too long.", limits::vectors()),
        (
            "hosted",
            "What the host does: the grammar of its commands, and who is meant.",
            hosted::vectors(),
        ),
        (
            "streams",
            "Streams: what opens, and what is refused. What flows in them is no part of the protocol.",
            streams::vectors(),
        ),
        (
            "store",
            "The image store: pull, push, tag, list, delete and prune.",
            store::vectors(),
        ),
        ("volumes", "Named volumes.", volumes::vectors()),
    ];
    let file = |(name, description, vectors): (&'static str, &str, _)| {
        let file = VectorFile {
            schema: "../vectors.schema.json".into(),
            description: description.into(),
            vectors,
        };
        (name, file)
    };
    topics.into_iter().map(file).collect()
}

/// The files as they should be committed.
///
/// # Errors
/// None that the types allow; serde_json's signature has one.
pub fn generated() -> Result<Vec<Generated>, Error> {
    let directory = crate::directory().join("vectors");
    let generate = |(name, file): (&str, VectorFile)| {
        Ok(Generated {
            path: directory.join(name).with_extension("json"),
            text: crate::json::to_text(&file)?,
        })
    };
    files().into_iter().map(generate).collect()
}
