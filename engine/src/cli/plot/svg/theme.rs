//! Colours and type. The series follow Okabe and Ito (2008), which stay apart for every common form of colour
//! blindness; in the dark they are lightened. Beyond eight series, dashes tell them apart.

/// Number of distinct colours.
pub(super) const COLOURS: usize = 8;
/// Distinct dash patterns, the first solid.
const DASHES: [&str; 3] = ["none", "7 4", "2 3"];

const SERIES_LIGHT: [&str; COLOURS] =
    ["#0072b2", "#d55e00", "#009e73", "#c15c93", "#b8860b", "#3f9fd8", "#5f6670", "#7a4fb5"];
const SERIES_DARK: [&str; COLOURS] =
    ["#56b4e9", "#ff9550", "#2fc99a", "#e8a0c8", "#f0c04a", "#9ad4f7", "#b8bfc9", "#b79af0"];

/// Roles and their colours: (selector, property, light, dark).
const INKS: [(&str, &str, &str, &str); 8] = [
    (".page", "fill", "#ffffff", "#14181f"),
    (".ink", "fill", "#16202c", "#eceff4"),
    (".muted", "fill", "#566170", "#a7b1bf"),
    (".axis", "stroke", "#7b8592", "#7f8a99"),
    (".grid", "stroke", "#e8ebef", "#272e39"),
    (".guide", "stroke", "#8a94a1", "#8792a2"),
    (".veil", "fill", "#f3f4f6", "#1d232d"),
    (".veil-line", "stroke", "#9aa3af", "#667182"),
];

const SHAPES: &str = "\
.ward-plot text { font-family: Inter, 'Helvetica Neue', Helvetica, Arial, 'Liberation Sans', 'DejaVu Sans', sans-serif; font-size: 12.5px; font-variant-numeric: tabular-nums; }
.ward-plot .title { font-size: 18px; font-weight: 650; }
.ward-plot .strong { font-weight: 600; }
.ward-plot .small { font-size: 11.5px; }
.ward-plot .middle { text-anchor: middle; }
.ward-plot .end { text-anchor: end; }
.ward-plot .grid, .ward-plot .axis { stroke-width: 1; }
.ward-plot .guide { stroke-width: 1; stroke-dasharray: 2 3; }
.ward-plot .curve { fill: none; stroke-width: 2; stroke-linejoin: round; }
.ward-plot .censor { fill: none; stroke-width: 1.2; }
.ward-plot .band { stroke: none; fill-opacity: 0.15; }
.ward-plot .band.faint { fill-opacity: 0.06; }
.ward-plot .veil-line { stroke-width: 1; fill: none; }
";

/// The style sheet for `series` series.
pub(super) fn css(series: usize) -> String {
    let mut css = String::from(SHAPES);
    for (selector, property, light, _) in INKS {
        css.push_str(&format!(".ward-plot {selector} {{ {property}: {light}; }}\n"));
    }
    for (i, colour) in SERIES_LIGHT.iter().enumerate().take(series) {
        css.push_str(&series_rule(i, colour));
    }
    for (i, dash) in DASHES.iter().enumerate().skip(1) {
        if series > i * COLOURS {
            css.push_str(&format!(".ward-plot .d{i} {{ stroke-dasharray: {dash}; }}\n"));
        }
    }
    css.push_str("@media (prefers-color-scheme: dark) {\n");
    for (selector, property, _, dark) in INKS {
        css.push_str(&format!(".ward-plot {selector} {{ {property}: {dark}; }}\n"));
    }
    for (i, colour) in SERIES_DARK.iter().enumerate().take(series) {
        css.push_str(&series_rule(i, colour));
    }
    css.push_str("}\n");
    css
}

fn series_rule(i: usize, colour: &str) -> String {
    format!(".ward-plot .s{i} {{ stroke: {colour}; }}\n.ward-plot .f{i} {{ fill: {colour}; }}\n")
}

/// Class of the stroke of series `i`.
pub(super) fn stroke(i: usize) -> String {
    let dash = i / COLOURS % DASHES.len();
    if dash == 0 { format!("s{}", i % COLOURS) } else { format!("s{} d{dash}", i % COLOURS) }
}

/// Class of the fill of series `i`.
pub(super) fn fill(i: usize) -> String {
    format!("f{}", i % COLOURS)
}
