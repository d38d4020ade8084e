//! `docs/schemas/`: JSON Schemas of what goes in and out as JSON, generated from the types of selur-runtime.
//!
//! What goes in is described as it is read: every field with a default may be absent, and no other field may be there.
//! What comes out is described as it is written.

use crate::generated::{Error, Generated};
use crate::json;
use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, SchemaGenerator};
use selur_runtime::doctor::Checkup;
use selur_runtime::{
    AttachOptions, ContainerProcess, ContainerSpec, Event, EventOptions, ExecSpec, Image, Inspection,
    LogOptions, PruneOptions, Pruned, PullProgress, Pushed, Stats, StatsOptions, Volume, VolumeOptions,
};
use std::path::PathBuf;

/// The directory `docs/schemas/` of this source tree.
pub fn directory() -> PathBuf {
    crate::directory().join("../docs/schemas")
}

/// Every schema as it should be committed.
///
/// # Errors
/// None that the types allow; serde_json's signature has one.
pub fn generated() -> Result<Vec<Generated>, Error> {
    Ok(vec![
        goes_in::<ContainerSpec>("container-spec")?,
        goes_in::<ExecSpec>("exec-spec")?,
        goes_in::<LogOptions>("log-options")?,
        goes_in::<AttachOptions>("attach-options")?,
        goes_in::<StatsOptions>("stats-options")?,
        goes_in::<EventOptions>("event-options")?,
        goes_in::<PruneOptions>("prune-options")?,
        goes_in::<VolumeOptions>("volume-options")?,
        comes_out::<Inspection>("inspection")?,
        comes_out::<Stats>("stats")?,
        comes_out::<ContainerProcess>("process")?,
        comes_out::<Event>("event")?,
        comes_out::<Image>("image")?,
        comes_out::<PullProgress>("progress")?,
        comes_out::<Pushed>("pushed")?,
        comes_out::<Pruned>("pruned")?,
        comes_out::<Volume>("volume")?,
        comes_out::<Checkup>("checkup")?,
    ])
}

fn goes_in<T: JsonSchema>(name: &str) -> Result<Generated, Error> {
    schema::<T>(
        name,
        SchemaSettings::draft2020_12().for_deserialize().into_generator(),
    )
}

fn comes_out<T: JsonSchema>(name: &str) -> Result<Generated, Error> {
    schema::<T>(
        name,
        SchemaSettings::draft2020_12().for_serialize().into_generator(),
    )
}

fn schema<T: JsonSchema>(name: &str, generator: SchemaGenerator) -> Result<Generated, Error> {
    let schema = generator.into_root_schema_for::<T>();
    Ok(Generated {
        path: directory().join(format!("{name}.schema.json")),
        text: json::to_text(&json::sorted(serde_json::to_value(schema)?))?,
    })
}
