//! `stats`: what containers use. A table that renews itself, or a JSON line for each sample.

use super::ps::short;
use crate::cli::{Global, Stats as Arguments};
use crate::failure::{FAILED, Failure};
use crate::output::{self, Table, size};
use crate::session::Session;
use crate::terminal;
use selur_core::{
    Bridge, Event, EventItem, EventKind, EventOptions, Inspection, Stats, StatsOptions, Status,
};
use serde_json::json;
use std::collections::BTreeMap;
use std::io::{self, IsTerminal, Write};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

/// How often the table is renewed.
const RENEWAL: Duration = Duration::from_secs(1);
/// How far apart the two samples are that tell how busy a container is now.
const APART: Duration = Duration::from_millis(500);
const HEADINGS: [&str; 8] = [
    "CONTAINER",
    "NAME",
    "CPU",
    "MEMORY / LIMIT",
    "MEM",
    "PIDS",
    "NETWORK IN / OUT",
    "DISK READ / WRITTEN",
];

/// Shows what containers use.
///
/// # Errors
/// The containers cannot be listed, or the output is closed.
pub(crate) fn stats(arguments: &Arguments, global: &Global) -> Result<u8, Failure> {
    let session = Session::open(global)?;
    let (news, told) = channel();
    let mut watch = Watch {
        session: &session,
        news: told,
        tell: news,
        rows: BTreeMap::new(),
        order: Vec::new(),
        is_named: !arguments.containers.is_empty(),
        code: 0,
    };
    // Heard before the list is read, so that no start falls in between.
    let events = match !watch.is_named && !arguments.no_stream {
        true => Some(session.bridge().events(EventOptions::default())?),
        false => None,
    };
    let chosen = watch.chosen(&arguments.containers)?;
    session.remind("no container runs when a command begins");
    if arguments.no_stream {
        return watch.once(chosen);
    }
    let goes_on = events.is_some();
    if let Some(events) = events {
        let tell = watch.tell.clone();
        thread::spawn(move || {
            for item in events {
                if tell.send(News::Happened(item.map_err(Failure::from))).is_err() {
                    return;
                }
            }
        });
    }
    for inspection in chosen {
        watch.begin(inspection);
    }
    watch.follow(goes_on)
}

/// What the loop is told.
enum News {
    /// A container used so much until now.
    Sample(String, Stats),
    /// It has no further samples, and why, if it was not for its end.
    Gone(String, Option<Failure>),
    /// Something happened, perhaps a start.
    Happened(Result<EventItem, Failure>),
}

struct Watch<'a> {
    session: &'a Session,
    news: Receiver<News>,
    tell: Sender<News>,
    /// By id.
    rows: BTreeMap<String, Row>,
    /// The ids as they were named, or as they were found.
    order: Vec<String>,
    /// Whether they were named. Who names none gets what there is.
    is_named: bool,
    code: u8,
}

/// A container and its last two samples.
struct Row {
    name: Option<String>,
    before: Option<Stats>,
    latest: Option<Stats>,
}

impl Watch<'_> {
    /// The containers that were named, or all that run. A name that is refused does not keep the others.
    fn chosen(&mut self, named: &[String]) -> Result<Vec<Inspection>, Failure> {
        let bridge = self.session.bridge();
        if named.is_empty() {
            let mut running = super::ps::containers(self.session, false)?;
            // Between two lives a container uses nothing.
            running.retain(|container| container.state != "restarting");
            return Ok(running);
        }
        let mut chosen: Vec<Inspection> = Vec::new();
        for container in named {
            match bridge.inspect_container(container) {
                Ok(inspection) if chosen.iter().any(|other| other.id == inspection.id) => {}
                Ok(inspection) => chosen.push(inspection),
                Err(error) => self.refuse(Failure::from(error).about("container", container)),
            }
        }
        Ok(chosen)
    }

    fn refuse(&mut self, failure: Failure) {
        self.session.explain(failure).print(self.session.format());
        self.code = FAILED;
    }

    fn add(&mut self, inspection: Inspection) -> String {
        let Inspection { id, name, .. } = inspection;
        let row = Row {
            name,
            before: None,
            latest: None,
        };
        if self.rows.insert(id.clone(), row).is_none() {
            self.order.push(id.clone());
        }
        id
    }

    fn remove(&mut self, id: &str) {
        self.rows.remove(id);
        self.order.retain(|other| other != id);
    }

    /// Prints what is used now.
    fn once(mut self, chosen: Vec<Inspection>) -> Result<u8, Failure> {
        for inspection in chosen {
            self.add(inspection);
        }
        for round in 0..2 {
            if round > 0 && !self.order.is_empty() {
                thread::sleep(APART);
            }
            for id in self.order.clone() {
                match sample(self.session.bridge(), &id) {
                    Ok(stats) => self.sampled(&id, stats),
                    Err(failure) => {
                        // One that has ended since the list was read is none of all that run.
                        let ended = [Status::ContainerNotFound.name(), Status::InvalidState.name()];
                        if round == 0 && (self.is_named || !ended.contains(&failure.status())) {
                            self.refuse(failure);
                        }
                        self.remove(&id);
                    }
                }
            }
        }
        if self.session.is_json() {
            for id in &self.order {
                self.print(id)?;
            }
        } else {
            self.table().print()?;
        }
        Ok(self.code)
    }

    fn sampled(&mut self, id: &str, stats: Stats) {
        if let Some(row) = self.rows.get_mut(id) {
            row.before = row.latest.replace(stats);
        }
    }

    /// Samples a container on a thread of its own.
    fn begin(&mut self, inspection: Inspection) {
        if self.rows.contains_key(&inspection.id) {
            return;
        }
        let id = self.add(inspection);
        let (bridge, tell) = (self.session.bridge().clone(), self.tell.clone());
        thread::spawn(move || {
            let ended = watch(&bridge, &id, &tell);
            // Nobody listens any more if sending fails.
            let _ = tell.send(News::Gone(id, ended.err()));
        });
    }

    /// Renews what is shown until there is nothing left to show.
    fn follow(mut self, goes_on: bool) -> Result<u8, Failure> {
        let mut screen = Screen::new();
        let mut next = Instant::now();
        while goes_on || !self.rows.is_empty() {
            match self
                .news
                .recv_timeout(next.saturating_duration_since(Instant::now()))
            {
                Ok(News::Sample(id, stats)) => {
                    self.sampled(&id, stats);
                    if self.session.is_json() {
                        self.print(&id)?;
                    }
                }
                Ok(News::Gone(id, why)) => {
                    self.remove(&id);
                    if let Some(failure) = why.filter(|_| !goes_on) {
                        self.refuse(failure);
                    }
                }
                Ok(News::Happened(item)) => {
                    if let EventItem::Event(event) = item? {
                        self.happened(&event);
                    }
                }
                Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {
                    next += RENEWAL;
                    // The first table waits for the first samples.
                    if !self.session.is_json() && self.is_sampled() {
                        screen.show(&self.table())?;
                    }
                }
            }
        }
        Ok(self.code)
    }

    fn is_sampled(&self) -> bool {
        self.rows.is_empty() || self.rows.values().any(|row| row.latest.is_some())
    }

    fn happened(&mut self, event: &Event) {
        if event.kind != EventKind::Started {
            return;
        }
        // One that is gone again has nothing to show.
        if let Ok(inspection) = self.session.bridge().inspect_container(&event.subject) {
            self.begin(inspection);
        }
    }

    /// Prints the latest sample of a container as a JSON line.
    fn print(&self, id: &str) -> Result<(), Failure> {
        let Some(row) = self.rows.get(id) else {
            return Ok(());
        };
        let mut document = serde_json::to_value(&row.latest).unwrap_or_default();
        document["container"] = id.into();
        document["name"] = json!(row.name);
        document["cpu_percent"] = json!(row.cpu_percent());
        output::json(&document)?;
        Ok(())
    }

    fn table(&self) -> Table {
        let mut table = Table::new(&HEADINGS);
        for id in &self.order {
            if let Some(row) = self.rows.get(id) {
                table.row(row.cells(id));
            }
        }
        table
    }
}

impl Row {
    /// How much of one processor was used between the last two samples.
    fn cpu_percent(&self) -> Option<f64> {
        let (before, latest) = (self.before.as_ref()?, self.latest.as_ref()?);
        let passed = latest.time_ns.checked_sub(before.time_ns).filter(|ns| *ns > 0)?;
        let used = latest.cpu_ns.saturating_sub(before.cpu_ns);
        Some((used as f64 / passed as f64 * 10_000.0).round() / 100.0)
    }

    fn cells(&self, id: &str) -> [String; 8] {
        let percent = |number: Option<f64>| number.map_or("-".into(), |number| format!("{number:.2}%"));
        let pair = |one: Option<u64>, other: Option<u64>| {
            let [one, other] = [one, other].map(|bytes| bytes.map_or("-".into(), size));
            format!("{one} / {other}")
        };
        let name = self.name.clone().unwrap_or_default();
        let Some(stats) = &self.latest else {
            return [
                short(id),
                name,
                "-".into(),
                "-".into(),
                "-".into(),
                "-".into(),
                "-".into(),
                "-".into(),
            ];
        };
        let share = |limit: u64| stats.memory_bytes as f64 / limit.max(1) as f64 * 100.0;
        [
            short(id),
            name,
            percent(self.cpu_percent()),
            pair(Some(stats.memory_bytes), stats.memory_limit_bytes),
            percent(stats.memory_limit_bytes.map(share)),
            stats.pids.to_string(),
            pair(stats.network_receive_bytes, stats.network_send_bytes),
            pair(stats.block_read_bytes, stats.block_write_bytes),
        ]
    }
}

fn sample(bridge: &Bridge, id: &str) -> Result<Stats, Failure> {
    let options = StatsOptions {
        follow: false,
        ..StatsOptions::default()
    };
    let first = bridge.stats(id, options)?.wait_next();
    let ended = || {
        Failure::new(
            Status::InvalidState,
            format!("{id} has ended"),
            "`selur ps -a` lists it.",
        )
    };
    Ok(first.ok_or_else(ended)??)
}

/// Tells of each sample until the container has ended, or nobody listens.
fn watch(bridge: &Bridge, id: &str, tell: &Sender<News>) -> Result<(), Failure> {
    for stats in bridge.stats(id, StatsOptions::default())? {
        if tell.send(News::Sample(id.to_owned(), stats?)).is_err() {
            return Ok(());
        }
    }
    Ok(())
}

/// Where the table stands. On a terminal each takes the place of the one before.
struct Screen {
    is_terminal: bool,
    lines: usize,
}

impl Screen {
    fn new() -> Screen {
        Screen {
            is_terminal: io::stdout().is_terminal(),
            lines: 0,
        }
    }

    fn show(&mut self, table: &Table) -> io::Result<()> {
        let mut lines = table.lines();
        let mut text = String::new();
        if self.is_terminal {
            let rows = terminal::size().map_or(usize::MAX, |size| usize::from(size.rows));
            lines.truncate(rows.saturating_sub(1).max(1));
            if self.lines > 0 {
                text = format!("\x1b[{}A\r\x1b[J", self.lines);
            }
            // Long lines are cut off, not wrapped: else the next table would not find its place.
            text.push_str("\x1b[?7l");
        }
        self.lines = lines.len();
        for line in lines {
            text.push_str(&line);
            text.push('\n');
        }
        if self.is_terminal {
            text.push_str("\x1b[?7h");
        }
        let mut stdout = io::stdout().lock();
        stdout.write_all(text.as_bytes())?;
        stdout.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(before: Option<(u64, u64)>, latest: (u64, u64)) -> Row {
        let stats = |(time_ns, cpu_ns)| Stats {
            time_ns,
            cpu_ns,
            memory_bytes: 16 << 20,
            memory_limit_bytes: Some(64 << 20),
            pids: 3,
            block_read_bytes: Some(0),
            ..Stats::default()
        };
        Row {
            name: Some("web".into()),
            before: before.map(stats),
            latest: Some(stats(latest)),
        }
    }

    #[test]
    fn processor_use_is_what_came_between_two_samples() {
        let second = 1_000_000_000;
        assert_eq!(row(None, (second, 5)).cpu_percent(), None);
        assert_eq!(row(Some((second, 0)), (second, 0)).cpu_percent(), None);
        assert_eq!(
            row(Some((second, 0)), (2 * second, second / 4)).cpu_percent(),
            Some(25.0)
        );
        assert_eq!(
            row(Some((second, 0)), (3 * second, 4 * second)).cpu_percent(),
            Some(200.0)
        );
    }

    #[test]
    fn what_is_not_known_is_a_dash() {
        let id = "0123456789abcdef0123456789abcdef";
        let cells = row(None, (1, 1)).cells(id);
        assert_eq!(
            cells.join("|"),
            "0123456789ab|web|-|16.8 MB / 67.1 MB|25.00%|3|- / -|0 B / -"
        );
        let unseen = Row {
            name: None,
            before: None,
            latest: None,
        };
        assert_eq!(unseen.cells(id)[2], "-");
    }
}
