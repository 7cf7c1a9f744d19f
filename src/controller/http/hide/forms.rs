//! What is looked for of a value: it, its parts, and all of them in base64.
//!
//! The parts of a value are its words, which white space parts; what stands between `,` and `;` in a word; and what stands behind a name
//! and its `=` or `:` there, up to the next of them and up to the end. The name itself is no part: it says what the value is for, as in
//! `session=…`, and answers are full of it. Of `Basic` credentials (RFC 7617) the user's name and password are parts, too. Quotes around a
//! part do not belong to it.

use std::collections::BTreeSet;

use base64::{
    Engine,
    engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE_NO_PAD},
};

/// Shorter parts of a value are not taken out: they hide nothing and would garble the text.
pub(super) const MIN_HIDDEN: usize = 4;
/// The most parts of a value that are looked for in base64, so that no odd Secret costs much time.
const MAX_ENCODED: usize = 32;
/// The most ends of a part that are parts themselves, for the same reason.
const MAX_ENDS: usize = 4;

/// The parts of a value that must not show, each once, the value itself first.
pub(super) fn parts(value: &[u8]) -> Vec<Vec<u8>> {
    let value = value.trim_ascii();
    // As UTF-8, and as a server reads it that takes each byte of a header for a character, as HTTP once had it.
    let texts: [String; 2] = [String::from_utf8_lossy(value).into_owned(), value.iter().copied().map(char::from).collect()];
    let mut parts = vec![value.to_vec()];
    for text in &texts {
        let credentials = basic(text);
        let all = [text].into_iter().chain(&credentials).flat_map(|text| {
            let words = text.split_whitespace();
            [text.as_str()].into_iter().chain(words.clone()).chain(words.flat_map(pieces))
        });
        parts.extend(all.map(|part| part.as_bytes().to_vec()));
    }
    let mut known = BTreeSet::new();
    parts.retain(|part| part.len() >= MIN_HIDDEN && known.insert(part.clone()));
    parts
}

/// The parts of a value, and what they are in base64.
pub(super) fn forms(parts: Vec<Vec<u8>>) -> Vec<Vec<u8>> {
    let encoded = parts.iter().take(MAX_ENCODED).flat_map(|part| (0..3).flat_map(|before| base64(part, before)));
    let mut forms: Vec<_> = encoded.map(String::into_bytes).filter(|form| form.len() >= MIN_HIDDEN).collect();
    forms.extend(parts);
    forms.sort_unstable();
    forms.dedup();
    forms
}

/// What stands between the marks in a word.
fn pieces(word: &str) -> impl Iterator<Item = &str> {
    word.split([',', ';']).flat_map(|one| {
        let ends = one.match_indices(['=', ':']).take(MAX_ENDS).filter_map(|(at, mark)| one.get(at.saturating_add(mark.len())..));
        let pieces = [one].into_iter().chain(ends).chain(one.split(['=', ':']).skip(1));
        // What `=` ends is no name: so ends base64, which others write without it.
        pieces.map(|piece| piece.trim_matches(['"', '\'']).trim_end_matches('='))
    })
}

/// `user:password`, `user` and `password`, where the value is such credentials.
fn basic(value: &str) -> Vec<String> {
    let mut words = value.split_whitespace();
    let (scheme, credentials) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let decoded = STANDARD.decode(credentials).ok().filter(|_| scheme.eq_ignore_ascii_case("basic"));
    let Some(pair) = decoded.and_then(|bytes| String::from_utf8(bytes).ok()) else { return Vec::new() };
    let halves = pair.split_once(':').map(|(user, password)| [user.to_owned(), password.to_owned()]);
    [pair].into_iter().chain(halves.into_iter().flatten()).collect()
}

/// The letters of base64 that stand for `part` where `before` bytes, modulo 3, come before it: those up to its end where nothing follows,
/// and those that no following byte can change.
fn base64(part: &[u8], before: usize) -> Vec<String> {
    let padded: Vec<u8> = std::iter::repeat_n(0, before).chain(part.iter().copied()).collect();
    let (first, last) = ((before * 8).div_ceil(6), padded.len() * 8 / 6);
    let all = [STANDARD_NO_PAD.encode(&padded), URL_SAFE_NO_PAD.encode(&padded)];
    all.iter().flat_map(|all| [all.get(first..), all.get(first..last)]).flatten().map(str::to_owned).collect()
}
