//! The page of a run: what is wanted and seen, tables, plots, method.

use super::bars::{Bar, amount, bars, container_bar};
use super::figures::{Figures, Percentiles, Pings, Request};
use super::plots::PLOTS;
use super::{size, time};
use std::fmt::Write;

pub(super) fn page(figures: &Figures) -> String {
    let mut page = head(figures);
    page.push_str(&bars_table(figures));
    page.push_str("\n## Round trip\n\n");
    page.push_str(
        "A ping goes through the guest: its frame is checked there, its payload is text, and it comes back. Beside it, in the same run, the \
         same request and answer by what people use today. The p50 of the quietest round:\n\n",
    );
    page.push_str(&pings_table(figures, &|percentiles| {
        time(percentiles.p50.least())
    }));
    page.push_str(&plot("round-trip"));
    page.push_str(&plot("at-100-bytes"));
    page.push_str("How far the rounds were apart: the p50 of the slowest one.\n\n");
    page.push_str(&pings_table(figures, &|percentiles| time(percentiles.p50.most())));
    page.push_str(
        "\nThe tails: the median of the rounds' p99s, and after it that of their p99.9s where there were at least 1,000 samples.\n\n",
    );
    page.push_str(&pings_table(figures, &|percentiles| {
        format!("{}, {}", time(percentiles.p99.median()), p999(percentiles))
    }));
    page.push_str(&requests(figures));
    page.push_str(&throughput(figures));
    page.push_str(&open(figures));
    page.push_str(&lookups(figures));
    page.push_str(&containers(figures));
    page.push_str(&method(figures));
    page
}

fn head(figures: &Figures) -> String {
    let of = |key| figures.of_run(key);
    format!(
        "# selur beside what people use today\n\n\
         Written by `just bench --write` on {} at {}, on {}, {} processors, Linux {}, with a load of {} when it began and {} when it ended. \
         One run of {} rounds, in each of which every program has its turn; {}.{}\n\n\
         Others make a shared machine up to twice as slow for seconds at a time. So each figure, selur's and every other's, is taken once a round, \
         and the quietest round's is shown: what the code costs, and the least of the neighbours. The slowest round's stands beside it.\n\n",
        of("date"),
        of("commit"),
        of("processor"),
        of("processors"),
        of("kernel"),
        of("load at first"),
        of("load at last"),
        of("rounds"),
        of("versions"),
        match of("kind") {
            "whole" => "",
            _ => " **A short run**: read no figure of it.",
        },
    )
}

fn bars_table(figures: &Figures) -> String {
    let mut table = "| what | wanted | seen | slowest round | |\n|---|---|---|---|---|\n".to_owned();
    for Bar { what, wanted, seen } in bars(figures) {
        let (judged, at_worst, verdict) = match &seen {
            None => ("", "", "not measured"),
            Some(seen) if seen.is_met => (&*seen.judged, &*seen.at_worst, "met"),
            Some(seen) => (&*seen.judged, &*seen.at_worst, "**missed**"),
        };
        // Writing to a String cannot fail, here and below.
        let _ = writeln!(table, "| {what} | {wanted} | {judged} | {at_worst} | {verdict} |");
    }
    table
        + "\nOf a time the quietest round is judged, of a ratio or a difference the median of the rounds', of memory the most. That a payload is \
           copied not at all in place, and once by copy, is counted by a test of selur-core, not here.\n"
}

fn pings_table(figures: &Figures, cell: &dyn Fn(&Percentiles) -> String) -> String {
    let mut sizes: Vec<u32> = figures
        .pings
        .iter()
        .flat_map(|row| row.by_bytes.keys().copied())
        .collect();
    sizes.sort_unstable();
    sizes.dedup();
    let mut table = String::from("| from | way |");
    for bytes in &sizes {
        let _ = write!(table, " {} |", size(*bytes));
    }
    let _ = writeln!(table, "\n|---|---|{}", "---:|".repeat(sizes.len()));
    let mut row = |pings: &Pings| {
        let from = if pings.is_peer() { "" } else { &pings.from };
        let _ = write!(table, "| {from} | {} |", pings.way);
        for bytes in &sizes {
            let _ = write!(
                table,
                " {} |",
                pings.by_bytes.get(bytes).map_or(String::new(), cell)
            );
        }
        table.push('\n');
    };
    figures
        .pings
        .iter()
        .filter(|pings| !pings.is_peer())
        .for_each(&mut row);
    figures
        .pings
        .iter()
        .filter(|pings| pings.is_peer())
        .for_each(&mut row);
    table
}

/// The plot, in the reader's own colours.
fn plot(name: &str) -> String {
    let title = PLOTS
        .iter()
        .find(|plot| plot.name == name)
        .map_or("", |plot| plot.title);
    format!(
        "\n<picture><source media=\"(prefers-color-scheme: dark)\" srcset=\"{name}-dark.svg\"><img alt=\"{title}\" src=\"{name}-light.svg\"></picture>\n\n"
    )
}

fn p999(percentiles: &Percentiles) -> String {
    match percentiles.p999.is_empty() {
        true => "–".into(),
        false => time(percentiles.p999.median()),
    }
}

/// What is not answered at once.
fn requests(figures: &Figures) -> String {
    let mut text = String::from(
        "\n## Requests that are not answered at once\n\nThe inspection of a simulated container, which the backend performs on another thread; of \
         many in flight, the share of each.\n\n| from | what | p50, quietest round | slowest | p99 |\n|---|---|---:|---:|---:|\n",
    );
    for Request {
        from,
        what,
        percentiles: Percentiles { p50, p99, .. },
    } in &figures.requests
    {
        let (least, most, tail) = (time(p50.least()), time(p50.most()), time(p99.median()));
        let _ = writeln!(text, "| {from} | {what} | {least} | {most} | {tail} |");
    }
    text
}

fn throughput(figures: &Figures) -> String {
    let mut text = String::from(
        "\n## Threads on one bridge\n\nPings of 100 B a second in the quietest round, in brackets in the slowest:\n\n",
    );
    text.push_str("| threads | by copy | in place, a slot each |\n|---:|---:|---:|\n");
    for threads in [1, 2, 4, 8] {
        let rate = |way| {
            let rate = figures.rate(way, threads);
            rate.map_or(String::new(), |rate| {
                format!("{:.2} million ({:.2})", rate.most() / 1e6, rate.least() / 1e6)
            })
        };
        let _ = writeln!(text, "| {threads} | {} | {} |", rate("by copy"), rate("in place"));
    }
    text + &plot("throughput")
}

fn open(figures: &Figures) -> String {
    let mut text = String::from(
        "## Opening a bridge\n\nWith the embedded guest and the simulated backend:\n\n| what | quietest round | slowest |\n|---|---:|---:|\n",
    );
    for row in &figures.open {
        let shown = |figure| amount(figure, &row.unit);
        let (least, most) = (shown(row.figure.least()), shown(row.figure.most()));
        let _ = writeln!(text, "| {} | {least} | {most} |", row.what);
    }
    text
}

fn lookups(figures: &Figures) -> String {
    let mut text = String::from(
        "\n## Looking up a container\n\nSimulated containers; the three tables take turns, and in each of them ten containers that are far apart. An inspection is \
         performed by the backend, on another thread; a container that \
         was not started cannot pause, which the kernel alone says. The p50 of the quietest round, in brackets of the slowest:\n\n",
    );
    let counts = [10, 100, 1_000];
    text.push_str("| way | 10 containers | 100 | 1,000 |\n|---|---:|---:|---:|\n");
    for way in figures.lookup_ways() {
        let _ = write!(text, "| {way} |");
        for count in counts {
            let rows = &mut figures.lookups.iter();
            let lookup = rows.find(|lookup| lookup.way == way && lookup.containers == count);
            let cell = lookup.map(|lookup| {
                let p50 = &lookup.percentiles.p50;
                format!("{} ({})", time(p50.least()), time(p50.most()))
            });
            let _ = write!(text, " {} |", cell.unwrap_or_default());
        }
        text.push('\n');
    }
    text + &plot("lookup")
}

fn containers(figures: &Figures) -> String {
    let mut text = String::from(
        "## Containers\n\nReal ones, each running `/bin/true` of the same busybox; medians of 20, ours and theirs in turn. \
         [runtime.md](runtime.md) says what each row is.\n\n",
    );
    text.push_str("| what | median | beside | | which takes longer | bar |\n|---|---:|---|---:|---|---|\n");
    for row in &figures.containers {
        let beside = row.beside.as_ref().map_or(" | | | ".into(), |(what, other)| {
            let longer = match row.median > *other {
                true => format!("ours, {:.2} × as long", row.median / other),
                false => format!("theirs, {:.2} × as long", other / row.median),
            };
            let bar = container_bar(row).map_or(String::new(), |(wanted, is_met)| {
                format!("{wanted}: {}", if is_met { "met" } else { "**missed**" })
            });
            format!("{what} | {other:.1} ms | {longer} | {bar}")
        });
        let _ = writeln!(text, "| {} | {:.1} ms | {beside} |", row.what, row.median);
    }
    text
}

fn method(figures: &Figures) -> String {
    let mut text = format!(
        "\n## Method\n\n\
         - A ping of selur's and serde_json's own work is shorter than reading the clock: a sample of theirs is the mean of 50 (in Deno of 500, in \
         Python and Elixir of 200; over 10 KB of 5, 20 and 10). Of what waits for another process a sample is one call. So the tails of the first are \
         those of means, and lower than a single call's.\n\
         - In a round samples are taken of each way and size for {} s, or until there are 2,000 (Deno, Python, Elixir), 5,001 (Rust, C), 10,001 \
         (peers in Rust) or 3,000 to 5,000 (the other peers). The first tenth warms up. A lookup has up to 20,001 of each table, asyncio's \
         inspections are 100 batches. Containers are measured once, and not in rounds.\n",
        figures.of_run("seconds"),
    );
    text.push_str(
        "- *in place*: the payload lies in the slot, the frame is submitted and the answer read there. *by copy*: the payload is copied in; in Rust the \
         answer is read where the guest left it, elsewhere it is the caller's own copy. Elixir's terms cannot lie in a guest's memory: it has \
         copies only.\n\
         - Peers: a request with a command and a payload of text, and an answer with a status and the same text. *one CPU*: both processes are \
         pinned to one processor, so that none must be woken; *across CPUs*: each to its own. serde_json encodes and decodes both, with reused \
         buffers and borrowed text, and sends nothing. HTTP is axum and hyper, gRPC is tonic, each on one thread and one connection \
         on the loopback that is kept. The Unix socket has no codec and no event loop. iceoryx2 keeps both processors busy while it waits.\n\
         - Peers of one language: extism and wasmtime-py call a guest that checks what selur's does, extism's 8 bytes at a time. Deno's fetch asks \
         `Deno.serve`, and http.client Python's http.server, each in another process over one connection; `:httpc` and a bare gen_tcp client ask a \
         server in the same VM, with JSON in plain Elixir, which at 10 KB takes most of their time: read their 100 B for what a socket costs.\n\
         - The source of each is in [benchmarks](../../benchmarks/README.md). `just bench` fails on no time; `just bench-check` compares counts of \
         instructions, which are the same on a busy machine.\n",
    );
    for reason in &figures.left_out {
        let _ = writeln!(text, "- Left out: {reason}.");
    }
    text
}
