//! The one door to stdout and stderr. Stdout is data, stderr is talk.

use std::io::{self, ErrorKind as IoKind, IsTerminal as _, Write};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use indicatif::MultiProgress;
use serde::Serialize;

use super::number::Numbers;
use super::text;
use crate::cli::errors::UserError;

/// Columns when stdout is no terminal and `COLUMNS` does not say.
const WIDTH_DEFAULT: usize = 100;
/// Narrowest width laid out for.
const WIDTH_MIN: usize = 40;

/// When to colour.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Colour {
    /// On a terminal, unless `NO_COLOR` is set or `TERM` is `dumb`.
    #[default]
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

/// What the command line said about output.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// Data as JSON.
    pub json: bool,
    /// No talk but errors.
    pub quiet: bool,
    /// Colour.
    pub colour: Colour,
    /// Columns; detected when absent.
    pub width: Option<usize>,
    /// Only ASCII, also where the locale could do more.
    pub ascii: bool,
    /// Counts without thousands separators.
    pub ungrouped: bool,
}

/// How something is laid out; a plain value, so that layout is a pure function.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Style {
    /// Columns.
    pub width: usize,
    /// ANSI colours.
    pub colour: bool,
    /// Unicode beyond ASCII.
    pub unicode: bool,
    /// Numbers.
    pub numbers: Numbers,
}

/// The meanings colours have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tone {
    /// Headings.
    Strong,
    /// What is beside the point.
    Faint,
    /// Done, passed.
    Good,
    /// Attention.
    Warn,
    /// Failed, refused.
    Bad,
    /// A suggestion.
    Hint,
}

impl Style {
    /// Without colour, in Unicode, grouped numbers: what the tests and files use.
    #[must_use]
    pub fn plain(width: usize) -> Self {
        Self { width: width.max(WIDTH_MIN), colour: false, unicode: true, numbers: Numbers { grouped: true } }
    }

    /// The text in a tone; unchanged without colour.
    #[must_use]
    pub fn paint(&self, tone: Tone, text: &str) -> String {
        let code = match tone {
            Tone::Strong => "1",
            Tone::Faint => "2",
            Tone::Good => "32",
            Tone::Warn => "33",
            Tone::Bad => "31;1",
            Tone::Hint => "36",
        };
        if self.colour { format!("\u{1b}[{code}m{text}\u{1b}[0m") } else { text.to_owned() }
    }
}

/// Writes data to stdout and talk to stderr. Cloning gives another handle to the same two streams. A reader
/// that closed the pipe (`ward jobs | head -1`) is not an error: what follows is dropped.
#[derive(Clone)]
pub struct Terminal {
    inner: Arc<Inner>,
}

struct Inner {
    out: Mutex<Box<dyn Write + Send>>,
    err: Mutex<Box<dyn Write + Send>>,
    bars: Mutex<Option<MultiProgress>>,
    json: bool,
    quiet: bool,
    live: bool,
    out_style: Style,
    err_style: Style,
}

/// What a captured terminal wrote.
#[derive(Clone, Default)]
pub struct Capture {
    out: Buffer,
    err: Buffer,
}

#[derive(Clone, Default)]
struct Buffer(Arc<Mutex<Vec<u8>>>);

impl Capture {
    /// Everything written to stdout so far.
    #[must_use]
    pub fn stdout(&self) -> String {
        String::from_utf8_lossy(&lock(&self.out.0)).into_owned()
    }

    /// Everything written to stderr so far.
    #[must_use]
    pub fn stderr(&self) -> String {
        String::from_utf8_lossy(&lock(&self.err.0)).into_owned()
    }
}

impl Write for Buffer {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        lock(&self.0).extend_from_slice(data);
        Ok(data.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Terminal {
    /// The process's own stdout and stderr.
    #[must_use]
    pub fn stdio(options: Options) -> Self {
        let (out_tty, err_tty) = (io::stdout().is_terminal(), io::stderr().is_terminal());
        let colour = |tty| coloured(options.colour, tty, |name| std::env::var(name).ok());
        let columns = std::env::var("COLUMNS").ok().and_then(|c| c.parse().ok());
        let detected = comfy_table::Table::new().width().map(usize::from).filter(|w| *w > 0 && out_tty);
        let width = options.width.or(detected).or(columns).unwrap_or(WIDTH_DEFAULT);
        let unicode = !options.ascii && unicode_locale(|name| std::env::var(name).ok());
        let style = |tty| style(&options, width, colour(tty), unicode);
        Self::assemble(
            options,
            (Box::new(io::stdout()), Box::new(io::stderr())),
            (style(out_tty), style(err_tty)),
            err_tty && !options.quiet,
        )
    }

    /// Any two writers, neither of which is a terminal: colour only when `options` insist.
    #[must_use]
    pub fn with_writers(options: Options, out: Box<dyn Write + Send>, err: Box<dyn Write + Send>) -> Self {
        let width = options.width.unwrap_or(WIDTH_DEFAULT);
        let style = style(&options, width, options.colour == Colour::Always, !options.ascii);
        Self::assemble(options, (out, err), (style, style), false)
    }

    /// A terminal that keeps what it is given, for tests.
    #[must_use]
    pub fn captured(options: Options) -> (Self, Capture) {
        let capture = Capture::default();
        let (out, err) = (Box::new(capture.out.clone()), Box::new(capture.err.clone()));
        (Self::with_writers(options, out, err), capture)
    }

    fn assemble(
        options: Options,
        (out, err): (Box<dyn Write + Send>, Box<dyn Write + Send>),
        (out_style, err_style): (Style, Style),
        live: bool,
    ) -> Self {
        let (json, quiet) = (options.json, options.quiet);
        let (out, err, bars) = (Mutex::new(out), Mutex::new(err), Mutex::new(None));
        Self { inner: Arc::new(Inner { out, err, bars, json, quiet, live, out_style, err_style }) }
    }

    /// True under `--json`.
    #[must_use]
    pub fn is_json(&self) -> bool {
        self.inner.json
    }

    /// True under `--quiet`.
    #[must_use]
    pub fn is_quiet(&self) -> bool {
        self.inner.quiet
    }

    /// True when stderr is a terminal on which bars may move.
    #[must_use]
    pub fn is_live(&self) -> bool {
        self.inner.live
    }

    /// The layout of stdout.
    #[must_use]
    pub fn style(&self) -> Style {
        self.inner.out_style
    }

    /// The layout of stderr.
    #[must_use]
    pub fn talk_style(&self) -> Style {
        self.inner.err_style
    }

    /// Data: written to stdout as it is, with a line break at the end.
    ///
    /// # Errors
    /// When stdout cannot be written, except that its reader went away.
    pub fn data(&self, text: &str) -> io::Result<()> {
        self.write(&self.inner.out, text)
    }

    /// Data as one pretty JSON document on stdout.
    ///
    /// # Errors
    /// When the value does not serialize or stdout cannot be written.
    pub fn json<T: Serialize + ?Sized>(&self, value: &T) -> io::Result<()> {
        self.data(&serde_json::to_string_pretty(value)?)
    }

    /// One line of JSON on stdout, for streams (`ward watch --json`).
    ///
    /// # Errors
    /// When the value does not serialize or stdout cannot be written.
    pub fn json_line<T: Serialize + ?Sized>(&self, value: &T) -> io::Result<()> {
        self.data(&serde_json::to_string(value)?)
    }

    /// The value as JSON under `--json`, else the text that `render` lays out.
    ///
    /// # Errors
    /// When stdout cannot be written.
    pub fn show<T, F>(&self, value: &T, render: F) -> io::Result<()>
    where
        T: Serialize + ?Sized,
        F: FnOnce(&T, &Style) -> String,
    {
        if self.is_json() { self.json(value) } else { self.data(&render(value, &self.style())) }
    }

    /// Talk: a line on stderr, none under `--quiet`.
    pub fn say(&self, text: &str) {
        if !self.is_quiet() {
            self.talk(text);
        }
    }

    /// A question, also under `--quiet`: somebody waits for the answer.
    pub fn ask(&self, text: &str) {
        self.talk(text);
    }

    /// Talk with a `warning:` before it; none under `--quiet`.
    pub fn warn(&self, text: &str) {
        let head = self.talk_style().paint(Tone::Warn, "warning:");
        self.say(&format!("{head} {}", text::clean(text)));
    }

    /// Talk with a `hint:` before it; none under `--quiet`.
    pub fn hint(&self, text: &str) {
        let head = self.talk_style().paint(Tone::Hint, "hint:");
        self.say(&format!("{head} {}", text::clean(text)));
    }

    /// An error, its hint and its trace id, also under `--quiet`; one JSON line under `--json`.
    pub fn error(&self, error: &UserError) {
        let text =
            if self.is_json() { error.to_json() } else { super::error_text(error, &self.talk_style()) };
        self.talk(&text);
    }

    /// Bars that must step aside while lines are written; `None` when they are gone.
    pub(super) fn set_bars(&self, bars: Option<MultiProgress>) {
        *lock(&self.inner.bars) = bars;
    }

    /// A line on stderr. Nobody can be told when stderr fails, so that is let go.
    pub(super) fn talk(&self, text: &str) {
        let _unreportable = self.write(&self.inner.err, text);
    }

    fn write(&self, stream: &Mutex<Box<dyn Write + Send>>, text: &str) -> io::Result<()> {
        let bars = lock(&self.inner.bars).clone();
        let write = || {
            let mut stream = lock(stream);
            stream.write_all(text.as_bytes())?;
            if !text.ends_with('\n') {
                stream.write_all(b"\n")?;
            }
            stream.flush()
        };
        let result = match bars {
            Some(bars) => bars.suspend(write),
            None => write(),
        };
        match result {
            Err(e) if e.kind() == IoKind::BrokenPipe => Ok(()),
            other => other,
        }
    }
}

fn lock<T: ?Sized>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn style(options: &Options, width: usize, colour: bool, unicode: bool) -> Style {
    let numbers = Numbers { grouped: !options.ungrouped };
    Style { width: width.max(WIDTH_MIN), colour, unicode, numbers }
}

/// Whether to colour; `env` looks up an environment variable.
fn coloured(choice: Colour, tty: bool, env: impl Fn(&str) -> Option<String>) -> bool {
    match choice {
        Colour::Always => true,
        Colour::Never => false,
        Colour::Auto => {
            let forbidden = env("NO_COLOR").is_some_and(|v| !v.is_empty());
            tty && !forbidden && env("TERM").is_none_or(|t| t != "dumb")
        }
    }
}

/// Whether the locale is one of UTF-8; without any locale, it is taken to be.
fn unicode_locale(env: impl Fn(&str) -> Option<String>) -> bool {
    let set = |name| env(name).filter(|v| !v.is_empty());
    match set("LC_ALL").or_else(|| set("LC_CTYPE")).or_else(|| set("LANG")) {
        Some(locale) => {
            let locale = locale.to_ascii_lowercase();
            locale.contains("utf-8") || locale.contains("utf8")
        }
        None => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::errors::ErrorKind;

    struct Broken(IoKind);

    impl Write for Broken {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(self.0.into())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn env<'a>(pairs: &'a [(&'a str, &'a str)]) -> impl Fn(&str) -> Option<String> + 'a {
        |name| pairs.iter().find(|p| p.0 == name).map(|p| p.1.to_owned())
    }

    #[test]
    fn data_goes_to_stdout_and_talk_to_stderr() {
        let (terminal, capture) = Terminal::captured(Options::default());
        terminal.data("42").unwrap();
        terminal.say("counting");
        assert_eq!((capture.stdout().as_str(), capture.stderr().as_str()), ("42\n", "counting\n"));
    }

    #[test]
    fn quiet_keeps_errors_and_drops_talk() {
        let (terminal, capture) = Terminal::captured(Options { quiet: true, ..Options::default() });
        terminal.say("counting");
        terminal.warn("slow");
        terminal.hint("wait");
        terminal.error(&UserError::new(ErrorKind::NotFound, "unknown_job", "no job `j1`"));
        assert_eq!(capture.stderr(), "error: no job `j1` [unknown_job]\n");
    }

    #[test]
    fn a_reader_that_left_is_no_error_but_a_full_disk_is() {
        let to = |kind| {
            Terminal::with_writers(Options::default(), Box::new(Broken(kind)), Box::new(io::sink())).data("x")
        };
        assert!(to(IoKind::BrokenPipe).is_ok());
        assert_eq!(to(IoKind::StorageFull).unwrap_err().kind(), IoKind::StorageFull);
    }

    #[test]
    fn json_mode_shows_the_value_and_not_the_text() {
        let (terminal, capture) = Terminal::captured(Options { json: true, ..Options::default() });
        terminal.show(&0.1_f64, |_, _| "about a tenth".to_owned()).unwrap();
        assert_eq!(capture.stdout(), "0.1\n");
    }

    #[test]
    fn colour_needs_a_terminal_and_no_no_color() {
        assert!(coloured(Colour::Auto, true, env(&[("TERM", "xterm")])));
        assert!(coloured(Colour::Auto, true, env(&[("NO_COLOR", "")])));
        assert!(!coloured(Colour::Auto, true, env(&[("NO_COLOR", "1")])));
        assert!(!coloured(Colour::Auto, true, env(&[("TERM", "dumb")])));
        assert!(!coloured(Colour::Auto, false, env(&[])));
        assert!(coloured(Colour::Always, false, env(&[("NO_COLOR", "1")])));
    }

    #[test]
    fn unicode_follows_the_first_locale_variable_that_is_set() {
        assert!(unicode_locale(env(&[])));
        assert!(unicode_locale(env(&[("LC_ALL", ""), ("LANG", "de_DE.UTF-8")])));
        assert!(!unicode_locale(env(&[("LC_ALL", "C"), ("LANG", "de_DE.UTF-8")])));
    }

    #[test]
    fn warnings_from_elsewhere_cannot_steer_the_terminal() {
        let (terminal, capture) = Terminal::captured(Options::default());
        terminal.warn("\u{1b}]0;owned\u{7}");
        assert!(!capture.stderr().contains('\u{1b}'));
    }
}
