//! Exit codes: part of the interface, printed by `ward exit-codes`, never renumbered.

use std::process::ExitCode;

use super::errors::ErrorKind;

/// How a process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Exit {
    /// 0: done.
    Ok,
    /// 1: a flaw of Ward.
    Internal,
    /// 2: the command line could not be understood.
    Usage,
    /// 3: the query or the configuration makes no sense as written.
    Validation,
    /// 4: not allowed.
    Authorization,
    /// 5: no such thing.
    NotFound,
    /// 6: it exists already, or is in another state.
    Conflict,
    /// 7: the engine or the hospitals cannot be reached.
    Unavailable,
    /// 8: refused by a rule.
    Refused,
    /// 9: a receipt, a checkpoint or an answer did not verify.
    VerificationFailed,
    /// 130: interrupted (as a shell reports Ctrl-C).
    Interrupted,
}

impl Exit {
    /// All of them, by code.
    pub const ALL: [Self; 11] = [
        Self::Ok,
        Self::Internal,
        Self::Usage,
        Self::Validation,
        Self::Authorization,
        Self::NotFound,
        Self::Conflict,
        Self::Unavailable,
        Self::Refused,
        Self::VerificationFailed,
        Self::Interrupted,
    ];

    /// The number.
    #[must_use]
    pub const fn code(self) -> u8 {
        match self {
            Self::Ok => 0,
            Self::Internal => 1,
            Self::Usage => 2,
            Self::Validation => 3,
            Self::Authorization => 4,
            Self::NotFound => 5,
            Self::Conflict => 6,
            Self::Unavailable => 7,
            Self::Refused => 8,
            Self::VerificationFailed => 9,
            Self::Interrupted => 130,
        }
    }

    /// One word or two.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Internal => "internal",
            Self::Usage => "usage",
            Self::Validation => "validation",
            Self::Authorization => "authorization",
            Self::NotFound => "not found",
            Self::Conflict => "conflict",
            Self::Unavailable => "unavailable",
            Self::Refused => "refused",
            Self::VerificationFailed => "verification failed",
            Self::Interrupted => "interrupted",
        }
    }

    /// What it means, one sentence.
    #[must_use]
    pub const fn meaning(self) -> &'static str {
        match self {
            Self::Ok => "The command did what was asked.",
            Self::Internal => "A flaw of Ward; please report it with the trace id.",
            Self::Usage => "The command line could not be understood.",
            Self::Validation => "The query or the configuration makes no sense as written.",
            Self::Authorization => "You are not allowed to do this, or not known.",
            Self::NotFound => "What was named does not exist.",
            Self::Conflict => "It exists already, or is in a state that does not allow this.",
            Self::Unavailable => {
                "The engine, or too many hospitals, cannot be reached; trying again may help."
            }
            Self::Refused => "A rule of the consortium or of a hospital refused; trying again does not help.",
            Self::VerificationFailed => {
                "A receipt, a checkpoint or an answer did not verify: do not rely on it."
            }
            Self::Interrupted => "Interrupted by a signal; a submitted job goes on.",
        }
    }

    /// The table of `ward exit-codes`, plain text, one code a line.
    #[must_use]
    pub fn table() -> String {
        let mut text = String::from("Code  Name                 Meaning\n");
        for exit in Self::ALL {
            text.push_str(&format!("{:>4}  {:<19}  {}\n", exit.code(), exit.name(), exit.meaning()));
        }
        text
    }
}

impl From<ErrorKind> for Exit {
    fn from(kind: ErrorKind) -> Self {
        match kind {
            ErrorKind::Validation => Self::Validation,
            ErrorKind::Authorization => Self::Authorization,
            ErrorKind::NotFound => Self::NotFound,
            ErrorKind::Conflict => Self::Conflict,
            ErrorKind::Unavailable => Self::Unavailable,
            ErrorKind::Compliance => Self::Refused,
            ErrorKind::Internal => Self::Internal,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn codes_are_distinct_ascending_and_outside_the_shells_own() {
        let codes: Vec<u8> = Exit::ALL.iter().map(|e| e.code()).collect();
        assert_eq!(codes.iter().collect::<BTreeSet<_>>().len(), codes.len());
        assert!(codes.is_sorted());
        assert!(!codes.contains(&126) && !codes.contains(&127));
    }

    #[test]
    fn every_error_kind_ends_the_process_with_its_own_failure() {
        let codes: BTreeSet<u8> = ErrorKind::ALL.iter().map(|k| Exit::from(*k).code()).collect();
        assert_eq!(codes.len(), ErrorKind::ALL.len());
        assert!(!codes.contains(&0) && !codes.contains(&Exit::Usage.code()));
    }

    #[test]
    fn the_reference_lists_the_same_codes() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/reference/exit-codes.md");
        let page = std::fs::read_to_string(path).unwrap();
        let rows: Vec<&str> =
            page.lines().filter(|l| l.starts_with("| ") && !l.starts_with("| code")).collect();
        let expected: Vec<String> =
            Exit::ALL.iter().map(|e| format!("| {} | {} | {} |", e.code(), e.name(), e.meaning())).collect();
        assert_eq!(rows, expected);
    }

    #[test]
    fn table_lists_every_code_once() {
        let table = Exit::table();
        for exit in Exit::ALL {
            let rows = table.lines().filter(|l| l.starts_with(&format!("{:>4}  ", exit.code()))).count();
            assert_eq!(rows, 1, "{exit:?}\n{table}");
        }
        assert_eq!(table.lines().count(), Exit::ALL.len() + 1);
    }
}
