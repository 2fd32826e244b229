//! Did you mean: the nearest name of a list.

/// Names longer than this are not compared.
const NAME_CHARS_MAX: usize = 64;

/// A hint naming the known name nearest to `name` (at most a third of its letters changed), or else all of them.
pub(super) fn hint<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<String> {
    let known: Vec<&str> = known.into_iter().collect();
    let letters = name.chars().count();
    let nearest = known
        .iter()
        .filter(|k| letters <= NAME_CHARS_MAX && k.len() <= NAME_CHARS_MAX)
        .map(|k| (distance(&name.to_lowercase(), &k.to_lowercase()), *k))
        .min()
        .filter(|(changed, _)| *changed <= (letters / 3).max(1));
    match nearest {
        Some((_, k)) => Some(format!("did you mean `{k}`?")),
        None if known.is_empty() => None,
        None => Some(format!("there are: {}", known.join(", "))),
    }
}

/// Edit distance with transpositions of neighbours (Damerau, optimal string alignment).
fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let mut before: Vec<usize> = Vec::new();
    let mut above: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.iter().enumerate() {
        let mut row = vec![i + 1];
        for (j, y) in b.iter().enumerate() {
            let mut best = (above[j] + usize::from(x != y)).min(above[j + 1] + 1).min(row[j] + 1);
            if i > 0 && j > 0 && *x == b[j - 1] && a[i - 1] == *y {
                best = best.min(before[j - 1] + 1);
            }
            row.push(best);
        }
        before = std::mem::replace(&mut above, row);
    }
    above[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_is_recognised_and_a_strange_name_gets_the_list() {
        assert_eq!(hint("hba1", ["hba1c", "age"]).unwrap(), "did you mean `hba1c`?");
        assert_eq!(hint("agee", ["hba1c", "age"]).unwrap(), "did you mean `age`?");
        assert_eq!(hint("zzz", ["hba1c", "age"]).unwrap(), "there are: hba1c, age");
        assert_eq!(hint("zzz", []), None);
    }

    #[test]
    fn swapped_neighbours_are_one_slip() {
        assert_eq!(distance("smkoer", "smoker"), 1);
        assert_eq!(distance("", "abc"), 3);
        assert_eq!(distance("abc", ""), 3);
    }
}
