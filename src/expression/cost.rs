//! The most that evaluating an expression can cost. The cost follows from the parts of the
//! expression and the sizes of the values that the expression reads.
//!
//! The interpreter has no limit of its own, and a short text can ask for very much: a list of 256
//! texts of 100 KiB, or a text in which each character is replaced by another text. So the largest
//! size of each part is computed from its own parts, together with how often the part is evaluated.
//! The sum may not exceed [`MAX_WORK`].
//!
//! # Guarantees
//! The computed cost is never less than the actual cost. An expression that passes is evaluated
//! within milliseconds. The total work of the expressions of one saga that are tried when the saga
//! is checked may not exceed [`MAX_TOGETHER`]. The same limit holds for the expressions of one
//! action that are evaluated together. So many expressions are bounded, too.

use std::collections::{BTreeMap, BTreeSet};

use kube::core::cel::cel::{
    IdedExpr,
    common::ast::{CallExpr, ComprehensionExpr, EntryExpr, Expr, LiteralValue, operators},
};
use serde_json::{Map, Value};

use super::{
    pattern::{Effort, effort},
    scope::Given,
    strict,
};

/// The most bytes that all parts of an expression may come to, each part counted as often as it is
/// evaluated.
const MAX_WORK: u64 = 4 << 20;
/// The most work of all expressions of a saga that are tried when the saga is checked, and of all
/// expressions of one action.
pub const MAX_TOGETHER: u64 = 64 * MAX_WORK;
/// The fixed cost of an expression: to parse the expression and to pass it the values that it
/// reads.
const EXPRESSION: u64 = 16 << 10;
/// The most expressions that fit within [`MAX_TOGETHER`].
pub(in crate::expression) const MAX_EXPRESSIONS: u64 = MAX_TOGETHER / EXPRESSION;
/// The most bytes of a variable's value as JSON: outputs and params have at most 32 KiB, an answer
/// at most 64 KiB.
const MAX_INPUT: u64 = 72 << 10;
/// The longest list that `all`, `exists`, `exists_one`, `map` and `filter` take.
const MAX_ITEMS: u64 = 256;
/// The cost of a part in addition to the bytes of its value.
const PART: u64 = 64;
/// The most bytes of a number as text: the smallest double written out.
const NUMBER: u64 = 352;
/// The least bytes that count for the result of a function: a number as JSON.
const LEAST: u64 = 24;
/// The most bytes of a truth value as JSON.
const TRUTH: u64 = 5;
/// The cost of an element that `split` makes of a text, in addition to its bytes.
const ELEMENT: u64 = 32;
/// How many comparisons of characters in two texts cost as much as one byte.
const COMPARED: u64 = 256;

/// The largest size of the value of a part.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Size {
    bytes: u64,
    /// The number of elements of the longest list in the value.
    items: u64,
    /// The bytes of the largest element of a list in the value.
    element: u64,
}

/// Returns the size of a part that is no list and holds none.
const fn plain(bytes: u64) -> Size {
    Size { bytes, items: 0, element: 0 }
}

/// The most that an expression costs.
#[derive(Clone, Copy, Debug, Default)]
pub(in crate::expression) struct Cost {
    /// The bytes of the result.
    pub(in crate::expression) bytes: u64,
    /// The work of evaluating the expression, which counts against [`MAX_TOGETHER`].
    pub(in crate::expression) work: u64,
}

/// Decides whether an expression may be evaluated over these variables, and returns its cost.
///
/// # Errors
/// Returns what is too large.
pub(in crate::expression) fn afford<'a>(
    expr: &'a IdedExpr,
    variables: &'a BTreeMap<&'static str, Given<'a>>,
) -> Result<Cost, String> {
    let mut meter =
        Meter { variables, sizes: BTreeMap::new(), work: 0, times: 1, patterns: BTreeSet::new() };
    for (name, value) in variables {
        let size = size_of(value);
        if size.bytes > MAX_INPUT {
            return Err(format!(
                "{name} has {} bytes: expressions read at most {MAX_INPUT}",
                size.bytes
            ));
        }
        meter.sizes.insert((*name).to_owned(), size);
    }
    let read = meter.sizes.values().fold(EXPRESSION, |all, size| all.saturating_add(size.bytes));
    let bytes = meter.part(expr)?.bytes;
    Ok(Cost { bytes, work: meter.work.saturating_add(read) })
}

/// Returns the work of an expression over these variables that is never evaluated: its variables
/// are still measured.
pub(in crate::expression) fn least(variables: &BTreeMap<&'static str, Given<'_>>) -> u64 {
    variables.values().fold(EXPRESSION, |all, value| all.saturating_add(size_of(value).bytes))
}

fn size_of(value: &Given<'_>) -> Size {
    match value {
        Given::Fields(fields) => size_of_fields(fields),
        Given::Value(value) => size(value),
    }
}

/// Returns the size of a value: at least the bytes of all texts in the value, and of everything
/// else as JSON.
fn size(value: &Value) -> Size {
    match value {
        Value::Null | Value::Bool(_) | Value::Number(_) => plain(24),
        Value::String(text) => text_size(text),
        Value::Array(items) => {
            items.iter().map(size).fold(Size { items: items.len() as u64, ..plain(2) }, with)
        }
        Value::Object(fields) => size_of_fields(fields),
    }
}

fn size_of_fields(fields: &Map<String, Value>) -> Size {
    let field = |(name, value): (&String, &Value)| with(text_size(name), size(value));
    fields.iter().map(field).fold(Size { items: fields.len() as u64, ..plain(2) }, with)
}

/// Adds the size of a part to the size of the value that holds the part.
fn with(all: Size, part: Size) -> Size {
    Size {
        bytes: all.bytes.saturating_add(part.bytes).saturating_add(3),
        items: all.items.max(part.items),
        element: all.element.max(part.bytes),
    }
}

const fn text_size(text: &str) -> Size {
    plain(text.len() as u64 + 2)
}

struct Meter<'a> {
    variables: &'a BTreeMap<&'static str, Given<'a>>,
    /// The sizes of the values that names stand for.
    sizes: BTreeMap<String, Size>,
    work: u64,
    /// How often the current part is evaluated.
    times: u64,
    /// The patterns that are already counted: each pattern is compiled once.
    patterns: BTreeSet<&'a str>,
}

impl<'a> Meter<'a> {
    /// Returns the size of a part, and counts the work of the part and of all its parts.
    fn part(&mut self, expr: &'a IdedExpr) -> Result<Size, String> {
        if let Some(value) = self.written_out(expr) {
            let size = size(value);
            self.count(size.bytes)?;
            return Ok(size);
        }
        let size = match &expr.expr {
            Expr::Literal(LiteralValue::String(text)) => text_size(text.inner()),
            Expr::Literal(_) | Expr::Struct(_) | Expr::Unspecified => plain(24),
            Expr::Ident(name) => self.sizes.get(name).copied().unwrap_or_default(),
            Expr::Select(select) => {
                let operand = self.part(&select.operand)?;
                if select.test { plain(TRUTH) } else { operand }
            }
            Expr::Call(call) => self.call(call)?,
            Expr::List(list) => {
                let (parts, items) = (self.parts(&list.elements)?, list.elements.len() as u64);
                let bytes = parts.bytes.saturating_add(2 + 3 * items);
                Size {
                    bytes,
                    items: parts.items.max(items),
                    element: parts.element.max(parts.bytes),
                }
            }
            Expr::Map(map) => {
                let mut all = Size { items: map.entries.len() as u64, ..plain(2) };
                for entry in &map.entries {
                    if let EntryExpr::MapEntry(entry) = &entry.expr {
                        let (key, value) = (self.part(&entry.key)?, self.part(&entry.value)?);
                        all = add(add(all, plain(3)), add(key, value));
                    }
                }
                Size { element: all.element.max(all.bytes), ..all }
            }
            Expr::Comprehension(comprehension) => self.comprehension(comprehension)?,
        };
        self.count(size.bytes)?;
        Ok(size)
    }

    /// Returns the value of a path that is written out, such as `params.lines[0].sku`.
    fn written_out(&self, expr: &IdedExpr) -> Option<&'a Value> {
        let Expr::Call(CallExpr { func_name, target: None, args }) = &expr.expr else {
            return None;
        };
        let [operand, at] = args.as_slice() else { return None };
        if func_name != operators::INDEX {
            return None;
        }
        let (fields, items) = match &operand.expr {
            // No comprehension binds the name of a variable.
            Expr::Ident(name) => self
                .variables
                .get(name.as_str())
                .map(|given| (given.as_object(), given.as_array()))?,
            _ => self.written_out(operand).map(|value| (value.as_object(), value.as_array()))?,
        };
        match &at.expr {
            Expr::Literal(LiteralValue::String(name)) => fields?.get(name.inner()),
            Expr::Literal(LiteralValue::Int(place)) => {
                items?.get(usize::try_from(*place.inner()).ok()?)
            }
            _ => None,
        }
    }

    /// Returns the total size of several parts, and counts their work.
    fn parts(&mut self, parts: &'a [IdedExpr]) -> Result<Size, String> {
        parts.iter().try_fold(Size::default(), |all, part| Ok(add(all, self.part(part)?)))
    }

    fn count(&mut self, bytes: u64) -> Result<(), String> {
        self.spend(bytes.saturating_add(PART).saturating_mul(self.times))
    }

    /// Counts work that is done once, however often a part is evaluated.
    fn spend(&mut self, work: u64) -> Result<(), String> {
        self.work = self.work.saturating_add(work);
        if self.work > MAX_WORK {
            return Err(
                "would be too much work for the values it reads: write it shorter, or use smaller \
                 values"
                    .into(),
            );
        }
        Ok(())
    }

    fn call(&mut self, call: &'a CallExpr) -> Result<Size, String> {
        let CallExpr { func_name, target, args } = call;
        // `text.indexOf(part)` is `indexOf(text, part)`.
        let parts = target.as_deref().into_iter().chain(args);
        let sizes: Vec<Size> = parts.map(|part| self.part(part)).collect::<Result<_, _>>()?;
        let given = sizes.iter().copied().fold(Size::default(), add);
        let longest =
            Size { items: sizes.iter().map(|size| size.items).max().unwrap_or_default(), ..given };
        let at = |place: usize| sizes.get(place).copied().unwrap_or_default();
        let truth = plain(TRUTH);
        Ok(match func_name.as_str() {
            operators::ADD => given,
            operators::EQUALS
            | operators::NOT_EQUALS
            | operators::IN
            | operators::LESS
            | operators::LESS_EQUALS
            | operators::GREATER
            | operators::GREATER_EQUALS
            | operators::LOGICAL_AND
            | operators::LOGICAL_OR
            | operators::LOGICAL_NOT
            | operators::NOT_STRICTLY_FALSE
            | "contains"
            | "startsWith"
            | "endsWith"
            | "isSorted" => truth,
            operators::INDEX | operators::OPT_INDEX | operators::OPT_SELECT => at(0),
            operators::CONDITIONAL => {
                let (yes, no) = (at(1), at(2));
                Size {
                    bytes: yes.bytes.max(no.bytes),
                    items: yes.items.max(no.items),
                    element: yes.element.max(no.element),
                }
            }
            "matches" => {
                self.matching(at(0), args.last())?;
                truth
            }
            "indexOf" | "lastIndexOf" => {
                self.count(at(0).bytes.saturating_mul(at(1).bytes) / COMPARED)?;
                plain(LEAST)
            }
            // Each character of the text may be an element.
            "split" => {
                self.count(given.bytes.saturating_mul(ELEMENT))?;
                Size {
                    bytes: given.bytes.saturating_mul(3),
                    items: given.bytes,
                    element: given.bytes,
                }
            }
            "join" => plain(given.bytes.saturating_add(longest.items.saturating_mul(given.bytes))),
            "replace" => {
                plain(at(0).bytes.saturating_add(1).saturating_mul(at(2).bytes.saturating_add(1)))
            }
            // Bytes that are not valid text become characters of three bytes.
            "string" => plain(given.bytes.saturating_mul(3).max(NUMBER)),
            "base64.encode" | "base64.decode" => plain(given.bytes.saturating_mul(2)),
            _ => Size { bytes: longest.bytes.max(LEAST), ..longest },
        })
    }

    /// Counts the work to match a text of this size with a pattern, and to compile the pattern when
    /// it is met for the first time.
    fn matching(&mut self, text: Size, pattern: Option<&'a IdedExpr>) -> Result<(), String> {
        let pattern = pattern.and_then(|pattern| match &pattern.expr {
            Expr::Literal(LiteralValue::String(text)) => Some(text.inner()),
            _ => None,
        });
        let Effort { made, places } = effort(pattern.unwrap_or_default())?;
        if self.patterns.insert(pattern.unwrap_or_default()) {
            self.spend(made)?;
        }
        self.count(places.saturating_mul(text.bytes))
    }

    fn comprehension(&mut self, comprehension: &'a ComprehensionExpr) -> Result<Size, String> {
        let ComprehensionExpr {
            iter_range: _,
            iter_var,
            iter_var2,
            accu_var,
            accu_init,
            loop_cond,
            loop_step,
            result,
        } = comprehension;
        let range = self.part(strict::range(comprehension))?;
        if range.items > MAX_ITEMS {
            return Err(format!(
                "goes through a list that may have {} elements: at most {MAX_ITEMS} are taken",
                range.items
            ));
        }
        let init = self.part(accu_init)?;
        let outside = (self.sizes.clone(), self.times);
        self.times = self.times.saturating_mul(range.items);
        for name in [Some(iter_var), iter_var2.as_ref()].into_iter().flatten() {
            self.sizes.insert(name.clone(), Size { bytes: range.element, ..range });
        }
        // Holds what one round adds. What earlier rounds gathered is counted below.
        self.sizes.insert(accu_var.clone(), Size::default());
        self.part(loop_cond)?;
        let step = self.part(loop_step)?;
        let gathered = Size {
            bytes: init.bytes.saturating_add(step.bytes.saturating_mul(range.items)),
            items: init.items.saturating_add(range.items).max(step.items),
            element: step.bytes.max(step.element),
        };
        // Each round copies what was gathered.
        self.count(gathered.bytes / 2)?;
        (self.sizes, self.times) = outside;
        let before = self.sizes.insert(accu_var.clone(), gathered);
        let size = self.part(result)?;
        match before {
            Some(before) => _ = self.sizes.insert(accu_var.clone(), before),
            None => _ = self.sizes.remove(accu_var),
        }
        Ok(size)
    }
}

const fn add(left: Size, right: Size) -> Size {
    let element = if left.element > right.element { left.element } else { right.element };
    Size {
        bytes: left.bytes.saturating_add(right.bytes),
        items: left.items.saturating_add(right.items),
        element,
    }
}
