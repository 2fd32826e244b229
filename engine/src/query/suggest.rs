//! Did you mean: the nearest name of a list.

/// Names longer than this are not compared.
const NAME_MAX: usize = 64;

/// A hint naming the known name nearest to `name` (at most a third of its letters changed), or listing the known
/// names when there are few, or empty.
pub(crate) fn hint<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> String {
    let known: Vec<&str> = known.into_iter().collect();
    let allowed = (name.chars().count() / 3).max(1);
    let nearest = known
        .iter()
        .filter(|k| k.len() <= NAME_MAX && name.len() <= NAME_MAX)
        .map(|k| (distance(&name.to_lowercase(), &k.to_lowercase()), *k))
        .min()
        .filter(|(d, _)| *d <= allowed);
    match nearest {
        Some((_, k)) => format!("did you mean `{k}`?"),
        None if !known.is_empty() && known.len() <= 40 => format!("there are: {}", known.join(", ")),
        None => String::new(),
    }
}

/// Edit distance with transpositions of neighbours (Damerau, optimal string alignment).
fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let mut rows = vec![vec![0usize; b.len() + 1]; a.len() + 1];
    rows[0] = (0..=b.len()).collect();
    for i in 1..=a.len() {
        rows[i][0] = i;
        for j in 1..=b.len() {
            let substitution = rows[i - 1][j - 1] + usize::from(a[i - 1] != b[j - 1]);
            rows[i][j] = substitution.min(rows[i - 1][j] + 1).min(rows[i][j - 1] + 1);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                rows[i][j] = rows[i][j].min(rows[i - 2][j - 2] + 1);
            }
        }
    }
    rows[a.len()][b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_is_recognised() {
        assert_eq!(hint("hromon", ["age", "hormon"]), "did you mean `hormon`?");
        assert_eq!(hint("KAPLAN_MEYER", ["KAPLAN_MEIER", "CHI2"]), "did you mean `KAPLAN_MEIER`?");
    }

    #[test]
    fn a_strange_name_gets_the_list() {
        assert_eq!(hint("zzz", ["age", "hormon"]), "there are: age, hormon");
        assert_eq!(hint("zzz", []), "");
    }
}
