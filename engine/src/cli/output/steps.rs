//! Progress of work on this machine, step by step: a spinner on a terminal, a line for each step elsewhere.

use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar};

use super::terminal::Terminal;
use super::text;

/// Between two frames of the spinner.
const TICK: Duration = Duration::from_millis(120);

/// A running display. Dropping it clears the spinner.
pub struct Steps {
    terminal: Terminal,
    bar: Option<ProgressBar>,
}

impl Steps {
    /// Starts the display.
    #[must_use]
    pub fn start(terminal: &Terminal) -> Self {
        let bar = terminal.is_live().then(|| {
            let bars = MultiProgress::new();
            let bar = bars.add(ProgressBar::new_spinner());
            bar.enable_steady_tick(TICK);
            terminal.set_bars(Some(bars));
            bar
        });
        Self { terminal: terminal.clone(), bar }
    }

    /// The next step.
    pub fn step(&self, what: &str) {
        match &self.bar {
            Some(bar) => bar.set_message(text::clean(what)),
            None => self.terminal.say(&text::clean(what)),
        }
    }
}

impl Drop for Steps {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
            self.terminal.set_bars(None);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::output::terminal::Options;

    #[test]
    fn without_a_terminal_each_step_is_one_line_on_stderr() {
        let (terminal, capture) = Terminal::captured(Options::default());
        let steps = Steps::start(&terminal);
        steps.step("reading the key");
        steps.step("proving\u{1b}");
        drop(steps);
        assert_eq!(capture.stderr(), "reading the key\nproving\\u{1b}\n");
        assert_eq!(capture.stdout(), "");
    }
}
