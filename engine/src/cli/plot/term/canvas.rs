//! A canvas of Braille cells, each 2 dots wide and 4 high; in ASCII, a cell is a letter.

use crate::cli::output::terminal::Style;

/// Bit of the dot at (column, row) of a Braille cell.
const DOTS: [[u8; 4]; 2] = [[0x01, 0x02, 0x04, 0x40], [0x08, 0x10, 0x20, 0x80]];
/// ANSI colours of the series: blue, yellow, green, magenta, cyan, red.
const COLOURS: [u8; 6] = [34, 33, 32, 35, 36, 31];

/// A canvas. Series are drawn in order; where two cross, the later one shows its colour.
pub(super) struct Canvas {
    columns: usize,
    rows: usize,
    cells: Vec<Spot>,
}

#[derive(Clone, Copy, Default)]
struct Spot {
    dots: u8,
    series: usize,
    letter: Option<char>,
}

/// The letter of a series: A to Z, then `?`.
pub(super) fn letter(series: usize) -> char {
    u8::try_from(series).ok().filter(|s| *s < 26).map_or('?', |s| char::from(b'A' + s))
}

/// The text in the colour of a series.
pub(super) fn tint(series: usize, text: &str, style: &Style) -> String {
    if style.colour {
        format!("\u{1b}[{}m{text}\u{1b}[0m", COLOURS[series % COLOURS.len()])
    } else {
        text.to_owned()
    }
}

impl Canvas {
    /// An empty canvas of terminal cells.
    pub(super) fn new(columns: usize, rows: usize) -> Self {
        Self { columns, rows, cells: vec![Spot::default(); columns * rows] }
    }

    /// Dots across and down.
    pub(super) fn dots(&self) -> (usize, usize) {
        (2 * self.columns, 4 * self.rows)
    }

    /// Sets a dot; one outside the canvas is let go.
    fn dot(&mut self, x: usize, y: usize, series: usize) {
        let (column, row) = (x / 2, y / 4);
        if column < self.columns && row < self.rows {
            let spot = &mut self.cells[row * self.columns + column];
            spot.dots |= DOTS[x % 2][y % 4];
            spot.series = series;
        }
    }

    /// A horizontal run of dots, both ends included.
    pub(super) fn horizontal(&mut self, x: [usize; 2], y: usize, series: usize) {
        for x in x[0]..=x[1] {
            self.dot(x, y, series);
        }
    }

    /// A vertical run of dots, both ends included.
    pub(super) fn vertical(&mut self, x: usize, y: [usize; 2], series: usize) {
        for y in y[0]..=y[1] {
            self.dot(x, y, series);
        }
    }

    /// Puts the letter of a series over the cell of a dot, unless another letter stands there.
    pub(super) fn mark(&mut self, x: usize, y: usize, series: usize) {
        let (column, row) = (x / 2, y / 4);
        if column < self.columns && row < self.rows {
            let spot = &mut self.cells[row * self.columns + column];
            if spot.letter.is_none() {
                spot.letter = Some(letter(series));
                spot.series = series;
            }
        }
    }

    /// A row of cells as text, without spaces at the end.
    pub(super) fn row(&self, row: usize, style: &Style) -> String {
        let cells = &self.cells[row * self.columns..(row + 1) * self.columns];
        let used = cells.iter().rposition(|s| s.dots != 0 || s.letter.is_some()).map_or(0, |i| i + 1);
        let mut out = String::new();
        for spot in &cells[..used] {
            let shown = match spot.letter {
                Some(letter) => letter,
                None if spot.dots == 0 => {
                    out.push(' ');
                    continue;
                }
                None if style.unicode => char::from_u32(0x2800 + u32::from(spot.dots)).unwrap_or(' '),
                None => letter(spot.series),
            };
            out.push_str(&tint(spot.series, shown.encode_utf8(&mut [0; 4]), style));
        }
        out
    }
}
