//! Bars of one job beside each other, as an SVG picture that needs no script.

use std::fmt::Write;

/// One bar.
pub(crate) struct Bar<'a> {
    pub(crate) label: &'a str,
    pub(crate) shown: String,
    /// `None` where there is nothing to draw.
    pub(crate) number: Option<f64>,
    /// Whether it is ours.
    pub(crate) is_ours: bool,
}

/// One job with its bars, which share a scale.
pub(crate) struct Group<'a> {
    pub(crate) title: &'a str,
    pub(crate) bars: Vec<Bar<'a>>,
}

const WIDTH: f64 = 760.0;
const LABELS: f64 = 140.0;
const NUMBERS: f64 = 90.0;
const BAR: f64 = 18.0;
const TITLE: f64 = 26.0;

/// The picture.
pub(crate) fn svg(groups: &[Group<'_>]) -> String {
    let height: f64 = groups
        .iter()
        .map(|group| TITLE + BAR * group.bars.len() as f64 + 10.0)
        .sum();
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{WIDTH}\" height=\"{height}\" font-family=\"sans-serif\" \
         font-size=\"12\" role=\"img\">\n<title>What each tool needs; less is better</title>\n<rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n"
    );
    let mut y = 0.0;
    for group in groups {
        let most = group
            .bars
            .iter()
            .filter_map(|bar| bar.number)
            .fold(f64::MIN_POSITIVE, f64::max);
        y += TITLE;
        text(&mut out, 4.0, y - 8.0, "font-weight=\"bold\"", group.title);
        for bar in &group.bars {
            let length = (WIDTH - LABELS - NUMBERS) * bar.number.unwrap_or_default() / most;
            let colour = if bar.is_ours { "#1b7f5c" } else { "#9aa5ab" };
            text(&mut out, 12.0, y + 13.0, "", bar.label);
            let _ = writeln!(
                out,
                "<rect x=\"{LABELS}\" y=\"{:.1}\" width=\"{length:.1}\" height=\"{:.1}\" fill=\"{colour}\"/>",
                y + 2.0,
                BAR - 4.0
            );
            text(&mut out, LABELS + length + 6.0, y + 13.0, "", &bar.shown);
            y += BAR;
        }
        y += 10.0;
    }
    out + "</svg>\n"
}

fn text(out: &mut String, x: f64, y: f64, style: &str, text: &str) {
    let text = text.replace('&', "&amp;").replace('<', "&lt;").replace('`', "");
    let _ = writeln!(out, "<text x=\"{x:.1}\" y=\"{y:.1}\" {style}>{text}</text>");
}
