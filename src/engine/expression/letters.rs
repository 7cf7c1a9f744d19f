//! The letters of an expression that belong to none of its strings, and how many of them the parser can take.
//!
//! The parser goes down into itself for each bracket and each operator, and would run out of its stack on a text that is all brackets. So
//! they are counted before it sees the text.

/// How deep brackets may be nested in each other.
const MAX_NESTED: usize = 12;
/// How many operators there may be.
const MAX_OPERATORS: usize = 64;

/// The letters outside strings, each with its place in bytes. Ends where a string is not closed.
pub(super) fn outside_strings(text: &str) -> impl Iterator<Item = (usize, char)> {
    let mut at = 0;
    std::iter::from_fn(move || {
        loop {
            let rest = text.get(at..)?;
            let letter = rest.chars().next()?;
            let place = at;
            at += letter.len_utf8();
            if !matches!(letter, '\'' | '"') {
                return Some((place, letter));
            }
            let raw = text.get(..place)?.ends_with(['r', 'R']);
            let triple: String = std::iter::repeat_n(letter, 3).collect();
            let mark = if rest.starts_with(&triple) { triple } else { letter.to_string() };
            let inside = rest.get(mark.len()..)?;
            at = place + mark.len() + end_of_string(inside, &mark, raw)?;
        }
    })
}

/// Where a string ends that is closed by `mark`, in bytes, the mark included.
fn end_of_string(text: &str, mark: &str, raw: bool) -> Option<usize> {
    let mut escaped = false;
    for (at, letter) in text.char_indices() {
        if escaped {
            escaped = false;
        } else if letter == '\\' && !raw {
            escaped = true;
        } else if text.get(at..)?.starts_with(mark) {
            return Some(at + mark.len());
        }
    }
    None
}

/// Whether the parser can take the expression.
///
/// # Errors
/// In words: it has too many brackets or operators, or a comment, in which a quote would hide them from being counted.
pub(super) fn check(text: &str) -> Result<(), String> {
    let (mut nested, mut operators, mut slash) = (0_usize, 0_usize, None);
    for (place, letter) in outside_strings(text) {
        if letter == '/' && slash.replace(place).is_some_and(|before| before + 1 == place) {
            return Err("holds a comment (//): leave it out".into());
        }
        match letter {
            '(' | '[' | '{' => nested += 1,
            ')' | ']' | '}' => nested = nested.saturating_sub(1),
            '+' | '-' | '*' | '/' | '%' | '!' | '<' | '>' | '=' | '&' | '|' | '?' => operators += 1,
            _ => {}
        }
        if nested > MAX_NESTED {
            return Err(format!("nests more than {MAX_NESTED} brackets in each other: make it flatter"));
        }
        if operators > MAX_OPERATORS {
            return Err(format!("has more than {MAX_OPERATORS} operators: make it shorter"));
        }
    }
    Ok(())
}
