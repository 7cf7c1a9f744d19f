//! What an expression reads and calls, found before the expression is evaluated.

use kube::core::cel::cel::{
    IdedExpr,
    common::ast::{CallExpr, EntryExpr, Expr, LiteralValue, operators},
};

use super::reads::{Reads, Variable};

/// The functions that may be called: those of CEL, and those of Kubernetes whose work
/// [`crate::expression::cost`] can compute. A function with a dot in its name is called on a prefix
/// (`math.ceil`). All other functions are called on a value or alone.
pub const FUNCTIONS: [&str; 56] = [
    "size",
    "contains",
    "startsWith",
    "endsWith",
    "matches",
    "string",
    "double",
    "int",
    "uint",
    "min",
    "max",
    "duration",
    "timestamp",
    "getFullYear",
    "getMonth",
    "getDayOfYear",
    "getDayOfMonth",
    "getDate",
    "getDayOfWeek",
    "getHours",
    "getMinutes",
    "getSeconds",
    "getMilliseconds",
    "indexOf",
    "lastIndexOf",
    "charAt",
    "lowerAscii",
    "upperAscii",
    "trim",
    "substring",
    "split",
    "join",
    "replace",
    "isSorted",
    "sum",
    "first",
    "last",
    "value",
    "orValue",
    "hasValue",
    "bytes",
    "base64.encode",
    "base64.decode",
    "math.ceil",
    "math.floor",
    "math.round",
    "math.abs",
    "math.greatest",
    "math.least",
    "quantity",
    "isQuantity",
    "isGreaterThan",
    "isLessThan",
    "compareTo",
    "asInteger",
    "asApproximateFloat",
];
/// The most levels of nested comprehensions (`all`, `exists`, `exists_one`, `map`, `filter`): no
/// comprehension may stand in another.
const MAX_COMPREHENSIONS: usize = 1;

/// Returns what an expression reads.
///
/// # Errors
/// Returns one line about a name that the expression uses and that does not exist.
pub(in crate::expression) fn reads(expr: &IdedExpr) -> Result<Reads, String> {
    let mut checker = Checker { reads: Reads::default(), bound: Vec::new(), nested: 0 };
    checker.visit(expr)?;
    Ok(checker.reads)
}

struct Checker {
    reads: Reads,
    /// The names that the enclosing comprehensions bind.
    bound: Vec<String>,
    /// How many comprehensions enclose the current part.
    nested: usize,
}

impl Checker {
    fn visit(&mut self, expr: &IdedExpr) -> Result<(), String> {
        match &expr.expr {
            Expr::Literal(LiteralValue::Bytes(_)) => {
                Err("holds bytes, which no field takes: write a string".into())
            }
            Expr::Literal(_) => Ok(()),
            Expr::Ident(name) => self.variable(name),
            Expr::Select(_) | Expr::Call(_) if self.part(expr) => Ok(()),
            Expr::Select(select) => self.visit(&select.operand),
            Expr::Call(call) => self.call(call),
            Expr::List(list) => list.elements.iter().try_for_each(|element| self.visit(element)),
            Expr::Map(map) => map.entries.iter().try_for_each(|entry| match &entry.expr {
                EntryExpr::MapEntry(entry) => {
                    self.visit(&entry.key)?;
                    self.visit(&entry.value)
                }
                EntryExpr::StructField(field) => Err(no_message(&field.field)),
            }),
            Expr::Comprehension(comprehension) => {
                self.visit(&comprehension.iter_range)?;
                self.nested += 1;
                if self.nested > MAX_COMPREHENSIONS {
                    return Err(
                        "nests all, exists, exists_one, map or filter in each other: they \
                        may only follow each other"
                            .into(),
                    );
                }
                let hides = |name: &&String| {
                    Variable::ALL.iter().any(|variable| variable.as_str() == name.as_str())
                };
                if let Some(name) =
                    [Some(&comprehension.iter_var), comprehension.iter_var2.as_ref()]
                        .into_iter()
                        .flatten()
                        .find(hides)
                {
                    return Err(format!(
                        "binds {name}, which is the name of a variable: choose another"
                    ));
                }
                let before = self.bound.len();
                self.bound.extend([comprehension.iter_var.clone(), comprehension.accu_var.clone()]);
                self.bound.extend(comprehension.iter_var2.clone());
                for part in [
                    &comprehension.accu_init,
                    &comprehension.loop_cond,
                    &comprehension.loop_step,
                    &comprehension.result,
                ] {
                    self.visit(part)?;
                }
                self.bound.truncate(before);
                self.nested -= 1;
                Ok(())
            }
            Expr::Struct(message) => Err(no_message(&message.type_name)),
            Expr::Unspecified => Err("is no CEL expression".into()),
        }
    }

    fn variable(&mut self, name: &str) -> Result<(), String> {
        if self.bound.iter().any(|bound| bound == name) {
            return Ok(());
        }
        let Some(variable) = Variable::ALL.into_iter().find(|variable| variable.as_str() == name)
        else {
            let known = Variable::ALL.map(Variable::as_str).join(", ");
            let hint = if self.reads.steps.is_empty() {
                ""
            } else {
                "; a step whose name has a dash is written steps['reserve-stock']"
            };
            return Err(format!("there is no variable {name}: known are {known}{hint}"));
        };
        if variable == Variable::Steps {
            return Err(
                "steps is read one by one: write steps.<name>.outputs or steps['<name>'].phase"
                    .into(),
            );
        }
        self.reads.body |= variable == Variable::Response;
        self.reads.variables.insert(variable);
        Ok(())
    }

    /// Records a read of one step of `steps`, or of `status` or `headers` of `response`. Returns
    /// whether the expression is such a read.
    fn part(&mut self, expr: &IdedExpr) -> bool {
        let variable = if let Some(step) = asked_of(expr, Variable::Steps) {
            self.reads.steps.insert(step.to_owned());
            Variable::Steps
        } else if matches!(asked_of(expr, Variable::Response), Some("status" | "headers")) {
            Variable::Response
        } else {
            return false;
        };
        self.reads.variables.insert(variable);
        true
    }

    fn call(&mut self, call: &CallExpr) -> Result<(), String> {
        let CallExpr { func_name, target, args } = call;
        let qualified = target.as_ref().and_then(|target| match &target.expr {
            Expr::Ident(prefix) => Some(format!("{prefix}.{func_name}"))
                .filter(|name| FUNCTIONS.contains(&name.as_str())),
            _ => None,
        });
        let is_operator = func_name.starts_with(['_', '!', '-', '@']);
        if !is_operator && qualified.is_none() && !FUNCTIONS.contains(&func_name.as_str()) {
            return Err(format!(
                "there is no function {func_name}: docs/expressions.md lists those that there are"
            ));
        }
        if func_name == "matches"
            && !args.iter().all(|pattern| matches!(pattern.expr, Expr::Literal(_)))
        {
            return Err("matches takes a pattern that is written out: matches('^[a-z]+$')".into());
        }
        if let Some(target) = target.as_ref().filter(|_| qualified.is_none()) {
            self.visit(target)?;
        }
        args.iter().try_for_each(|argument| self.visit(argument))
    }
}

/// Returns the field of a variable that is read by `steps.<name>` or `steps['<name>']`.
fn asked_of(expr: &IdedExpr, variable: Variable) -> Option<&str> {
    let wanted = variable.as_str();
    let is_it = |operand: &IdedExpr| matches!(&operand.expr, Expr::Ident(name) if name == wanted);
    match &expr.expr {
        Expr::Select(select) if is_it(&select.operand) => Some(&select.field),
        Expr::Call(CallExpr { func_name, target: None, args }) if func_name == operators::INDEX => {
            match args.as_slice() {
                [operand, IdedExpr { expr: Expr::Literal(LiteralValue::String(name)), .. }]
                    if is_it(operand) =>
                {
                    Some(name.inner())
                }
                _ => None,
            }
        }
        _ => None,
    }
}

fn no_message(name: &str) -> String {
    format!("makes a message {name}: write an object, {{'name': value}}")
}
