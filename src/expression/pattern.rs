//! The work that a pattern of `matches` causes.
//!
//! A pattern is compiled once for an evaluation. Compiling takes more time the longer the pattern
//! is after each repetition with a count (`{100}`) is written out. Matching then processes each
//! byte of a text with at most as many threads as the pattern has places.
//!
//! The parser of the library that compiles patterns reads the pattern here too, so the count and
//! the compiler read a pattern alike. Only the syntax tree is read: to expand the classes in it can
//! take more work than an expression may cause.

use std::fmt::Display;

use regex_syntax::ast::{
    AssertionKind, Ast, ClassBracketed, ClassSet, ClassSetItem, ClassSetRange, Flag, Flags,
    GroupKind, Repetition, RepetitionKind, RepetitionRange, parse::Parser,
};

/// The work of compiling one character. `CLASS` is the work of compiling a class of characters, and
/// `WIDE` the work of compiling a class that names a part of Unicode.
const LETTER: u64 = 64;
/// The work of compiling a character that also matches in its other case.
const FOLDED: u64 = 12 << 10;
/// The work of compiling a character or a range within a class, if the range ends beyond ASCII.
/// `SOUGHT` is the further work for each character of a range, if the pattern ignores case: the
/// other case of each character is searched for.
const SPREAD: u64 = 512;
const SOUGHT: u64 = 12;
const CLASS: u64 = 48 << 10;
const WIDE: u64 = 128 << 10;
/// The work of compiling a class that names a part of Unicode, if the pattern ignores case.
const FOLDED_WIDE: u64 = 4 * WIDE;
/// The work of compiling the smallest pattern.
const BASE: u64 = 512;

/// The work of a pattern, or of a part of a pattern.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::expression) struct Effort {
    /// The work of compiling, in the unit of an expression's work.
    pub(in crate::expression) made: u64,
    /// The work for each byte of the text: the number of places in the pattern.
    pub(in crate::expression) places: u64,
}

impl Effort {
    const fn new(made: u64) -> Self {
        Self { made, places: 1 }
    }

    const fn and(self, other: Self) -> Self {
        Self {
            made: self.made.saturating_add(other.made),
            places: self.places.saturating_add(other.places),
        }
    }

    const fn times(self, times: u64) -> Self {
        Self { made: self.made.saturating_mul(times), places: self.places.saturating_mul(times) }
    }
}

/// Returns the work of a pattern.
///
/// # Errors
/// Returns the reason in words if the text is not a valid pattern.
pub(in crate::expression) fn effort(pattern: &str) -> Result<Effort, String> {
    let tree = Parser::new()
        .parse(pattern)
        .map_err(|error| format!("matches: {}", invalid(pattern, error)))?;
    // The pattern ignores case as a whole, if the flag is set anywhere in it.
    let count = Count { folded: folds(&tree) };
    Ok(Effort::new(BASE).and(count.part(&tree)))
}

/// Returns the message about an invalid pattern.
pub(in crate::expression) fn invalid(pattern: &str, error: impl Display) -> String {
    format!("'{pattern}' not a valid regex:\n{error}")
}

/// Returns whether any part of the pattern ignores case.
fn folds(tree: &Ast) -> bool {
    let set = |flags: &Flags| flags.flag_state(Flag::CaseInsensitive) == Some(true);
    match tree {
        Ast::Flags(flags) => set(&flags.flags),
        Ast::Group(group) => {
            matches!(&group.kind, GroupKind::NonCapturing(flags) if set(flags)) || folds(&group.ast)
        }
        Ast::Repetition(repetition) => folds(&repetition.ast),
        Ast::Alternation(alternation) => alternation.asts.iter().any(folds),
        Ast::Concat(concat) => concat.asts.iter().any(folds),
        Ast::Empty(_)
        | Ast::Literal(_)
        | Ast::Dot(_)
        | Ast::Assertion(_)
        | Ast::ClassUnicode(_)
        | Ast::ClassPerl(_)
        | Ast::ClassBracketed(_) => false,
    }
}

struct Count {
    folded: bool,
}

impl Count {
    fn part(&self, tree: &Ast) -> Effort {
        let all = |parts: &[Ast]| {
            parts.iter().map(|part| self.part(part)).fold(Effort::default(), Effort::and)
        };
        match tree {
            Ast::Empty(_) | Ast::Flags(_) => Effort::new(LETTER),
            Ast::Literal(literal) => {
                let made = if self.folded { FOLDED } else { LETTER };
                Effort::new(made).times(literal.c.len_utf8() as u64)
            }
            Ast::Dot(_) => Effort::new(CLASS),
            Ast::Assertion(assertion) => Effort::new(match assertion.kind {
                AssertionKind::StartLine
                | AssertionKind::EndLine
                | AssertionKind::StartText
                | AssertionKind::EndText => LETTER,
                AssertionKind::WordBoundary
                | AssertionKind::NotWordBoundary
                | AssertionKind::WordBoundaryStart
                | AssertionKind::WordBoundaryEnd
                | AssertionKind::WordBoundaryStartAngle
                | AssertionKind::WordBoundaryEndAngle
                | AssertionKind::WordBoundaryStartHalf
                | AssertionKind::WordBoundaryEndHalf => WIDE,
            }),
            Ast::ClassPerl(_) => Effort::new(WIDE),
            Ast::ClassUnicode(_) => Effort::new(self.wide()),
            Ast::ClassBracketed(class) => Effort::new(self.class(class)),
            Ast::Repetition(repetition) => self.repeated(repetition),
            Ast::Group(group) => self.part(&group.ast).and(Effort::new(LETTER)),
            Ast::Alternation(alternation) => all(&alternation.asts).and(Effort::new(LETTER)),
            Ast::Concat(concat) => all(&concat.asts),
        }
    }

    fn repeated(&self, repetition: &Repetition) -> Effort {
        let (part, end) = (self.part(&repetition.ast), Effort::new(LETTER));
        match &repetition.op.kind {
            RepetitionKind::ZeroOrOne | RepetitionKind::ZeroOrMore | RepetitionKind::OneOrMore => {
                part.and(end)
            }
            RepetitionKind::Range(RepetitionRange::Exactly(count)) => {
                part.times(u64::from(*count).max(1))
            }
            // The repetition may end after each round.
            RepetitionKind::Range(
                RepetitionRange::AtLeast(count) | RepetitionRange::Bounded(_, count),
            ) => part.and(end).times(u64::from(*count).max(1)),
        }
    }

    const fn wide(&self) -> u64 {
        if self.folded { FOLDED_WIDE } else { WIDE }
    }

    fn class(&self, class: &ClassBracketed) -> u64 {
        CLASS.saturating_add(self.set(&class.kind))
    }

    fn set(&self, set: &ClassSet) -> u64 {
        match set {
            ClassSet::Item(item) => self.item(item),
            ClassSet::BinaryOp(both) => {
                CLASS.saturating_add(self.set(&both.lhs)).saturating_add(self.set(&both.rhs))
            }
        }
    }

    fn item(&self, item: &ClassSetItem) -> u64 {
        match item {
            ClassSetItem::Empty(_) | ClassSetItem::Ascii(_) => LETTER,
            ClassSetItem::Literal(literal) => self.range(literal.c, literal.c),
            ClassSetItem::Range(ClassSetRange { start, end, .. }) => self.range(start.c, end.c),
            ClassSetItem::Unicode(_) | ClassSetItem::Perl(_) => self.wide(),
            ClassSetItem::Bracketed(class) => self.class(class),
            ClassSetItem::Union(union) => {
                union.items.iter().fold(0, |all, item| self.item(item).saturating_add(all))
            }
        }
    }

    fn range(&self, start: char, end: char) -> u64 {
        let made = if end.is_ascii() { LETTER } else { SPREAD };
        let sought = if self.folded {
            SOUGHT.saturating_mul(u64::from(u32::from(end).saturating_sub(u32::from(start))))
        } else {
            0
        };
        made.saturating_add(sought)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn places(pattern: &str) -> u64 {
        effort(pattern).map_or(0, |effort| effort.places)
    }

    #[test]
    fn what_is_counted_is_written_out() {
        assert_eq!(effort("").map(|effort| effort.made), Ok(BASE + LETTER));
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
            ("(a|b){20}", 40),
            ("((a|bc)|(d|(e|f))){20}", 120),
            // These begin like the rest of a count, but are characters.
            ("0{100}", 100),
            ("(0{100})", 100),
            ("5{10}{10}", 100),
            (",{100}", 100),
            ("}{100}", 100),
            ("0{1000}{16}[^0]", 16_000),
            ("a|0{100}", 100),
            (r"\d{50}", 50),
            (r"\pL{50}", 50),
            (r"\p{Greek}{2,50}", 50),
            (r"[\p{Greek}--[α-ω]]{50}", 50),
            ("ü{100}", 200),
            ("x*", 1),
            ("a {100}", 100),
            ("(?x) a {100} # b{100}", 100),
        ] {
            assert!(
                (at_least..3 * at_least + 10).contains(&places(pattern)),
                "{pattern}: {}",
                places(pattern)
            );
        }
        assert!(places("[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}") < 50);
        assert!(effort(r"\w{50}").is_ok_and(|effort| effort.made > 50 * WIDE));
        assert!(
            effort(r"(?i)[\x{0}-\x{10FFFF}]").is_ok_and(|effort| effort.made > 4 << 20),
            "every letter's other case is looked for"
        );
    }

    #[test]
    fn letters_that_stand_for_their_other_case_too_are_dear() {
        for (pattern, letters) in [
            ("(?i)abc", 3),
            ("a(?s-m:b(?i:c))d", 1),
            ("(?im)a{100}", 100),
            ("(a)i", 0),
            ("(?-x)[(?i)]", 0),
        ] {
            let made = effort(pattern).map_or(0, |effort| effort.made);
            assert!(
                made >= letters * FOLDED && (letters > 0 || made < 2 * CLASS),
                "{pattern}: {made}"
            );
        }
    }

    #[test]
    fn what_is_no_pattern_is_said_to_be_none() {
        for pattern in ["(", "a{100", "{100}", "(a{100}", r"\", "[a", "a{2,1}", "(?y)a"] {
            let error = effort(pattern).err().unwrap_or_default();
            assert!(
                error.starts_with(&format!("matches: '{pattern}' not a valid regex:\n")),
                "{pattern}: {error}"
            );
        }
    }

    /// A pattern, and the least number of characters that it has once it is written out.
    fn written() -> impl Strategy<Value = (String, u64)> {
        const LETTERS: [&str; 17] = [
            "a",
            "0",
            "5",
            ",",
            "}",
            "]",
            "-",
            "ü",
            ".",
            r"\d",
            r"\pL",
            r"\p{Greek}",
            r"\{",
            r"\x{41}",
            "[0-9,}]",
            "[^]{2}]",
            "[{]",
        ];
        let letter = prop::sample::select(&LETTERS[..]).prop_map(|letter| (letter.to_owned(), 1));
        letter.prop_recursive(4, 24, 3, |part| {
            prop_oneof![
                (part.clone(), 1..60_u64, any::<bool>()).prop_map(
                    |((part, letters), count, bare)| {
                        // A count applies to the last character alone, unless brackets hold the
                        // whole part.
                        let is_one = letters == 1 && bare;
                        (
                            if is_one {
                                format!("{part}{{{count}}}")
                            } else {
                                format!("(?:{part}){{{count}}}")
                            },
                            letters * count,
                        )
                    }
                ),
                (part.clone(), 0..9_u64, 1..60_u64).prop_map(|((part, letters), least, more)| {
                    (format!("({part}){{{least},{}}}", least + more), letters * (least + more))
                }),
                (part.clone(), 1..60_u64).prop_map(|((part, letters), count)| (
                    format!("(?:{part}){{{count},}}?"),
                    letters * count
                )),
                part.clone().prop_map(|(part, letters)| (format!("(?:{part})*"), letters)),
                (part.clone(), part.clone()).prop_map(|((one, some), (other, more))| (
                    format!("{one}{other}"),
                    some + more
                )),
                (part.clone(), part).prop_map(|((one, some), (other, more))| (
                    format!("(?:{one}|{other})"),
                    some + more
                )),
            ]
        })
    }

    proptest! {
        #[test]
        fn never_less_is_told_than_there_is((pattern, letters) in written()) {
            prop_assert!(places(&pattern) >= letters, "{pattern}: {} of \
                {letters}", places(&pattern));
        }

        #[test]
        fn any_text_is_counted(pattern in any::<String>()) {
            let _ = effort(&pattern);
        }
    }
}
