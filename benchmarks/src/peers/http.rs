//! JSON over HTTP/1.1 by axum and hyper: one connection on the loopback that is kept open, one request after another.

use super::message::{Answer, Request};
use super::runtime;
use crate::measure::{Outcome, PAYLOADS, Samples, expect, payload};
use crate::placement::Placement;
use crate::server::{Server, listens_at};
use axum::Router;
use axum::body::Bytes;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use axum::serve::ListenerExt;
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use std::time::Instant;
use tokio::net::{TcpListener, TcpStream};

pub(super) fn measure(placement: Placement) -> Outcome<()> {
    let server = Server::start("http", placement)?;
    runtime()?.block_on(async {
        let stream = TcpStream::connect(&server.address).await?;
        stream.set_nodelay(true)?;
        let (mut sender, connection) = handshake(TokioIo::new(stream)).await?;
        let connection = tokio::spawn(connection);
        for bytes in PAYLOADS {
            let text = payload(bytes);
            let mut samples = Samples::new();
            while samples.are_wanted() {
                let began = Instant::now();
                let length = ping(&mut sender, &text).await?;
                samples.add(began.elapsed(), 1);
                expect(length == bytes, "its length")?;
            }
            samples.say(&format!("JSON over HTTP, {}", placement.name()), bytes);
        }
        drop(sender);
        Ok(connection.await??)
    })
}

/// The length of what a ping was answered with.
async fn ping(sender: &mut SendRequest<Full<Bytes>>, text: &str) -> Outcome<usize> {
    let body = serde_json::to_vec(&Request::ping(text))?;
    let request = hyper::Request::post("/ping")
        .header(header::HOST, "localhost")
        .header(header::CONTENT_TYPE, "application/json")
        .body(Full::from(body))?;
    sender.ready().await?;
    let response = sender.send_request(request).await?;
    expect(response.status() == StatusCode::OK, "its status")?;
    let body = response.into_body().collect().await?.to_bytes();
    let answer: Answer<'_> = serde_json::from_slice(&body)?;
    Ok(answer.data.len())
}

pub(super) fn serve() -> Outcome<()> {
    runtime()?.block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        listens_at(&listener.local_addr()?.to_string())?;
        let listener = listener.tap_io(|stream| {
            // A socket that cannot be set answers later, which the figures show.
            let _ = stream.set_nodelay(true);
        });
        Ok(axum::serve(listener, Router::new().route("/ping", post(answer))).await?)
    })
}

/// Decodes by hand what axum's `Json` would decode into owned text.
async fn answer(body: Bytes) -> Response {
    let answer = serde_json::from_slice(&body)
        .map(Request::answer)
        .and_then(|answer| serde_json::to_vec(&answer));
    match answer {
        Ok(body) => ([(header::CONTENT_TYPE, "application/json")], body).into_response(),
        Err(error) => (StatusCode::BAD_REQUEST, error.to_string()).into_response(),
    }
}
