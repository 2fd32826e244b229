//! The clauses that ask for noise, for rounded counts and for proofs, at the end of a query: `WITH PRIVACY (epsilon = 1,
//! delta = 1e-6, honest = 1)`, `WITH ROUNDING`, `WITH PROOFS`.
//!
//! SQL has no such clauses, so they are taken off the end of the tokens before the rest is read as SQL.

use sqlparser::tokenizer::{Span, Token, TokenWithSpan};

use super::super::ast::PrivacyClause;
use super::super::error::QueryError;
use super::{Result, place, unsupported};

/// Largest epsilon.
const EPSILON_MAX_NANO: u64 = 100_000_000_000;
/// Most hospitals that can be counted on.
const HONEST_MAX: u64 = 60;
const USAGE: &str = "WITH PRIVACY (epsilon = 1, delta = 1e-6), at the end of the query";

fn is_word(token: &Token, word: &str) -> bool {
    matches!(token, Token::Word(w) if w.quote_style.is_none() && w.value.eq_ignore_ascii_case(word))
}

fn wrong(message: &str, span: Span) -> QueryError {
    QueryError::Arguments {
        function: "WITH PRIVACY".into(),
        message: message.into(),
        usage: USAGE.into(),
        place: place(span),
    }
}

/// Takes `WITH` and a word off the end, where they stand there; true when they did.
pub(super) fn take_word(tokens: &mut Vec<TokenWithSpan>, word: &str) -> bool {
    let semicolons = tokens.iter().rev().take_while(|t| t.token == Token::SemiColon).count();
    let end = tokens.len() - semicolons;
    let Some(at) = end.checked_sub(2) else { return false };
    let is_there = is_word(&tokens[at].token, "with") && is_word(&tokens[at + 1].token, word);
    if is_there {
        tokens.truncate(at);
    }
    is_there
}

/// Takes the clause off the end, where there is one.
///
/// # Errors
/// For a clause that is not written as it must be, or asks for what no noise gives.
pub(super) fn take(tokens: &mut Vec<TokenWithSpan>) -> Result<Option<PrivacyClause>> {
    let starts =
        |pair: &[TokenWithSpan]| is_word(&pair[0].token, "with") && is_word(&pair[1].token, "privacy");
    let Some(at) = tokens.windows(2).position(starts) else { return Ok(None) };
    let clause = tokens.split_off(at);
    let span = clause[0].span;
    let mut inner = clause.get(2..).unwrap_or_default();
    while let Some((last, rest)) = inner.split_last()
        && last.token == Token::SemiColon
    {
        inner = rest;
    }
    match inner {
        [open, settings @ .., close] if open.token == Token::LParen && close.token == Token::RParen => {
            clause_of(settings, span).map(Some)
        }
        _ => Err(wrong("it has its settings in parentheses, and ends the query", span)),
    }
}

fn clause_of(settings: &[TokenWithSpan], span: Span) -> Result<PrivacyClause> {
    let (mut epsilon, mut delta, mut honest) = (None, None, None);
    for setting in settings.split(|t| t.token == Token::Comma) {
        let [name, equals, value] = setting else {
            return Err(wrong("a setting is a name, `=` and a number", span));
        };
        let (Token::Word(name), Token::Eq, Token::Number(text, _)) =
            (&name.token, &equals.token, &value.token)
        else {
            return Err(wrong("a setting is a name, `=` and a number", value.span));
        };
        let (slot, places) = match name.value.to_ascii_lowercase().as_str() {
            "epsilon" => (&mut epsilon, 9),
            "delta" => (&mut delta, 18),
            "honest" => (&mut honest, 0),
            _ => return Err(wrong("the settings are epsilon, delta and honest", value.span)),
        };
        let number =
            scaled(text, places).ok_or_else(|| wrong("this number is too fine, or too large", value.span))?;
        if slot.replace(number).is_some() {
            return Err(wrong("a setting is there twice", value.span));
        }
    }
    let epsilon_nano = epsilon.ok_or_else(|| wrong("epsilon is missing", span))?;
    if epsilon_nano == 0 || epsilon_nano > EPSILON_MAX_NANO {
        return Err(wrong("epsilon is above 0, and at most 100", span));
    }
    let delta_atto = delta.unwrap_or(0);
    if delta_atto >= 10u64.pow(18) {
        return Err(wrong("delta is below 1", span));
    }
    match honest.unwrap_or(1) {
        honest @ 1..=HONEST_MAX => {
            Ok(PrivacyClause { epsilon_nano, delta_atto, honest: u32::try_from(honest).unwrap_or(1) })
        }
        _ => Err(unsupported("this number of honest hospitals", "count on 1 to 60 of them", span)),
    }
}

/// A decimal text, an exponent allowed, in units of 10^-places; none where it is no whole number of them.
pub(crate) fn scaled(text: &str, places: i64) -> Option<u64> {
    let (mantissa, exponent) = match text.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, exponent.parse::<i16>().ok()?.into()),
        None => (text, 0i64),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let fraction = fraction.trim_end_matches('0');
    let digits = [whole, fraction].concat();
    if digits.is_empty() || digits.len() > 30 || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let mut number = digits.parse::<u128>().ok()?;
    let mut shift = places + exponent - i64::try_from(fraction.len()).ok()?;
    while shift < 0 && number % 10 == 0 && number > 0 {
        number /= 10;
        shift += 1;
    }
    match u32::try_from(shift) {
        _ if number == 0 => Some(0),
        Ok(shift) => u64::try_from(number.checked_mul(10u128.checked_pow(shift)?)?).ok(),
        Err(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::super::parse;
    use super::*;

    #[test]
    fn numbers_are_read_exactly() {
        for (text, places, number) in [
            ("1", 9, Some(1_000_000_000)),
            ("0.5", 9, Some(500_000_000)),
            ("1e-6", 18, Some(1_000_000_000_000)),
            ("1.25E-3", 9, Some(1_250_000)),
            ("10e-1", 0, Some(1)),
            ("0.0000000001", 9, None),
            ("1e30", 9, None),
            ("0e99", 9, Some(0)),
            ("x", 9, None),
            ("", 9, None),
        ] {
            assert_eq!(scaled(text, places), number, "{text}");
        }
    }

    #[test]
    fn a_clause_reads_as_it_is_written() {
        let query =
            parse("select count(*) from t group by g with privacy (delta = 1e-6, epsilon = 0.50);").unwrap();
        assert_eq!(
            query.privacy,
            Some(PrivacyClause { epsilon_nano: 500_000_000, delta_atto: 1_000_000_000_000, honest: 1 })
        );
        assert_eq!(
            query.canonical(),
            "SELECT COUNT(*) FROM t GROUP BY g WITH PRIVACY (epsilon = 0.5, delta = 0.000001)"
        );
        assert_eq!(parse(&query.canonical()), Ok(query));
        let query = parse("SELECT COUNT(*) FROM t WITH PRIVACY (epsilon = 2, honest = 3)").unwrap();
        assert_eq!(parse(&query.canonical()), Ok(query));
    }

    #[test]
    fn a_clause_that_promises_nothing_is_refused() {
        for clause in [
            "WITH PRIVACY",
            "WITH PRIVACY ()",
            "WITH PRIVACY (epsilon)",
            "WITH PRIVACY (epsilon = 0)",
            "WITH PRIVACY (epsilon = 1000)",
            "WITH PRIVACY (delta = 0.1)",
            "WITH PRIVACY (epsilon = 1, epsilon = 1)",
            "WITH PRIVACY (epsilon = 1, delta = 1)",
            "WITH PRIVACY (epsilon = 1, honest = 0)",
            "WITH PRIVACY (epsilon = 1, hope = 1)",
            "WITH PRIVACY (epsilon = -1)",
            "WITH PRIVACY (epsilon = 1) GROUP BY g",
            "WITH PRIVACY (epsilon = 1) WITH PRIVACY (epsilon = 1)",
        ] {
            assert!(parse(&format!("SELECT COUNT(*) FROM t {clause}")).is_err(), "{clause}");
        }
    }
}
