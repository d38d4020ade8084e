//! A bridge that only answers pings has no thread. Alone in its process, whose threads it counts.

mod support;

use std::fs;
use support::simulated;

fn threads() -> usize {
    fs::read_dir("/proc/self/task")
        .expect("the process's own threads")
        .count()
}

#[test]
fn pings_alone_start_no_thread() {
    let before = threads();
    let bridge = simulated();
    bridge.ping("hi").expect("answered");
    assert_eq!(threads(), before);
    bridge.create_container("nginx").expect("created");
    assert!(threads() > before, "effects have threads of their own");
}
