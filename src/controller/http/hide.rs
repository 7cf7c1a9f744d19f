//! Takes the values of Secrets out of what the other side answers.
//!
//! # Guarantees
//! Neither a value nor any of its words shows where an answer repeats it as it was sent, escaped as in JSON, percent-encoded as in a URL or
//! a form, or in base64, alone or in the midst of other text. Of `Basic` credentials the user's name and password are words, too.
//!
//! # Caveats
//! - Who is sent a Secret knows it, and can write it in a way that nobody recognises. This is for services that echo what they were sent.
//! - Of a value with very many words only the first ones are looked for in other forms than their own.

use std::{borrow::Cow, fmt::Write};

use base64::{
    Engine,
    engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE_NO_PAD},
};

use crate::controller::secrets::SecretValue;

/// Shorter parts of a value are not taken out: they hide nothing and would garble the text.
const MIN_HIDDEN: usize = 4;
/// The most parts of a value that are looked for in other forms than their own, so that no odd Secret costs much time.
const MAX_ENCODED: usize = 16;

/// The text without the values of the Secrets, nor any of their words, in any of the forms.
pub(super) fn hide<'a>(secrets: &[SecretValue], text: &'a str) -> Cow<'a, str> {
    let mut forms: Vec<String> = secrets.iter().flat_map(forms).collect();
    // The longest first: a form that is part of another one would leave the rest of that one behind.
    forms.sort_unstable_by(|a, b| b.len().cmp(&a.len()).then_with(|| a.cmp(b)));
    forms.dedup();
    let mut text = Cow::Borrowed(text);
    for form in forms.iter().filter(|form| form.len() >= MIN_HIDDEN) {
        if text.contains(form) {
            text = Cow::Owned(text.replace(form, "[hidden]"));
        }
    }
    text
}

/// All that must not show of a value.
fn forms(value: &SecretValue) -> Vec<String> {
    let value = String::from_utf8_lossy(value.expose());
    let mut parts = vec![value.trim().to_owned()];
    parts.extend(basic(&value));
    parts.extend(value.split_whitespace().map(str::to_owned));
    parts.retain(|part| part.len() >= MIN_HIDDEN);
    let encoded: Vec<String> = parts.iter().take(MAX_ENCODED).flat_map(|part| encoded(part)).collect();
    parts.extend(encoded);
    parts
}

/// `user:password` and `password`, where the value is such credentials (RFC 7617).
fn basic(value: &str) -> Vec<String> {
    let mut words = value.split_whitespace();
    let (scheme, credentials) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let decoded = STANDARD.decode(credentials).ok().filter(|_| scheme.eq_ignore_ascii_case("basic"));
    let Some(pair) = decoded.and_then(|bytes| String::from_utf8(bytes).ok()) else { return Vec::new() };
    let password = pair.split_once(':').map(|(_, password)| password.to_owned());
    password.into_iter().chain([pair]).collect()
}

/// A part of a value as an answer may write it.
fn encoded(part: &str) -> Vec<String> {
    let json = serde_json::to_string(part).unwrap_or_default();
    let json = json.trim_matches('"').to_owned();
    let mut forms = vec![json.replace('/', "\\/"), json];
    // What RFC 3986 leaves as it is, what encodeURIComponent leaves, what encodeURI leaves, and what a form leaves.
    for (kept, space) in [("-._~", "%20"), ("-._~!*'()", "%20"), ("-._~!*'()#$&+,/:;=?@", "%20"), ("-._*", "+")] {
        forms.push(percent(part, kept, space, false));
        forms.push(percent(part, kept, space, true));
    }
    forms.extend((0..3).flat_map(|before| base64(part.as_bytes(), before)));
    forms
}

/// Percent-encoding of everything but letters, digits and `kept`.
fn percent(part: &str, kept: &str, space: &str, lower: bool) -> String {
    let mut text = String::new();
    for byte in part.bytes() {
        // Writing to a String cannot fail.
        let _ = match byte {
            b' ' => text.write_str(space),
            byte if byte.is_ascii_alphanumeric() || kept.as_bytes().contains(&byte) => text.write_char(byte.into()),
            byte if lower => write!(text, "%{byte:02x}"),
            byte => write!(text, "%{byte:02X}"),
        };
    }
    text
}

/// The letters of base64 that stand for `part` where `before` bytes, modulo 3, come before it: those up to its end where nothing follows,
/// and those that no following byte can change.
fn base64(part: &[u8], before: usize) -> Vec<String> {
    let padded: Vec<u8> = std::iter::repeat_n(0, before).chain(part.iter().copied()).collect();
    let (first, last) = ((before * 8).div_ceil(6), padded.len() * 8 / 6);
    let all = [STANDARD_NO_PAD.encode(&padded), URL_SAFE_NO_PAD.encode(&padded)];
    all.iter().flat_map(|all| [all.get(first..), all.get(first..last)]).flatten().map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hidden(value: &str, text: &str) -> String {
        hide(&[SecretValue::from(value.as_bytes().to_vec())], text).into_owned()
    }

    #[test]
    fn a_value_and_its_words_do_not_show() {
        assert_eq!(
            hidden("Bearer s3cret-t0ken", "bad header Bearer s3cret-t0ken, token s3cret-t0ken"),
            "bad header [hidden], token [hidden]"
        );
        assert_eq!(hidden("s3cret\n", "no s3cret here"), "no [hidden] here");
        assert_eq!(hidden("abc", "abc is too short to be hidden"), "abc is too short to be hidden");
        assert!(matches!(hide(&[SecretValue::from(b"s3cret".to_vec())], "card declined"), Cow::Borrowed("card declined")));
    }

    #[test]
    fn no_rest_of_a_longer_word_stays() {
        assert_eq!(hidden("s3cr s3cret-t0ken", "s3cret-t0ken"), "[hidden]");
    }

    #[test]
    fn escaped_and_percent_encoded_values_do_not_show() {
        let value = "pa/ss \"wörd\"+%&=~!x";
        for echo in [
            r#"pa/ss \"wörd\"+%&=~!x"#,
            r#"pa\/ss \"wörd\"+%&=~!x"#,
            "pa%2Fss%20%22w%C3%B6rd%22%2B%25%26%3D~%21x",
            "pa%2fss%20%22w%c3%b6rd%22%2b%25%26%3d~%21x",
            "pa%2Fss%20%22w%C3%B6rd%22%2B%25%26%3D~!x",
            "pa/ss%20%22w%C3%B6rd%22+%25&=~!x",
            "pa%2Fss+%22w%C3%B6rd%22%2B%25%26%3D%7E%21x",
            "pa%2fss+%22w%c3%b6rd%22%2b%25%26%3d%7e%21x",
        ] {
            assert_eq!(hidden(value, &format!("?q={echo}&r=1")), "?q=[hidden]&r=1", "{echo}");
        }
    }

    #[test]
    fn base64_of_a_value_does_not_show_wherever_it_stands() {
        let value = "s3cret-t0ken?>~\u{fc}";
        for before in ["", "a", "ab", "abc", "header: Bearer "] {
            for after in ["", "z", "zy", "zyx", " and more"] {
                let text = format!("{before}{value}{after}");
                for echo in [STANDARD.encode(&text), STANDARD_NO_PAD.encode(&text), URL_SAFE_NO_PAD.encode(&text)] {
                    let shown = hidden(value, &echo);
                    assert!(shown.contains("[hidden]"), "{text}: {shown}");
                    // What is left around it tells at most the bits that share a letter with a neighbour.
                    let left = shown.replace("[hidden]", "").len();
                    assert!(left <= (before.len() + after.len()) * 4 / 3 + 5, "{text}: {shown}");
                }
            }
        }
    }

    #[test]
    fn basic_credentials_do_not_show_decoded() {
        let value = format!("Basic {}", STANDARD.encode("shop:s3cret-t0ken"));
        assert_eq!(hidden(&value, "wrong password s3cret-t0ken of shop:s3cret-t0ken"), "wrong password [hidden] of [hidden]");
    }

    #[test]
    fn an_odd_secret_costs_little() {
        let words = (0..2_000).map(|word| format!("w{word:04}")).collect::<Vec<_>>().join(" ");
        let text = "x".repeat(64 * 1024);
        assert_eq!(hidden(&words, &text), text);
        assert_eq!(hidden(&words, "w0000 w1999 w2000"), "[hidden] [hidden] w2000");
        assert_eq!(hidden("\u{fffd} \u{0} ", "x"), "x");
        assert_eq!(hidden("", ""), "");
    }
}
