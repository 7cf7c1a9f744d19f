//! The parsed tree of a template.

use serde_json::Value;

use crate::expression::program::Expression;

/// What may stand in a leaf.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// Any value. If the leaf is one whole expression, it keeps the type of the result.
    Any,
    /// Text. Every result of an expression becomes text, and an object or a list becomes JSON.
    Text,
    /// A URL. A result becomes text in which everything but letters, digits, `-`, `.`, `_` and `~`
    /// is escaped, so that it stays one part of a path or a query.
    Url,
    /// Text as it is written, even if it looks like an expression.
    Verbatim,
}

#[derive(Clone, Debug, PartialEq)]
pub(in crate::expression) enum TemplateNode {
    /// A value without expressions.
    Literal(Value),
    /// A leaf that is one whole expression.
    Whole(Leaf, Expression),
    /// Text with expressions in it.
    Text(Leaf, Form, Vec<TextPart>),
    List(Vec<TemplateNode>),
    Fields(Vec<(String, TemplateNode)>),
}

/// The place of a leaf: its path, and the keys from the template to the leaf.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::expression) struct Leaf {
    pub(in crate::expression) path: String,
    pub(in crate::expression) keys: Vec<String>,
}

#[derive(Clone, Debug, PartialEq)]
pub(in crate::expression) enum TextPart {
    Text(String),
    Expression(Expression),
}

impl TemplateNode {
    /// Turns a list or an object without expressions into a literal.
    pub(in crate::expression) fn folded(self) -> Self {
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
