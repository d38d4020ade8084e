//! HTTP clients: TLS with the system's certificate authorities, or plain on loopback; none follows redirects by itself.

use super::error::StoreError;
use super::limits::Limits;
use super::source::joined;
use reqwest::{Client, Url};
use rustls_platform_verifier::BuilderVerifierExt;
use std::sync::{Arc, OnceLock};
use tokio::task::spawn_blocking;

const USER_AGENT: &str = concat!("selur/", env!("CARGO_PKG_VERSION"));

/// What a request is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Purpose {
    /// The answer counts: a registry that falls silent is given up.
    Ask,
    /// The body may take as long as it takes; who sends it watches.
    Upload,
}

/// Made when first needed: reading the system's certificate authorities takes milliseconds, and loopback needs none.
#[derive(Default)]
pub(super) struct Clients {
    slots: [OnceLock<Client>; 4],
}

impl Clients {
    /// The client for an address.
    pub(super) async fn client(
        &self,
        url: &Url,
        purpose: Purpose,
        domain: &str,
        limits: &Limits,
    ) -> Result<&Client, StoreError> {
        let is_https = url.scheme() == "https";
        let slot = &self.slots[usize::from(is_https) + 2 * usize::from(purpose == Purpose::Upload)];
        if let Some(client) = slot.get() {
            return Ok(client);
        }
        let (domain, limits) = (domain.to_owned(), limits.clone());
        let client = joined(spawn_blocking(move || make_client(is_https, purpose, &domain, &limits)).await)?;
        Ok(slot.get_or_init(|| client))
    }
}

/// Sets up HTTP and TLS. Blocks: it reads the system's certificate authorities.
fn make_client(
    is_https: bool,
    purpose: Purpose,
    domain: &str,
    limits: &Limits,
) -> Result<Client, StoreError> {
    let failed = |error: &dyn std::fmt::Display| {
        StoreError::Network(format!(
            "cannot set up TLS for {domain}: {error}: install ca-certificates"
        ))
    };
    // Named here, not installed for the whole process, which belongs to our host.
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let tls = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| failed(&error))?;
    let tls = if is_https {
        tls.with_platform_verifier().map_err(|error| failed(&error))?
    } else {
        tls.with_root_certificates(rustls::RootCertStore::empty())
    };
    let mut builder = Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .user_agent(USER_AGENT)
        .connect_timeout(limits.connect_timeout)
        .tls_backend_preconfigured(tls.with_no_client_auth());
    if purpose == Purpose::Ask {
        // reqwest counts from the beginning of the request, its body included.
        builder = builder.read_timeout(limits.silence_timeout);
    }
    if !is_https {
        // Plain http stays on this machine.
        builder = builder.no_proxy();
    }
    builder.build().map_err(|error| failed(&error))
}

/// Whether an address may be spoken to: https, or plain http that does not leave the machine.
pub(super) fn is_safe(url: &Url) -> bool {
    match url.scheme() {
        "https" => true,
        "http" => is_loopback(url),
        _ => false,
    }
}

pub(super) fn is_loopback(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default();
    let address = host
        .trim_start_matches('[')
        .trim_end_matches(']')
        .parse::<std::net::IpAddr>();
    host == "localhost" || host.ends_with(".localhost") || address.is_ok_and(|address| address.is_loopback())
}
