//! Turns a value into the nodes of a template, and finds the expressions in its leaves.
//!
//! # Guarantees
//! The work of reading a value is bounded by what a saga may hold. Reading ends with the first
//! expression that is one too many, and with the first fault that no user will be told about.

use serde_json::{Map, Value};

use super::node::{Form, Leaf, TemplateNode, TextPart};
use crate::{
    expression::{cost::MAX_EXPRESSIONS, lexer::outside_strings, program::Expression},
    fault::{Fault, are_enough},
};

/// The most levels of nested lists and objects. The API server's own parser limits the levels to a
/// multiple of this number.
const MAX_DEPTH: usize = 64;

/// The reader of the leaves of one template.
pub(in crate::expression) struct Reader<'a> {
    /// Returns what may stand in a leaf, by the path of the leaf and the first of its keys.
    form: &'a dyn Fn(&str, &str) -> Form,
    faults: &'a mut Vec<Fault>,
    /// The keys from the template to the current value.
    keys: Vec<String>,
    /// How many more expressions the template may hold.
    left: u64,
    /// Whether the template holds too many expressions.
    ended: bool,
}

impl<'a> Reader<'a> {
    pub(in crate::expression) const fn new(
        form: &'a dyn Fn(&str, &str) -> Form,
        faults: &'a mut Vec<Fault>,
    ) -> Self {
        Self { form, faults, keys: Vec::new(), left: MAX_EXPRESSIONS, ended: false }
    }

    /// Reads the fields of the template at `path`.
    pub(in crate::expression) fn fields(
        &mut self,
        fields: &Map<String, Value>,
        path: &str,
    ) -> Vec<(String, TemplateNode)> {
        self.fields_within(fields, path, MAX_DEPTH)
    }

    fn fields_within(
        &mut self,
        fields: &Map<String, Value>,
        path: &str,
        depth: usize,
    ) -> Vec<(String, TemplateNode)> {
        let field = |(name, value): (&String, &Value)| {
            self.keys.push(name.clone());
            let node = self.node(value, &format!("{path}.{name}"), depth);
            self.keys.pop();
            (name.clone(), node)
        };
        fields.iter().map(field).collect()
    }

    fn node(&mut self, value: &Value, path: &str, depth: usize) -> TemplateNode {
        if self.ended || are_enough(self.faults) {
            return TemplateNode::Literal(Value::Null);
        }
        if depth == 0 {
            self.faults.push(Fault::broken(
                path,
                format!("is nested deeper than {MAX_DEPTH} lists and objects: make it flatter"),
            ));
            return TemplateNode::Literal(Value::Null);
        }
        match value {
            Value::String(text) => self.text(text, path),
            Value::Array(items) => {
                let item = |(place, item)| self.node(item, &format!("{path}[{place}]"), depth - 1);
                TemplateNode::List(items.iter().enumerate().map(item).collect()).folded()
            }
            Value::Object(fields) => {
                TemplateNode::Fields(self.fields_within(fields, path, depth - 1)).folded()
            }
            Value::Null | Value::Bool(_) | Value::Number(_) => TemplateNode::Literal(value.clone()),
        }
    }

    fn text(&mut self, text: &str, path: &str) -> TemplateNode {
        let form = (self.form)(path, self.keys.first().map(String::as_str).unwrap_or_default());
        if form == Form::Verbatim {
            return TemplateNode::Literal(Value::String(text.to_owned()));
        }
        match self.split(text) {
            Ok(parts) => self.leaf(parts, path, form),
            Err(error) => {
                self.faults.push(Fault::broken(path, error));
                TemplateNode::Literal(Value::Null)
            }
        }
    }

    fn leaf(&self, mut parts: Vec<TextPart>, path: &str, form: Form) -> TemplateNode {
        let leaf = || Leaf { path: path.to_owned(), keys: self.keys.clone() };
        match (parts.pop(), parts.is_empty()) {
            (None, _) => TemplateNode::Literal(Value::String(String::new())),
            (Some(TextPart::Text(text)), true) => TemplateNode::Literal(Value::String(text)),
            (Some(TextPart::Expression(expression)), true) if form == Form::Any => {
                TemplateNode::Whole(leaf(), expression)
            }
            (Some(last), _) => {
                parts.push(last);
                TemplateNode::Text(leaf(), form, parts)
            }
        }
    }

    /// Splits a text into its parts. No two texts stand side by side.
    fn split(&mut self, text: &str) -> Result<Vec<TextPart>, String> {
        let (mut parts, mut literal, mut rest) = (Vec::new(), String::new(), text);
        while let Some(at) = rest.find("${") {
            let (before, marked) = rest.split_at(at);
            let marked = marked.get(2..).unwrap_or_default();
            if let Some(kept) = before.strip_suffix('$') {
                literal.push_str(kept);
                literal.push_str("${");
                rest = marked;
                continue;
            }
            literal.push_str(before);
            let end = end_of(marked)
                .ok_or("holds ${ without its }: close it, or write $${ for a literal ${")?;
            let (inside, after) = marked.split_at(end);
            if !literal.is_empty() {
                parts.push(TextPart::Text(std::mem::take(&mut literal)));
            }
            parts.push(TextPart::Expression(self.expression(inside)?));
            rest = after.get(1..).unwrap_or_default();
        }
        literal.push_str(rest);
        if !literal.is_empty() {
            parts.push(TextPart::Text(literal));
        }
        Ok(parts)
    }

    fn expression(&mut self, inside: &str) -> Result<Expression, String> {
        let Some(left) = self.left.checked_sub(1) else {
            self.ended = true;
            return Err(format!(
                "holds more than {MAX_EXPRESSIONS} expressions with those above it, as a whole \
                 saga may: write fewer"
            ));
        };
        self.left = left;
        Expression::parse(inside).map_err(|error| with_hint(inside, &error))
    }
}

/// Adds a hint to the error if the expression looks like a shell variable.
fn with_hint(inside: &str, error: &str) -> String {
    let shell = !inside.is_empty()
        && inside
            .bytes()
            .all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_');
    if shell {
        format!(
            "{error}; for a literal ${{{inside}}} write $${{{inside}}}, or in a shell ${inside}"
        )
    } else {
        error.to_owned()
    }
}

/// Returns the place in bytes of the first `}` that belongs to no string and no brace of the
/// expression.
fn end_of(text: &str) -> Option<usize> {
    let mut depth = 0_usize;
    for (place, letter) in outside_strings(text) {
        match letter {
            '{' => depth += 1,
            '}' if depth == 0 => return Some(place),
            '}' => depth -= 1,
            _ => {}
        }
    }
    None
}
