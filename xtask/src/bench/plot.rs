//! The figures as pictures: bars against nginx, and how a fault passes. SVG, written by hand, since there is
//! nothing in them but lines, bars and words.

use std::fmt::Write as _;

use super::faults::Faults;
use super::files::{Ratio, Setting};

const WIDTH: f64 = 900.0;
const LEFT: f64 = 60.0;
const LARDER: &str = "#1f77b4";
const WORST: &str = "#d62728";
const GREY: &str = "#888888";

/// Larder's CPU a request and its throughput as ratios to nginx's: one bar each, a line at 1.
pub(super) fn ratios(ratios: &[Ratio]) -> String {
    let panels = [
        (
            Setting::Logged,
            "CPU a request, access logs on (less is better)",
            true,
        ),
        (
            Setting::Quiet,
            "CPU a request, access logs off (less is better)",
            true,
        ),
        (
            Setting::Logged,
            "throughput, 32 connections (more is better)",
            false,
        ),
        (
            Setting::Crowded,
            "throughput, 512 connections (more is better)",
            false,
        ),
        (
            Setting::Http2,
            "throughput, TLS 1.3 with HTTP/2 (more is better)",
            false,
        ),
    ];
    let mut picture = Picture::new(170.0 * 5.0 + 30.0, "Larder, as a ratio to nginx = 1");
    for (row, (setting, title, is_cpu)) in (0_u8..).zip(panels) {
        let top = 40.0 + 170.0 * f64::from(row);
        let base = top + 130.0;
        // A bar of twice nginx's figure is the highest that is drawn whole.
        let height = |ratio: f64| ratio.min(2.0) * 50.0;
        picture.text(LEFT, top + 12.0, "start", title);
        picture.line((LEFT, base - 50.0), (WIDTH - 20.0, base - 50.0), GREY);
        picture.text(LEFT - 8.0, base - 46.0, "end", "1");
        let bars = ratios.iter().filter(|ratio| ratio.setting == setting);
        for (column, ratio) in (0_u8..).zip(bars) {
            let value = if is_cpu { ratio.cpu } else { ratio.throughput };
            let left = LEFT + 20.0 + 135.0 * f64::from(column);
            picture.bar(left, base - height(value), 70.0, height(value));
            picture.text(
                left + 35.0,
                base - height(value) - 4.0,
                "middle",
                &format!("{value:.2}"),
            );
            picture.text(left + 35.0, base + 14.0, "middle", ratio.file);
        }
    }
    picture.finish()
}

/// For each fault of the first round with `hedge` (or the first mode that there is): the median and the slowest of every
/// few requests, over the time since the fault, on a logarithmic scale.
pub(super) fn timelines(faults: &Faults) -> String {
    let mode = if faults.runs.iter().any(|run| run.mode == "hedge") {
        "hedge"
    } else {
        faults.runs.first().map_or("", |run| &run.mode)
    };
    let runs = faults
        .runs
        .iter()
        .filter(|run| run.round == 0 && run.mode == mode);
    let runs: Vec<_> = runs.collect();
    let rows = u8::try_from(runs.len()).unwrap_or(u8::MAX);
    let title = format!(
        "One of two upstreams breaks, mode {mode}: ms a request, median (blue) and slowest (red)"
    );
    let mut picture = Picture::new(170.0 * f64::from(rows) + 60.0, &title);
    for (row, run) in (0_u8..).zip(runs) {
        let top = 40.0 + 170.0 * f64::from(row);
        let base = top + 130.0;
        let first = run
            .timeline
            .first()
            .map_or(0.0, |point| point.from_fault_ms);
        let last = run.timeline.last().map_or(1.0, |point| point.from_fault_ms);
        let span = (last - first).max(1.0);
        let across = |ms: f64| LEFT + (ms - first) / span * (WIDTH - LEFT - 20.0);
        // From 1 ms to 100 s.
        let up = |ms: f64| base - ms.clamp(1.0, 1e5).log10() * 22.0;
        picture.text(
            LEFT,
            top + 12.0,
            "start",
            &format!("{}: {:.1} s", run.fault, span / 1000.0),
        );
        for (label, ms) in [
            ("1", 1.0),
            ("10", 10.0),
            ("100", 100.0),
            ("1000", 1000.0),
            ("10 s", 1e4),
        ] {
            picture.text(LEFT - 8.0, up(ms) + 4.0, "end", label);
            picture.line((LEFT, up(ms)), (WIDTH - 20.0, up(ms)), "#dddddd");
        }
        picture.line((across(0.0), top + 16.0), (across(0.0), base), GREY);
        let points = |value: fn(&super::faults::Point) -> f64| {
            run.timeline
                .iter()
                .map(|point| (across(point.from_fault_ms), up(value(point))))
                .collect::<Vec<_>>()
        };
        picture.path(&points(|point| point.worst_ms), WORST);
        picture.path(&points(|point| point.p50_ms), LARDER);
    }
    picture.finish()
}

struct Picture {
    text: String,
}

/// Writing to a text cannot fail, so that its results are not looked at.
impl Picture {
    fn new(height: f64, title: &str) -> Self {
        let mut picture = Self {
            text: format!(
                "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" font-family=\"sans-serif\" font-size=\"12\">\n\
                 <rect width=\"{WIDTH}\" height=\"{height}\" fill=\"white\"/>\n"
            ),
        };
        picture.text(WIDTH / 2.0, 22.0, "middle", title);
        picture
    }

    fn text(&mut self, x: f64, y: f64, anchor: &str, words: &str) {
        let words = words.replace('&', "&amp;").replace('<', "&lt;");
        let _ = writeln!(
            self.text,
            "<text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\">{words}</text>"
        );
    }

    fn line(&mut self, (x1, y1): (f64, f64), (x2, y2): (f64, f64), colour: &str) {
        let _ = writeln!(
            self.text,
            "<line x1=\"{x1:.1}\" y1=\"{y1:.1}\" x2=\"{x2:.1}\" y2=\"{y2:.1}\" stroke=\"{colour}\"/>"
        );
    }

    fn bar(&mut self, x: f64, y: f64, width: f64, height: f64) {
        let _ = writeln!(
            self.text,
            "<rect x=\"{x:.1}\" y=\"{y:.1}\" width=\"{width:.1}\" height=\"{height:.1}\" fill=\"{LARDER}\"/>"
        );
    }

    fn path(&mut self, points: &[(f64, f64)], colour: &str) {
        let points: Vec<String> = points
            .iter()
            .map(|(x, y)| format!("{x:.1},{y:.1}"))
            .collect();
        let _ = writeln!(
            self.text,
            "<polyline fill=\"none\" stroke=\"{colour}\" points=\"{}\"/>",
            points.join(" ")
        );
    }

    fn finish(mut self) -> String {
        self.text.push_str("</svg>\n");
        self.text
    }
}

#[cfg(test)]
mod tests {
    use super::{Picture, Ratio, Setting, ratios};

    #[test]
    fn a_picture_has_a_bar_and_its_figure_for_each_ratio() {
        let picture = ratios(&[Ratio {
            setting: Setting::Logged,
            file: ".info",
            throughput: 1.25,
            cpu: 0.5,
        }]);
        for expected in [">0.50<", ">1.25<", ">.info<", "height=\"25.0\""] {
            assert!(picture.contains(expected), "{expected} in {picture}");
        }
    }

    #[test]
    fn words_are_not_markup() {
        let mut picture = Picture::new(10.0, "a < b & c");
        picture.line((0.0, 0.0), (1.0, 1.0), "red");
        assert!(picture.finish().contains("a &lt; b &amp; c"));
    }
}
