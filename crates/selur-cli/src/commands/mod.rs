//! One file for each noun that the commands are about.

pub(crate) mod attach;
pub(crate) mod check;
pub(crate) mod containers;
pub(crate) mod create;
pub(crate) mod events;
pub(crate) mod exec;
pub(crate) mod images;
pub(crate) mod logs;
pub(crate) mod mounts;
pub(crate) mod prune;
pub(crate) mod ps;
pub(crate) mod run;
pub(crate) mod start;
pub(crate) mod stats;
pub(crate) mod system;
pub(crate) mod top;
pub(crate) mod volume;
