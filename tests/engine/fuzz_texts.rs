//! Expressions and templates that nobody would write, made at random.

use saga_operator::expression::check::FUNCTIONS;

use crate::fuzz::Dice;

const WORDS: [&str; 60] = [
    "params.order",
    "params.big",
    "params.lines",
    "params.tags",
    "params.nothing",
    "params.none",
    "params['order']",
    "params",
    "saga.name",
    "steps.a.outputs.id",
    "steps['a'].phase",
    "steps.a",
    "steps",
    "outputs.id",
    "action.key",
    "response.body.id",
    "response.status",
    "object.metadata.name",
    "x",
    "i",
    "1",
    "0",
    "-1",
    "9223372036854775807",
    "-9223372036854775808",
    "18446744073709551615u",
    "1e308",
    "5e-324",
    "1.5",
    "0x7fffffffffffffff",
    "''",
    "'a'",
    "'ü→🦀'",
    "r'\\'",
    "\"q\"",
    "'''t'''",
    "'\\n'",
    "'\\u00e9'",
    "'\\q'",
    "'(((((((((((('",
    "b'x'",
    "true",
    "false",
    "null",
    "[]",
    "{}",
    "[1, 2, 3]",
    "{'a': 1}",
    "{1: 2}",
    "{true: 'x'}",
    "{null: 1}",
    "'1h'",
    "'2020-01-01T00:00:00Z'",
    "'1Ki'",
    "'1e100'",
    "'^[a-z]+$'",
    "'(?i)order'",
    "'('",
    "'YQ=='",
    "1u",
];
const SIGNS: [&str; 22] = [
    "+", "-", "*", "/", "%", "==", "!=", "<", "<=", ">", ">=", "&&", "||", " in ", "?", ":", ",",
    ".", "!", "//", ".?", "@",
];
const MACROS: [&str; 5] = ["all", "exists", "exists_one", "map", "filter"];
const SOUP: [&str; 30] = [
    "(", ")", "[", "]", "{", "}", "'", "\"", "'''", "\"\"\"", "\\", "r'", "R\"", "b'", "\n", "\t",
    " ", "\u{0}", "\u{feff}", "🦀", "ü", "${", "$${", "}", "$", "#", "//", "/*", "`", ";",
];

/// Returns a random expression that follows the grammar, nested at most `depth` deep.
pub(crate) fn grown(dice: &mut Dice, depth: usize) -> String {
    if depth == 0 || dice.one_in(4) {
        return dice.pick(&WORDS).to_owned();
    }
    let (less, call) = (depth - 1, FUNCTIONS[dice.below(FUNCTIONS.len())]);
    match dice.below(12) {
        0 | 1 => format!("{} {} {}", grown(dice, less), SIGNS[dice.below(14)], grown(dice, less)),
        2 => format!("({})", grown(dice, less)),
        3 => format!("{} ? {} : {}", grown(dice, less), grown(dice, less), grown(dice, less)),
        4 => format!("{}{}", dice.pick(&["!", "-", "!!", "--", "!-"]), grown(dice, less)),
        5 => format!("[{}, {}]", grown(dice, less), grown(dice, less)),
        6 => format!("{{{}: {}}}", grown(dice, less), grown(dice, less)),
        7 => format!("{}[{}]", grown(dice, less), grown(dice, less)),
        8 => format!("{}.{}(i, {})", grown(dice, less), dice.pick(&MACROS), grown(dice, less)),
        9 => format!("has({}.{})", grown(dice, less), dice.pick(&["a", "order", "id"])),
        _ if call.contains('.') || dice.one_in(3) => {
            let arguments: Vec<String> = (0..dice.below(4)).map(|_| grown(dice, less)).collect();
            format!("{call}({})", arguments.join(", "))
        }
        _ => {
            let arguments: Vec<String> = (0..dice.below(3)).map(|_| grown(dice, less)).collect();
            format!("{}.{call}({})", grown(dice, less), arguments.join(", "))
        }
    }
}

pub(crate) fn soup(dice: &mut Dice, most: usize) -> String {
    let mut text = String::new();
    for _ in 0..dice.below(most) {
        text.push_str(match dice.below(4) {
            0 => dice.pick(&WORDS),
            1 => dice.pick(&SIGNS),
            2 => dice.pick(&SOUP),
            _ => FUNCTIONS[dice.below(FUNCTIONS.len())],
        });
    }
    text
}

/// Returns the same construct many times, so that the expression is deeply nested.
fn repeated(dice: &mut Dice) -> String {
    let (open, close) = [
        ("(", ")"),
        ("[", "]"),
        ("{'a':", "}"),
        ("!", ""),
        ("-", ""),
        ("+1", ""),
        ("?1:1", ""),
        ("true?", ":1"),
        ("&&true", ""),
        (".a", ""),
        ("[0]", ""),
        ("size(", ")"),
        (".size()", ""),
        (" in [1]", ""),
        ("[1].map(i,", ")"),
        ("==1", ""),
        (",1", ""),
        ("<1", ""),
        (".map(i,i)", ""),
    ][dice.below(19)];
    let (times, begin) = (
        dice.below(700),
        dice.pick(&[
            "1", "", "'\\q'", "'", "1 // '\n", "r'", "'\n", "xr'\\' '", "\"\"\"", "params",
        ]),
    );
    let end = dice.pick(&["", "1", "'", "\n'", "true"]);
    format!("{begin}{}{end}{}", open.repeat(times), close.repeat(times))
}

/// Removes, doubles or inserts one or more letters of a text.
pub(crate) fn spoilt(dice: &mut Dice, text: &str) -> String {
    let mut letters: Vec<char> = text.chars().collect();
    for _ in 0..=dice.below(4) {
        let at = dice.below(letters.len());
        match dice.below(3) {
            0 if !letters.is_empty() => _ = letters.remove(at),
            1 if !letters.is_empty() => letters.insert(at, letters[at]),
            _ => dice.pick(&SOUP).chars().for_each(|letter| letters.insert(at, letter)),
        }
    }
    letters.into_iter().collect()
}

pub(crate) fn expression(dice: &mut Dice) -> String {
    match dice.below(8) {
        0..=3 => grown(dice, 4),
        4 => soup(dice, 40),
        5 => repeated(dice),
        6 => soup(dice, 400),
        _ => {
            let text = grown(dice, 3);
            spoilt(dice, &text)
        }
    }
}

/// Returns a text with expressions in it.
pub(crate) fn template(dice: &mut Dice) -> String {
    let mut text = String::new();
    for _ in 0..dice.below(5) {
        match dice.below(6) {
            0 => text.push_str(dice.pick(&[
                "${",
                "$${",
                "$$${",
                "}",
                "{",
                "$",
                "${}",
                "${ }",
                "${'}'}",
                "${{'a': '}'}}",
                "${HOME}",
                "é",
            ])),
            1 => text.push_str(&soup(dice, 6)),
            2 => text.push_str(dice.pick(&[
                "http://shop/",
                "https://",
                "http://${params.order}/",
                "?q=",
                "#",
                "@",
                "..",
                "%2F",
                "\r\n",
            ])),
            _ => text = format!("{text}${{{}}}", grown(dice, 2)),
        }
    }
    text
}
