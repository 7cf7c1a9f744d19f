//! Turns the parsed syntax tree into the tree that is evaluated.
//!
//! | written | evaluated | since the interpreter |
//! |---|---|---|
//! | `a.b` | `a['b']` | gives `false` for `a.b` and an error for `a['b']` if `a` has no fields |
//! | `a + b` | the function of that name called on `a` | has no sum of an integer and a double |
//! | `m.map(k, …)` | the same over [`ORDERED`]`(m)` | takes a map in another order each time |
//!
//! `-`, `*`, `/`, `%`, `==`, `!=` and `in` are evaluated like `+`: see
//! [`crate::expression::numbers`]. `filter`, `all` and the other comprehensions are evaluated like
//! `map`.

use kube::core::cel::cel::{
    IdedExpr,
    common::ast::{CallExpr, ComprehensionExpr, EntryExpr, Expr, LiteralValue, operators},
};

/// The function that returns the keys of a map in their order, and any other value unchanged.
pub(in crate::expression) const ORDERED: &str = "@ordered";
/// The name of the variable in which a comprehension gathers its result. No user can write this
/// name.
const GATHERED: &str = "@result";

/// Returns the tree that is evaluated.
pub(in crate::expression) fn strict(mut expr: IdedExpr) -> IdedExpr {
    expr.expr = match expr.expr {
        Expr::Select(mut select) => {
            *select.operand = strict(std::mem::take(&mut *select.operand));
            if select.test {
                Expr::Select(select)
            } else {
                let field = IdedExpr {
                    id: expr.id,
                    expr: Expr::Literal(LiteralValue::String(select.field.as_str().into())),
                };
                Expr::Call(CallExpr {
                    func_name: operators::INDEX.into(),
                    target: None,
                    args: vec![*select.operand, field],
                })
            }
        }
        Expr::Call(mut call) => {
            call.target = call.target.map(|target| Box::new(strict(*target)));
            call.args = call.args.into_iter().map(strict).collect();
            Expr::Call(as_method(call))
        }
        Expr::List(mut list) => {
            list.elements = list.elements.into_iter().map(strict).collect();
            Expr::List(list)
        }
        Expr::Map(mut map) => {
            for entry in &mut map.entries {
                if let EntryExpr::MapEntry(entry) = &mut entry.expr {
                    entry.key = strict(std::mem::take(&mut entry.key));
                    entry.value = strict(std::mem::take(&mut entry.value));
                }
            }
            Expr::Map(map)
        }
        Expr::Comprehension(comprehension) => {
            Expr::Comprehension(Box::new(in_order(*comprehension)))
        }
        other @ (Expr::Ident(_) | Expr::Literal(_) | Expr::Struct(_) | Expr::Unspecified) => other,
    };
    expr
}

/// Returns the comprehension with its range in order.
fn in_order(mut comprehension: ComprehensionExpr) -> ComprehensionExpr {
    for part in [
        &mut comprehension.iter_range,
        &mut comprehension.accu_init,
        &mut comprehension.loop_cond,
        &mut comprehension.loop_step,
        &mut comprehension.result,
    ] {
        *part = strict(std::mem::take(part));
    }
    let range = std::mem::take(&mut comprehension.iter_range);
    let id = range.id;
    let ordered = CallExpr { func_name: ORDERED.into(), target: None, args: vec![range] };
    comprehension.iter_range = IdedExpr { id, expr: Expr::Call(ordered) };
    comprehension
}

/// Returns the range of a comprehension as the user wrote it.
pub(in crate::expression) fn range(comprehension: &ComprehensionExpr) -> &IdedExpr {
    match &comprehension.iter_range.expr {
        Expr::Call(CallExpr { func_name, target: None, args }) if func_name == ORDERED => {
            args.first().unwrap_or(&comprehension.iter_range)
        }
        _ => &comprehension.iter_range,
    }
}

/// Returns the operands of a call: the value that the function is called on, if any, and the
/// arguments.
pub(in crate::expression) fn operands(call: &CallExpr) -> Vec<&IdedExpr> {
    call.target.as_deref().into_iter().chain(&call.args).collect()
}

/// Turns an operator of two numbers into a method of the first. The interpreter selects its own
/// operators by the number of their arguments, and searches for a method among the functions.
fn as_method(mut call: CallExpr) -> CallExpr {
    let is_mended = match (&call.target, call.args.as_slice()) {
        (None, [first, second]) => takes_numbers(&call.func_name, first, second),
        _ => false,
    };
    if is_mended {
        let second = call.args.pop();
        call.target = call.args.pop().map(Box::new);
        call.args.extend(second);
    }
    call
}

/// Returns whether the operator may combine an integer with a double. It cannot if one of the two
/// operands is a text that is written out.
fn takes_numbers(operator: &str, first: &IdedExpr, second: &IdedExpr) -> bool {
    let is_gathered = matches!(&first.expr, Expr::Ident(name) if name == GATHERED);
    match operator {
        operators::SUBSTRACT | operators::MULTIPLY | operators::DIVIDE | operators::MODULO => true,
        operators::ADD | operators::EQUALS | operators::NOT_EQUALS => {
            !is_gathered && !is_plain(first) && !is_plain(second)
        }
        operators::IN => !is_plain(first),
        _ => false,
    }
}

/// Returns whether the expression is a text, a truth value or null that is written out.
const fn is_plain(expr: &IdedExpr) -> bool {
    matches!(
        &expr.expr,
        Expr::Literal(LiteralValue::String(_) | LiteralValue::Boolean(_) | LiteralValue::Null)
    )
}
