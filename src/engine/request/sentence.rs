//! Parts of the sentences that answer requests.

pub(in crate::engine) fn are(names: &[String], what: &str) -> String {
    let (steps, are) = if names.len() == 1 { ("step", "is") } else { ("steps", "are") };
    format!("{steps} {} {are} {what}", words(names.iter().map(String::as_str)))
}

/// Returns `a, b and c`.
pub(in crate::engine) fn words<'a>(words: impl Iterator<Item = &'a str>) -> String {
    let words: Vec<_> = words.collect();
    match words.split_last() {
        Some((last, [])) => (*last).to_owned(),
        Some((last, rest)) => format!("{} and {last}", rest.join(", ")),
        None => String::new(),
    }
}
