//! The house rules, as tests: which part may name what, how long files and functions are, where printing and
//! SQL live, what a protocol file cites, that no file is dead and no link is broken.
//!
//! A rule is a function from the files of the repository to the places that break it. Each has a test on the
//! repository and a test on a sample that breaks it, so that no rule can rot into always agreeing.

mod manifest;
mod repository;
mod rules;
mod source;
mod syntax;
