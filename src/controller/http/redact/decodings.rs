//! Decoded views of a text. A view maps each decoded byte to its place in the text.

use std::ops::Range;

/// How often the escapes of JSON are undone. A body may hold a text that is JSON itself, such as a
/// line of a log.
const MAX_NESTED: usize = 3;

/// A decoded text. For each of its bytes, `places` holds the place in the original text that the
/// byte comes from.
#[derive(Debug, Default)]
pub(in crate::controller) struct DecodedText {
    bytes: Vec<u8>,
    places: Vec<Range<usize>>,
}

/// Returns the ways to read a text: the text itself, and the text with the escapes of JSON undone
/// up to three times. Each of these also appears with the escapes of a URL undone, and with the
/// escapes of a form undone, if it has any.
pub(in crate::controller) fn views(text: &str) -> impl Iterator<Item = DecodedText> {
    let plain = DecodedText {
        bytes: text.as_bytes().to_vec(),
        places: (0..text.len()).map(|at| at..at.saturating_add(1)).collect(),
    };
    let nested = std::iter::successors(Some(plain), |view| {
        view.has(b'\\').then(|| view.decoded(b"\\", escape))
    });
    nested.take(MAX_NESTED.saturating_add(1)).flat_map(|view| {
        let in_url = view.has(b'%').then(|| view.decoded(b"%", in_url));
        let in_form = view.has(b'+').then(|| view.decoded(b"+%", in_form));
        [Some(view), in_url, in_form].into_iter().flatten()
    })
}

/// Decodes an escape at the start of some bytes. Returns the decoded bytes and the length of the
/// escape, or `None` if the bytes start with no escape.
type Decode = fn(&[u8]) -> Option<(Vec<u8>, usize)>;

impl DecodedText {
    /// Returns the decoded bytes.
    pub(in crate::controller) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Returns the place in the original text that these bytes come from.
    pub(in crate::controller) fn place(&self, bytes: Range<usize>) -> Range<usize> {
        let places = self.places.get(bytes).unwrap_or_default();
        places.first().map_or(0, |first| first.start)..places.last().map_or(0, |last| last.end)
    }

    fn has(&self, mark: u8) -> bool {
        self.bytes.contains(&mark)
    }

    /// Returns this view with each escape decoded that begins with one of `marks`.
    fn decoded(&self, marks: &[u8], decode: Decode) -> Self {
        let (mut view, mut at) = (Self::default(), 0_usize);
        while let Some(rest @ [byte, ..]) = self.bytes.get(at..) {
            let decoded = if marks.contains(byte) { decode(rest) } else { None };
            let (bytes, length) = decoded
                .as_ref()
                .map_or((std::slice::from_ref(byte), 1), |(bytes, length)| (bytes, *length));
            let next = at.saturating_add(length);
            let place = self.place(at..next);
            view.places.extend(std::iter::repeat_n(place, bytes.len()));
            view.bytes.extend_from_slice(bytes);
            at = next;
        }
        view
    }
}

/// Decodes an escape in a string of JSON (RFC 8259, 7).
fn escape(text: &[u8]) -> Option<(Vec<u8>, usize)> {
    let short = |c: u8| Some((vec![c], 2));
    match text {
        [_, b'u', digits @ ..] => {
            let (c, length) = unicode(digits)?;
            Some((c.encode_utf8(&mut [0; 4]).as_bytes().to_vec(), length))
        }
        [_, b'b', ..] => short(8),
        [_, b'f', ..] => short(12),
        [_, b'n', ..] => short(b'\n'),
        [_, b'r', ..] => short(b'\r'),
        [_, b't', ..] => short(b'\t'),
        [_, c @ (b'"' | b'\\' | b'/'), ..] => short(*c),
        _ => None,
    }
}

/// Decodes the four digits after `\u`, or two such escapes. Returns the character and the length of
/// the whole escape.
fn unicode(digits: &[u8]) -> Option<(char, usize)> {
    let unit = |digits: &[u8]| u16::try_from(number(digits.get(..4)?)?).ok();
    let first = unit(digits)?;
    if let Some(c) = char::from_u32(first.into()) {
        return Some((c, 6));
    }
    let [b'\\', b'u', low @ ..] = digits.get(4..)? else { return None };
    let c = char::decode_utf16([first, unit(low)?]).next()?.ok()?;
    Some((c, 12))
}

/// Decodes a percent-encoded byte in a URL (RFC 3986, 2.1).
fn in_url(text: &[u8]) -> Option<(Vec<u8>, usize)> {
    let byte = u8::try_from(number(text.get(1..3)?)?).ok()?;
    Some((vec![byte], 3))
}

/// Decodes a percent-encoded byte or a space (`+`) in a form (`application/x-www-form-urlencoded`).
fn in_form(text: &[u8]) -> Option<(Vec<u8>, usize)> {
    if text.starts_with(b"+") { Some((vec![b' '], 1)) } else { in_url(text) }
}

/// Parses a few hexadecimal digits.
fn number(digits: &[u8]) -> Option<u32> {
    digits
        .iter()
        .try_fold(0_u32, |number, digit| Some(number << 4 | char::from(*digit).to_digit(16)?))
}
