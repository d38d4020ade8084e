//! Debian's docker-registry, on loopback.

use crate::{BuiltImage, ImageIndex, digest, http, wait_until};
use base64::Engine;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;
use tempfile::TempDir;

/// Who may enter a registry with [`Authentication::Basic`].
pub const USERNAME: &str = "ali";
/// With this password.
pub const PASSWORD: &str = "open sesame";
/// The bcrypt of the password: the registry takes no other.
const HTPASSWD: &str = "ali:$2b$05$VJuLJ4hNuEE2.2U2EdLaseBU.M/GLst9I.kaxotAwzJ7yNzeHT0Sm\n";

/// Whom a registry lets in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Authentication {
    /// Everybody.
    None,
    /// [`USERNAME`] with [`PASSWORD`].
    Basic,
}

/// A real registry, on a free port of loopback, with a storage of its own. Stopped on drop.
#[derive(Debug)]
pub struct DockerRegistry {
    child: Child,
    address: SocketAddr,
    authentication: Authentication,
    access_log: PathBuf,
    // Removed on drop, after the registry has ended.
    _root: TempDir,
}

impl DockerRegistry {
    /// Starts a registry that lets everybody in.
    ///
    /// # Panics
    /// `docker-registry` is missing, or does not listen within 20 s.
    pub fn start() -> DockerRegistry {
        DockerRegistry::start_with(Authentication::None)
    }

    /// Starts a registry.
    ///
    /// # Panics
    /// As [`DockerRegistry::start`].
    pub fn start_with(authentication: Authentication) -> DockerRegistry {
        let root = TempDir::with_prefix("selur-registry-").expect("a temporary directory can be made");
        let file = |name: &str, contents: &str| -> PathBuf {
            let path = root.path().join(name);
            std::fs::write(&path, contents)
                .unwrap_or_else(|error| panic!("cannot write {}: {error}", path.display()));
            path
        };
        let htpasswd = file("htpasswd", HTPASSWD);
        let auth = match authentication {
            Authentication::None => String::new(),
            Authentication::Basic => format!(
                "auth: {{htpasswd: {{realm: test, path: {}}}}}\n",
                htpasswd.display()
            ),
        };
        let storage = root.path().join("storage");
        let config = file(
            "config.yml",
            &format!(
                "version: 0.1\nlog: {{level: info, accesslog: {{disabled: false}}}}\n\
                 storage: {{filesystem: {{rootdirectory: {}}}}}\n\
                 http: {{addr: \"127.0.0.1:0\", secret: test}}\n{auth}",
                storage.display()
            ),
        );
        let (log, access_log) = (file("log", ""), file("access.log", ""));
        let append = |path: &PathBuf| {
            let opened = std::fs::File::options().append(true).open(path);
            opened.expect("the log was just made")
        };
        let mut child = Command::new("docker-registry")
            .arg("serve")
            .arg(config)
            .stdin(Stdio::null())
            .stdout(append(&access_log))
            .stderr(append(&log))
            .spawn()
            .unwrap_or_else(|error| {
                panic!("cannot run docker-registry: {error}; install Debian's package docker-registry")
            });
        let mut address = None;
        wait_until("docker-registry listens", Duration::from_secs(20), || {
            let text = std::fs::read_to_string(&log).unwrap_or_default();
            if let Ok(Some(status)) = child.try_wait() {
                panic!("docker-registry ended with {status}: {text}");
            }
            address = listening_address(&text);
            address.is_some()
        });
        DockerRegistry {
            child,
            address: address.expect("waited for it"),
            authentication,
            access_log,
            _root: root,
        }
    }

    /// Every request that was answered, as the registry's access log has it: method, path and status.
    pub fn accesses(&self) -> Vec<(String, String, u16)> {
        let text = std::fs::read_to_string(&self.access_log).expect("the registry keeps an access log");
        text.lines().filter_map(access).collect()
    }

    /// Host and port: what an image reference begins with.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Pushes an image as `name:tag` and gives the whole reference back.
    pub fn push(&self, image: &BuiltImage, name_and_tag: &str) -> String {
        let (name, tag) = name_and_tag.split_once(':').unwrap_or((name_and_tag, "latest"));
        self.push_image(image, name, tag)
    }

    /// Pushes an index and its images as `name:tag` and gives the whole reference back.
    pub fn push_index(&self, index: &ImageIndex, name_and_tag: &str) -> String {
        let (name, tag) = name_and_tag.split_once(':').unwrap_or((name_and_tag, "latest"));
        for image in &index.images {
            self.push_image(image, name, &image.digest());
        }
        self.put_manifest(name, tag, index.media_type(), &index.bytes);
        format!("{}/{name}:{tag}", self.address)
    }

    fn push_image(&self, image: &BuiltImage, name: &str, tag: &str) -> String {
        for blob in image.blobs() {
            self.push_blob(name, blob);
        }
        self.put_manifest(name, tag, image.media_type(), &image.manifest);
        format!("{}/{name}:{tag}", self.address)
    }

    fn push_blob(&self, name: &str, blob: &[u8]) {
        let begun = self.request("POST", &format!("/v2/{name}/blobs/uploads/"), &[], &[], 202);
        let location = begun.header("location").expect("an upload has a location");
        let path = location
            .split_once("://")
            .map_or(location, |(_, rest)| &rest[rest.find('/').unwrap_or(0)..]);
        let separator = if path.contains('?') { '&' } else { '?' };
        let path = format!("{path}{separator}digest={}", digest(blob));
        self.request(
            "PUT",
            &path,
            &[("content-type", "application/octet-stream")],
            blob,
            201,
        );
    }

    fn put_manifest(&self, name: &str, tag: &str, media_type: &str, bytes: &[u8]) {
        self.request(
            "PUT",
            &format!("/v2/{name}/manifests/{tag}"),
            &[("content-type", media_type)],
            bytes,
            201,
        );
    }

    fn request(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &[u8],
        expected: u16,
    ) -> http::Answer {
        let encoded = base64::engine::general_purpose::STANDARD.encode(format!("{USERNAME}:{PASSWORD}"));
        let authorization = format!("Basic {encoded}");
        let mut headers = headers.to_vec();
        if self.authentication == Authentication::Basic {
            headers.push(("authorization", &authorization));
        }
        let answer = http::request(self.address, method, path, &headers, body)
            .unwrap_or_else(|error| panic!("{method} {path} failed: {error}"));
        assert_eq!(
            answer.status,
            expected,
            "{method} {path}: {}",
            String::from_utf8_lossy(&answer.body)
        );
        answer
    }
}

impl Drop for DockerRegistry {
    fn drop(&mut self) {
        // It is ours and not yet reaped, so the id is its own. What fails here has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A line of the access log: `127.0.0.1 - - [time] "GET /v2/ HTTP/1.1" 200 2 "" "agent"`.
fn access(line: &str) -> Option<(String, String, u16)> {
    let mut quoted = line.split('"').skip(1);
    let mut request = quoted.next()?.split(' ');
    let (method, path) = (request.next()?, request.next()?);
    let status = quoted.next()?.trim().split(' ').next()?.parse().ok()?;
    Some((method.to_owned(), path.to_owned(), status))
}

/// The address in the line that the registry logs when it listens: `… msg="listening on 127.0.0.1:34567" …`.
fn listening_address(log: &str) -> Option<SocketAddr> {
    let (_, rest) = log.split_once("listening on ")?;
    let end = rest.find(|character: char| !character.is_ascii_digit() && !matches!(character, '.' | ':'))?;
    rest[..end].parse().ok()
}
