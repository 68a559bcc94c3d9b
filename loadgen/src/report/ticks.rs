//! How the values of an axis are written: short, and whole where they are whole.

pub fn percent(share: f64) -> String {
    let text = format!("{:.4}", share * 100.0);
    format!("{} %", text.trim_end_matches('0').trim_end_matches('.'))
}

pub fn plain(value: f64) -> String {
    let text = format!("{value:.2}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

pub fn count(value: f64) -> String {
    match value {
        _ if value >= 1e6 => format!("{}M", plain(value / 1e6)),
        _ if value >= 1e3 => format!("{}k", plain(value / 1e3)),
        _ => plain(value),
    }
}

pub fn duration(micros: f64) -> String {
    match micros {
        _ if micros >= 1e6 => format!("{} s", plain(micros / 1e6)),
        _ if micros >= 1e3 => format!("{} ms", plain(micros / 1e3)),
        _ => format!("{} µs", plain(micros)),
    }
}

pub fn bytes(value: f64) -> String {
    match value {
        _ if value >= 1e9 => format!("{} GB", plain(value / 1e9)),
        _ if value >= 1e6 => format!("{} MB", plain(value / 1e6)),
        _ if value >= 1e3 => format!("{} KB", plain(value / 1e3)),
        _ => plain(value),
    }
}
