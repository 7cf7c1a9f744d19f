//! Makes text that a program or a server wrote safe to show.
//!
//! # Guarantees
//! The result is one line of bounded length, without characters that control a terminal. A second
//! pass changes nothing.

use jiff::Timestamp;

/// The longest line, in characters.
pub(crate) const MAX_LINE: usize = 256;

/// Returns `Reason: message`, or only the part that is not empty.
pub(crate) fn labelled(reason: Option<&String>, message: Option<&String>) -> Option<String> {
    match (line(reason), line(message)) {
        (Some(reason), Some(message)) => Some(format!("{reason}: {message}")),
        (reason, message) => reason.or(message),
    }
}

/// Returns the text in one line; `None` if nothing is left.
pub(crate) fn line(text: Option<&String>) -> Option<String> {
    text.map(|text| one_line(text)).filter(|text| !text.is_empty())
}

/// Returns [`bounded_line`] of at most 256 characters.
pub(crate) fn one_line(text: &str) -> String {
    bounded_line(text, MAX_LINE)
}

/// Returns the end of a text in one line of at most `most` characters. `most` is at least 1. A line
/// that was cut begins with `…`. The end is kept because the end of a log says the most.
pub(crate) fn tail(text: &str, most: usize) -> String {
    let line = bounded_line(text, usize::MAX);
    let surplus = line.chars().count().saturating_sub(most);
    if surplus == 0 {
        return line;
    }
    let kept: String = line.chars().skip(surplus.saturating_add(1)).collect();
    format!("…{}", kept.trim_start())
}

/// Returns `head: said` in one line of at most 256 characters. The line has as much of the
/// beginning of `head` as fits into two thirds, and the end of `said` in the rest.
pub(crate) fn ending_in(head: &str, said: Option<&str>) -> String {
    let Some(said) = said.filter(|said| !one_line(said).is_empty()) else { return one_line(head) };
    let head = bounded_line(head, MAX_LINE * 2 / 3);
    let left = MAX_LINE.saturating_sub(head.chars().count()).saturating_sub(2);
    format!("{head}: {}", tail(said, left))
}

/// Puts a text that a program or a server wrote into one line of at most `most` characters, without
/// characters that control a terminal. Runs of white space and control characters become one space.
/// Characters that turn, join or hide text are removed. A line that was cut ends in `…`.
pub(crate) fn bounded_line(text: &str, most: usize) -> String {
    let deceptive = |c: char| {
        matches!(c, '\u{ad}' | '\u{61c}' | '\u{200b}'..='\u{200f}')
            || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
    };
    let mut line = String::new();
    let (mut length, mut gap) = (0, false);
    for c in text.chars().filter(|c| !deceptive(*c)) {
        if c.is_whitespace() || c.is_control() {
            gap = length > 0;
            continue;
        }
        let added = 1 + usize::from(std::mem::take(&mut gap));
        if length + added > most {
            while length > 0 && length >= most {
                line.pop();
                length -= 1;
            }
            line.push('…');
            return line;
        }
        if added == 2 {
            line.push(' ');
        }
        line.push(c);
        length += added;
    }
    line
}

/// The most steps that are named in one line.
pub(crate) const NAMED: usize = 5;

pub(crate) fn instant(at: Timestamp) -> String {
    at.strftime("%Y-%m-%dT%H:%M:%S%.3fZ").to_string()
}

/// Joins the parts that are not empty into one line.
pub(crate) fn sentences(parts: &[String]) -> String {
    join(parts.iter().filter(|part| !part.is_empty()).cloned(), "; ")
}

pub(crate) fn list<'a>(names: impl Iterator<Item = &'a str>) -> String {
    join(names.map(str::to_owned), ",")
}

/// Joins at most [`NAMED`] parts, and adds how many more there are.
pub(crate) fn join(parts: impl Iterator<Item = String>, between: &str) -> String {
    let mut parts: Vec<_> = parts.collect();
    let more = parts.len().saturating_sub(NAMED);
    parts.truncate(NAMED);
    if more > 0 {
        parts.push(format!("and {more} more"));
    }
    parts.join(between)
}

/// Joins as many parts as fit into `most` characters, at least one, and adds how many more there
/// are.
pub(crate) fn all_that_fit(
    parts: impl Iterator<Item = String>,
    between: &str,
    most: usize,
) -> String {
    let parts: Vec<_> = parts.collect();
    let mut room = most;
    let fits = |part: &&String| {
        let left = room.checked_sub(part.chars().count().saturating_add(between.len()));
        room = left.unwrap_or_default();
        left.is_some()
    };
    let shown = parts.iter().take_while(fits).count().max(1).min(parts.len());
    let more = parts.len().saturating_sub(shown);
    let told = parts.into_iter().take(shown).map(|part| clip(&part, most));
    told.chain((more > 0).then(|| format!("and {more} more"))).collect::<Vec<_>>().join(between)
}

/// Returns at most `most` characters in one line. If the text is longer, the last character is `…`.
pub(crate) fn clip(text: &str, most: usize) -> String {
    let mut letters = text.chars().map(|letter| if letter.is_control() { ' ' } else { letter });
    let mut short: String = letters.by_ref().take(most).collect();
    if letters.next().is_some() {
        short.pop();
        short.push('…');
    }
    short
}

/// Returns the first 64 characters of what a user wrote, without control characters.
pub(crate) fn excerpt(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(64).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_becomes_one_harmless_bounded_line() {
        assert_eq!(one_line("  a\r\n\tb\u{0}\u{202e}c  "), "a b c");
        assert_eq!(one_line(&"x".repeat(256)).chars().count(), 256);
        let cut = one_line(&"é ".repeat(100_000));
        assert_eq!((cut.chars().count(), cut.chars().last()), (256, Some('…')));
        assert_eq!(one_line(&cut), cut);
        assert_eq!(
            (bounded_line("ab cd", 3).as_str(), bounded_line("ab cd", 5).as_str()),
            ("ab…", "ab cd")
        );
        assert_eq!(bounded_line("ab", 1), "…");
    }

    #[test]
    fn of_what_is_too_long_the_end_is_kept() {
        assert_eq!((tail("a\nb c", 5).as_str(), tail("a\nb c", 4).as_str()), ("a b c", "…b c"));
        assert_eq!(tail("ab", 1), "…");
        let long = format!("{} the end\n", "é ".repeat(100_000));
        let kept = tail(&long, 256);
        assert!(
            kept.chars().count() <= 256 && kept.starts_with('…') && kept.ends_with("the end"),
            "{kept}"
        );
        for most in 1..=256 {
            assert_eq!(tail(&kept, most), tail(&long, most), "cut twice to {most}");
        }
    }

    #[test]
    fn a_long_head_leaves_room_for_the_end_of_what_was_said() {
        assert_eq!(ending_in("exit code 3", Some("no such\norder")), "exit code 3: no such order");
        assert_eq!(ending_in("exit code 3", Some(" \n")), "exit code 3");
        let line = ending_in(&"x".repeat(1000), Some(&format!("{} the end", "y".repeat(1000))));
        assert!(
            line.chars().count() == 256 && line.ends_with("y the end") && line.contains("x…: …y"),
            "{line}"
        );
    }
}
