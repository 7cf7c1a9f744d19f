//! How much work a pattern of `matches` is.
//!
//! A pattern is made once for an evaluation, and takes the more time the more there is in it once what is counted (`{100}`) is written out.
//! Each byte of a text is then looked at with as many threads as there are places in it, at most.

/// What a letter takes to be made, what a class of letters takes, and what one takes that names a part of Unicode.
const LETTER: u64 = 64;
/// What a letter takes that stands for its other case, too.
const FOLDED: u64 = 12 << 10;
const CLASS: u64 = 48 << 10;
const WIDE: u64 = 128 << 10;
/// What the smallest pattern takes.
const BASE: u64 = 512;

/// What a pattern, or a part of it, takes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Effort {
    /// To be made.
    pub(super) made: u64,
    /// For each byte of a text.
    pub(super) places: u64,
}

impl Effort {
    const fn new(made: u64) -> Self {
        Self { made, places: 1 }
    }

    const fn and(self, other: Self) -> Self {
        Self { made: self.made.saturating_add(other.made), places: self.places.saturating_add(other.places) }
    }

    const fn times(self, times: u64) -> Self {
        Self { made: self.made.saturating_mul(times), places: self.places.saturating_mul(times) }
    }
}

/// What a pattern takes.
///
/// # Errors
/// In words: it sets the flag in which a pattern is laid out freely, and cannot be counted.
pub(super) fn effort(pattern: &str) -> Result<Effort, String> {
    let mut rest = pattern.chars();
    // Wherever the flag is set, and for what part.
    let letter_takes = if pattern.match_indices('(').any(|(at, _)| flags(pattern.get(at + 1..).unwrap_or_default()).contains('i')) {
        FOLDED
    } else {
        LETTER
    };
    // The groups that are open, what stands before the last part, and the last part: what a count multiplies.
    let (mut open, mut before, mut last) = (Vec::new(), Effort::new(BASE), Effort::default());
    while let Some(letter) = rest.next() {
        match letter {
            '(' => {
                if flags(rest.as_str()).contains('x') {
                    return Err("matches takes no pattern with the flag x: write it without blanks and comments".into());
                }
                open.push(before.and(last));
                (before, last) = (Effort::new(LETTER), Effort::default());
            }
            ')' => {
                last = before.and(last);
                before = open.pop().unwrap_or_default();
            }
            '{' => match counted(rest.as_str()) {
                Some(count) => last = last.times(count.max(1)),
                None => last = last.and(Effort::new(LETTER)),
            },
            '*' | '+' | '?' => last = last.and(Effort::new(LETTER)),
            // The rest of a count.
            '}' | ',' | '0'..='9' if last == Effort::default() => {}
            other => {
                before = before.and(last);
                last = Effort::new(match other {
                    '\\' => escape(&mut rest),
                    '[' => class(&mut rest),
                    '.' => CLASS,
                    _ => letter_takes,
                });
            }
        }
        if letter == '{' && counted(rest.as_str()).is_some() {
            _ = rest.by_ref().find(|letter| *letter == '}');
        }
    }
    Ok(open.into_iter().fold(before.and(last), Effort::and))
}

/// The flags that a group sets: `imx` of `(?im-x:`, without the bracket.
fn flags(rest: &str) -> &str {
    let Some(flags) = rest.strip_prefix('?') else { return "" };
    let end = flags.find(|letter: char| !letter.is_ascii_alphabetic() && letter != '-');
    end.and_then(|end| flags.get(..end)).unwrap_or_default()
}

/// The highest number of a count, `3` of `2,3}`.
fn counted(rest: &str) -> Option<u64> {
    let (count, _) = rest.split_once('}')?;
    let number = |text: &str| if text.trim().is_empty() { Some(0) } else { text.trim().parse::<u64>().ok() };
    let (least, most) = count.split_once(',').unwrap_or((count, count));
    (!count.trim().is_empty()).then_some(())?;
    Some(number(least)?.max(number(most)?))
}

/// What stands behind a backslash.
fn escape(rest: &mut std::str::Chars<'_>) -> u64 {
    let Some(letter) = rest.next() else { return LETTER };
    if matches!(letter, 'p' | 'P' | 'x' | 'u' | 'U' | 'b') && rest.as_str().starts_with('{') {
        _ = rest.by_ref().find(|letter| *letter == '}');
    }
    if matches!(letter, 'p' | 'P' | 'w' | 'W' | 'd' | 'D' | 's' | 'S' | 'b' | 'B') { WIDE } else { LETTER }
}

/// A class of letters, from behind its bracket to its end.
fn class(rest: &mut std::str::Chars<'_>) -> u64 {
    let (mut made, mut nested, mut first) = (CLASS, 1_u32, true);
    while let Some(letter) = rest.next() {
        match letter {
            '^' if first => continue,
            ']' if !first => nested -= 1,
            '[' => nested += 1,
            '\\' => made = made.saturating_add(escape(rest)),
            _ => made = made.saturating_add(LETTER),
        }
        if nested == 0 {
            break;
        }
        first = letter == '[';
    }
    made
}

#[cfg(test)]
mod tests {
    use super::*;

    fn places(pattern: &str) -> u64 {
        effort(pattern).map_or(0, |effort| effort.places)
    }

    #[test]
    fn what_is_counted_is_written_out() {
        assert_eq!(effort("").map(|effort| effort.made), Ok(BASE));
        assert!((3..8).contains(&places("abc")));
        for (pattern, at_least) in [
            ("a{100}", 100),
            ("a{2,100}", 100),
            ("a{100,}", 100),
            ("(ab){100}", 200),
            ("(a{100}){40}", 4000),
            ("a{100}{40}", 4000),
            ("((a{10}b){10}c){10}", 1110),
            ("[]{}]{100}", 100),
            ("[^]{}]{100}", 100),
            ("[[:alpha:]{}]{100}", 100),
            (r"[\]{}]{100}", 100),
            (r"\p{Greek}{100}", 100),
            (r"\x{41}{100}", 100),
            (r"\{{100}", 100),
            ("(?:a|b){100}", 200),
            ("(a{100}", 100),
        ] {
            assert!((at_least..3 * at_least + 10).contains(&places(pattern)), "{pattern}: {}", places(pattern));
        }
        assert!(places("[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}") < 50);
        assert!(effort("(?x)a {100}").is_err() && effort("(?i-x:a)").is_err() && effort("(?<x>a)").is_ok());
        assert!(effort(r"\w{50}").is_ok_and(|effort| effort.made > 50 * WIDE));
        for (pattern, letters) in [("(?i)abc", 3), ("a(?s-m:b(?i:c))d", 1), ("(?im)a{100}", 100), ("(a)i", 0), ("(?-x)[(?i)]", 0)] {
            let made = effort(pattern).map_or(0, |effort| effort.made);
            assert!(made >= letters * FOLDED && (letters > 0 || made < 2 * CLASS), "{pattern}: {made}");
        }
    }
}
