//! `${…}` in the string leaves of a value.
//!
//! # Guarantees
//! If a leaf is one whole expression, it keeps the type of the result, unless only text can stand
//! in the leaf ([`Form`]). `$${` writes a literal `${`. Keys are never expressions.
//! [`Template::parse`] returns for every value, and names each fault with its path.

pub(crate) mod budget;
pub mod node;
mod parser;
mod url;

use serde_json::{Map, Value};

use self::{
    budget::{EvalBudget, MAX_RESULT, TrustedFields},
    node::{Form, Leaf, TemplateNode, TextPart},
    parser::Reader,
};
use super::{convert::kind, program::Expression, scope::Scope};
use crate::fault::Fault;

/// A value with expressions in its leaves.
#[derive(Clone, Debug, PartialEq)]
pub struct Template {
    path: String,
    node: TemplateNode,
    /// The fields that an object from a service may not bring into the value.
    trusted: TrustedFields,
}

/// An expression with the path of its leaf in the template.
#[derive(Clone, Copy, Debug)]
pub struct Field<'a> {
    /// The path of the leaf, such as `spec.steps[0].http.body.order`.
    pub path: &'a str,
    /// The keys from the template to the leaf, such as `body` and `order`. A key may hold dots
    /// itself.
    pub keys: &'a [String],
    /// The expression.
    pub expression: &'a Expression,
}

impl Template {
    /// Parses the leaves of the fields of an object at `path`. `form` returns what may stand in the
    /// leaves of a field, by the name of the field.
    pub fn parse(
        fields: &Map<String, Value>,
        path: &str,
        form: impl Fn(&str) -> Form,
        faults: &mut Vec<Fault>,
    ) -> Self {
        Self::read(fields, path, &|_, name| form(name), faults)
    }

    /// Does the same as [`Self::parse`], but `form` takes the path of the leaf.
    pub fn by_path(
        fields: &Map<String, Value>,
        path: &str,
        form: impl Fn(&str) -> Form,
        faults: &mut Vec<Fault>,
    ) -> Self {
        Self::read(fields, path, &|path, _| form(path), faults)
    }

    fn read(
        fields: &Map<String, Value>,
        path: &str,
        form: &dyn Fn(&str, &str) -> Form,
        faults: &mut Vec<Fault>,
    ) -> Self {
        let node = TemplateNode::Fields(Reader::new(form, faults).fields(fields, path)).folded();
        Self { path: path.to_owned(), node, trusted: TrustedFields::default() }
    }

    /// Refuses objects with these fields in the result of an expression that reads anything but
    /// `params` and `saga`.
    #[must_use]
    pub fn without(self, trusted: TrustedFields) -> Self {
        Self { trusted, ..self }
    }

    /// Returns the value without the leaves that hold expressions.
    #[must_use]
    pub fn skeleton(&self) -> Value {
        skeleton(&self.node).unwrap_or_default()
    }

    /// Returns the value with its escapes resolved. `None` if the value holds an expression.
    #[must_use]
    pub const fn literal(&self) -> Option<&Value> {
        match &self.node {
            TemplateNode::Literal(value) => Some(value),
            TemplateNode::Whole(..)
            | TemplateNode::Text(..)
            | TemplateNode::List(_)
            | TemplateNode::Fields(_) => None,
        }
    }

    /// Returns the names of the fields of the outermost object.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        let (fields, literal) = match &self.node {
            TemplateNode::Fields(fields) => (fields.as_slice(), None),
            TemplateNode::Literal(literal) => ([].as_slice(), literal.as_object()),
            TemplateNode::Whole(..) | TemplateNode::Text(..) | TemplateNode::List(_) => {
                ([].as_slice(), None)
            }
        };
        fields
            .iter()
            .map(|(name, _)| name.as_str())
            .chain(literal.into_iter().flat_map(Map::keys).map(String::as_str))
    }

    /// Returns every expression of the template.
    #[must_use]
    pub fn fields(&self) -> Vec<Field<'_>> {
        let mut fields = Vec::new();
        gather(&self.node, &mut fields);
        fields
    }

    /// Returns the value with every expression evaluated.
    ///
    /// # Errors
    /// Returns one line that begins with the path of the leaf and the expression.
    pub fn evaluate(&self, scope: &Scope<'_>) -> Result<Value, String> {
        let mut budget = EvalBudget::new(self.trusted);
        evaluate(&self.node, scope, &mut budget).map_err(|error| match error {
            Some(error) => error,
            None => {
                format!("{}: comes to more than {MAX_RESULT} bytes: use smaller values", self.path)
            }
        })
    }
}

fn gather<'a>(node: &'a TemplateNode, fields: &mut Vec<Field<'a>>) {
    match node {
        TemplateNode::Literal(_) => {}
        TemplateNode::Whole(Leaf { path, keys }, expression) => {
            fields.push(Field { path, keys, expression });
        }
        TemplateNode::Text(Leaf { path, keys }, _, parts) => {
            fields.extend(parts.iter().filter_map(|part| match part {
                TextPart::Expression(expression) => Some(Field { path, keys, expression }),
                TextPart::Text(_) => None,
            }));
        }
        TemplateNode::List(items) => items.iter().for_each(|item| gather(item, fields)),
        TemplateNode::Fields(named) => named.iter().for_each(|(_, node)| gather(node, fields)),
    }
}

fn skeleton(node: &TemplateNode) -> Option<Value> {
    match node {
        TemplateNode::Literal(value) => Some(value.clone()),
        TemplateNode::Whole(..) | TemplateNode::Text(..) => None,
        TemplateNode::List(items) => Some(items.iter().filter_map(skeleton).collect()),
        TemplateNode::Fields(fields) => Some(Value::Object(
            fields
                .iter()
                .filter_map(|(name, node)| Some((name.clone(), skeleton(node)?)))
                .collect(),
        )),
    }
}

/// Evaluates one node. `Err(None)` means that the result is too large.
fn evaluate(
    node: &TemplateNode,
    scope: &Scope<'_>,
    budget: &mut EvalBudget,
) -> Result<Value, Option<String>> {
    match node {
        TemplateNode::Literal(value) => Ok(value.clone()),
        TemplateNode::Whole(leaf, expression) => {
            let value = budget.value(&leaf.path, expression, scope)?;
            budget.admit(leaf, expression, &value)?;
            budget.take(value.to_string().len())?;
            Ok(value)
        }
        TemplateNode::Text(leaf, form, parts) => text(&leaf.path, *form, parts, scope, budget),
        TemplateNode::List(items) => {
            items.iter().map(|item| evaluate(item, scope, budget)).collect()
        }
        TemplateNode::Fields(fields) => {
            let field = |(name, node): &(String, TemplateNode)| {
                Ok((name.clone(), evaluate(node, scope, budget)?))
            };
            fields.iter().map(field).collect::<Result<_, _>>().map(Value::Object)
        }
    }
}

fn text(
    path: &str,
    form: Form,
    parts: &[TextPart],
    scope: &Scope<'_>,
    budget: &mut EvalBudget,
) -> Result<Value, Option<String>> {
    let (mut text, mut given) = (String::new(), Vec::new());
    for part in parts {
        match part {
            TextPart::Text(literal) => text.push_str(literal),
            TextPart::Expression(expression) => {
                let value = budget.value(path, expression, scope)?;
                let told = as_text(&value)
                    .map_err(|error| Some(format!("{path}: {expression:?}: {error}")))?;
                let told = if form == Form::Url { url::escaped(&told) } else { told };
                budget.take(told.len())?;
                let begin = text.len();
                text.push_str(&told);
                given.push((begin..text.len(), expression));
            }
        }
    }
    if form == Form::Url {
        url::check(&text, &given).map_err(|error| Some(format!("{path}: {error}")))?;
    }
    Ok(Value::String(text))
}

/// Writes a value as text. A list or an object becomes JSON.
fn as_text(value: &Value) -> Result<String, String> {
    match value {
        Value::String(text) => Ok(text.clone()),
        Value::Null => Err(format!("is {} where text is wanted", kind(value))),
        Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => {
            Ok(value.to_string())
        }
    }
}
