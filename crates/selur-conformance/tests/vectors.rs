//! Every vector, through the guest: selur.wasm, hosted by selur-core, on the simulated backend.

use selur_conformance::replay::{Client, Reply, replay};
use selur_conformance::vector::{Vector, read_all};
use selur_core::{Backend, Bridge, Guest, Ticket};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

/// Names another guest than the embedded one, to see that the vectors notice what it does otherwise.
const GUEST: &str = "SELUR_CONFORMANCE_GUEST";

/// A floor, so that lost vectors are noticed; the files say how many there are.
const AT_LEAST: usize = 550;

/// Vectors that are replayed at once: most of them wait for a moment, and a failing one for long.
const THREADS: usize = 8;

struct OverBridge(Bridge);

/// A request in flight, or an answer without one.
enum InFlight {
    Ticket(Ticket),
    Refused(Reply),
}

impl Client for OverBridge {
    type Ticket = InFlight;

    fn submit(&self, frame: &[u8]) -> InFlight {
        match self.0.submit(frame) {
            Ok(ticket) => InFlight::Ticket(ticket),
            Err(error) => InFlight::Refused(Reply {
                status: error.status().code(),
                data: error.message().as_bytes().to_vec(),
            }),
        }
    }

    fn wait(&self, ticket: InFlight, patience: Duration) -> Option<Reply> {
        match ticket {
            InFlight::Refused(reply) => Some(reply),
            InFlight::Ticket(mut ticket) => ticket.wait_for(patience).map(|response| Reply {
                status: response.status().code(),
                data: response.into_data(),
            }),
        }
    }

    fn cancel(&self, ticket: &InFlight) {
        if let InFlight::Ticket(ticket) = ticket {
            ticket.cancel();
        }
    }
}

fn replay_on_a_fresh_bridge(vector: &Vector) -> Result<(), String> {
    let guest = std::env::var_os(GUEST).map_or(Guest::Embedded, |path| Guest::Path(path.into()));
    let bridge = Bridge::builder()
        .guest(guest)
        .backend(Backend::Simulated)
        .default_deadline(vector.deadline_ms.map(Duration::from_millis))
        .build()
        .map_err(|error| format!("{}: no bridge: {error}", vector.name))?;
    let client = OverBridge(bridge);
    let outcome = replay(vector, &client);
    client.0.close();
    outcome
}

#[test]
fn every_vector_holds_on_the_guest() {
    let files = read_all().expect("the vectors are there");
    let vectors: Vec<_> = files.into_iter().flat_map(|(_, file)| file.vectors).collect();
    let next = AtomicUsize::new(0);
    let failures = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                while let Some(vector) = vectors.get(next.fetch_add(1, Ordering::Relaxed)) {
                    if let Err(failure) = replay_on_a_fresh_bridge(vector) {
                        failures.lock().unwrap().push(failure);
                    }
                }
            });
        }
    });
    let failures = failures.into_inner().unwrap();
    assert!(
        failures.is_empty(),
        "{} of {} vectors failed:\n{}",
        failures.len(),
        vectors.len(),
        failures.join("\n")
    );
    assert!(vectors.len() >= AT_LEAST, "only {} vectors ran", vectors.len());
    println!("{} vectors held", vectors.len());
}
