//! The report as a page: one file, plots inside, readable on a phone and in the dark.

use super::number::{bytes, duration_us, grouped};
use super::plot::{Axis, DARK, LIGHT, Plot, STYLE, Scale, Series, escape};
use super::{Latency, Load, Report, Second, addresses, ticks};

pub fn page(report: &Report) -> String {
    let title = format!("loadgen: {} on {}", report.scenario, report.server.kind);
    let title = escape(&title);
    let verdict = &report.verdict;
    let reasons: String =
        verdict.reasons.iter().map(|reason| format!("<br>{}", escape(reason))).collect();
    let mut body = format!(
        "<h1>{title}</h1>\n<p class=\"soft\">{} · {}</p>\n\
         <p class=\"verdict {}\"><strong>{}</strong>{reasons}</p>\n",
        escape(&report.started),
        escape(&report.server.version),
        verdict.state,
        verdict.state,
    );
    body.push_str(&cards(report));
    body.push_str(&latency_table(report));
    let plots: String =
        plots(report).iter().map(|plot| format!("<figure>{}</figure>\n", plot.svg())).collect();
    body.push_str(&format!("<div class=\"plots\">\n{plots}</div>\n"));
    body.push_str(&provenance(report));
    format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">\n\
         <meta name=\"color-scheme\" content=\"light dark\">\n<title>{title}</title>\n\
         <style>:root{{{LIGHT}}}@media(prefers-color-scheme:dark){{:root{{{DARK}}}}}\
         {PAGE_STYLE}{STYLE}</style>\n</head>\n<body>\n{body}</body>\n</html>\n"
    )
}

const PAGE_STYLE: &str = "\
body{font:15px/1.45 system-ui,sans-serif;color:var(--ink);background:var(--ground);\
max-width:1000px;margin:0 auto;padding:16px}\
h1{font-size:1.4em;margin:0}h2{font-size:1.1em;margin:1.4em 0 .4em}\
.soft{color:var(--soft);margin:.2em 0;overflow-wrap:anywhere}\
.verdict{border-left:4px solid var(--s2);padding:.2em .7em;margin:.8em 0}\
.verdict.shared{border-color:var(--s1)}\
.verdict.INVALID,.verdict.WRONG{border-color:#d4262b;background:#d4262b;color:#fff}\
.cards{display:grid;grid-template-columns:repeat(auto-fit,minmax(138px,1fr));gap:10px;\
margin:12px 0}\
.card{border:1px solid var(--grid);border-radius:6px;padding:8px 10px}\
.card b{display:block;font-size:1.3em;font-variant-numeric:tabular-nums}\
.card span{color:var(--soft);font-size:.85em}\
.plots{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,400px),1fr));gap:14px}\
figure{margin:0;border:1px solid var(--grid);border-radius:6px;padding:8px}\
figure svg{display:block;width:100%;height:auto}\
.wide{overflow-x:auto;margin-bottom:14px}table{border-collapse:collapse;font-variant-numeric:tabular-nums}\
th,td{text-align:right;padding:3px 12px 3px 0;border-bottom:1px solid var(--grid);\
white-space:nowrap}th:first-child,td:first-child{text-align:left}\
.facts td{text-align:left;white-space:normal;overflow-wrap:anywhere;vertical-align:top}\
.facts td:first-child{color:var(--soft);white-space:nowrap}";

fn cards(report: &Report) -> String {
    let mut cards = Vec::new();
    if let Some(load) = &report.load {
        cards.push((grouped(load.operations_per_second), "operations per second"));
        if let Some(writes) = &load.writes {
            cards.push((duration_us(writes.p50_us), "write ack, median"));
            cards.push((duration_us(writes.p99_us), "write ack, 99 %"));
        }
        if let Some(reads) = &load.reads {
            cards.push((duration_us(reads.p50_us), "read, median"));
            cards.push((duration_us(reads.p99_us), "read, 99 %"));
        }
        if let Some(server) = &load.server {
            cards.push((duration_us(server.cpu_us_per_operation), "server CPU per operation"));
            cards.push((bytes(server.resident_bytes_after as f64), "server memory"));
        }
        if let Some(each) = load.bytes_per_znode {
            cards.push((bytes(each), "per znode created"));
        }
    }
    if let Some(watchers) = &report.watchers {
        cards.push((duration_us(watchers.ack_median_us), "write ack meanwhile"));
        cards.push((duration_us(watchers.first_event_median_us), "first event"));
        cards.push((duration_us(watchers.last_event_median_us), "last event"));
    }
    if let Some(sessions) = &report.sessions {
        cards.push((grouped(sessions.serial.opens_per_second), "opens/s, one by one"));
        cards.push((grouped(sessions.parallel.opens_per_second), "opens/s, 64 at a time"));
        if let Some(idle) = &sessions.idle {
            cards.push((bytes(idle.bytes_per_session), "per idle session"));
        }
    }
    let cards: String = cards
        .iter()
        .map(|(value, label)| {
            format!("<div class=\"card\"><b>{value}</b><span>{label}</span></div>")
        })
        .collect();
    format!("<div class=\"cards\">{cards}</div>\n")
}

/// Every distribution of the run, by name.
fn latencies(report: &Report) -> Vec<(&'static str, &Latency)> {
    let mut all = Vec::new();
    if let Some(load) = &report.load {
        all.extend(load.writes.as_ref().map(|latency| ("write ack", latency)));
        all.extend(load.reads.as_ref().map(|latency| ("read", latency)));
    }
    if let Some(watchers) = &report.watchers {
        all.extend(watchers.events.as_ref().map(|latency| ("event", latency)));
    }
    if let Some(sessions) = &report.sessions {
        all.extend(sessions.serial.latency.as_ref().map(|latency| ("serial open", latency)));
        all.extend(sessions.parallel.latency.as_ref().map(|latency| ("parallel open", latency)));
    }
    all
}

fn latency_table(report: &Report) -> String {
    let rows: String = latencies(report)
        .iter()
        .map(|(name, latency)| {
            let errors: u64 = latency.errors.iter().map(|error| error.count).sum();
            let times = [
                latency.mean_us,
                latency.p50_us,
                latency.p90_us,
                latency.p99_us,
                latency.p999_us,
                latency.max_us,
            ];
            let times: String =
                times.iter().map(|time| format!("<td>{}</td>", duration_us(*time))).collect();
            format!(
                "<tr><td>{name}</td><td>{}</td><td>{}</td>{times}</tr>",
                grouped(latency.count as f64),
                grouped(errors as f64)
            )
        })
        .collect();
    format!(
        "<h2>Latency</h2>\n<div class=\"wide\"><table><tr><th></th><th>answers</th><th>errors</th>\
         <th>mean</th><th>p50</th><th>p90</th><th>p99</th><th>p99.9</th><th>max</th></tr>{rows}\
         </table></div>\n"
    )
}

/// All plots of a run.
pub fn plots(report: &Report) -> Vec<Plot> {
    let curves = latencies(report)
        .iter()
        .map(|(name, latency)| Series {
            name: (*name).to_owned(),
            points: latency.curve.iter().copied().filter(|&(share, _)| share < 1.0).collect(),
        })
        .collect();
    let mut plots = vec![Plot {
        title: "Latency by percentile".to_owned(),
        x: Axis { label: "share of answers not slower", scale: Scale::Nines, tick: ticks::percent },
        y: Axis { label: "", scale: Scale::Log, tick: ticks::duration },
        series: curves,
    }];
    if let Some(load) = &report.load {
        plots.extend(over_time(load));
    }
    plots
}

fn over_time(load: &Load) -> Vec<Plot> {
    let plot = |title: &str, scale, tick, series| Plot {
        title: title.to_owned(),
        x: Axis { label: "seconds", scale: Scale::Elapsed, tick: ticks::plain },
        y: Axis { label: "", scale, tick },
        series,
    };
    let series = |name: &str, of: &dyn Fn(&Second) -> Option<f64>| Series {
        name: name.to_owned(),
        points: load.seconds.iter().filter_map(|second| Some((second.at, of(second)?))).collect(),
    };
    let mut cores = Vec::new();
    let mut memory = Vec::new();
    if load.server.is_some() {
        cores.push(series("server", &|second| second.server_cores));
        memory.push(series("server", &|second| {
            second.server_resident_bytes.map(|bytes| bytes as f64)
        }));
    }
    cores.push(series("client", &|second| Some(second.client_cores)));
    let latencies = vec![
        series("p50", &|second| Some(second.p50_us)),
        series("p99", &|second| Some(second.p99_us)),
        series("max", &|second| Some(second.max_us)),
    ];
    let rates = vec![series("all", &|second| Some(second.rate))];
    let mut plots = vec![
        plot("Operations per second", Scale::Linear, ticks::count, rates),
        plot("Latency over time", Scale::Log, ticks::duration, latencies),
        plot("Cores in use", Scale::Linear, ticks::plain, cores),
    ];
    if !memory.is_empty() {
        plots.push(plot("Resident memory of the server", Scale::Linear, ticks::bytes, memory));
    }
    plots
}

fn provenance(report: &Report) -> String {
    let machine = &report.machine;
    let server = &report.server;
    let settings = serde_json::to_string(&report.settings).expect("plain fields");
    let settings = settings.trim_matches(['{', '}']).replace('"', "").replace(',', ", ");
    let mut rows = vec![
        ("command", report.command.join(" ")),
        ("loadgen", format!("{} at {}", report.loadgen.version, report.loadgen.commit)),
        ("settings", settings),
        ("server", format!("{} at {}", server.version, addresses(&server.addresses))),
        ("its command", server.command.join(" ")),
        ("its settings", server.configuration.replace('\n', "; ")),
        ("durability", server.durability.to_owned()),
        ("file system", server.file_system.clone()),
        ("kernel", format!("{} {}", machine.kernel, machine.architecture)),
        ("CPU", format!("{}, {} cores", machine.cpu, machine.cores)),
        ("memory", bytes(machine.memory_bytes as f64)),
    ];
    if let Some(load) = &report.load {
        let idle = load.machine_idle * 100.0;
        let steal = load.machine_steal * 100.0;
        let busiest = load.client.busiest_thread * 100.0;
        rows.push(("machine idle", format!("{idle:.0} % (taken by the host: {steal:.0} %)")));
        rows.push(("client", format!("busiest thread {busiest:.0} % of a core")));
    }
    let rows: String = rows
        .iter()
        .filter(|(_, value)| !value.is_empty())
        .map(|(name, value)| format!("<tr><td>{name}</td><td>{}</td></tr>", escape(value)))
        .collect();
    format!("<h2>Where and how</h2>\n<table class=\"facts\">{rows}</table>\n")
}
