//! A small SVG writer. Every attribute and every text passes through [`escape`]; every number is finite.

use crate::cli::output::text;

/// A document under construction. Elements are closed in the order they were opened; [`Svg::finish`] closes
/// what is left.
#[derive(Debug)]
pub struct Svg {
    out: String,
    open: Vec<&'static str>,
}

/// The text as XML character data or attribute value: markup escaped, characters that XML forbids or a reader
/// would obey made visible.
#[must_use]
pub fn escape(raw: &str) -> String {
    let mut out = String::with_capacity(raw.len());
    for c in text::clean(raw).chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            '\u{fffe}' | '\u{ffff}' => out.push('\u{fffd}'),
            c => out.push(c),
        }
    }
    out
}

/// A coordinate with at most two decimals; what is no number becomes 0.
#[must_use]
pub fn coordinate(x: f64) -> String {
    if !x.is_finite() {
        return "0".to_owned();
    }
    let text = format!("{x:.2}");
    let text = text.trim_end_matches('0').trim_end_matches('.');
    if text == "-0" { "0".to_owned() } else { text.to_owned() }
}

impl Svg {
    /// A document of `width` x `height` pixels with a title and a description for screen readers, and `css`.
    #[must_use]
    pub fn new(width: f64, height: f64, title: &str, description: &str, css: &str) -> Self {
        let (w, h) = (coordinate(width), coordinate(height));
        let mut svg = Self { out: String::new(), open: Vec::new() };
        svg.open(
            "svg",
            &[
                ("xmlns", "http://www.w3.org/2000/svg"),
                ("class", "ward-plot"),
                ("width", &w),
                ("height", &h),
                ("viewBox", &format!("0 0 {w} {h}")),
                ("role", "img"),
                ("aria-label", title),
            ],
        );
        svg.out.push_str(&format!(
            "<title>{}</title>\n<desc>{}</desc>\n",
            escape(title),
            escape(description)
        ));
        svg.out.push_str(&format!("<style>\n{css}</style>\n"));
        svg.leaf("rect", &[("class", "page"), ("width", &w), ("height", &h)]);
        svg
    }

    /// Opens an element.
    pub fn open(&mut self, tag: &'static str, attributes: &[(&str, &str)]) {
        self.start(tag, attributes);
        self.out.push_str(">\n");
        self.open.push(tag);
    }

    /// Closes the element opened last.
    pub fn close(&mut self) {
        if let Some(tag) = self.open.pop() {
            self.out.push_str(&format!("</{tag}>\n"));
        }
    }

    /// An element without content.
    pub fn leaf(&mut self, tag: &'static str, attributes: &[(&str, &str)]) {
        self.start(tag, attributes);
        self.out.push_str("/>\n");
    }

    /// A line from `from` to `to`.
    pub fn line(&mut self, class: &str, from: (f64, f64), to: (f64, f64)) {
        let [x1, y1, x2, y2] = [from.0, from.1, to.0, to.1].map(coordinate);
        self.leaf("line", &[("class", class), ("x1", &x1), ("y1", &y1), ("x2", &x2), ("y2", &y2)]);
    }

    /// A rectangle with its corner at `at`.
    pub fn rect(&mut self, class: &str, at: (f64, f64), size: (f64, f64)) {
        let [x, y, w, h] = [at.0, at.1, size.0.max(0.0), size.1.max(0.0)].map(coordinate);
        self.leaf("rect", &[("class", class), ("x", &x), ("y", &y), ("width", &w), ("height", &h)]);
    }

    /// A path.
    pub fn path(&mut self, class: &str, d: &str) {
        self.leaf("path", &[("class", class), ("d", d)]);
    }

    /// A line of text with its baseline at `at`; `class` sets its anchor.
    pub fn text(&mut self, class: &str, at: (f64, f64), text: &str) {
        let (x, y) = (coordinate(at.0), coordinate(at.1));
        self.start("text", &[("class", class), ("x", &x), ("y", &y)]);
        self.out.push_str(&format!(">{}</text>\n", escape(text)));
    }

    /// A line of text that reads upwards, centred at `at`.
    pub fn text_upwards(&mut self, class: &str, at: (f64, f64), text: &str) {
        let (x, y) = (coordinate(at.0), coordinate(at.1));
        let turn = format!("translate({x} {y}) rotate(-90)");
        self.start("text", &[("class", class), ("transform", &turn)]);
        self.out.push_str(&format!(">{}</text>\n", escape(text)));
    }

    /// The document.
    #[must_use]
    pub fn finish(mut self) -> String {
        while !self.open.is_empty() {
            self.close();
        }
        self.out
    }

    fn start(&mut self, tag: &str, attributes: &[(&str, &str)]) {
        self.out.push('<');
        self.out.push_str(tag);
        for (name, value) in attributes {
            self.out.push_str(&format!(" {name}=\"{}\"", escape(value)));
        }
    }
}

/// Width of a text in pixels at a font size, estimated from the widths of a common sans-serif face.
#[must_use]
pub fn text_width(text: &str, size: f64) -> f64 {
    let ems: f64 = text
        .chars()
        .map(|c| match c {
            'i' | 'j' | 'l' | '.' | ',' | ':' | ';' | '\'' | '|' | '!' => 0.27,
            'f' | 't' | 'r' | 'I' | '(' | ')' | '[' | ']' | ' ' | '-' | '/' => 0.36,
            'm' | 'w' | 'M' | 'W' | '%' | '@' => 0.9,
            'A'..='Z' | '<' | '>' | '=' | '+' => 0.69,
            c if (' '..='~').contains(&c) => 0.59,
            c => 0.62 * text::width(c.encode_utf8(&mut [0; 4])) as f64,
        })
        .sum();
    ems * size
}

/// The text cut with an ellipsis to about `pixels` at a font size.
#[must_use]
pub fn fit_pixels(text: &str, pixels: f64, size: f64) -> String {
    if text_width(text, size) <= pixels {
        return text.to_owned();
    }
    let mut out = String::new();
    for c in text.chars() {
        out.push(c);
        if text_width(&out, size) + size > pixels {
            out.pop();
            break;
        }
    }
    out.push('\u{2026}');
    out
}

/// Broken at spaces into lines of about `pixels` at a font size.
#[must_use]
pub fn wrap_pixels(text: &str, pixels: f64, size: f64) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        match lines.last_mut() {
            Some(line) if text_width(line, size) + text_width(word, size) + size * 0.36 <= pixels => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(fit_pixels(word, pixels, size)),
        }
    }
    lines
}
