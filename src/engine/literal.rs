//! String leaves of an action: where expressions will stand, and for now only literals may.
//!
//! `$${` writes a literal `${`; an unescaped `${` is refused, never passed on silently.

use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;

use super::valid::Fault;

/// The same value with every `$${` in its string leaves written as `${`.
///
/// # Errors
/// One fault for each leaf that holds an unescaped `${`, with the leaf's path below `path`.
pub fn resolve<T: Serialize + DeserializeOwned>(value: &T, path: &str) -> Result<T, Vec<Fault>> {
    let mut faults = Vec::new();
    let mut tree = serde_json::to_value(value).map_err(|error| vec![Fault::new(path, error.to_string())])?;
    visit(&mut tree, path, &mut faults);
    if !faults.is_empty() {
        return Err(faults);
    }
    serde_json::from_value(tree).map_err(|error| vec![Fault::new(path, error.to_string())])
}

fn visit(value: &mut Value, path: &str, faults: &mut Vec<Fault>) {
    match value {
        Value::String(text) => match unescape(text) {
            Some(literal) => *text = literal,
            None => faults.push(Fault::new(
                path,
                "holds ${…}, and expressions are not supported yet: write $${ for a literal ${ (in a shell, $NAME needs no braces)",
            )),
        },
        Value::Array(items) => {
            for (place, item) in items.iter_mut().enumerate() {
                visit(item, &format!("{path}[{place}]"), faults);
            }
        }
        Value::Object(fields) => {
            for (name, field) in fields {
                visit(field, &format!("{path}.{name}"), faults);
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// The text with `$${` as `${`, or `None` where it holds a `${` that is not escaped.
fn unescape(text: &str) -> Option<String> {
    let mut literal = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("${") {
        let (before, marked) = rest.split_at(at);
        let kept = before.strip_suffix('$')?;
        literal.push_str(kept);
        literal.push_str("${");
        rest = marked.get(2..).unwrap_or_default();
    }
    literal.push_str(rest);
    Some(literal)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_escaped_brace_becomes_a_literal_one() {
        let resolved = resolve(&json!({"args": ["$${HOME}", "$HOME", "100$", "a$${b}$${c}"]}), "pod").unwrap();
        assert_eq!(resolved, json!({"args": ["${HOME}", "$HOME", "100$", "a${b}${c}"]}));
    }

    #[test]
    fn an_expression_is_refused_with_its_path() {
        let faults = resolve(&json!({"body": {"order": [1, "${params.order}"]}, "url": "${x}"}), "spec.steps[0].http").unwrap_err();
        let paths: Vec<_> = faults.iter().map(|fault| fault.path.as_str()).collect();
        assert_eq!(paths, ["spec.steps[0].http.body.order[1]", "spec.steps[0].http.url"]);
    }
}
