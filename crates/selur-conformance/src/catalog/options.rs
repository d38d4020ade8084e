//! options.json

use super::build::*;
use crate::vector::Vector;
use serde_json::json as value;

pub(super) fn vectors() -> Vec<Vector> {
    let mut vectors = timeouts();
    vectors.extend(signals());
    vectors.extend(force());
    vectors
}

fn timeouts() -> Vec<Vector> {
    let good = ["0", "1", "007", "10000", "4294967295"];
    let bad = [
        ("nothing", ""),
        ("a_sign", "+1"),
        ("a_negative_number", "-1"),
        ("a_fraction", "1.5"),
        ("a_unit", "10s"),
        ("hex", "0x10"),
        ("a_space", " 1"),
        ("a_word", "force"),
        ("more_than_32_bits", "4294967296"),
        ("far_more_than_32_bits", "99999999999999999999999999"),
        ("foreign_digits", "١٢"),
    ];
    let mut vectors: Vec<_> = good
        .into_iter()
        .map(|timeout| {
            vector(&format!("a_timeout_may_be_{timeout}"))
                .create(NGINX)
                .each(&["start"])
                .request("stop", &[ID, timeout], done())
                .inspect(value!({ "state": "stopped", "exit_code": 143 }))
        })
        .collect();
    vectors.extend(bad.into_iter().map(|(kind, timeout)| {
        vector(&format!("a_timeout_may_not_be_{kind}"))
            .create(NGINX)
            .each(&["start"])
            .request("stop", &[ID, timeout], invalid("timeout"))
            .inspect(value!({ "state": "running" }))
    }));
    vectors.push(
        vector("stop_kills_what_ignores_its_signal")
            .create("fault.test/ignore-term:latest")
            .each(&["start"])
            .request("stop", &[ID, "100"], done())
            .inspect(value!({ "state": "stopped", "exit_code": 137 })),
    );
    vectors
}

fn signals() -> Vec<Vector> {
    let ending = [
        ("SIGTERM", "143"),
        ("TERM", "143"),
        ("15", "143"),
        ("SIGKILL", "137"),
        ("9", "137"),
        ("SIGHUP", "129"),
        ("INT", "130"),
        ("SIGQUIT", "131"),
        ("SIGUSR1", "138"),
        ("SIGRTMIN", "162"),
        ("SIGRTMIN+3", "165"),
        ("RTMIN+30", "192"),
        ("SIGRTMAX", "192"),
        ("RTMAX-2", "190"),
        ("64", "192"),
    ];
    let name_of = |signal: &str| {
        signal
            .to_lowercase()
            .replace('+', "_plus_")
            .replace('-', "_minus_")
    };
    let mut vectors: Vec<_> = ending
        .into_iter()
        .map(|(signal, code)| {
            vector(&format!(
                "the_signal_{}_ends_a_process_with_{code}",
                name_of(signal)
            ))
            .create(NGINX)
            .each(&["start"])
            .request("kill", &[ID, signal], done())
            .request("wait", &[ID], data(code))
        })
        .collect();
    vectors.extend(["SIGCHLD", "WINCH", "18"].into_iter().map(|signal| {
        vector(&format!("the_signal_{}_ends_nothing", name_of(signal)))
            .create(NGINX)
            .each(&["start"])
            .request("kill", &[ID, signal], done())
            .inspect(value!({ "state": "running", "exit_code": null }))
    }));
    let bad = [
        ("nothing", ""),
        ("0", "0"),
        ("65", "65"),
        ("256", "256"),
        ("a_negative_number", "-9"),
        ("a_sign", "+9"),
        ("small_letters", "sigterm"),
        ("an_unknown_name", "SIGNONE"),
        ("two_prefixes", "SIGSIGTERM"),
        ("only_the_prefix", "SIG"),
        ("a_number_behind_the_prefix", "SIG9"),
        ("a_space", "TERM "),
        ("more_than_the_real_time_signals", "SIGRTMIN+31"),
        ("less_than_the_real_time_signals", "SIGRTMAX-31"),
        ("an_offset_without_a_number", "SIGRTMIN+"),
    ];
    vectors.extend(bad.into_iter().map(|(kind, signal)| {
        vector(&format!("a_signal_may_not_be_{kind}"))
            .create(NGINX)
            .each(&["start"])
            .request("kill", &[ID, signal], invalid("signal"))
            .inspect(value!({ "state": "running" }))
    }));
    vectors
}

fn force() -> Vec<Vector> {
    let bad = [
        ("nothing", ""),
        ("capitals", "Force"),
        ("true", "true"),
        ("a_flag", "--force"),
        ("1", "1"),
    ];
    bad.into_iter()
        .map(|(kind, word)| {
            vector(&format!("force_may_not_be_{kind}"))
                .create(NGINX)
                .request("delete", &[ID, word], invalid("force"))
                .inspect(value!({ "state": "created" }))
        })
        .collect()
}
