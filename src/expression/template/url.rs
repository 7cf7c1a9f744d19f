//! Keeps the result of an expression within its place in a URL.
//!
//! # Guarantees
//! The result begins no other part of the URL. It also makes no path segment `.` or `..`, in any
//! spelling: a reader of the URL resolves these segments, and would reach another path.

use std::{fmt::Write, ops::Range};

use crate::expression::program::Expression;

/// Returns the text with every byte that RFC 3986 reserves escaped.
pub(in crate::expression) fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            escaped.push(char::from(byte));
        } else {
            // Writing to a String cannot fail.
            let _ = write!(escaped, "%{byte:02X}");
        }
    }
    escaped
}

/// Checks a URL. `given` holds the ranges that expressions wrote.
///
/// # Errors
/// Returns one line that begins with the expression: the path segment of the expression has become
/// `.` or `..`.
pub(in crate::expression) fn check(
    url: &str,
    given: &[(Range<usize>, &Expression)],
) -> Result<(), String> {
    let path = url.split(['?', '#']).next().unwrap_or_default();
    let mut begin = 0;
    // Readers of a URL treat a backslash as the end of a segment, too.
    for segment in path.split(['/', '\\']) {
        let end = begin + segment.len();
        // The result of an expression holds no end of a segment, so it lies within one segment.
        let culprit = given.iter().find(|(part, _)| begin <= part.start && part.end <= end);
        if let (Some(dots), Some((_, expression))) = (dots(segment), culprit) {
            return Err(format!(
                "{expression:?}: makes the path segment `{dots}`, which would leave its place in \
                 the URL: let it give something else"
            ));
        }
        begin = end + 1;
    }
    Ok(())
}

/// Returns `.` or `..` if a reader of the URL takes the segment as such.
fn dots(segment: &str) -> Option<&'static str> {
    // Readers of a URL leave these characters out.
    let read: String = segment.chars().filter(|letter| *letter > ' ').collect();
    match read.to_ascii_lowercase().replace("%2e", ".").as_str() {
        "." => Some("."),
        ".." => Some(".."),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

    use serde_json::{Value, json};

    use super::super::{Template, node::Form};
    use crate::expression::scope::Scope;

    /// Returns the URL that `text` gives if `params.x` is `value`.
    fn url(text: &str, value: &str) -> Result<String, String> {
        let (fields, params) = (json!({"url": text}), json!({"x": value}));
        let template =
            Template::parse(fields.as_object().unwrap(), "http", |_| Form::Url, &mut Vec::new());
        template
            .evaluate(&Scope::new(params.as_object().unwrap(), [""; 3]))
            .map(|value| value.get("url").and_then(Value::as_str).unwrap_or_default().to_owned())
    }

    #[test]
    fn no_expression_leads_out_of_its_place() {
        for (text, value) in [
            ("http://a/orders/${params.x}", ".."),
            ("http://a/orders/${params.x}/items", ".."),
            ("http://a/orders/${params.x}?q=1", "."),
            ("http://a/orders/${params.x}#part", "."),
            ("http://a/orders/.${params.x}", "."),
            ("http://a/orders/${params.x}.", "."),
            ("http://a/orders/.${params.x}", ""),
            ("http://a/orders/%2e${params.x}", "."),
            ("http://a/orders/%2E${params.x}", ""),
            ("http://a/orders/%${params.x}", "2e"),
            ("http://a/orders/${params.x}%2e", "."),
            ("http://a/orders/${params.x}${params.x}", "."),
            ("http://a/orders\\${params.x}\\b", ".."),
            ("http://a/orders/.\t${params.x}", "."),
            ("http://a/orders/%\n2e${params.x}", "."),
            ("http://a/orders/${params.x}\u{1}", ".."),
        ] {
            // Without this error, the URL would have another path than the written one.
            let error = url(text, value).unwrap_err();
            let says = ": makes the path segment `.";
            assert!(
                error.starts_with("http.url: ${params.x}: makes") && error.contains(says),
                "{text}: {error}"
            );
            let folded = |value: &str| {
                url::Url::parse(&text.replace("${params.x}", value))
                    .unwrap()
                    .path()
                    .matches('/')
                    .count()
            };
            assert!(folded(value) <= folded("abc"), "{text}");
        }
    }

    #[test]
    fn dots_that_lead_nowhere_are_taken() {
        for (text, value) in [
            ("http://a/orders/${params.x}", "..."),
            ("http://a/orders/${params.x}", "a..b"),
            ("http://a/orders/v${params.x}", ".."),
            ("http://a/orders/${params.x}", "%2e%2e"),
            ("http://a/orders/${params.x}", "../.."),
            ("http://a/orders/?q=${params.x}", ".."),
            ("http://a/orders/?q=/${params.x}/", ".."),
            ("http://a/orders/#/${params.x}", ".."),
            // The literals of these URLs hold the dots.
            ("http://a/orders/../${params.x}", "b"),
            ("http://a/./${params.x}", ""),
        ] {
            let made = url(text, value).unwrap();
            assert_eq!(
                url::Url::parse(&made).unwrap().path().contains("orders"),
                !text.contains("/."),
                "{made}"
            );
        }
    }
}
