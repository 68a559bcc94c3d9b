//! What all rounds showed, as a table and as a folder of results.

use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use serde::Serialize;

use super::rows::{Metric, Row};
use super::{Values, curve_of};
use crate::cli::VersusArgs;
use crate::machine::{self, Machine};
use crate::report::plot::{Axis, Plot, Scale, Series};
use crate::report::{Program, Report, bytes, own_command, ratio, ticks};
use crate::servers::Description;

/// `run.json` of a comparison. results/README.md describes every field.
#[derive(Serialize)]
pub struct Record {
    schema: &'static str,
    started: String,
    command: Vec<String>,
    loadgen: Program,
    machine: Machine,
    rounds: usize,
    seconds: u64,
    watchers: usize,
    znodes: u32,
    sides: Vec<Side>,
    figures: Vec<Figure>,
    verdicts: Vec<CellVerdict>,
    #[serde(skip)]
    curves: Vec<Curve>,
}

#[derive(Serialize)]
struct Side {
    name: &'static str,
    server: Description,
}

/// One metric of one row, on all sides.
#[derive(Serialize)]
struct Figure {
    row: &'static str,
    title: &'static str,
    metric: &'static str,
    unit: &'static str,
    /// In the order of the sides.
    values: Vec<Spread>,
    times_apache: Option<f64>,
    goal_apache: Option<f64>,
    share_of_null: Option<f64>,
    goal_null: Option<f64>,
    #[serde(skip)]
    of: &'static Metric,
}

/// The rounds of one figure on one side.
#[derive(Default, Serialize)]
struct Spread {
    rounds: Vec<f64>,
    median: Option<f64>,
}

#[derive(Serialize)]
struct CellVerdict {
    row: &'static str,
    side: &'static str,
    state: &'static str,
    reasons: Vec<String>,
}

struct Curve {
    row: &'static Row,
    side: usize,
    points: Vec<(f64, f64)>,
}

pub const SCHEMA: &str = "loadgen-versus-1";

impl Record {
    pub fn new(
        started: SystemTime,
        args: &VersusArgs,
        names: Vec<&'static str>,
        descriptions: Vec<Description>,
        rows: &[&'static Row],
    ) -> Self {
        let sides: Vec<_> = names
            .into_iter()
            .zip(descriptions)
            .map(|(name, server)| Side { name, server })
            .collect();
        let figures = rows.iter().flat_map(|row| {
            row.metrics.iter().map(|metric| Figure {
                row: row.name,
                title: row.title,
                metric: metric.name,
                unit: metric.unit.name(),
                values: sides.iter().map(|_| Spread::default()).collect(),
                times_apache: None,
                goal_apache: metric.goal_apache,
                share_of_null: None,
                goal_null: metric.goal_null,
                of: metric,
            })
        });
        Self {
            schema: SCHEMA,
            started: humantime::format_rfc3339_seconds(started).to_string(),
            command: own_command(),
            loadgen: Program::own(),
            machine: machine::machine(),
            rounds: args.rounds,
            seconds: args.secs,
            watchers: args.watchers,
            znodes: args.znodes,
            figures: figures.collect(),
            sides,
            verdicts: Vec::new(),
            curves: Vec::new(),
        }
    }

    /// Takes in one cell of one round.
    pub fn add(&mut self, row: &'static Row, side: usize, values: &Values, report: &Report) {
        for &(metric, value) in values {
            let figure = self
                .figures
                .iter_mut()
                .find(|figure| figure.row == row.name && figure.metric == metric);
            let spread = &mut figure.expect("every value has its metric").values[side];
            spread.rounds.push(value);
            spread.median = median(&spread.rounds);
        }
        self.compare();
        self.verdicts.push(CellVerdict {
            row: row.name,
            side: self.sides[side].name,
            state: report.verdict.state,
            reasons: report.verdict.reasons.clone(),
        });
        if let Some(latency) = curve_of(report) {
            self.curves.retain(|curve| curve.row.name != row.name || curve.side != side);
            let points = latency.curve.iter().copied().filter(|&(share, _)| share < 1.0);
            self.curves.push(Curve { row, side, points: points.collect() });
        }
    }

    fn compare(&mut self) {
        let place = |name: &str| self.sides.iter().position(|side| side.name == name);
        let (ours, apache, null) = (place("ringkeeper"), place("apache"), place("null"));
        for figure in &mut self.figures {
            let median = |side: Option<usize>| figure.values[side?].median;
            let times = |other: Option<f64>| {
                let quotient = figure.of.unit.times(median(ours)?, other?);
                quotient.is_finite().then_some(quotient)
            };
            let (times_apache, share_of_null) = (times(median(apache)), times(median(null)));
            figure.times_apache = times_apache;
            figure.share_of_null = share_of_null;
        }
    }

    /// The table of medians, in Markdown.
    pub fn table(&self) -> String {
        let mut out = String::from("| measure | figure |");
        for side in &self.sides {
            write!(out, " {} |", side.name).expect("writing to a string");
        }
        out.push_str(" times Apache (goal) | share of null (goal) |\n|---|---|");
        out.push_str(&"---:|".repeat(self.sides.len() + 2));
        out.push('\n');
        let mut title = "";
        for figure in &self.figures {
            let shown = if figure.title == title { "" } else { figure.title };
            title = figure.title;
            write!(out, "| {shown} | {} |", figure.metric).expect("writing to a string");
            for spread in &figure.values {
                let text =
                    spread.median.map_or("–".to_owned(), |value| figure.of.unit.show(value));
                write!(out, " {text} |").expect("writing to a string");
            }
            let apache = with_goal(figure.times_apache, figure.goal_apache);
            let null = with_goal(figure.share_of_null, figure.goal_null);
            writeln!(out, " {apache} | {null} |").expect("writing to a string");
        }
        out
    }

    /// Writes `out/<date>_<commit>_versus/` and returns it.
    pub fn write(&self, out: &Path) -> Result<PathBuf, String> {
        let date = &self.started[..10];
        let name = format!("{date}_{}_versus", self.loadgen.commit);
        let mut folder = out.join(&name);
        let mut number = 2;
        while folder.exists() {
            folder = out.join(format!("{name}_{number}"));
            number += 1;
        }
        let put = |file: &str, text: &str| {
            let path = folder.join(file);
            fs::write(&path, text).map_err(|why| format!("writing {}: {why}", path.display()))
        };
        fs::create_dir_all(&folder)
            .map_err(|why| format!("creating {}: {why}", folder.display()))?;
        let mut json = serde_json::to_string_pretty(self).expect("no map has keys but strings");
        json.push('\n');
        put("run.json", &json)?;
        put("machine.txt", &self.machine_text())?;
        let plots = self.plots();
        for (name, plot) in &plots {
            put(&format!("{name}.svg"), &plot.standalone())?;
        }
        put("summary.md", &self.summary(&plots))?;
        Ok(folder)
    }

    fn summary(&self, plots: &[(String, Plot)]) -> String {
        let mut out = format!(
            "# {}\n\n{}. Medians of {} rounds of {} s on every side in turn, every other round in \
             the opposite order; 64 connections from one client thread, 100 bytes of data, 1,000 \
             znodes, both servers with maxClientCnxns=0 and otherwise default settings, every \
             write synced before its acknowledgement. {} watchers, {} znodes. Ratios are turned so \
             that more is better.\n\nMade by\n\n```\n{}\n```\n\n",
            self.sides.iter().map(|side| side.name).collect::<Vec<_>>().join(", "),
            self.started,
            self.rounds,
            self.seconds,
            self.watchers,
            self.znodes,
            self.command.join(" "),
        );
        out.push_str(&self.table());
        out.push('\n');
        for side in &self.sides {
            let server = &side.server;
            writeln!(out, "* {}: {} (data on {})", side.name, server.version, server.file_system)
                .expect("writing to a string");
        }
        out.push_str(&self.doubts());
        for (name, plot) in plots {
            writeln!(out, "\n![{}]({name}.svg)", plot.title).expect("writing to a string");
        }
        out
    }

    /// Verdicts other than `valid`, counted.
    fn doubts(&self) -> String {
        let mut counted: Vec<(&CellVerdict, usize)> = Vec::new();
        for verdict in self.verdicts.iter().filter(|verdict| verdict.state != "valid") {
            let same = |other: &&mut (&CellVerdict, usize)| {
                let (other, _) = other;
                (other.row, other.side, other.state) == (verdict.row, verdict.side, verdict.state)
            };
            match counted.iter_mut().find(same) {
                Some((_, count)) => *count += 1,
                None => counted.push((verdict, 1)),
            }
        }
        let mut out = String::new();
        for (verdict, count) in counted {
            let why = verdict.reasons.first().map_or("", String::as_str);
            let CellVerdict { row, side, state, .. } = verdict;
            writeln!(out, "* {row} on {side}: {state} in {count} of {} rounds: {why}", self.rounds)
                .expect("writing to a string");
        }
        if out.is_empty() { out } else { format!("\nTo be read with care:\n\n{out}") }
    }

    fn plots(&self) -> Vec<(String, Plot)> {
        let mut plots: Vec<(String, Plot)> = Vec::new();
        // A side's line has its place, and so its colour, by the side and not by who came last.
        let mut curves: Vec<_> = self.curves.iter().collect();
        curves.sort_by_key(|curve| curve.side);
        for curve in curves {
            let name = format!("latency-{}", curve.row.name);
            let series = Series {
                name: self.sides[curve.side].name.to_owned(),
                points: curve.points.clone(),
            };
            if let Some((_, plot)) = plots.iter_mut().find(|(known, _)| *known == name) {
                plot.series.push(series);
                continue;
            }
            let label = "share of answers not slower";
            let plot = Plot {
                title: curve.row.title.to_owned(),
                x: Axis { label, scale: Scale::Nines, tick: ticks::percent },
                y: Axis { label: "", scale: Scale::Log, tick: ticks::duration },
                series: vec![series],
            };
            plots.push((name, plot));
        }
        plots
    }

    fn machine_text(&self) -> String {
        let machine = &self.machine;
        let kind = if machine.is_virtual { "virtual machine" } else { "no hypervisor seen" };
        let mut out = format!(
            "{}\n{} cores, {kind}\n{} {}\n{} of memory\n",
            machine.cpu,
            machine.cores,
            machine.kernel,
            machine.architecture,
            bytes(machine.memory_bytes as f64)
        );
        for Side { name, server } in &self.sides {
            let command = server.command.join(" ");
            write!(
                out,
                "\n{name}\n  {}\n  {command}\n  data on {}\n  {}\n",
                server.version, server.file_system, server.durability
            )
            .expect("writing to a string");
            for line in server.configuration.lines() {
                writeln!(out, "  {line}").expect("writing to a string");
            }
        }
        out
    }
}

fn median(values: &[f64]) -> Option<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    match sorted.len() {
        0 => None,
        count if count % 2 == 1 => Some(sorted[middle]),
        _ => Some(f64::midpoint(sorted[middle - 1], sorted[middle])),
    }
}

/// A quotient beside its goal; bold when the goal is missed.
fn with_goal(value: Option<f64>, goal: Option<f64>) -> String {
    match (value, goal) {
        (None, _) => "–".to_owned(),
        (Some(value), None) => ratio(value),
        (Some(value), Some(goal)) if value >= goal => format!("{} ({goal})", ratio(value)),
        (Some(value), Some(goal)) => format!("**{}** ({goal})", ratio(value)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn medians_and_goals_are_told_apart() {
        assert_eq!(median(&[]), None);
        assert_eq!(median(&[3.0, 1.0, 2.0]), Some(2.0));
        assert_eq!(median(&[4.0, 1.0]), Some(2.5));
        assert_eq!(with_goal(Some(2.5), Some(2.2)), "2.50 (2.2)");
        assert_eq!(with_goal(Some(1.5), Some(2.2)), "**1.50** (2.2)");
        assert_eq!(with_goal(Some(1.5), None), "1.50");
        assert_eq!(with_goal(None, Some(2.2)), "–");
    }
}
