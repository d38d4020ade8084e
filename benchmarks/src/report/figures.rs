//! What a run has measured, as it is read from the lines of the programs that measured it.

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

/// In nanoseconds.
#[derive(Clone, Copy)]
pub(super) struct Percentiles {
    pub(super) p50: f64,
    pub(super) p99: f64,
    /// Only of samples enough.
    pub(super) p999: Option<f64>,
}

pub(super) struct Throughput {
    pub(super) way: String,
    pub(super) threads: u32,
    pub(super) pings_per_second: f64,
}

pub(super) struct Open {
    pub(super) what: String,
    pub(super) figure: f64,
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
            // An inspection, or another request that is no ping.
            ("pings.tsv", [_, way, ..]) if way.starts_with("asyncio:") => {}
            ("pings.tsv", [from, way, bytes, percentiles @ ..]) => {
                let bytes = bytes.parse()?;
                let percentiles = Percentiles::read(percentiles)?;
                let known = self
                    .pings
                    .iter_mut()
                    .find(|row| row.from == *from && row.way == *way);
                match known {
                    Some(row) => drop(row.by_bytes.insert(bytes, percentiles)),
                    None => self.pings.push(Pings {
                        from: (*from).into(),
                        way: (*way).into(),
                        by_bytes: BTreeMap::from([(bytes, percentiles)]),
                    }),
                }
            }
            ("bridge.tsv", ["threads", way, threads, rate]) => self.throughput.push(Throughput {
                way: (*way).into(),
                threads: threads.parse()?,
                pings_per_second: rate.parse()?,
            }),
            ("bridge.tsv", ["open", what, figure, unit]) => self.open.push(Open {
                what: (*what).into(),
                figure: figure.parse()?,
                unit: (*unit).into(),
            }),
            ("bridge.tsv", ["lookup", way, containers, percentiles @ ..]) => self.lookups.push(Lookup {
                way: (*way).into(),
                containers: containers.parse()?,
                percentiles: Percentiles::read(percentiles)?,
            }),
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

    /// The p50 of a ping in nanoseconds.
    pub(super) fn p50(&self, from: &str, way: &str, bytes: u32) -> Option<f64> {
        let row = self.pings.iter().find(|row| row.from == from && row.way == way)?;
        Some(row.by_bytes.get(&bytes)?.p50)
    }

    pub(super) fn rate(&self, way: &str, threads: u32) -> Option<f64> {
        let row = self
            .throughput
            .iter()
            .find(|row| row.way == way && row.threads == threads)?;
        Some(row.pings_per_second)
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

impl Percentiles {
    fn read(fields: &[&str]) -> Outcome<Percentiles> {
        let [p50, p99, p999] = fields else {
            return Err("there are not three percentiles".into());
        };
        Ok(Percentiles {
            p50: p50.parse()?,
            p99: p99.parse()?,
            p999: match p999.is_empty() {
                true => None,
                false => Some(p999.parse()?),
            },
        })
    }
}

impl Pings {
    pub(super) fn is_peer(&self) -> bool {
        self.from == "peers"
    }
}
