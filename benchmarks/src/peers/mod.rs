//! What stands beside selur: the same request, a ping with a payload of text, and its answer with the same text, by what
//! people use today. Each peer is one file, with its client and its server.

mod grpc;
mod http;
mod iceoryx;
mod message;
mod serde;
mod unix_socket;

use crate::measure::Outcome;
use crate::placement::{Placement, pin};
use crate::server::end_with_parent;

/// Measures those that are named, or all.
pub(crate) fn measure(names: &[String]) -> Outcome<()> {
    type Peer = (&'static str, fn() -> Outcome<()>);
    let peers: [Peer; 5] = [
        ("serde_json", serde::measure),
        ("iceoryx2", iceoryx::measure),
        ("unix_socket", || on_both(unix_socket::measure)),
        ("http", || on_both(http::measure)),
        ("grpc", || on_both(grpc::measure)),
    ];
    for name in names {
        if !peers.iter().any(|(known, _)| known == name) {
            return Err(format!("no such peer: {name}").into());
        }
    }
    for (name, measure) in peers {
        if names.is_empty() || names.iter().any(|wanted| wanted == name) {
            eprintln!("measuring: {name}");
            measure()?;
        }
    }
    Ok(())
}

fn on_both(measure: fn(Placement) -> Outcome<()>) -> Outcome<()> {
    Placement::BOTH.into_iter().try_for_each(measure)
}

/// Is a peer's server until it is ended.
pub(crate) fn serve(name: &str, cpu: usize) -> Outcome<()> {
    end_with_parent()?;
    pin(cpu)?;
    match name {
        "iceoryx2" => iceoryx::serve(),
        "unix_socket" => unix_socket::serve(),
        "http" => http::serve(),
        "grpc" => grpc::serve(),
        _ => Err(format!("no such server: {name}").into()),
    }
}

/// One thread for all, so that it is on one processor.
fn runtime() -> Outcome<tokio::runtime::Runtime> {
    Ok(tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?)
}
