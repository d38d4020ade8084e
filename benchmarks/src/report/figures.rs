//! What a run has measured, as it is read from the lines of the programs that measured it. A line comes once in each round.

use crate::measure::Outcome;
use std::collections::BTreeMap;
use std::path::Path;

pub(super) struct Figures {
    /// What the run was: date, commit, processor and so on, by name.
    pub(super) run: BTreeMap<String, String>,
    /// What is not in it, and why.
    pub(super) left_out: Vec<String>,
    /// In the order in which they were measured.
    pub(super) pings: Vec<Pings>,
    pub(super) requests: Vec<Request>,
    pub(super) throughput: Vec<Throughput>,
    pub(super) open: Vec<Open>,
    pub(super) lookups: Vec<Lookup>,
    pub(super) containers: Vec<Container>,
}

/// A ping of all sizes, from one language or by one peer.
pub(super) struct Pings {
    /// The language, or `peers`.
    pub(super) from: String,
    pub(super) way: String,
    pub(super) by_bytes: BTreeMap<u32, Percentiles>,
}

/// What is not answered at once, from one language.
pub(super) struct Request {
    pub(super) from: String,
    pub(super) what: String,
    pub(super) percentiles: Percentiles,
}

/// In nanoseconds.
#[derive(Default)]
pub(super) struct Percentiles {
    pub(super) p50: Rounds,
    pub(super) p99: Rounds,
    /// Only of rounds with samples enough.
    pub(super) p999: Rounds,
}

/// A figure as each round gave it, in their order.
#[derive(Clone, Default)]
pub(super) struct Rounds(Vec<f64>);

pub(super) struct Throughput {
    pub(super) way: String,
    pub(super) threads: u32,
    pub(super) pings_per_second: Rounds,
}

pub(super) struct Open {
    pub(super) what: String,
    pub(super) figure: Rounds,
    pub(super) unit: String,
}

pub(super) struct Lookup {
    pub(super) way: String,
    pub(super) containers: u32,
    pub(super) percentiles: Percentiles,
}

/// Medians in milliseconds.
pub(super) struct Container {
    pub(super) what: String,
    pub(super) median: f64,
    pub(super) beside: Option<(String, f64)>,
}

impl Figures {
    pub(super) fn read(folder: &Path) -> Outcome<Figures> {
        let mut figures = Figures {
            run: BTreeMap::new(),
            left_out: Vec::new(),
            pings: Vec::new(),
            requests: Vec::new(),
            throughput: Vec::new(),
            open: Vec::new(),
            lookups: Vec::new(),
            containers: Vec::new(),
        };
        for name in ["run.tsv", "pings.tsv", "bridge.tsv", "containers.tsv"] {
            let text =
                std::fs::read_to_string(folder.join(name)).map_err(|error| format!("{name}: {error}"))?;
            for line in text.lines() {
                let fields: Vec<&str> = line.split('\t').collect();
                figures
                    .take(name, &fields)
                    .map_err(|error| format!("{name}: {line:?}: {error}"))?;
            }
        }
        Ok(figures)
    }

    fn take(&mut self, name: &str, fields: &[&str]) -> Outcome<()> {
        match (name, fields) {
            ("run.tsv", ["left out", why]) => self.left_out.push((*why).into()),
            ("run.tsv", [key, value]) => drop(self.run.insert((*key).into(), (*value).into())),
            ("pings.tsv", [from, what, "", percentiles @ ..]) => {
                let is_it = |row: &Request| row.from == *from && row.what == *what;
                let row = known(&mut self.requests, is_it, || Request {
                    from: (*from).into(),
                    what: (*what).into(),
                    percentiles: Percentiles::default(),
                });
                row.percentiles.add(percentiles)?;
            }
            ("pings.tsv", [from, way, bytes, percentiles @ ..]) => {
                let is_it = |row: &Pings| row.from == *from && row.way == *way;
                let row = known(&mut self.pings, is_it, || Pings {
                    from: (*from).into(),
                    way: (*way).into(),
                    by_bytes: BTreeMap::new(),
                });
                let of_size = row.by_bytes.entry(bytes.parse()?).or_default();
                of_size.add(percentiles)?;
            }
            ("bridge.tsv", ["threads", way, threads, rate]) => {
                let threads = threads.parse()?;
                let is_it = |row: &Throughput| row.way == *way && row.threads == threads;
                let row = known(&mut self.throughput, is_it, || Throughput {
                    way: (*way).into(),
                    threads,
                    pings_per_second: Rounds::default(),
                });
                row.pings_per_second.add(rate)?;
            }
            ("bridge.tsv", ["open", what, figure, unit]) => {
                let row = known(
                    &mut self.open,
                    |row| row.what == *what,
                    || Open {
                        what: (*what).into(),
                        figure: Rounds::default(),
                        unit: (*unit).into(),
                    },
                );
                row.figure.add(figure)?;
            }
            ("bridge.tsv", ["lookup", way, containers, percentiles @ ..]) => {
                let containers = containers.parse()?;
                let is_it = |row: &Lookup| row.way == *way && row.containers == containers;
                let row = known(&mut self.lookups, is_it, || Lookup {
                    way: (*way).into(),
                    containers,
                    percentiles: Percentiles::default(),
                });
                row.percentiles.add(percentiles)?;
            }
            ("containers.tsv", [what, median, beside, other]) => self.containers.push(Container {
                what: (*what).into(),
                median: median.parse()?,
                beside: match other.is_empty() {
                    true => None,
                    false => Some(((*beside).into(), other.parse()?)),
                },
            }),
            _ => return Err("a line of another form".into()),
        }
        Ok(())
    }

    pub(super) fn of_run(&self, key: &str) -> &str {
        self.run.get(key).map_or("unknown", String::as_str)
    }

    /// The p50s of a ping in nanoseconds.
    pub(super) fn p50(&self, from: &str, way: &str, bytes: u32) -> Option<&Rounds> {
        let row = self.pings.iter().find(|row| row.from == from && row.way == way)?;
        Some(&row.by_bytes.get(&bytes)?.p50)
    }

    /// Pings a second.
    pub(super) fn rate(&self, way: &str, threads: u32) -> Option<&Rounds> {
        let row = self
            .throughput
            .iter()
            .find(|row| row.way == way && row.threads == threads)?;
        Some(&row.pings_per_second)
    }

    /// Of one column, each name once, in the order of the lines.
    pub(super) fn lookup_ways(&self) -> Vec<&str> {
        let mut ways: Vec<&str> = Vec::new();
        for lookup in &self.lookups {
            if !ways.contains(&lookup.way.as_str()) {
                ways.push(&lookup.way);
            }
        }
        ways
    }
}

/// The row that is meant, which is made where there is none.
fn known<T>(rows: &mut Vec<T>, is_it: impl Fn(&T) -> bool, make: impl FnOnce() -> T) -> &mut T {
    let at = match rows.iter().position(is_it) {
        Some(at) => at,
        None => {
            rows.push(make());
            rows.len() - 1
        }
    };
    &mut rows[at]
}

impl Percentiles {
    fn add(&mut self, fields: &[&str]) -> Outcome<()> {
        let [p50, p99, p999] = fields else {
            return Err("there are not three percentiles".into());
        };
        self.p50.add(p50)?;
        self.p99.add(p99)?;
        match p999.is_empty() {
            true => Ok(()),
            false => self.p999.add(p999),
        }
    }
}

/// Of no round at all each is not a number.
impl Rounds {
    fn add(&mut self, figure: &str) -> Outcome<()> {
        self.0.push(figure.parse()?);
        Ok(())
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn least(&self) -> f64 {
        self.0.iter().copied().fold(f64::NAN, f64::min)
    }

    pub(super) fn median(&self) -> f64 {
        let mut ascending = self.0.clone();
        ascending.sort_by(f64::total_cmp);
        ascending.get(ascending.len() / 2).copied().unwrap_or(f64::NAN)
    }

    pub(super) fn most(&self) -> f64 {
        self.0.iter().copied().fold(f64::NAN, f64::max)
    }

    /// What two figures give in each round.
    pub(super) fn with(&self, other: &Rounds, ratio: fn(f64, f64) -> f64) -> Rounds {
        let pairs = self.0.iter().zip(&other.0);
        Rounds(pairs.map(|(one, other)| ratio(*one, *other)).collect())
    }
}

impl Pings {
    pub(super) fn is_peer(&self) -> bool {
        self.from == "peers"
    }
}
