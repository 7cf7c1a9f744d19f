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
    budget::{Fixed, MAX_RESULT, Room},
    node::{Form, Leaf, Node, Part},
    parser::Reader,
};
use super::{convert::kind, program::Expression, scope::Scope};
use crate::fault::Fault;

/// A value with expressions in its leaves.
#[derive(Clone, Debug, PartialEq)]
pub struct Template {
    path: String,
    node: Node,
    /// The fields that an object from a service may not bring into the value.
    fixed: Fixed,
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
        let node = Node::Fields(Reader::new(form, faults).fields(fields, path)).folded();
        Self { path: path.to_owned(), node, fixed: Fixed::default() }
    }

    /// Refuses objects with these fields in the result of an expression that reads anything but
    /// `params` and `saga`.
    #[must_use]
    pub fn without(self, fixed: Fixed) -> Self {
        Self { fixed, ..self }
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
            Node::Literal(value) => Some(value),
            Node::Whole(..) | Node::Text(..) | Node::List(_) | Node::Fields(_) => None,
        }
    }

    /// Returns the names of the fields of the outermost object.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        let (fields, literal) = match &self.node {
            Node::Fields(fields) => (fields.as_slice(), None),
            Node::Literal(literal) => ([].as_slice(), literal.as_object()),
            Node::Whole(..) | Node::Text(..) | Node::List(_) => ([].as_slice(), None),
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
        let mut room = Room::new(self.fixed);
        evaluate(&self.node, scope, &mut room).map_err(|error| match error {
            Some(error) => error,
            None => format!("{}: comes to more than {MAX_RESULT} bytes: hand on less", self.path),
        })
    }
}

fn gather<'a>(node: &'a Node, fields: &mut Vec<Field<'a>>) {
    match node {
        Node::Literal(_) => {}
        Node::Whole(Leaf { path, keys }, expression) => {
            fields.push(Field { path, keys, expression });
        }
        Node::Text(Leaf { path, keys }, _, parts) => {
            fields.extend(parts.iter().filter_map(|part| match part {
                Part::Expression(expression) => Some(Field { path, keys, expression }),
                Part::Text(_) => None,
            }));
        }
        Node::List(items) => items.iter().for_each(|item| gather(item, fields)),
        Node::Fields(named) => named.iter().for_each(|(_, node)| gather(node, fields)),
    }
}

fn skeleton(node: &Node) -> Option<Value> {
    match node {
        Node::Literal(value) => Some(value.clone()),
        Node::Whole(..) | Node::Text(..) => None,
        Node::List(items) => Some(items.iter().filter_map(skeleton).collect()),
        Node::Fields(fields) => Some(Value::Object(
            fields
                .iter()
                .filter_map(|(name, node)| Some((name.clone(), skeleton(node)?)))
                .collect(),
        )),
    }
}

/// Evaluates one node. `Err(None)` means that the result is too large.
fn evaluate(node: &Node, scope: &Scope<'_>, room: &mut Room) -> Result<Value, Option<String>> {
    match node {
        Node::Literal(value) => Ok(value.clone()),
        Node::Whole(leaf, expression) => {
            let value = room.value(&leaf.path, expression, scope)?;
            room.admit(leaf, expression, &value)?;
            room.take(value.to_string().len())?;
            Ok(value)
        }
        Node::Text(leaf, form, parts) => text(&leaf.path, *form, parts, scope, room),
        Node::List(items) => items.iter().map(|item| evaluate(item, scope, room)).collect(),
        Node::Fields(fields) => {
            let field =
                |(name, node): &(String, Node)| Ok((name.clone(), evaluate(node, scope, room)?));
            fields.iter().map(field).collect::<Result<_, _>>().map(Value::Object)
        }
    }
}

fn text(
    path: &str,
    form: Form,
    parts: &[Part],
    scope: &Scope<'_>,
    room: &mut Room,
) -> Result<Value, Option<String>> {
    let (mut text, mut given) = (String::new(), Vec::new());
    for part in parts {
        match part {
            Part::Text(literal) => text.push_str(literal),
            Part::Expression(expression) => {
                let value = room.value(path, expression, scope)?;
                let told = as_text(&value)
                    .map_err(|error| Some(format!("{path}: {expression:?}: {error}")))?;
                let told = if form == Form::Url { url::escaped(&told) } else { told };
                room.take(told.len())?;
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
