//! Finds the characters of an expression that belong to no string, and refuses an expression that
//! has more brackets or operators than the parser can handle.
//!
//! The parser recurses for each bracket and each operator. A text of many brackets would exhaust
//! its stack. So brackets and operators are counted before the text is parsed.

/// The most levels of nested brackets.
const MAX_NESTED: usize = 12;
/// The most operators of an expression.
const MAX_OPERATORS: usize = 64;

/// Returns the characters outside strings, each with its place in bytes. If a quote does not begin
/// a complete string, the quote and what follows it count as outside: the parser reads on there,
/// too.
pub(in crate::expression) fn outside_strings(text: &str) -> impl Iterator<Item = (usize, char)> {
    let mut at = 0;
    std::iter::from_fn(move || {
        loop {
            let rest = text.get(at..)?;
            let letter = rest.chars().next()?;
            let place = at;
            at += letter.len_utf8();
            let Some(end) = string_from(text, place, letter) else { return Some((place, letter)) };
            at = end;
        }
    })
}

/// Returns the place in bytes at which a string ends, if the character at `place` begins a string.
fn string_from(text: &str, place: usize, letter: char) -> Option<usize> {
    if !matches!(letter, '\'' | '"') {
        return None;
    }
    let (before, rest) = (text.get(..place)?, text.get(place..)?);
    let triple: String = std::iter::repeat_n(letter, 3).collect();
    let mark = if rest.starts_with(&triple) { triple } else { letter.to_string() };
    let inside = rest.get(mark.len()..)?;
    Some(place + mark.len() + end_of_string(inside, &mark, is_raw(before))?)
}

/// Returns whether the `r` before a quote marks a raw string, and is not the end of a name.
fn is_raw(before: &str) -> bool {
    let Some(name) = before.strip_suffix(['r', 'R']) else { return false };
    let name = name.strip_suffix(['b', 'B']).unwrap_or(name);
    !name.ends_with(|letter: char| letter.is_alphanumeric() || letter == '_')
}

/// Returns the place in bytes after `mark`, which closes the string. `None` if the string is not
/// closed.
fn end_of_string(text: &str, mark: &str, raw: bool) -> Option<usize> {
    let mut letters = text.char_indices();
    while let Some((at, letter)) = letters.next() {
        let rest = text.get(at..)?;
        if rest.starts_with(mark) {
            return Some(at + mark.len());
        }
        if letter == '\\' && !raw {
            let escape = rest.get(1..)?;
            (0..escaped(escape)?).for_each(|_| _ = letters.next());
        } else if matches!(letter, '\n' | '\r') && mark.len() == 1 {
            return None;
        }
    }
    None
}

/// Returns how many characters after a backslash belong to the escape, if CEL knows the escape.
fn escaped(escape: &str) -> Option<usize> {
    let digits = |count: usize, radix: u32| {
        let all =
            escape.chars().skip(1).take(count).filter(|letter| letter.is_digit(radix)).count();
        (all == count).then_some(count + 1)
    };
    match escape.chars().next()? {
        'a' | 'b' | 'f' | 'n' | 'r' | 't' | 'v' | '"' | '\'' | '\\' | '?' | '`' => Some(1),
        'x' | 'X' => digits(2, 16),
        'u' => digits(4, 16),
        'U' => digits(8, 16),
        '0'..='3' => digits(2, 8),
        _ => None,
    }
}

/// Checks that the parser can handle the expression.
///
/// # Errors
/// Returns the reason in words: the expression has too many brackets or operators, or holds a
/// comment. A quote in a comment would hide brackets and operators from the count.
pub(in crate::expression) fn check(text: &str) -> Result<(), String> {
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
            return Err(format!(
                "nests more than {MAX_NESTED} brackets in each other: make it flatter"
            ));
        }
        if operators > MAX_OPERATORS {
            return Err(format!("has more than {MAX_OPERATORS} operators: make it shorter"));
        }
    }
    Ok(())
}
