//! Ten thousand containers, one after another: nothing grows. Alone in its process, whose memory it measures.

mod support;

use selur_core::{Bridge, Deletion};
use std::fs;
use support::simulated;

/// The resident set in KiB. Source: proc(5), statm; pages of 4 KiB.
fn resident_kib() -> usize {
    let statm = fs::read_to_string("/proc/self/statm").expect("statm");
    let pages = statm.split_whitespace().nth(1).expect("the second field");
    pages.parse::<usize>().expect("a number") * 4
}

/// How many bytes of the guest's arena can be reserved in one piece.
fn largest_slot(bridge: &Bridge) -> usize {
    let fits = |bytes: &usize| bridge.reserve(*bytes).is_ok();
    (1..=1_024)
        .map(|blocks| blocks * 256)
        .take_while(fits)
        .last()
        .unwrap_or(0)
}

#[test]
fn ten_thousand_rounds_leave_memory_flat() {
    let bridge = simulated();
    let round = || {
        let id = bridge.create_container("nginx").expect("created").to_string();
        bridge.inspect_container(&id).expect("inspected");
        bridge.delete_container(&id, Deletion::Plain).expect("deleted");
    };
    // What is remembered of deleted containers is bounded, and full after these.
    (0..5_000).for_each(|_| round());
    let (before_kib, slot_before) = (resident_kib(), largest_slot(&bridge));
    (0..10_000).for_each(|_| round());
    let (after_kib, slot_after) = (resident_kib(), largest_slot(&bridge));
    assert!(bridge.list_containers().expect("listed").is_empty());
    assert_eq!(slot_after, slot_before);
    let grown_kib = after_kib.saturating_sub(before_kib);
    assert!(grown_kib < 1_024, "grew by {grown_kib} KiB, from {before_kib}");
}
