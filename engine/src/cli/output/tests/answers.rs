//! Answers against the committed tables.

use super::*;

#[test]
fn plain_statistics_match_the_committed_table() {
    expect::matches("output", "answer-plain.txt", &answer(&plain_answer(), &PLAIN));
}

#[test]
fn plain_statistics_become_records_on_a_narrow_terminal() {
    expect::matches("output", "answer-plain-40.txt", &answer(&plain_answer(), &Style::plain(40)));
}

#[test]
fn survival_matches_the_committed_tables() {
    expect::matches("output", "answer-survival.txt", &answer(&survival_answer(), &PLAIN));
}

#[test]
fn richer_statistics_match_the_committed_sections() {
    expect::matches("output", "answer-statistics.txt", &answer(&statistics_answer(), &PLAIN));
    expect::matches("output", "answer-tests.txt", &answer(&tests_answer(), &PLAIN));
}

#[test]
fn margins_are_shown_only_when_nothing_is_suppressed() {
    let shown = |t: Crosstab| answer(&single("CROSSTAB(a, b)", Value::Crosstab(Box::new(t))), &PLAIN);
    let complete = shown(crosstab(false));
    assert!(complete.contains("total") && complete.contains("2,638"));
    let withheld = shown(crosstab(true));
    assert!(!withheld.contains("total") && !withheld.contains("1,307") && !withheld.contains("2,524"));
    assert_eq!(withheld.matches("suppressed").count(), 2);
}

#[test]
fn a_suppressed_cell_is_a_word_and_names_its_hospitals() {
    let text = answer(
        &of(&[], &["COUNT(*)"], vec![row(&[], vec![cell(Value::Suppressed, &["Charite", "St Mary"])])]),
        &PLAIN,
    );
    assert!(text.contains("suppressed [1]"), "{text}");
    assert!(text.contains("[1] withheld by Charite and St Mary"), "{text}");
    let table = text.split("[1]").next().unwrap();
    assert!(!table.bytes().any(|b| b.is_ascii_digit()), "{text}");
}

#[test]
fn an_answer_without_rows_says_so() {
    let empty = Answer { participants: Vec::new(), ..of(&["sex"], &["COUNT(*)"], Vec::new()) };
    assert_eq!(answer(&empty, &PLAIN), "no rows\n");
}

#[test]
fn ascii_style_holds_only_ascii() {
    let ascii = Style { unicode: false, ..PLAIN };
    for a in [plain_answer(), survival_answer(), statistics_answer(), tests_answer()] {
        let text = answer(&a, &ascii);
        assert!(text.is_ascii(), "{text}");
    }
}

#[test]
fn colour_changes_nothing_but_colour() {
    for a in [plain_answer(), survival_answer(), statistics_answer(), tests_answer()] {
        let coloured = answer(&a, &Style { colour: true, ..PLAIN });
        assert!(coloured.contains('\u{1b}'));
        let words = |t: &str| t.lines().map(|l| l.trim_end().to_owned()).collect::<Vec<_>>();
        assert_eq!(words(&without_colour(&coloured)), words(&answer(&a, &PLAIN)));
    }
}

#[test]
fn json_carries_every_digit_of_a_real_number() {
    let (terminal, capture) = Terminal::captured(Options { json: true, ..Options::default() });
    terminal.answer(&survival_answer()).unwrap();
    let text = capture.stdout();
    let answer: Answer = serde_json::from_str(&text).unwrap();
    assert_eq!(answer.headings, survival_answer().headings);
    for step in samples::arm(640, 18, 7).steps {
        // The shortest text that gives the same double back.
        assert!(text.contains(&format!("\"survival\": {:?},", step.survival)), "{}", step.survival);
    }
    assert_eq!(capture.stderr(), "");
}
