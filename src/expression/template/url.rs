//! What an expression gives stays in its place in a URL.
//!
//! # Guarantees
//! It begins no other part of the URL, and makes none of a path's segments one that leads
//! elsewhere: `.` and `..`, which whoever reads the URL folds, however they are written.

use std::{fmt::Write, ops::Range};

use crate::expression::program::Expression;

/// Every byte that RFC 3986 reserves, escaped.
pub(crate) fn escaped(text: &str) -> String {
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

/// Checks a URL of which expressions gave these parts.
///
/// # Errors
/// One line that begins with the expression: the segment of the path in which it stands has become
/// one that is folded.
pub(crate) fn check(url: &str, given: &[(Range<usize>, &Expression)]) -> Result<(), String> {
    let path = url.split(['?', '#']).next().unwrap_or_default();
    let mut begin = 0;
    // To whoever reads it, a backslash ends a segment, too.
    for segment in path.split(['/', '\\']) {
        let end = begin + segment.len();
        // An expression gives no end of a segment: it stands in one as a whole.
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

/// What a segment is folded as.
fn dots(segment: &str) -> Option<&'static str> {
    // What is left out where a URL is read.
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

    /// What a URL comes to that reads this value.
    fn url(text: &str, value: &str) -> Result<String, String> {
        let (fields, params) = (json!({"url": text}), json!({"x": value}));
        let template =
            Template::parse(fields.as_object().unwrap(), "http", |_| Form::Url, &mut Vec::new());
        let params = params.as_object().unwrap();
        let scope = Scope {
            params,
            saga: [""; 3],
            steps: &[],
            outputs: None,
            action: None,
            response: None,
            attempt: None,
            object: None,
        };
        template
            .evaluate(&scope)
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
            // Otherwise it would be another path than the one that is written.
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
            // The literals alone say so.
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
