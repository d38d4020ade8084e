//! What a copy costs whole and in pieces, by how the target lies to the source within a page: the reason why the bridge
//! copies in pieces. docs/decisions/copies-in-pieces.md is about it.
//!
//! `just bench-copies` runs it. It prints a table; each figure is the median of [`SAMPLES`] means of [`BATCH`] copies.

use selur_core::COPY_PIECE_BYTES;
use std::hint::black_box;
use std::time::Instant;

const SAMPLES: usize = 501;
const BATCH: u32 = 20;
const PAGE_BYTES: usize = 4_096;

fn main() {
    let source = vec![1_u8; 64 * PAGE_BYTES];
    let mut target = vec![0_u8; 64 * PAGE_BYTES];
    // Where both begin at a page's first byte.
    let source = &source[page_begin(&source)..];
    let begin = page_begin(&target);
    let target = &mut target[begin..];
    println!("| bytes | the target lies | whole | in pieces of {COPY_PIECE_BYTES} | |");
    println!("|---:|---|---:|---:|---:|");
    for bytes in [1_024, 10_240, 102_400] {
        for offset in [0, 5, 64, 1_000] {
            let mut copy = |piece_bytes: usize| {
                median(|| {
                    let pieces = source[..bytes].chunks(black_box(piece_bytes));
                    let places = target[offset..offset + bytes].chunks_mut(piece_bytes);
                    for (piece, place) in pieces.zip(places) {
                        place.copy_from_slice(piece);
                    }
                    black_box(&target);
                })
            };
            let (whole, pieces) = (copy(bytes), copy(COPY_PIECE_BYTES));
            let ratio = whole / pieces;
            println!(
                "| {bytes} | {offset} further on in its page | {whole:.0} ns | {pieces:.0} ns | {ratio:.1} × |"
            );
        }
    }
}

fn page_begin(bytes: &[u8]) -> usize {
    bytes.as_ptr().addr().wrapping_neg() % PAGE_BYTES
}

fn median(mut copy: impl FnMut()) -> f64 {
    let mut samples: Vec<f64> = (0..SAMPLES)
        .map(|_| {
            let began = Instant::now();
            (0..BATCH).for_each(|_| copy());
            began.elapsed().as_nanos() as f64 / f64::from(BATCH)
        })
        .collect();
    samples.sort_by(f64::total_cmp);
    samples[SAMPLES / 2]
}
