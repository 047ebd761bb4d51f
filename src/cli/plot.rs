//! A plot as SVG: curves over time above a waveform. Text in, text out; knows nothing of wake words.
//!
//! Readable on light and dark pages: nothing is painted behind the plot, lines and letters are of a
//! grey that stands out from both, colours are of middle lightness (Okabe and Ito's palette, told
//! apart by colour-blind people too), and each curve has a dash pattern of its own besides.

use std::fmt::Write as _;

/// One curve: values in `0.0..=1.0`.
pub(super) struct Curve<'a> {
    pub(super) name: &'a str,
    /// Points (seconds, value) in the order of time.
    pub(super) points: Vec<(f64, f64)>,
}

/// A moment worth a mark.
pub(super) struct Mark {
    pub(super) seconds: f64,
    pub(super) value: f64,
    pub(super) label: String,
    /// Which curve it is on.
    pub(super) curve: usize,
}

/// What is drawn.
pub(super) struct Plot<'a> {
    pub(super) title: &'a str,
    /// Name of the axis of the curves.
    pub(super) value_name: &'a str,
    pub(super) curves: Vec<Curve<'a>>,
    pub(super) marks: Vec<Mark>,
    /// A dashed line at this value, and its name.
    pub(super) limit: (f64, &'a str),
    /// The sound under the curves, mono in `-1.0..=1.0`.
    pub(super) samples: &'a [f32],
    pub(super) sample_rate_hz: u32,
}

const WIDTH: f64 = 960.0;
const LEFT: f64 = 64.0;
const RIGHT: f64 = 16.0;
const CURVES_TOP: f64 = 64.0;
const CURVES_HEIGHT: f64 = 240.0;
const WAVE_TOP: f64 = 328.0;
const WAVE_HEIGHT: f64 = 110.0;
const HEIGHT: f64 = 488.0;
/// Readable on white and on black alike: contrast 4.6 and 4.6.
const INK: &str = "#767676";
const COLOURS: [&str; 6] = [
    "#0072b2", "#d55e00", "#009e73", "#cc79a7", "#b58900", "#56b4e9",
];
const DASHES: [&str; 4] = ["", "8 3", "2 3", "10 3 2 3"];

impl Plot<'_> {
    /// The whole file.
    pub(super) fn svg(&self) -> String {
        let mut out = String::with_capacity(64 * 1024);
        self.write(&mut out)
            .expect("a string takes everything that is written to it");
        out
    }

    fn seconds(&self) -> f64 {
        (self.samples.len() as f64 / f64::from(self.sample_rate_hz.max(1))).max(0.1)
    }

    fn x(&self, seconds: f64) -> f64 {
        LEFT + (WIDTH - LEFT - RIGHT) * (seconds / self.seconds()).clamp(0.0, 1.0)
    }

    fn y(value: f64) -> f64 {
        CURVES_TOP + CURVES_HEIGHT * (1.0 - value.clamp(0.0, 1.0))
    }

    fn write(&self, out: &mut String) -> std::fmt::Result {
        let title = escaped(self.title);
        writeln!(
            out,
            r#"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{title}" font-family="system-ui, sans-serif" font-size="12" fill="{INK}">"#
        )?;
        writeln!(out, "<title>{title}</title>")?;
        writeln!(
            out,
            r#"<text x="{LEFT}" y="20" font-size="15" font-weight="600">{title}</text>"#
        )?;
        self.legend(out)?;
        self.axes(out)?;
        self.waveform(out)?;
        for (i, curve) in self.curves.iter().enumerate() {
            self.curve(out, i, curve)?;
        }
        for mark in &self.marks {
            let (x, y) = (self.x(mark.seconds), Self::y(mark.value));
            let colour = COLOURS[mark.curve % COLOURS.len()];
            let bottom = WAVE_TOP + WAVE_HEIGHT;
            writeln!(
                out,
                r#"<line x1="{x:.1}" y1="{y:.1}" x2="{x:.1}" y2="{bottom}" stroke="{colour}" stroke-width="1" stroke-dasharray="2 2"/><circle cx="{x:.1}" cy="{y:.1}" r="4" fill="{colour}"/>"#
            )?;
            // At the right edge the words go to the left of the mark.
            let (anchor, x) = if x > WIDTH - 180.0 {
                ("end", x - 8.0)
            } else {
                ("start", x + 8.0)
            };
            let label = escaped(&mark.label);
            let y = (y + 4.0).clamp(CURVES_TOP + 10.0, CURVES_TOP + CURVES_HEIGHT - 6.0);
            writeln!(
                out,
                r#"<text x="{x:.1}" y="{y:.1}" text-anchor="{anchor}" fill="{colour}">{label}</text>"#
            )?;
        }
        writeln!(out, "</svg>")
    }

    fn legend(&self, out: &mut String) -> std::fmt::Result {
        let mut x = LEFT;
        for (i, curve) in self.curves.iter().enumerate() {
            let (colour, dash) = style(i);
            let end = x + 24.0;
            writeln!(
                out,
                r#"<line x1="{x:.0}" y1="40" x2="{end:.0}" y2="40" stroke="{colour}" stroke-width="2" stroke-dasharray="{dash}"/><text x="{:.0}" y="44">{}</text>"#,
                x + 30.0,
                escaped(curve.name)
            )?;
            x += 54.0 + 7.5 * curve.name.chars().count() as f64;
        }
        Ok(())
    }

    fn axes(&self, out: &mut String) -> std::fmt::Result {
        let (right, bottom) = (WIDTH - RIGHT, WAVE_TOP + WAVE_HEIGHT);
        for tenth in [0.0, 0.25, 0.5, 0.75, 1.0] {
            let y = Self::y(tenth);
            writeln!(
                out,
                r#"<line x1="{LEFT}" y1="{y:.1}" x2="{right}" y2="{y:.1}" stroke="{INK}" stroke-opacity="0.25"/><text x="{:.0}" y="{:.1}" text-anchor="end">{tenth}</text>"#,
                LEFT - 8.0,
                y + 4.0
            )?;
        }
        let (limit, name) = self.limit;
        let y = Self::y(limit);
        writeln!(
            out,
            r#"<line x1="{LEFT}" y1="{y:.1}" x2="{right}" y2="{y:.1}" stroke="{INK}" stroke-dasharray="6 4"/><text x="{right}" y="{:.1}" text-anchor="end">{}</text>"#,
            y - 5.0,
            escaped(&format!("{name} {limit}"))
        )?;
        let step = tick(self.seconds());
        let ticks = (self.seconds() / step + 1e-6).floor() as u32;
        for i in 0..=ticks {
            let seconds = f64::from(i) * step;
            let x = self.x(seconds);
            writeln!(
                out,
                r#"<line x1="{x:.1}" y1="{CURVES_TOP}" x2="{x:.1}" y2="{bottom}" stroke="{INK}" stroke-opacity="0.15"/><text x="{x:.1}" y="{:.0}" text-anchor="middle">{}</text>"#,
                bottom + 16.0,
                rounded(seconds)
            )?;
        }
        let middle = (LEFT + right) / 2.0;
        writeln!(
            out,
            r#"<text x="{middle:.0}" y="{:.0}" text-anchor="middle">time in seconds</text>"#,
            bottom + 36.0
        )?;
        for (name, y) in [
            (self.value_name, CURVES_TOP + CURVES_HEIGHT / 2.0),
            ("sound", WAVE_TOP + WAVE_HEIGHT / 2.0),
        ] {
            writeln!(
                out,
                r#"<text transform="translate(18 {y:.0}) rotate(-90)" text-anchor="middle">{}</text>"#,
                escaped(name)
            )?;
        }
        Ok(())
    }

    /// The waveform: the loudest sample of every pixel, scaled to the loudest of all.
    fn waveform(&self, out: &mut String) -> std::fmt::Result {
        let middle = WAVE_TOP + WAVE_HEIGHT / 2.0;
        let columns = (WIDTH - LEFT - RIGHT) as usize;
        let peak = |samples: &[f32]| samples.iter().fold(0.0f32, |m, s| m.max(s.abs()));
        let loudest = peak(self.samples).max(1e-4);
        write!(
            out,
            r#"<path fill="none" stroke="{INK}" stroke-opacity="0.7" stroke-width="1" d=""#
        )?;
        for column in 0..columns {
            let at = |c: usize| c * self.samples.len() / columns;
            let samples = &self.samples[at(column)..at(column + 1).max(at(column))];
            let half = f64::from(peak(samples) / loudest) * WAVE_HEIGHT / 2.0;
            let x = LEFT + column as f64 + 0.5;
            let half = half.max(0.5);
            write!(out, "M{x:.1} {:.1}v{:.1}", middle - half, 2.0 * half)?;
        }
        writeln!(out, r#""/>"#)
    }

    fn curve(&self, out: &mut String, i: usize, curve: &Curve<'_>) -> std::fmt::Result {
        let (colour, dash) = style(i);
        write!(
            out,
            r#"<polyline fill="none" stroke="{colour}" stroke-width="2" stroke-linejoin="round" stroke-dasharray="{dash}" points=""#
        )?;
        for &(seconds, value) in &curve.points {
            write!(out, "{:.1},{:.1} ", self.x(seconds), Self::y(value))?;
        }
        writeln!(out, r#""/>"#)
    }
}

fn style(i: usize) -> (&'static str, &'static str) {
    (COLOURS[i % COLOURS.len()], DASHES[i % DASHES.len()])
}

/// Seconds between two ticks: a round number that gives about ten.
fn tick(seconds: f64) -> f64 {
    let rough = seconds / 10.0;
    let power = 10f64.powf(rough.log10().floor());
    let times = [1.0, 2.0, 5.0, 10.0];
    let round = times.into_iter().find(|t| t * power >= rough);
    round.unwrap_or(10.0) * power
}

fn rounded(seconds: f64) -> String {
    let text = format!("{seconds:.2}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
        // No XML file may hold these.
        .replace(|c: char| c.is_control(), " ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plot<'a>(samples: &'a [f32], title: &'a str) -> Plot<'a> {
        Plot {
            title,
            value_name: "score",
            curves: vec![Curve {
                name: "hey_jarvis",
                points: vec![(0.08, 0.0), (0.16, 1.0), (0.24, 7.0)],
            }],
            marks: vec![Mark {
                seconds: 0.16,
                value: 1.0,
                label: "hey_jarvis 1.00".to_owned(),
                curve: 0,
            }],
            limit: (0.5, "threshold"),
            samples,
            sample_rate_hz: 16_000,
        }
    }

    #[test]
    fn it_says_what_the_axes_are_and_leaves_the_page_its_colour() {
        let samples = vec![0.5; 16_000];
        let svg = plot(&samples, "a.wav").svg();
        for words in [
            "time in seconds",
            ">score<",
            ">sound<",
            "threshold 0.5",
            "hey_jarvis 1.00",
        ] {
            assert!(svg.contains(words), "{words}");
        }
        assert!(!svg.contains("<rect"), "nothing is painted behind");
    }

    #[test]
    fn names_cannot_break_the_file() {
        let svg = plot(&[0.0; 10], "<a> & \"b\"\u{1}.wav").svg();
        assert!(svg.contains("&lt;a&gt; &amp; &quot;b&quot; .wav"));
        assert_eq!(svg.matches("<svg").count(), 1);
        assert_eq!(svg.matches('\u{1}').count(), 0);
    }

    #[test]
    fn no_sound_and_values_out_of_range_stay_inside() {
        for samples in [&[][..], &[0.1]] {
            let svg = plot(samples, "x").svg();
            assert!(!svg.contains("NaN") && !svg.contains("inf"), "{svg}");
        }
    }

    #[test]
    fn ticks_are_round_and_about_ten() {
        for (seconds, want) in [
            (0.1, 0.01),
            (2.0, 0.2),
            (8.0, 1.0),
            (33.0, 5.0),
            (600.0, 100.0),
        ] {
            assert!(
                (tick(seconds) - want).abs() < 1e-9,
                "{seconds}: {}",
                tick(seconds)
            );
        }
        assert_eq!(
            [rounded(1.5), rounded(10.0), rounded(0.25)],
            ["1.5", "10", "0.25"]
        );
    }
}
