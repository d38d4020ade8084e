//! `serde_json` alone, at its best: the request is encoded and decoded, and so is the answer, in one thread, into buffers that
//! are used again, with text that is borrowed. No server, no system call.

use super::message::{Answer, Request};
use crate::measure::{Outcome, PAYLOADS, Samples, expect, payload};
use std::hint::black_box;
use std::time::Instant;

pub(super) fn measure() -> Outcome<()> {
    for bytes in PAYLOADS {
        let text = payload(bytes);
        let (mut request, mut answer) = (Vec::new(), Vec::new());
        let mut ping = || -> Outcome<()> {
            request.clear();
            serde_json::to_writer(&mut request, &Request::ping(black_box(&text)))?;
            let received: Request<'_> = serde_json::from_slice(&request)?;
            answer.clear();
            serde_json::to_writer(&mut answer, &received.answer())?;
            let received: Answer<'_> = serde_json::from_slice(&answer)?;
            expect(black_box(received).data.len() == bytes, "its length")
        };
        // One alone is shorter than reading the clock twice.
        let batch = if bytes > 10_240 { 5 } else { 50 };
        let mut samples = Samples::new();
        while samples.are_wanted() {
            let began = Instant::now();
            for _ in 0..batch {
                ping()?;
            }
            samples.add(began.elapsed(), batch);
        }
        samples.say("serde_json encode + decode", bytes);
    }
    Ok(())
}
