//! Plots as SVG, drawn by hand: no script, no font, no file beside them.
//!
//! A plot is drawn on a small canvas, so that its letters stay readable when a phone shows it. All
//! colours are CSS variables: the page that embeds a plot sets them for light and dark, and
//! [`Plot::standalone`] brings its own.

use std::fmt::Write;

/// How an axis goes from values to places.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scale {
    /// From zero to the first round value that holds all.
    Linear,
    /// From zero to the last value.
    Elapsed,
    /// Powers of ten.
    Log,
    /// Shares from 0 to 1, such that each step brings one more nine.
    Nines,
}

/// What an axis shows.
pub struct Axis {
    pub label: &'static str,
    pub scale: Scale,
    /// How a tick's value is written.
    pub tick: fn(f64) -> String,
}

/// One line.
pub struct Series {
    pub name: String,
    pub points: Vec<(f64, f64)>,
}

pub struct Plot {
    pub title: String,
    pub x: Axis,
    pub y: Axis,
    pub series: Vec<Series>,
}

const WIDTH: f64 = 420.0;
const HEIGHT: f64 = 260.0;
const LEFT: f64 = 58.0;
const RIGHT: f64 = 12.0;
const TOP: f64 = 40.0;
const BOTTOM: f64 = 38.0;
/// The `Nines` axis ends here: five nines.
const NINES_MAX: f64 = 5.0;
/// Lines that the style sheet has colours and dashes for.
const SERIES_MAX: usize = 4;

/// For a page that embeds plots.
pub const STYLE: &str = "\
.plot text{font:11px system-ui,sans-serif;fill:var(--ink)}\
.plot .title{font-weight:600;font-size:12px}\
.plot .grid{stroke:var(--grid);stroke-width:1;fill:none}\
.plot .frame{stroke:var(--soft);stroke-width:1;fill:none}\
.plot .line{fill:none;stroke-width:1.8;stroke-linejoin:round}\
.plot .s0{stroke:var(--s0)}\
.plot .s1{stroke:var(--s1);stroke-dasharray:5 3}\
.plot .s2{stroke:var(--s2);stroke-dasharray:2 3}\
.plot .s3{stroke:var(--s3);stroke-dasharray:8 3 2 3}";

/// The variables that [`STYLE`] needs, on a light ground.
pub const LIGHT: &str = "--ground:#fff;--ink:#1c2733;--soft:#5b6875;--grid:#dfe5ea;\
    --s0:#1764c0;--s1:#b4450b;--s2:#1d7a4b;--s3:#7a3fa0";
/// The same, on a dark ground.
pub const DARK: &str = "--ground:#141a20;--ink:#e4e9ee;--soft:#97a3af;--grid:#2e3842;\
    --s0:#6cb2ff;--s1:#ff9d5c;--s2:#5fd39a;--s3:#cf9cf0";

impl Plot {
    /// An `<svg>` element for a page that has [`STYLE`].
    pub fn svg(&self) -> String {
        self.draw("")
    }

    /// A file of its own.
    pub fn standalone(&self) -> String {
        let style = format!(
            "<style>.plot{{{LIGHT}}}@media(prefers-color-scheme:dark){{.plot{{{DARK}}}}}\
             .plot .back{{fill:var(--ground)}}{STYLE}</style>\
             <rect class=\"back\" width=\"{WIDTH}\" height=\"{HEIGHT}\"/>"
        );
        self.draw(&style)
    }

    fn draw(&self, style: &str) -> String {
        assert!(self.series.len() <= SERIES_MAX, "there are colours for {SERIES_MAX} lines");
        let points = || self.series.iter().flat_map(|series| finite(&series.points));
        let x = Range::of(self.x.scale, points().map(|(x, _)| x));
        let y = Range::of(self.y.scale, points().map(|(_, y)| y));
        let mut out = format!(
            "<svg class=\"plot\" xmlns=\"http://www.w3.org/2000/svg\" role=\"img\" \
             viewBox=\"0 0 {WIDTH} {HEIGHT}\" aria-label=\"{0}\"><title>{0}</title>{style}\
             <text class=\"title\" x=\"12\" y=\"14\">{0}</text>",
            escape(&self.title)
        );
        self.grid(&mut out, &x, &y);
        for (number, series) in self.series.iter().enumerate() {
            let mut path = String::new();
            for (at, value) in finite(&series.points) {
                let letter = if path.is_empty() { 'M' } else { 'L' };
                let (px, py) = (place_x(x.share(at)), place_y(y.share(value)));
                push(&mut path, format_args!("{letter}{px:.1} {py:.1}"));
            }
            push(&mut out, format_args!("<path class=\"line s{number}\" d=\"{path}\"/>"));
        }
        self.legend(&mut out);
        out.push_str("</svg>");
        out
    }

    fn grid(&self, out: &mut String, x: &Range, y: &Range) {
        let bottom = HEIGHT - BOTTOM;
        let right = WIDTH - RIGHT;
        for tick in y.ticks() {
            let at = place_y(y.share(tick));
            let (end, base) = (LEFT - 5.0, at + 4.0);
            let text = escape(&(self.y.tick)(tick));
            push(out, format_args!("<path class=\"grid\" d=\"M{LEFT} {at:.1}H{right}\"/>"));
            let place = format_args!("x=\"{end:.1}\" y=\"{base:.1}\" text-anchor=\"end\"");
            push(out, format_args!("<text {place}>{text}</text>"));
        }
        for tick in x.ticks() {
            let at = place_x(x.share(tick));
            let base = bottom + 14.0;
            let text = escape(&(self.x.tick)(tick));
            push(out, format_args!("<path class=\"grid\" d=\"M{at:.1} {TOP}V{bottom}\"/>"));
            let place = format_args!("x=\"{at:.1}\" y=\"{base:.1}\" text-anchor=\"middle\"");
            push(out, format_args!("<text {place}>{text}</text>"));
        }
        let (middle, base) = (f64::midpoint(LEFT, right), HEIGHT - 8.0);
        let label = escape(self.x.label);
        push(out, format_args!("<path class=\"frame\" d=\"M{LEFT} {TOP}V{bottom}H{right}\"/>"));
        let place = format_args!("x=\"{middle:.1}\" y=\"{base:.1}\" text-anchor=\"middle\"");
        push(out, format_args!("<text {place}>{label}</text>"));
    }

    /// Names of the lines, from right to left below the title. A single line needs none.
    fn legend(&self, out: &mut String) {
        if self.series.len() < 2 {
            return;
        }
        let mut right = WIDTH - RIGHT;
        for (number, series) in self.series.iter().enumerate().rev() {
            let left = right - 6.2 * series.name.chars().count() as f64;
            let dash = left - 20.0;
            let name = escape(&series.name);
            push(out, format_args!("<path class=\"line s{number}\" d=\"M{dash:.1} 25h16\"/>"));
            push(out, format_args!("<text x=\"{left:.1}\" y=\"29\">{name}</text>"));
            right = dash - 10.0;
        }
    }
}

fn finite(points: &[(f64, f64)]) -> impl Iterator<Item = (f64, f64)> {
    points.iter().copied().filter(|(x, y)| x.is_finite() && y.is_finite())
}

fn place_x(share: f64) -> f64 {
    LEFT + share * (WIDTH - LEFT - RIGHT)
}

fn place_y(share: f64) -> f64 {
    HEIGHT - BOTTOM - share * (HEIGHT - TOP - BOTTOM)
}

/// The values of an axis from its beginning to its end.
struct Range {
    scale: Scale,
    from: f64,
    to: f64,
}

/// What is below it is drawn at it: a logarithm has no zero.
const LOG_LEAST: f64 = 1e-3;

impl Range {
    fn of(scale: Scale, values: impl Iterator<Item = f64>) -> Self {
        let (mut least, mut most) = (f64::INFINITY, f64::NEG_INFINITY);
        for value in values {
            least = least.min(value);
            most = most.max(value);
        }
        if least > most {
            (least, most) = (1.0, 1.0); // Nothing to show: any axis will do.
        }
        match scale {
            Scale::Elapsed => Self { scale, from: 0.0, to: if most > 0.0 { most } else { 1.0 } },
            Scale::Linear => {
                let most = if most > 0.0 { most } else { 1.0 };
                let step = round_step(most / 4.0);
                Self { scale, from: 0.0, to: (most / step).ceil() * step }
            }
            Scale::Nines => Self { scale, from: 0.0, to: NINES_MAX },
            Scale::Log => {
                let from = least.max(LOG_LEAST).log10().floor();
                let to = most.max(LOG_LEAST).log10().ceil().max(from + 1.0);
                Self { scale, from, to }
            }
        }
    }

    /// Where between beginning (0) and end (1) a value lies.
    fn share(&self, value: f64) -> f64 {
        let on_scale = match self.scale {
            Scale::Linear | Scale::Elapsed => value,
            Scale::Log => value.max(LOG_LEAST).log10(),
            Scale::Nines => (1.0 / (1.0 - value).max(1e-9)).log10(),
        };
        ((on_scale - self.from) / (self.to - self.from)).clamp(0.0, 1.0)
    }

    fn ticks(&self) -> Vec<f64> {
        match self.scale {
            Scale::Nines => vec![0.5, 0.9, 0.99, 0.999, 0.9999],
            Scale::Log => {
                let is_short = self.to - self.from <= 2.0;
                let fine: &[f64] = if is_short { &[1.0, 2.0, 5.0] } else { &[1.0] };
                let powers = (self.from as i32)..=(self.to as i32);
                let all = powers.flat_map(|to| fine.iter().map(move |one| one * 10_f64.powi(to)));
                all.filter(|tick| tick.log10() <= self.to + 1e-9).collect()
            }
            Scale::Linear | Scale::Elapsed => {
                let step = round_step(self.to / 4.0);
                let all = (0..=20).map(|count| f64::from(count) * step);
                all.filter(|tick| *tick <= self.to * 1.001).collect()
            }
        }
    }
}

/// The next of 1, 2, 5 times a power of ten.
fn round_step(least: f64) -> f64 {
    let power = 10_f64.powf(least.log10().floor());
    let steps = [1.0, 2.0, 5.0, 10.0].map(|step| step * power);
    steps.into_iter().find(|step| *step >= least * 0.999).unwrap_or(10.0 * power)
}

/// Text for a page.
pub fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

fn push(out: &mut String, text: std::fmt::Arguments<'_>) {
    out.write_fmt(text).expect("writing to a string");
}

#[cfg(test)]
mod tests {
    use super::*;

    fn near(left: f64, right: f64) -> bool {
        (left - right).abs() < 1e-6
    }

    #[test]
    fn steps_are_round_and_axes_hold_their_values() {
        for (least, step) in [(0.3, 0.5), (1.0, 1.0), (1.2, 2.0), (7.0, 10.0), (26e3, 50e3)] {
            assert!(near(round_step(least), step), "{least}: {}", round_step(least));
        }
        let log = Range::of(Scale::Log, [350.0, 42_000.0].into_iter());
        assert!(near(log.from, 2.0) && near(log.to, 5.0));
        assert!(near(log.share(1000.0), 1.0 / 3.0));
        let nines = Range::of(Scale::Nines, std::iter::empty());
        assert!(near(nines.share(0.99), 0.4) && near(nines.share(1.0), 1.0));
        assert_eq!(Range::of(Scale::Linear, std::iter::empty()).ticks().len(), 3);
    }

    #[test]
    fn a_plot_of_nothing_or_of_odd_values_is_still_a_plot() {
        for points in [vec![], vec![(0.0, f64::NAN), (1.0, f64::INFINITY)], vec![(0.0, 0.0)]] {
            let axis = |scale| Axis { label: "<x>", scale, tick: |value| format!("{value}") };
            let series = vec![Series { name: "a & b".to_owned(), points }];
            let title = "t".to_owned();
            let plot = Plot { title, x: axis(Scale::Linear), y: axis(Scale::Log), series };
            let svg = plot.standalone();
            assert!(svg.contains("&lt;x&gt;") && svg.ends_with("</svg>"));
            assert!(!svg.contains("NaN") && !svg.contains("inf"), "{svg}");
        }
    }
}
