//! Text compared with committed files: `expected/NAME` beside the module. `WARD_UPDATE_EXPECTED=1` writes them
//! anew; then read the diff before you commit it.

use std::fs;
use std::path::Path;

/// Compares with `src/cli/FOLDER/expected/NAME`.
///
/// # Panics
/// With the lines that differ.
pub(crate) fn matches(folder: &str, name: &str, actual: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/cli").join(folder).join("expected").join(name);
    if std::env::var_os("WARD_UPDATE_EXPECTED").is_some() {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, actual).unwrap();
        return;
    }
    let expected = fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    assert!(expected == actual, "{}\n{}", path.display(), difference(&expected, actual));
}

/// The lines between the common beginning and the common end, `-` expected and `+` actual.
fn difference(expected: &str, actual: &str) -> String {
    let (old, new): (Vec<&str>, Vec<&str>) =
        (expected.split_inclusive('\n').collect(), actual.split_inclusive('\n').collect());
    let head = old.iter().zip(&new).take_while(|(a, b)| a == b).count();
    let left = old.len().min(new.len()) - head;
    let tail = old.iter().rev().zip(new.iter().rev()).take(left).take_while(|(a, b)| a == b).count();
    let mut out = format!("first difference in line {}\n", head + 1);
    for line in &old[head.saturating_sub(2)..head] {
        out.push_str(&format!("  {line:?}\n"));
    }
    for line in &old[head..old.len() - tail] {
        out.push_str(&format!("- {line:?}\n"));
    }
    for line in &new[head..new.len() - tail] {
        out.push_str(&format!("+ {line:?}\n"));
    }
    out
}

#[test]
fn a_difference_names_its_line_and_both_texts() {
    assert_eq!(
        difference("a\nb\nc\nd\n", "a\nb\nX\nY\nd\n"),
        "first difference in line 3\n  \"a\\n\"\n  \"b\\n\"\n- \"c\\n\"\n+ \"X\\n\"\n+ \"Y\\n\"\n"
    );
}
