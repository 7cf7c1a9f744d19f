//! `${…}` in the string leaves of a value.
//!
//! # Guarantees
//! A leaf that is one whole expression keeps the type of what it gives, unless it stands where only text can ([`Form`]). `$${` writes a literal `${`.
//! Keys are never expressions. Whatever a value holds, [`Template::parse`] ends, and names each fault with its path.

use serde_json::{Map, Value};

use super::{
    Expression, Scope,
    convert::kind,
    letters::outside_strings,
    room::{Fixed, MAX_RESULT, Room},
    url,
};
use crate::engine::valid::Fault;

/// How deep lists and objects may be nested in each other, as the API server's own parser allows no more than a multiple of.
const MAX_DEPTH: usize = 64;

/// What may stand in a leaf.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// Any value: a leaf that is one whole expression keeps the type of what it gives.
    Any,
    /// Text: whatever an expression gives becomes text, an object or a list as JSON.
    Text,
    /// A URL: as text, with all in it escaped that is no letter, digit, `-`, `.`, `_` or `~`, so that it stays one part of a path or a query.
    Url,
    /// Text as it is written, whatever it looks like.
    Verbatim,
}

/// A value with expressions in its leaves.
#[derive(Clone, Debug, PartialEq)]
pub struct Template {
    path: String,
    node: Node,
    /// What no other side may give with an object as a whole.
    fixed: Fixed,
}

/// An expression with the path of its leaf below the template.
#[derive(Clone, Copy, Debug)]
pub struct Field<'a> {
    /// Such as `http.body.order`.
    pub path: &'a str,
    /// The expression.
    pub expression: &'a Expression,
}

#[derive(Clone, Debug, PartialEq)]
enum Node {
    /// Holds no expression.
    Literal(Value),
    /// One expression, with its leaf's path.
    Whole(String, Expression),
    /// Text with expressions in it, with its leaf's path.
    Text(String, Form, Vec<Part>),
    List(Vec<Node>),
    Fields(Vec<(String, Node)>),
}

#[derive(Clone, Debug, PartialEq)]
enum Part {
    Text(String),
    Expression(Expression),
}

impl Template {
    /// Parses the leaves of the fields of an object that stands at `path`. `form`: what may stand in the leaves of a field.
    pub fn parse(fields: &Map<String, Value>, path: &str, form: impl Fn(&str) -> Form, faults: &mut Vec<Fault>) -> Self {
        let field = |(name, value): (&String, &Value)| {
            let form = form(name);
            (name.clone(), parse(value, &format!("{path}.{name}"), &|_| form, MAX_DEPTH, faults))
        };
        Self { path: path.to_owned(), node: Node::Fields(fields.iter().map(field).collect()).folded(), fixed: Fixed::default() }
    }

    /// Refuses objects with these fields where they come out of anything but `params` and `saga`.
    #[must_use]
    pub fn without(self, fixed: Fixed) -> Self {
        Self { fixed, ..self }
    }

    /// The same; `form`: what may stand in the leaf at a path.
    pub fn by_path(fields: &Map<String, Value>, path: &str, form: impl Fn(&str) -> Form, faults: &mut Vec<Fault>) -> Self {
        let field = |(name, value): (&String, &Value)| (name.clone(), parse(value, &format!("{path}.{name}"), &form, MAX_DEPTH, faults));
        Self { path: path.to_owned(), node: Node::Fields(fields.iter().map(field).collect()).folded(), fixed: Fixed::default() }
    }

    /// The value without the leaves that hold expressions.
    #[must_use]
    pub fn skeleton(&self) -> Value {
        skeleton(&self.node).unwrap_or_default()
    }

    /// The value where it holds no expression, its escapes taken out.
    #[must_use]
    pub const fn literal(&self) -> Option<&Value> {
        match &self.node {
            Node::Literal(value) => Some(value),
            Node::Whole(..) | Node::Text(..) | Node::List(_) | Node::Fields(_) => None,
        }
    }

    /// The names of the outermost object's fields.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        let (fields, literal) = match &self.node {
            Node::Fields(fields) => (fields.as_slice(), None),
            Node::Literal(literal) => ([].as_slice(), literal.as_object()),
            Node::Whole(..) | Node::Text(..) | Node::List(_) => ([].as_slice(), None),
        };
        fields.iter().map(|(name, _)| name.as_str()).chain(literal.into_iter().flat_map(Map::keys).map(String::as_str))
    }

    /// Every expression.
    #[must_use]
    pub fn fields(&self) -> Vec<Field<'_>> {
        let mut fields = Vec::new();
        gather(&self.node, &mut fields);
        fields
    }

    /// The value with every expression evaluated.
    ///
    /// # Errors
    /// One line that begins with the path of the leaf and the expression.
    pub fn evaluate(&self, scope: &Scope<'_>) -> Result<Value, String> {
        let mut room = Room::new(&self.path, self.fixed);
        evaluate(&self.node, scope, &mut room).map_err(|error| match error {
            Some(error) => error,
            None => format!("{}: comes to more than {MAX_RESULT} bytes: hand on less", self.path),
        })
    }
}

impl Node {
    /// A list or an object without expressions is a literal.
    fn folded(self) -> Self {
        match self {
            Self::List(items) if items.iter().all(Self::is_literal) => {
                Self::Literal(items.into_iter().filter_map(Self::into_literal).collect())
            }
            Self::Fields(fields) if fields.iter().all(|(_, node)| node.is_literal()) => {
                let literals = fields.into_iter().filter_map(|(name, node)| Some((name, node.into_literal()?)));
                Self::Literal(Value::Object(literals.collect()))
            }
            other => other,
        }
    }

    const fn is_literal(&self) -> bool {
        matches!(self, Self::Literal(_))
    }

    fn into_literal(self) -> Option<Value> {
        match self {
            Self::Literal(value) => Some(value),
            Self::Whole(..) | Self::Text(..) | Self::List(_) | Self::Fields(_) => None,
        }
    }
}

fn parse(value: &Value, path: &str, form: &dyn Fn(&str) -> Form, depth: usize, faults: &mut Vec<Fault>) -> Node {
    if depth == 0 {
        faults.push(Fault::new(path, format!("is nested deeper than {MAX_DEPTH} lists and objects: make it flatter")));
        return Node::Literal(Value::Null);
    }
    match value {
        Value::String(_) if form(path) == Form::Verbatim => Node::Literal(value.clone()),
        Value::String(text) => match split(text) {
            Ok(parts) => leaf(parts, path, form(path)),
            Err(error) => {
                faults.push(Fault::new(path, error));
                Node::Literal(Value::Null)
            }
        },
        Value::Array(items) => {
            let item = |(place, item)| parse(item, &format!("{path}[{place}]"), form, depth - 1, faults);
            Node::List(items.iter().enumerate().map(item).collect()).folded()
        }
        Value::Object(fields) => {
            let field = |(name, value): (&String, &Value)| (name.clone(), parse(value, &format!("{path}.{name}"), form, depth - 1, faults));
            Node::Fields(fields.iter().map(field).collect()).folded()
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => Node::Literal(value.clone()),
    }
}

fn leaf(mut parts: Vec<Part>, path: &str, form: Form) -> Node {
    match (parts.pop(), parts.is_empty()) {
        (None, _) => Node::Literal(Value::String(String::new())),
        (Some(Part::Text(text)), true) => Node::Literal(Value::String(text)),
        (Some(Part::Expression(expression)), true) if form == Form::Any => Node::Whole(path.to_owned(), expression),
        (Some(last), _) => {
            parts.push(last);
            Node::Text(path.to_owned(), form, parts)
        }
    }
}

/// The parts of a text: never two texts side by side.
fn split(text: &str) -> Result<Vec<Part>, String> {
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
        let end = end_of(marked).ok_or("holds ${ without its }: close it, or write $${ for a literal ${")?;
        let (inside, after) = marked.split_at(end);
        if !literal.is_empty() {
            parts.push(Part::Text(std::mem::take(&mut literal)));
        }
        parts.push(Part::Expression(Expression::parse(inside).map_err(|error| with_hint(inside, &error))?));
        rest = after.get(1..).unwrap_or_default();
    }
    literal.push_str(rest);
    if !literal.is_empty() {
        parts.push(Part::Text(literal));
    }
    Ok(parts)
}

/// What looks like a variable of a shell gets a hint.
fn with_hint(inside: &str, error: &str) -> String {
    let shell = !inside.is_empty() && inside.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_');
    if shell { format!("{error}; for a literal ${{{inside}}} write $${{{inside}}}, or in a shell ${inside}") } else { error.to_owned() }
}

/// Where the first `}` stands that belongs to no string and no brace of the expression, in bytes.
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

fn gather<'a>(node: &'a Node, fields: &mut Vec<Field<'a>>) {
    match node {
        Node::Literal(_) => {}
        Node::Whole(path, expression) => fields.push(Field { path, expression }),
        Node::Text(path, _, parts) => fields.extend(parts.iter().filter_map(|part| match part {
            Part::Expression(expression) => Some(Field { path, expression }),
            Part::Text(_) => None,
        })),
        Node::List(items) => items.iter().for_each(|item| gather(item, fields)),
        Node::Fields(named) => named.iter().for_each(|(_, node)| gather(node, fields)),
    }
}

fn skeleton(node: &Node) -> Option<Value> {
    match node {
        Node::Literal(value) => Some(value.clone()),
        Node::Whole(..) | Node::Text(..) => None,
        Node::List(items) => Some(items.iter().filter_map(skeleton).collect()),
        Node::Fields(fields) => {
            Some(Value::Object(fields.iter().filter_map(|(name, node)| Some((name.clone(), skeleton(node)?))).collect()))
        }
    }
}

/// `Err(None)`: there is no room left.
fn evaluate(node: &Node, scope: &Scope<'_>, room: &mut Room<'_>) -> Result<Value, Option<String>> {
    match node {
        Node::Literal(value) => Ok(value.clone()),
        Node::Whole(path, expression) => {
            let value = room.value(path, expression, scope)?;
            room.admit(path, expression, &value)?;
            room.take(value.to_string().len())?;
            Ok(value)
        }
        Node::Text(path, form, parts) => text(path, *form, parts, scope, room),
        Node::List(items) => items.iter().map(|item| evaluate(item, scope, room)).collect(),
        Node::Fields(fields) => {
            let field = |(name, node): &(String, Node)| Ok((name.clone(), evaluate(node, scope, room)?));
            fields.iter().map(field).collect::<Result<_, _>>().map(Value::Object)
        }
    }
}

fn text(path: &str, form: Form, parts: &[Part], scope: &Scope<'_>, room: &mut Room<'_>) -> Result<Value, Option<String>> {
    let (mut text, mut given) = (String::new(), Vec::new());
    for part in parts {
        match part {
            Part::Text(literal) => text.push_str(literal),
            Part::Expression(expression) => {
                let value = room.value(path, expression, scope)?;
                let told = as_text(&value).map_err(|error| Some(format!("{path}: {expression:?}: {error}")))?;
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

/// A value in a text: a list or an object as JSON.
fn as_text(value: &Value) -> Result<String, String> {
    match value {
        Value::String(text) => Ok(text.clone()),
        Value::Null => Err(format!("is {} where text is wanted", kind(value))),
        Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => Ok(value.to_string()),
    }
}
