//! How the values of arguments are read.

use std::time::Duration;

/// The longest text that is parsed as a duration: the parser's multiplication could overflow on a
/// longer one.
pub(in crate::service) const MAX_DURATION_TEXT: usize = 16;

/// One comma-separated value. It is a type of its own, since clap reads a `Vec` as an argument that
/// is given several times, and would refuse the empty text that a chart passes for an empty list.
#[derive(Clone, Debug)]
pub(in crate::service) struct List<T>(pub(in crate::service) Vec<T>);

/// Parses a comma-separated list; empty entries are left out.
pub(in crate::service) fn list<T>(
    text: &str,
    item: impl Fn(&str) -> Result<T, String>,
) -> Result<List<T>, String> {
    text.split(',')
        .map(str::trim)
        .filter(|entry| !entry.is_empty())
        .map(item)
        .collect::<Result<_, _>>()
        .map(List)
}

/// Parses a duration as Go writes it, not negative.
pub(in crate::service) fn duration(text: &str) -> Result<Duration, String> {
    // kube's parser is Go's grammar, but it panics where a part is negative or too large for its
    // multiplication.
    let parsable = text.len() <= MAX_DURATION_TEXT && !text.is_empty() && !text.contains('-');
    parsable
        .then(|| text.parse::<kube::core::Duration>().ok())
        .flatten()
        .map(Into::into)
        .ok_or_else(|| {
            format!(
                "`{text}` is no duration: write a number and a unit, such as \
            500ms, 25s or 1m30s; not negative"
            )
        })
}
