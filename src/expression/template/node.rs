//! The parsed tree of a template.

use serde_json::Value;

use crate::expression::program::Expression;

/// What may stand in a leaf.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// Any value: a leaf that is one whole expression keeps the type of what it gives.
    Any,
    /// Text: whatever an expression gives becomes text, an object or a list as JSON.
    Text,
    /// A URL: as text, with all in it escaped that is no letter, digit, `-`, `.`, `_` or `~`, so
    /// that it stays one part of a path or a query.
    Url,
    /// Text as it is written, whatever it looks like.
    Verbatim,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Node {
    /// Holds no expression.
    Literal(Value),
    /// One expression.
    Whole(Leaf, Expression),
    /// Text with expressions in it.
    Text(Leaf, Form, Vec<Part>),
    List(Vec<Node>),
    Fields(Vec<(String, Node)>),
}

/// Where a leaf stands: its path, and the keys on the way to it from the template on.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Leaf {
    pub(crate) path: String,
    pub(crate) keys: Vec<String>,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Part {
    Text(String),
    Expression(Expression),
}

impl Node {
    /// A list or an object without expressions is a literal.
    pub(crate) fn folded(self) -> Self {
        match self {
            Self::List(items) if items.iter().all(Self::is_literal) => {
                Self::Literal(items.into_iter().filter_map(Self::into_literal).collect())
            }
            Self::Fields(fields) if fields.iter().all(|(_, node)| node.is_literal()) => {
                let literals = fields
                    .into_iter()
                    .filter_map(|(name, node)| Some((name, node.into_literal()?)));
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
