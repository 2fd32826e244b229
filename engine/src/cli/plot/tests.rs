//! Plots against committed files, and what must hold for any numbers.

use proptest::prelude::*;

use super::*;
use crate::cli::output::expect;
use crate::query::answer::Cell;

fn arms() -> (KaplanMeier, KaplanMeier) {
    (samples::arm(640, 18, 7), samples::arm(655, 11, 11))
}

fn trial<'a>(arms: &'a (KaplanMeier, KaplanMeier)) -> KaplanMeierPlot<'a> {
    KaplanMeierPlot {
        title: "KAPLAN_MEIER(days, died)".to_owned(),
        file_name: "kaplan_meier-days-died-by-arm.svg".to_owned(),
        curves: vec![("arm = control".to_owned(), &arms.0), ("arm = drug".to_owned(), &arms.1)],
        p: Some(0.000_013_75),
        notes: vec!["arm = drug: St Mary withheld its part, which is under its floor".to_owned()],
    }
}

#[test]
fn kaplan_meier_matches_the_committed_drawings() {
    let arms = arms();
    let plot = Plot::KaplanMeier(trial(&arms));
    expect::matches("plot", "kaplan-meier.svg", &plot.svg());
    expect::matches("plot", "kaplan-meier.txt", &plot.term(&Style::plain(90)));
    let ascii = Style { unicode: false, ..Style::plain(64) };
    expect::matches("plot", "kaplan-meier-ascii.txt", &plot.term(&ascii));
}

#[test]
fn histogram_matches_the_committed_drawings() {
    let bmi = samples::bmi();
    expect::matches("plot", "histogram.svg", &svg::histogram(&bmi, "HISTOGRAM(bmi, 15, 46.5, 9)"));
    expect::matches("plot", "histogram.txt", &term::histogram(&bmi, "BMI", &Style::plain(72)));
}

#[test]
fn a_suppressed_bin_is_hatched_and_named_and_a_zero_is_a_zero() {
    let svg = svg::histogram(&samples::bmi(), "bmi");
    let hatched: Vec<&str> = svg.lines().filter(|l| l.contains("url(#ward-hatch)")).collect();
    assert_eq!(hatched.len(), 1);
    assert!(attribute(hatched[0], "height").parse::<f64>().unwrap() > 100.0);
    assert!(svg.contains(">suppressed</text>") && svg.contains(">0</text>"));
    let text = term::histogram(&samples::bmi(), "bmi", &Style::plain(80));
    let line = |edge: &str| text.lines().find(|l| l.contains(edge)).unwrap().to_owned();
    assert!(line("39.5 – 43.0").ends_with("░ suppressed"));
    assert!(line("43.0 – 46.5").ends_with("  0"));
}

#[test]
fn all_bins_suppressed_still_draws() {
    let none = Histogram { counts: vec![None; 9], ..samples::bmi() };
    let svg = svg::histogram(&none, "bmi");
    assert_well_formed(&svg);
    assert!(svg.contains("9 bins suppressed"));
    assert_eq!(term::histogram(&none, "bmi", &Style::plain(80)).matches("suppressed").count(), 10);
}

#[test]
fn bins_of_different_widths_are_drawn_per_unit() {
    let uneven = Histogram {
        edges: vec![0.0, 1.0, 5.0],
        counts: vec![Some(100), Some(200)],
        unit: String::new(),
        ..samples::bmi()
    };
    let svg = svg::histogram(&uneven, "nodes");
    let bars: Vec<f64> = svg
        .lines()
        .filter(|l| l.starts_with("<rect class=\"f0\""))
        .map(|l| attribute(l, "height").parse().unwrap())
        .collect();
    assert_eq!(bars.len(), 2);
    assert!((bars[0] / bars[1] - 2.0).abs() < 0.01, "{bars:?}");
    assert!(svg.contains("Count per unit"));
}

#[test]
fn labels_cannot_break_out_of_the_document() {
    let arms = arms();
    let mut plot = trial(&arms);
    plot.title = "</title><script>alert('x')</script>&\"\u{0}".to_owned();
    plot.curves[0].0 = "<=20 & \"big\"".to_owned();
    let svg = svg::kaplan_meier_plot(&plot);
    assert_well_formed(&svg);
    assert!(!svg.contains("<script") && svg.contains("&lt;=20 &amp; &quot;big&quot;"));
}

#[test]
fn degenerate_curves_draw() {
    let nobody = KaplanMeier { n: 0, events: 0, median: None, unit: String::new(), steps: Vec::new() };
    let one = samples::kaplan_meier(&[(5, 1, 0)], 1);
    let at_zero = samples::kaplan_meier(&[(0, 0, 3)], 3);
    for km in [&nobody, &one, &at_zero] {
        let curves = [("all".to_owned(), km)];
        assert_well_formed(&svg::kaplan_meier(&curves, "one", None));
        assert!(term::kaplan_meier(&curves, "one", &Style::plain(60)).contains("number at risk"));
    }
    assert!(svg::kaplan_meier(&[], "none", None).contains("No curve was released"));
    assert!(term::kaplan_meier(&[], "none", &Style::plain(60)).contains("no curve was released"));
}

#[test]
fn an_answer_offers_a_plot_for_each_curve_and_histogram() {
    let arms = arms();
    let cell = |value| Cell { value, withheld_by: Vec::new() };
    let row = |key: &str, km: &KaplanMeier| Row {
        key: vec![key.to_owned()],
        values: vec![cell(Value::KaplanMeier(km.clone())), cell(Value::Histogram(samples::bmi()))],
    };
    let suppressed = || Cell { value: Value::Suppressed, withheld_by: vec!["A".to_owned()] };
    let answer = Answer {
        query: String::new(),
        group_columns: vec!["arm".to_owned()],
        headings: vec!["KAPLAN_MEIER(days, died)".to_owned(), "HISTOGRAM(bmi, 15, 46.5, 9)".to_owned()],
        rows: vec![
            row("control", &arms.0),
            row("drug", &arms.1),
            Row { key: vec!["open".to_owned()], values: vec![suppressed(), suppressed()] },
        ],
        participants: Vec::new(),
        quality: Vec::new(),
        ungrouped: 0,
        pooled_floor: None,
        privacy: None,
        rounding: 0,
    };
    let plots = from_answer(&answer);
    let names: Vec<&str> = plots.iter().map(Plot::file_name).collect();
    assert_eq!(
        names,
        ["kaplan_meier-days-died-by-arm.svg", "histogram-bmi-arm-control.svg", "histogram-bmi-arm-drug.svg"]
    );
    assert!(plots[0].svg().contains("arm = open: suppressed"));
    let text = crate::cli::output::answer::answer(&answer, &Style::plain(90));
    for plot in plots {
        let Plot::Histogram(histogram) = &plot else { continue };
        assert!(plot.is_in_answer());
        let bars = term::histogram(histogram.histogram, "", &Style::plain(90));
        assert!(text.contains(&bars), "{text}");
    }
}

/// The value of an attribute of an element on one line.
fn attribute<'a>(line: &'a str, name: &str) -> &'a str {
    line.split(&format!(" {name}=\"")).nth(1).and_then(|rest| rest.split('"').next()).unwrap_or("")
}

/// The points a path of M, H, V visits.
fn visited(d: &str) -> Vec<(f64, f64)> {
    let (mut x, mut y, mut points) = (0.0, 0.0, Vec::new());
    let d = d.replace('H', " H").replace('V', " V").replace('M', " M").replace('Z', " ");
    let mut words = d.split_whitespace().peekable();
    while let Some(word) = words.next() {
        let number = |w: &str| w[1..].parse::<f64>().unwrap();
        match word.as_bytes()[0] {
            b'M' => (x, y) = (number(word), words.next().unwrap().parse().unwrap()),
            b'H' => x = number(word),
            _ => y = number(word),
        }
        points.push((x, y));
    }
    points
}

/// The paths whose class begins with a word.
fn paths(svg: &str, class: &str) -> Vec<Vec<(f64, f64)>> {
    let head = format!("<path class=\"{class}");
    svg.lines().filter(|l| l.starts_with(&head)).map(|l| visited(attribute(l, "d"))).collect()
}

/// A strict reader of the XML that the builder may write: balanced tags, quoted attributes, known entities, no
/// forbidden characters.
fn assert_well_formed(xml: &str) {
    let mut open = Vec::new();
    let mut rest = xml;
    let mut roots = 0;
    while let Some(start) = rest.find('<') {
        assert_text(&rest[..start]);
        let end = start + rest[start..].find('>').expect("a tag ends");
        let tag = &rest[start + 1..end];
        rest = &rest[end + 1..];
        if let Some(name) = tag.strip_prefix('/') {
            assert_eq!(open.pop(), Some(name), "closing tag");
            continue;
        }
        roots += usize::from(open.is_empty());
        let (body, leaf) = tag.strip_suffix('/').map_or((tag, false), |body| (body, true));
        let (name, mut attributes) = body.split_once(' ').unwrap_or((body, ""));
        assert!(!name.is_empty() && name.bytes().all(|b| b.is_ascii_alphabetic()), "{tag}");
        while !attributes.is_empty() {
            let (name, value) = attributes.split_once("=\"").expect("an attribute has a quoted value");
            assert!(name.bytes().all(|b| b.is_ascii_alphanumeric() || b"-:".contains(&b)), "{tag}");
            let (value, more) = value.split_once('"').expect("a value ends");
            assert_text(value);
            attributes = more.strip_prefix(' ').unwrap_or(more);
        }
        if !leaf {
            open.push(name);
        }
    }
    assert_text(rest);
    assert!(open.is_empty() && roots == 1, "{open:?} left open, {roots} roots");
}

fn assert_text(text: &str) {
    for c in text.chars() {
        assert!(c == '\n' || !c.is_control() && !matches!(c, '\u{fffe}' | '\u{ffff}'), "{c:?}");
    }
    for part in text.split('&').skip(1) {
        let entity = part.split(';').next().unwrap_or("");
        assert!(["amp", "lt", "gt", "quot", "#39"].contains(&entity), "&{part}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn curves_fall_from_left_to_right_within_the_axes(
        km in samples::any_kaplan_meier(),
        other in samples::any_kaplan_meier(),
        label in "\\PC{0,40}",
    ) {
        let svg = svg::kaplan_meier(&[(label, &km), ("other".to_owned(), &other)], "t", Some(0.5));
        assert_well_formed(&svg);
        prop_assert!(!svg.contains("NaN") && !svg.contains("inf\""));
        let axis: Vec<&str> = svg.lines().filter(|l| l.starts_with("<line class=\"axis\"")).collect();
        let side = |name| attribute(axis[0], name).parse::<f64>().unwrap();
        let (left, right, bottom) = (side("x1"), side("x2"), side("y1"));
        for path in paths(&svg, "curve").into_iter().chain(paths(&svg, "band")) {
            prop_assert!(path.iter().all(|(x, y)| (left..=right).contains(x) && (0.0..=bottom).contains(y)));
        }
        for path in paths(&svg, "curve") {
            prop_assert!(path.windows(2).all(|w| w[0].0 <= w[1].0 && w[0].1 <= w[1].1), "{:?}", path);
        }
    }

    #[test]
    fn the_band_holds_the_curve(km in samples::any_kaplan_meier()) {
        for corner in curve::corners(&km) {
            prop_assert!(0.0 <= corner.low && corner.low <= corner.survival);
            prop_assert!(corner.survival <= corner.high && corner.high <= 1.0);
        }
    }

    #[test]
    fn any_histogram_draws_a_well_formed_document(h in samples::any_histogram(), title in "\\PC{0,120}") {
        let svg = svg::histogram(&h, &title);
        assert_well_formed(&svg);
        prop_assert!(!svg.contains("NaN") && !svg.contains("inf\""));
    }

    #[test]
    fn escaped_text_is_character_data_and_unescapes_to_the_cleaned_text(raw in "\\PC*|.*") {
        let escaped = svg::escape(&raw);
        assert_text(&escaped);
        prop_assert!(!escaped.contains(['<', '>', '"', '\'']));
        let back = escaped.replace("&lt;", "<").replace("&gt;", ">").replace("&quot;", "\"");
        let back = back.replace("&#39;", "'").replace("&amp;", "&");
        prop_assert_eq!(back, text::clean(&raw).replace(['\u{fffe}', '\u{ffff}'], "\u{fffd}"));
    }

    #[test]
    fn terminal_plots_fit_any_width(
        km in samples::any_kaplan_meier(),
        h in samples::any_histogram(),
        label in "\\PC{0,60}",
        width in 40usize..200,
        unicode: bool,
    ) {
        let style = Style { unicode, ..Style::plain(width) };
        let curves = [(label, &km), ("arm = drug".to_owned(), &km)];
        let curves = term::kaplan_meier(&curves, "KAPLAN_MEIER(days, died)", &style);
        prop_assert!(curves.lines().all(|l| text::width(l) <= width), "{}", curves);
        // A label of a bin may be long where its edges are absurd.
        let histogram = term::histogram(&h, "HISTOGRAM", &style);
        let sane = h.edges.iter().all(|e| e.abs() < 1e6);
        prop_assert!(!sane || histogram.lines().all(|l| text::width(l) <= width.max(72)), "{}", histogram);
    }

    #[test]
    fn file_names_are_distinct_and_safe(titles in proptest::collection::vec("\\PC{0,90}|a\\.2|a", 0..12)) {
        let mut taken = BTreeMap::new();
        let names: Vec<String> = titles.iter().map(|t| file_name(t, &mut taken)).collect();
        for (i, name) in names.iter().enumerate() {
            prop_assert!(!names[..i].contains(name), "{:?}", names);
            prop_assert!(name.ends_with(".svg") && name.len() <= STEM_MAX + 12 && !name.starts_with(['.', '-']));
            prop_assert!(name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"-_.".contains(&b)));
        }
    }
}
