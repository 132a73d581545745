//! Bar charts as SVG, in light and in dark.

use std::fmt::Write;

/// Several measures of the same servers, side by side.
pub struct Chart<'a> {
    pub names: Vec<&'a str>,
    /// Whether a server is this crate's.
    pub ours: Vec<bool>,
    pub measures: Vec<Measure>,
}

pub struct Measure {
    pub title: &'static str,
    /// One for each server.
    pub values: Vec<f64>,
    pub digits: usize,
}

const ROW: usize = 24;
const MEASURE: usize = 220;
const BAR: f64 = 120.0;
const HEAD: usize = 44;

/// Each rectangle is a bar, with its number to its right.
pub fn svg(chart: &Chart<'_>) -> String {
    // The widest letters of the fonts that a browser may choose.
    let names = 20 + chart.names.iter().map(|name| name.len()).max().unwrap_or(0) * 8;
    let (width, height) = (names + MEASURE * chart.measures.len() + 10, HEAD + ROW * chart.names.len() + 14);
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" viewBox=\"0 0 {width} {height}\" \
         font-family=\"system-ui, sans-serif\" font-size=\"13\">\n\
         <style>\n\
         .card {{ fill: #ffffff; }} text {{ fill: #1f2328; }} .ours {{ fill: #0969da; }} .peer {{ fill: #9aa4af; }}\n\
         @media (prefers-color-scheme: dark) {{\n\
         .card {{ fill: #0d1117; }} text {{ fill: #e6edf3; }} .ours {{ fill: #4493f8; }} .peer {{ fill: #6e7681; }}\n\
         }}\n\
         </style>\n\
         <rect class=\"card\" width=\"{width}\" height=\"{height}\" rx=\"8\"/>\n"
    );
    for (place, (name, ours)) in chart.names.iter().zip(&chart.ours).enumerate() {
        let weight = if *ours { " font-weight=\"600\"" } else { "" };
        let y = HEAD + ROW * place + 16;
        let _ = writeln!(
            svg,
            "<text x=\"{}\" y=\"{y}\" text-anchor=\"end\"{weight}>{}</text>",
            names - 10,
            name.replace('`', "")
        );
    }
    for (column, measure) in chart.measures.iter().enumerate() {
        let x = names + MEASURE * column;
        let most = measure.values.iter().copied().fold(0.0, f64::max);
        let _ = writeln!(svg, "<text x=\"{x}\" y=\"26\" font-weight=\"600\">{}</text>", measure.title);
        for (place, (value, ours)) in measure.values.iter().zip(&chart.ours).enumerate() {
            let (y, length) = (HEAD + ROW * place, (value / most * BAR).max(1.0));
            let class = if *ours { "ours" } else { "peer" };
            let _ = writeln!(
                svg,
                "<rect class=\"{class}\" x=\"{x}\" y=\"{}\" width=\"{length:.0}\" height=\"16\" rx=\"2\"/>",
                y + 3
            );
            let number = grouped(*value, measure.digits);
            let _ = writeln!(svg, "<text x=\"{:.0}\" y=\"{}\">{number}</text>", x as f64 + length + 6.0, y + 16);
        }
    }
    svg + "</svg>\n"
}

/// A number with a thin space between thousands.
pub fn grouped(value: f64, digits: usize) -> String {
    let text = format!("{value:.digits$}");
    let (whole, rest) =
        text.split_once('.').map_or((&text[..], String::new()), |(whole, rest)| (whole, format!(".{rest}")));
    let groups: Vec<_> = whole.as_bytes().rchunks(3).rev().map(String::from_utf8_lossy).collect();
    groups.join(",") + &rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thousands_are_grouped() {
        for (value, digits, text) in
            [(0.0, 0, "0"), (999.4, 0, "999"), (1000.0, 0, "1,000"), (1_234_567.0, 0, "1,234,567"), (6.57, 1, "6.6")]
        {
            assert_eq!(grouped(value, digits), text);
        }
    }
}
