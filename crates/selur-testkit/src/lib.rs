//! Images, registries and waiting, for selur's own tests.
//!
//! Everything here is synchronous and stands on the standard library, so that tests of every layer can use it. It
//! never touches the network beyond loopback, and what it starts it stops when dropped. What fails here panics with a
//! message that says what is missing: a test must not pass, nor be skipped, for want of its tools. It must never be a
//! dependency of anything but tests.
//!
//! ```no_run
//! use selur_testkit::{DockerRegistry, ImageBuilder};
//!
//! let registry = DockerRegistry::start();
//! let image = ImageBuilder::busybox().cmd(["/bin/sh", "-c", "echo hello"]);
//! let reference = image.push(&registry, "greeter:v1");
//! assert!(reference.starts_with("127.0.0.1:"));
//! ```

mod docker_registry;
mod http;
mod image;
mod podman;
mod scripted_registry;
mod tarball;
mod wait;

pub use docker_registry::{Authentication, DockerRegistry, PASSWORD, USERNAME};
pub use image::{BuiltImage, Compression, ImageBuilder, ImageIndex, Layer, digest, gzip, layout_tar, zstd};
pub use podman::PodmanService;
pub use scripted_registry::{Contents, Reply, Request, ScriptedRegistry};
pub use tarball::Tarball;
pub use wait::wait_until;
