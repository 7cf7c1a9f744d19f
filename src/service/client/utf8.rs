//! Text whose bytes need not be UTF-8.
//!
//! The API server passes on bytes that a user wrote into the managed fields of an object, and kube
//! refuses a whole answer for one byte. Here each such byte becomes U+FFFD.

use hyper::body::Bytes;

/// The bytes of a stream whose character is not complete: at most three.
#[derive(Debug, Default)]
pub(super) struct Unfinished(Vec<u8>);

impl Unfinished {
    /// Returns the next bytes of a stream as UTF-8, except for a character at their end that is not
    /// complete: its bytes come with the next chunk. At the end of the stream they are dropped,
    /// together with the line that nobody finished.
    pub(super) fn pass(&mut self, chunk: Bytes) -> Bytes {
        let mut bytes = if self.0.is_empty() {
            chunk
        } else {
            [std::mem::take(&mut self.0).as_slice(), chunk.as_ref()].concat().into()
        };
        self.0 = bytes.split_off(bytes.len() - begun_at_end(&bytes)).to_vec();
        lossy(bytes)
    }
}

/// Returns how many bytes at the end begin a character whose other bytes are missing.
fn begun_at_end(bytes: &[u8]) -> usize {
    if std::str::from_utf8(bytes).is_ok() {
        return 0;
    }
    let last = bytes.utf8_chunks().last().map_or(&[][..], |chunk| chunk.invalid());
    let begins = std::str::from_utf8(last).is_err_and(|error| error.error_len().is_none());
    if begins { last.len() } else { 0 }
}

/// Returns the same text, with U+FFFD in place of what is not UTF-8. Text that is UTF-8 is not
/// copied.
pub(super) fn lossy(bytes: Bytes) -> Bytes {
    if std::str::from_utf8(&bytes).is_ok() {
        return bytes;
    }
    String::from_utf8_lossy(&bytes).into_owned().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns the text of a stream of these chunks.
    fn streamed<'a>(chunks: impl IntoIterator<Item = &'a [u8]>) -> String {
        let mut text = Unfinished::default();
        let chunks = chunks.into_iter().map(|chunk| text.pass(Bytes::copy_from_slice(chunk)));
        chunks.flat_map(|chunk| chunk.to_vec()).map(char::from).collect::<String>()
    }

    /// Returns the bytes of a text as `streamed` shows them.
    fn bytes(text: &str) -> String {
        text.bytes().map(char::from).collect()
    }

    #[test]
    fn what_is_not_utf8_is_replaced_wherever_a_stream_is_cut() {
        let lines: [&[u8]; 5] = [
            "{\"a\": \"ä€🦀\"}\n".as_bytes(),
            b"{\"f:\xff\": 1}\n",
            b"\xe2\x82 \xf0\x9f\xa6\n",
            b"\xf0\x9f\xa6\xf0\x9f\xa6\x80\xc3\xa4\n",
            b"\xc0\xaf\xed\xa0\x80\xf8\x88\n",
        ];
        for line in lines {
            let whole = bytes(&String::from_utf8_lossy(line));
            assert_eq!(bytes_of(&lossy(Bytes::copy_from_slice(line))), whole);
            for cut in 0..=line.len() {
                let (head, tail) = line.split_at(cut);
                assert_eq!(streamed([head, tail]), whole, "{line:?} cut at {cut}");
            }
            assert_eq!(streamed(line.chunks(1)), whole, "{line:?} byte by byte");
        }
    }

    fn bytes_of(text: &Bytes) -> String {
        text.iter().copied().map(char::from).collect()
    }

    #[test]
    fn a_character_that_nobody_finishes_is_not_waited_for_with_the_text_before_it() {
        assert_eq!(streamed([&b"ab\xf0\x9f\xa6"[..]]), "ab");
    }
}
