//! The search forms of a secret value: the value, its parts, and all of them in base64.
//!
//! The parts of a value are:
//! - The token after a scheme such as `Bearer`.
//! - Of `Basic` credentials (RFC 7617): the password, and the pair of user and password. The user
//!   alone is no part, because answers often name the user.
//! - The pieces of the value. The pieces are its words, separated by white space; the sections of a
//!   word between `,` and `;`; and in a section, the text after a name and its `=` or `:`, both up
//!   to the next `=` or `:` and up to the end. The name is no piece: it says what the value is for,
//!   as in `session=…`, and occurs in many answers. Quotes around a piece do not belong to the
//!   piece.
//!
//! A short piece is often an everyday word, or the beginning of one. A short piece is therefore
//! searched only as a whole word.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet},
};

use base64::{
    Engine,
    engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE_NO_PAD},
};

use super::words::Words;
use crate::controller::cluster::secrets::SecretValue;

/// The least bytes of a part that is hidden. Hiding shorter parts would protect nothing and would
/// garble the text.
pub(in crate::controller) const MIN_HIDDEN: usize = 4;
/// The least bytes of a piece that is searched anywhere. A shorter piece is searched only as a
/// whole word.
const MIN_WITHIN: usize = 8;
/// The most bytes of search forms besides the values themselves, so that unusual Secrets cost
/// little time and memory.
pub(in crate::controller) const MAX_FORMS: usize = 256 * 1024;
/// The most tails of a section that count as pieces, for the same reason.
const MAX_ENDS: usize = 4;

/// The sensitivity of a part, the most sensitive first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Rank {
    /// The value as it is sent.
    Whole,
    /// A token or a password, or the value in another reading.
    Credential,
    Piece,
}

/// The search forms of all values together.
#[derive(Debug, Default)]
pub(in crate::controller) struct Forms {
    /// The forms that are searched anywhere.
    pub(in crate::controller) anywhere: Vec<Vec<u8>>,
    /// The forms that are searched only as whole words.
    pub(in crate::controller) words: Words,
    /// The parts that are numbers, as the bits of a double.
    pub(in crate::controller) numbers: BTreeSet<u64>,
}

impl Forms {
    /// Returns the search forms of `secrets`: every whole value, and up to [`MAX_FORMS`] bytes of
    /// the other forms. Parts come before their base64 forms, more sensitive parts before less
    /// sensitive ones, and longer parts before shorter ones.
    pub(in crate::controller) fn of(secrets: &[SecretValue]) -> Self {
        let mut known = BTreeMap::new();
        for (part, rank) in secrets.iter().flat_map(|secret| parts(secret.expose())) {
            let best = known.entry(part).or_insert(rank);
            *best = rank.min(*best);
        }
        let mut parts: Vec<_> = known.into_iter().map(|(part, rank)| Part { part, rank }).collect();
        parts.sort_by_key(|part| (part.rank, Reverse(part.part.len())));
        let (mut forms, mut left) = (Self::default(), MAX_FORMS);
        for part in &parts {
            if part.rank == Rank::Whole || take(&mut left, part.part.len()) {
                forms.add(part);
            }
        }
        for (part, form) in
            parts.iter().flat_map(|part| part.encoded().into_iter().map(move |form| (part, form)))
        {
            if !take(&mut left, form.len()) {
                break;
            }
            forms.add_form(part, form.into_bytes());
        }
        forms
    }

    fn add(&mut self, part: &Part) {
        self.add_form(part, part.part.clone());
        let number = str::from_utf8(&part.part)
            .ok()
            .filter(|_| !part.is_word())
            .and_then(|text| text.parse().ok());
        self.numbers.extend(number.map(f64::to_bits));
    }

    fn add_form(&mut self, part: &Part, form: Vec<u8>) {
        if part.is_word() {
            self.words.add(form);
        } else {
            self.anywhere.push(form);
        }
    }
}

/// Subtracts `bytes` from `left`. Returns false, and subtracts nothing, if too little is left.
fn take(left: &mut usize, bytes: usize) -> bool {
    left.checked_sub(bytes).map(|rest| *left = rest).is_some()
}

struct Part {
    part: Vec<u8>,
    rank: Rank,
}

impl Part {
    /// Returns whether the part is searched only as a whole word.
    fn is_word(&self) -> bool {
        self.rank == Rank::Piece && self.part.len() < MIN_WITHIN
    }

    /// Returns the base64 forms of the part. A word is encoded only as a complete text. Any other
    /// part is encoded also as a section within a longer text.
    fn encoded(&self) -> BTreeSet<String> {
        let starts = if self.is_word() { 0..1 } else { 0..3 };
        starts
            .flat_map(|before| self.base64(before))
            .filter(|form| form.len() >= MIN_HIDDEN)
            .collect()
    }

    /// Returns the base64 characters that encode the part if `before` bytes, modulo 3, precede it.
    /// The result covers the part up to its end, which fits if nothing follows. If the part is no
    /// word, the result also includes the characters that no following byte can change.
    fn base64(&self, before: usize) -> Vec<String> {
        let padded: Vec<u8> =
            std::iter::repeat_n(0, before).chain(self.part.iter().copied()).collect();
        let (first, last) = ((before * 8).div_ceil(6), padded.len() * 8 / 6);
        let all = [STANDARD_NO_PAD.encode(&padded), URL_SAFE_NO_PAD.encode(&padded)];
        all.iter()
            .flat_map(|all| [all.get(first..), all.get(first..last).filter(|_| !self.is_word())])
            .flatten()
            .map(str::to_owned)
            .collect()
    }
}

/// Returns the parts of a value that must not be shown.
fn parts(value: &[u8]) -> Vec<(Vec<u8>, Rank)> {
    let value = value.trim_ascii();
    let mut parts = vec![(value.to_vec(), Rank::Whole)];
    // The value is read as UTF-8, and also with each byte as one character. Some services read a
    // header in the second way, as older HTTP specified.
    let texts: [String; 2] = [
        String::from_utf8_lossy(value).into_owned(),
        value.iter().copied().map(char::from).collect(),
    ];
    for text in &texts {
        let pair = basic(text);
        let password = pair.as_deref().and_then(|pair| Some(pair.split_once(':')?.1));
        let credentials = [Some(text.as_str()), token(text), pair.as_deref(), password];
        parts.extend(
            credentials
                .into_iter()
                .flatten()
                .map(|part| (part.as_bytes().to_vec(), Rank::Credential)),
        );
        let words =
            [Some(text.as_str()), password].into_iter().flatten().flat_map(str::split_whitespace);
        let pieces = words.flat_map(|word| [word].into_iter().chain(pieces(word)));
        parts.extend(pieces.map(|piece| (piece.as_bytes().to_vec(), Rank::Piece)));
    }
    parts.retain(|(part, _)| part.len() >= MIN_HIDDEN);
    parts
}

/// Returns the pieces of a word.
fn pieces(word: &str) -> impl Iterator<Item = &str> {
    word.split([',', ';']).flat_map(|one| {
        let ends = one
            .match_indices(['=', ':'])
            .take(MAX_ENDS)
            .filter_map(|(at, mark)| one.get(at.saturating_add(mark.len())..));
        let pieces = [one].into_iter().chain(ends).chain(one.split(['=', ':']).skip(1));
        // A trailing `=` marks no name: it ends base64, and services often write base64 without it.
        pieces.map(|piece| piece.trim_matches(['"', '\'']).trim_end_matches('='))
    })
}

/// Returns the token after the scheme of credentials (RFC 9110, 11.4), such as `Bearer`.
fn token(value: &str) -> Option<&str> {
    let (scheme, token) = value.split_once(char::is_whitespace)?;
    let is_scheme =
        scheme.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte));
    is_scheme.then_some(token.trim())
}

/// Returns `user:password` if the value is `Basic` credentials.
fn basic(value: &str) -> Option<String> {
    let mut words = value.split_whitespace();
    let (scheme, credentials) = (words.next()?, words.next()?);
    let decoded =
        STANDARD.decode(credentials).ok().filter(|_| scheme.eq_ignore_ascii_case("basic"))?;
    String::from_utf8(decoded).ok()
}
