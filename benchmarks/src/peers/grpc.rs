//! gRPC by tonic and prost: one channel on the loopback, one call after another. What `protoc` would generate is written here, so
//! that it is not needed.

use super::runtime;
use crate::measure::{Outcome, PAYLOADS, Samples, expect, payload};
use crate::placement::Placement;
use crate::server::{Server as Peer, listens_at};
use prost::Message;
use std::convert::Infallible;
use std::future::{Ready, ready};
use std::task::{Context, Poll};
use std::time::Instant;
use tokio::net::TcpListener;
use tonic::client::Grpc as Client;
use tonic::codegen::http::uri::PathAndQuery;
use tonic::codegen::{Body, BoxFuture, Service, StdError, http};
use tonic::server::{Grpc as Serving, NamedService, UnaryService};
use tonic::transport::server::TcpIncoming;
use tonic::transport::{Endpoint, Server};
use tonic::{Request, Response, Status};
use tonic_prost::ProstCodec;

const PATH: &str = "/selur.benchmarks.Bridge/Ping";

#[derive(Clone, PartialEq, Message)]
struct PingRequest {
    /// Text: its UTF-8 is checked, as selur does.
    #[prost(string, tag = "1")]
    payload: String,
}

#[derive(Clone, PartialEq, Message)]
struct PingAnswer {
    #[prost(string, tag = "1")]
    data: String,
}

pub(super) fn measure(placement: Placement) -> Outcome<()> {
    let server = Peer::start("grpc", placement)?;
    runtime()?.block_on(async {
        let endpoint = Endpoint::from_shared(format!("http://{}", server.address))?.tcp_nodelay(true);
        let mut client = Client::new(endpoint.connect().await?);
        for bytes in PAYLOADS {
            let text = payload(bytes);
            let mut samples = Samples::new();
            while samples.are_wanted() {
                let began = Instant::now();
                client.ready().await?;
                let request = PingRequest {
                    payload: text.clone(),
                };
                let codec = ProstCodec::<PingRequest, PingAnswer>::default();
                let path = PathAndQuery::from_static(PATH);
                let answer = client
                    .unary(Request::new(request), path, codec)
                    .await?
                    .into_inner();
                samples.add(began.elapsed(), 1);
                expect(answer.data.len() == bytes, "its length")?;
            }
            samples.say(&format!("gRPC, {}", placement.name()), bytes);
        }
        Ok(())
    })
}

pub(super) fn serve() -> Outcome<()> {
    runtime()?.block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        listens_at(&listener.local_addr()?.to_string())?;
        let incoming = TcpIncoming::from(listener).with_nodelay(Some(true));
        Ok(Server::builder().serve_with_incoming(Bridge, incoming).await?)
    })
}

#[derive(Clone)]
struct Bridge;

impl NamedService for Bridge {
    const NAME: &'static str = "selur.benchmarks.Bridge";
}

impl<B> Service<http::Request<B>> for Bridge
where
    B: Body + Send + 'static,
    B::Error: Into<StdError> + Send + 'static,
{
    type Response = http::Response<tonic::body::Body>;
    type Error = Infallible;
    type Future = BoxFuture<Self::Response, Self::Error>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<B>) -> Self::Future {
        Box::pin(async move {
            if request.uri().path() != PATH {
                return Ok(Status::unimplemented("there is Ping only").into_http());
            }
            let codec = ProstCodec::<PingAnswer, PingRequest>::default();
            Ok(Serving::new(codec).unary(Ping, request).await)
        })
    }
}

struct Ping;

impl UnaryService<PingRequest> for Ping {
    type Response = PingAnswer;
    type Future = Ready<Result<Response<PingAnswer>, Status>>;

    fn call(&mut self, request: Request<PingRequest>) -> Self::Future {
        let PingRequest { payload } = request.into_inner();
        ready(Ok(Response::new(PingAnswer { data: payload })))
    }
}
