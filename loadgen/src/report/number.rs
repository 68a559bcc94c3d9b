//! Numbers as people read them.

/// `12,345`; fractions are rounded away.
pub fn grouped(value: f64) -> String {
    let digits = format!("{:.0}", value.abs());
    let mut text = String::new();
    if value < -0.5 {
        text.push('-');
    }
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Microseconds with three digits and the unit that fits: `85.1 µs`, `1.25 ms`, `2.40 s`.
pub fn duration_us(micros: f64) -> String {
    let (value, unit) = match micros {
        value if value >= 1e6 => (value / 1e6, "s"),
        value if value >= 1e3 => (value / 1e3, "ms"),
        value => (value, "µs"),
    };
    format!("{} {unit}", three_digits(value))
}

/// `512 B`, `10.3 KB`, `1.10 GB`; powers of 1,000.
pub fn bytes(value: f64) -> String {
    let size = value.abs();
    match size {
        _ if size >= 1e9 => format!("{} GB", three_digits(value / 1e9)),
        _ if size >= 1e6 => format!("{} MB", three_digits(value / 1e6)),
        _ if size >= 1e3 => format!("{} KB", three_digits(value / 1e3)),
        _ => format!("{value:.0} B"),
    }
}

/// A quotient: `2.31`, `11.8`, `104`.
pub fn ratio(value: f64) -> String {
    three_digits(value)
}

fn three_digits(value: f64) -> String {
    let size = value.abs();
    // Compared as it will be rounded: 9.996 is 10.0, not 10.00.
    let decimals = match size {
        _ if size >= 99.95 => 0,
        _ if size >= 9.995 => 1,
        _ => 2,
    };
    format!("{value:.decimals$}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_three_digits_and_a_unit() {
        let numbers = [0.2, 999.0, 1000.0, 1_234_567.8, -1000.0];
        assert_eq!(numbers.map(grouped), ["0", "999", "1,000", "1,234,568", "-1,000"]);
        let durations = [85.12, 1250.0, 2_400_000.0, 0.0];
        assert_eq!(durations.map(duration_us), ["85.1 µs", "1.25 ms", "2.40 s", "0.00 µs"]);
        assert_eq!([512.0, 10_300.0, -2000.0].map(bytes), ["512 B", "10.3 KB", "-2.00 KB"]);
        assert_eq!([2.306, 9.996, 104.2].map(ratio), ["2.31", "10.0", "104"]);
    }
}
