//! Progress of a job: one line per hospital and one for the whole. On a terminal the lines move; elsewhere each
//! change is a line on stderr; under `--quiet` there is nothing.

use std::collections::BTreeMap;
use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde::{Deserialize, Serialize};

use super::report::state_tone;
use super::terminal::{Style, Terminal, Tone};
use super::text;

/// Most hospitals shown; the events of others are dropped.
const HOSPITALS_MAX: usize = 256;
/// Between two frames of the spinner.
const TICK: Duration = Duration::from_millis(120);

/// A change in a job.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProgressEvent {
    /// Ascending within a job; an event that was seen is not shown again.
    pub seq: u64,
    /// State of the job (`running`).
    pub state: String,
    /// The hospital, when the event is about one.
    pub hospital: Option<String>,
    /// State word of the hospital ([`STEPS`] lists those that count as steps), or step of the job.
    pub step: String,
    /// More about it, or empty.
    pub detail: String,
}

/// State words of a hospital, with how far along its part is, from 0 to 4. Another word (`away`, `approval`) is
/// shown and leaves the hospital where it was.
pub const STEPS: [(&str, u64); 9] = [
    ("waiting", 0),
    ("prepared", 1),
    ("computing", 1),
    ("encrypted", 2),
    ("share sent", 3),
    ("cosigned", FULL),
    ("key kept", FULL),
    ("withheld", FULL),
    ("refused", FULL),
];

fn rank(word: &str) -> Option<u64> {
    STEPS.iter().find(|(step, _)| *step == word).map(|(_, rank)| *rank)
}

/// Steps of a hospital until its part is over.
const FULL: u64 = 4;

/// A running display. Dropping it clears the bars and leaves what was said.
pub struct Progress {
    terminal: Terminal,
    seen: Option<u64>,
    job: (String, String),
    hospitals: BTreeMap<String, Line>,
    live: Option<Live>,
}

struct Line {
    state: String,
    detail: String,
    rank: u64,
    bar: Option<ProgressBar>,
}

struct Live {
    bars: MultiProgress,
    overall: ProgressBar,
}

impl Progress {
    /// Starts the display for a job at these hospitals.
    #[must_use]
    pub fn start(terminal: &Terminal, title: &str, hospitals: &[String]) -> Self {
        let target = terminal.is_live().then(ProgressDrawTarget::stderr);
        Self::start_on(terminal, title, hospitals, target)
    }

    fn start_on(
        terminal: &Terminal,
        title: &str,
        hospitals: &[String],
        target: Option<ProgressDrawTarget>,
    ) -> Self {
        let style = terminal.talk_style();
        let live = target.map(|target| {
            let bars = MultiProgress::with_draw_target(target);
            // Never of length 0, which would show as done.
            let overall = bars.add(ProgressBar::new(FULL * hospitals.len().max(1) as u64));
            overall.set_style(overall_look(&style));
            overall.set_message(text::clean(title));
            overall.enable_steady_tick(TICK);
            terminal.set_bars(Some(bars.clone()));
            Live { bars, overall }
        });
        let (terminal, job) = (terminal.clone(), (String::new(), String::new()));
        let mut progress = Self { terminal, seen: None, job, hospitals: BTreeMap::new(), live };
        for hospital in hospitals {
            progress.add(hospital);
        }
        progress.measure();
        progress
    }

    /// Takes an event in; one that is not newer than the last is ignored.
    pub fn event(&mut self, event: &ProgressEvent) {
        if self.seen.is_some_and(|seen| event.seq <= seen) {
            return;
        }
        self.seen = Some(event.seq);
        match &event.hospital {
            Some(hospital) => self.hospital(hospital, event),
            None => self.whole(event),
        }
        self.measure();
    }

    /// Ends the display with a word on the outcome (`done`, `refused`).
    pub fn finish(self, outcome: &str) {
        let style = self.terminal.talk_style();
        let outcome = text::clean(outcome);
        let line = state_tone(&outcome).map_or_else(|| outcome.clone(), |tone| style.paint(tone, &outcome));
        let terminal = self.terminal.clone();
        drop(self);
        terminal.say(&line);
    }

    fn whole(&mut self, event: &ProgressEvent) {
        let job = (event.state.clone(), event.step.clone());
        if job == self.job && event.detail.is_empty() {
            return;
        }
        self.job = job;
        let words = phrase(&[&event.state, &event.step, &event.detail]);
        match &self.live {
            Some(live) => live.overall.set_message(words),
            None => self.terminal.say(&format!("job: {words}")),
        }
    }

    fn hospital(&mut self, name: &str, event: &ProgressEvent) {
        self.add(name);
        let style = self.terminal.talk_style();
        let Some(line) = self.hospitals.get_mut(name) else { return };
        let state = if event.step.is_empty() { &event.state } else { &event.step };
        if (&line.state, &line.detail) == (state, &event.detail) {
            return;
        }
        line.state.clone_from(state);
        line.detail.clone_from(&event.detail);
        line.rank = rank(state).unwrap_or(line.rank);
        match &line.bar {
            Some(bar) => show(bar, line, &style),
            None => {
                let words = phrase(&[&line.state, &line.detail]);
                self.terminal.say(&format!("{}: {words}", text::clean(name)));
            }
        }
    }

    fn add(&mut self, name: &str) {
        if self.hospitals.contains_key(name) || self.hospitals.len() >= HOSPITALS_MAX {
            return;
        }
        let style = self.terminal.talk_style();
        let bar = self.live.as_ref().map(|live| {
            let bar = live.bars.insert_before(&live.overall, ProgressBar::new_spinner());
            bar.set_style(hospital_look(&style));
            bar.set_prefix(text::fit(&text::clean(name), 24, style.unicode));
            bar.enable_steady_tick(TICK);
            bar
        });
        let line = Line { state: STEPS[0].0.to_owned(), detail: String::new(), rank: 0, bar };
        if let Some(bar) = &line.bar {
            show(bar, &line, &style);
        }
        self.hospitals.insert(name.to_owned(), line);
    }

    fn measure(&self) {
        if let Some(live) = &self.live {
            live.overall.set_length(FULL * self.hospitals.len().max(1) as u64);
            live.overall.set_position(self.hospitals.values().map(|l| l.rank).sum());
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Some(live) = &self.live {
            for bar in self.hospitals.values().filter_map(|l| l.bar.as_ref()).chain([&live.overall]) {
                bar.disable_steady_tick();
                bar.finish_and_clear();
            }
            self.terminal.set_bars(None);
        }
    }
}

/// The words that are not empty, cleaned, with commas between.
fn phrase(words: &[&str]) -> String {
    let words: Vec<String> = words.iter().filter(|w| !w.is_empty()).map(|w| text::clean(w)).collect();
    words.join(", ")
}

fn show(bar: &ProgressBar, line: &Line, style: &Style) {
    let state = text::pad_right(&text::clean(&line.state), 10);
    let state = state_tone(&line.state).map_or_else(|| state.clone(), |tone| style.paint(tone, &state));
    let detail = style.paint(Tone::Faint, &text::clean(&line.detail));
    let message = format!("{state}  {detail}");
    if line.rank == FULL { bar.finish_with_message(message) } else { bar.set_message(message) }
}

fn hospital_look(style: &Style) -> ProgressStyle {
    let look = ProgressStyle::with_template("{spinner} {prefix:<24} {msg}");
    let frames: &[&str] = if style.unicode {
        &["⠋", "⠙", "⠸", "⠴", "⠦", "⠇", "•"]
    } else {
        &["|", "/", "-", "\\", "*"]
    };
    look.map_or_else(|_| ProgressStyle::default_spinner(), |look| look.tick_strings(frames))
}

fn overall_look(style: &Style) -> ProgressStyle {
    let look = ProgressStyle::with_template("[{bar:24}] {elapsed} {wide_msg}");
    let chars = if style.unicode { "█▉▊▋▌▍▎▏ " } else { "#> " };
    look.map_or_else(|_| ProgressStyle::default_bar(), |look| look.progress_chars(chars))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::output::terminal::Options;

    fn event(seq: u64, hospital: Option<&str>, step: &str, detail: &str) -> ProgressEvent {
        ProgressEvent {
            seq,
            state: "running".to_owned(),
            hospital: hospital.map(str::to_owned),
            step: step.to_owned(),
            detail: detail.to_owned(),
        }
    }

    fn names() -> Vec<String> {
        vec!["A".to_owned(), "B".to_owned()]
    }

    #[test]
    fn without_a_terminal_each_change_is_one_line_on_stderr() {
        let (terminal, capture) = Terminal::captured(Options::default());
        let mut progress = Progress::start(&terminal, "COUNT(*)", &names());
        progress.event(&event(1, None, "local step", ""));
        progress.event(&event(2, Some("A"), "computing", ""));
        progress.event(&event(3, Some("A"), "computing", ""));
        progress.event(&event(4, Some("B"), "withheld", "2 cells"));
        progress.event(&event(4, Some("B"), "refused", "a replay"));
        progress.event(&event(5, Some("Z\u{1b}"), "encrypted", ""));
        progress.finish("done");
        assert_eq!(
            capture.stderr(),
            "job: running, local step\nA: computing\nB: withheld, 2 cells\nZ\\u{1b}: encrypted\ndone\n"
        );
        assert_eq!(capture.stdout(), "");
    }

    #[test]
    fn quiet_shows_no_progress() {
        let (terminal, capture) = Terminal::captured(Options { quiet: true, ..Options::default() });
        let mut progress = Progress::start(&terminal, "COUNT(*)", &names());
        progress.event(&event(1, Some("A"), "cosigned", ""));
        progress.finish("done");
        assert_eq!(capture.stderr(), "");
    }

    #[test]
    fn bars_advance_with_the_words_and_never_beyond_the_end() {
        let (terminal, _capture) = Terminal::captured(Options::default());
        let target = Some(ProgressDrawTarget::hidden());
        let mut progress = Progress::start_on(&terminal, "COUNT(*)", &names(), target);
        let at = |p: &Progress| {
            let overall = &p.live.as_ref().unwrap().overall;
            (overall.position(), overall.length().unwrap())
        };
        assert_eq!(at(&progress), (0, 8));
        progress.event(&event(1, Some("A"), "encrypted", "3 ciphertexts"));
        assert_eq!(at(&progress), (2, 8));
        progress.event(&event(2, Some("A"), "away", "to cosign"));
        assert_eq!(at(&progress), (2, 8));
        progress.event(&event(2, Some("A"), "cosigned", "a replay"));
        progress.event(&event(3, Some("A"), "computing", "attempt 2"));
        assert_eq!(at(&progress), (1, 8));
        progress.event(&event(4, Some("A"), "cosigned", ""));
        progress.event(&event(5, Some("B"), "refused", "min_rows"));
        assert_eq!(at(&progress), (8, 8));
        let bar = progress.hospitals["B"].bar.clone().unwrap();
        assert!(bar.is_finished() && bar.message().contains("min_rows"));
    }

    #[test]
    fn a_flood_of_hospital_names_is_bounded() {
        let (terminal, _capture) = Terminal::captured(Options::default());
        let mut progress = Progress::start(&terminal, "COUNT(*)", &[]);
        for i in 0..2000 {
            progress.event(&event(i + 1, Some(&format!("H{i}")), "computing", ""));
        }
        assert_eq!(progress.hospitals.len(), HOSPITALS_MAX);
    }
}
