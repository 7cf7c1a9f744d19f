//! The paths that a file mentions, each with the module that contains the mention.
#![allow(clippy::wildcard_enum_match_arm, reason = "only some kinds of the syntax hold paths")]

use std::collections::BTreeSet;

use proc_macro2::{TokenStream, TokenTree};
use syn::{
    Arm, Attribute, Expr, ExprCall, Field, FieldValue, ImplItem, Item, ItemImpl, ItemUse, Local,
    Macro, Meta, PatIdent, Path, Type, UseTree, Variant, VisRestricted, Visibility,
    visit::{self, Visit},
};

use super::{
    items::{attributes_within, facts, is_test},
    project::{Module, within},
};

/// How a path is mentioned.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum How {
    /// By a `use` that only the module itself sees.
    Import,
    /// By a `use` that other modules see.
    Reexport,
    /// By a `use` with a glob that only the module itself sees.
    Glob,
    /// By a `use` with a glob that other modules see.
    OpenGlob,
    /// In code, with two names or more.
    Inline,
    /// In code, with one name.
    Bare,
}

/// A path that is mentioned.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Mention {
    /// The module that contains the mention.
    pub scope: Module,
    /// The names of the path.
    pub path: Vec<String>,
    /// How the path is mentioned.
    pub how: How,
    /// The name that a `use` gives to the path.
    pub alias: Option<String>,
}

/// What a file mentions.
#[derive(Debug, Default)]
pub struct Mentions {
    /// Every path, once.
    pub paths: BTreeSet<Mention>,
    /// The types with an inherent `impl`, as they are named there.
    pub impls: Vec<(Module, Vec<String>)>,
    scope: Module,
    /// The names of the variables: such a name in code does not stand for an item.
    bound: BTreeSet<String>,
}

impl Mentions {
    /// Returns what the items of a module mention.
    pub fn of(module: &[String], items: &[Item]) -> Self {
        let mut bound = Bound::default();
        for item in items {
            bound.visit_item(item);
        }
        let mut mentions = Self { scope: module.to_vec(), bound: bound.0, ..Self::default() };
        for item in items {
            mentions.visit_item(item);
        }
        mentions
    }

    fn add(&mut self, path: Vec<String>, how: How, alias: Option<String>) {
        self.paths.insert(Mention { scope: self.scope.clone(), path, how, alias });
    }

    fn add_code(&mut self, path: Vec<String>, called: bool) {
        if path.len() > 1 {
            self.add(path, How::Inline, None);
        } else if called || !self.bound.contains(&path[0]) {
            self.add(path, How::Bare, None);
        }
    }

    fn add_use(&mut self, tree: &UseTree, prefix: &[String], open: bool) {
        let single = if open { How::Reexport } else { How::Import };
        match tree {
            UseTree::Path(path) => self.add_use(&path.tree, &within(prefix, &path.ident), open),
            UseTree::Group(group) => {
                group.items.iter().for_each(|tree| self.add_use(tree, prefix, open));
            }
            UseTree::Glob(_) => {
                self.add(prefix.to_vec(), if open { How::OpenGlob } else { How::Glob }, None);
            }
            UseTree::Name(name) if name.ident == "self" => {
                self.add(prefix.to_vec(), single, prefix.last().cloned());
            }
            UseTree::Name(name) => {
                self.add(within(prefix, &name.ident), single, Some(name.ident.to_string()));
            }
            UseTree::Rename(name) => {
                let path = if name.ident == "self" {
                    prefix.to_vec()
                } else {
                    within(prefix, &name.ident)
                };
                self.add(path, single, Some(name.rename.to_string()));
            }
        }
    }

    /// Finds paths in tokens. Single names in attributes are not paths.
    fn scan(&mut self, tokens: TokenStream, attribute: bool) {
        let tokens: Vec<_> = tokens.into_iter().collect();
        let mut at = 0;
        while at < tokens.len() {
            let start = at;
            at += 1;
            match &tokens[start] {
                TokenTree::Group(group) => self.scan(group.stream(), attribute),
                TokenTree::Literal(literal) if attribute => {
                    let path = words(literal.to_string().trim_matches('"'));
                    if path.len() > 1 {
                        self.add_code(path, false);
                    }
                }
                TokenTree::Ident(_) => {
                    let path = path_at(&tokens[start..]);
                    at = start + 3 * path.len() - 2;
                    let called = matches!(tokens.get(at), Some(TokenTree::Group(_)));
                    let single = path.len() == 1;
                    let part = follows(&tokens[..start], "::")
                        || single && (attribute || is_member(&tokens[..start]));
                    if !part {
                        self.add_code(path, called);
                    }
                }
                _ => {}
            }
        }
    }
}

/// Returns the names that a `use` introduces. A glob counts as one name.
pub fn leaves(item: &ItemUse) -> Vec<String> {
    let mut mentions = Mentions::default();
    mentions.add_use(&item.tree, &[], true);
    let name = |mention: Mention| mention.alias.unwrap_or(mention.path.join("::") + "::*");
    mentions.paths.into_iter().map(name).collect()
}

/// Returns the names of a path within a string, or no names if the string contains anything else.
fn words(text: &str) -> Vec<String> {
    let word = |word: &str| {
        !word.is_empty() && word.chars().all(|letter| letter.is_alphanumeric() || letter == '_')
    };
    let words: Vec<_> = text.split("::").map(str::to_owned).collect();
    if words.iter().all(|name| word(name)) { words } else { Vec::new() }
}

/// Returns the names of the path at the start of these tokens.
fn path_at(tokens: &[TokenTree]) -> Vec<String> {
    let mut names = vec![tokens[0].to_string()];
    let mut rest = &tokens[1..];
    while let [colon, second, TokenTree::Ident(name), behind @ ..] = rest
        && is_punct(colon, ':')
        && is_punct(second, ':')
    {
        names.push(name.to_string());
        rest = behind;
    }
    names
}

fn is_punct(token: &TokenTree, sign: char) -> bool {
    matches!(token, TokenTree::Punct(punct) if punct.as_char() == sign)
}

/// Returns whether the tokens end with these signs.
fn follows(tokens: &[TokenTree], signs: &str) -> bool {
    let mut back = tokens.iter().rev();
    signs.chars().rev().all(|sign| back.next().is_some_and(|token| is_punct(token, sign)))
}

/// Returns whether the next token is a field or a method.
fn is_member(tokens: &[TokenTree]) -> bool {
    follows(tokens, ".") && !follows(tokens, "..")
}

fn names(path: &Path) -> Vec<String> {
    path.segments.iter().map(|segment| segment.ident.to_string()).collect()
}

impl<'ast> Visit<'ast> for Mentions {
    fn visit_item(&mut self, item: &'ast Item) {
        if is_test(facts(item).attributes) {
            return;
        }
        let depth = self.scope.len();
        if let Item::Mod(inner) = item {
            self.scope.push(inner.ident.to_string());
        }
        visit::visit_item(self, item);
        self.scope.truncate(depth);
    }

    fn visit_impl_item(&mut self, item: &'ast ImplItem) {
        if !is_test(attributes_within(item)) {
            visit::visit_impl_item(self, item);
        }
    }

    fn visit_field(&mut self, field: &'ast Field) {
        if !is_test(&field.attrs) {
            visit::visit_field(self, field);
        }
    }

    fn visit_field_value(&mut self, value: &'ast FieldValue) {
        if !is_test(&value.attrs) {
            visit::visit_field_value(self, value);
        }
    }

    fn visit_variant(&mut self, variant: &'ast Variant) {
        if !is_test(&variant.attrs) {
            visit::visit_variant(self, variant);
        }
    }

    fn visit_arm(&mut self, arm: &'ast Arm) {
        if !is_test(&arm.attrs) {
            visit::visit_arm(self, arm);
        }
    }

    fn visit_local(&mut self, local: &'ast Local) {
        if !is_test(&local.attrs) {
            visit::visit_local(self, local);
        }
    }

    fn visit_item_impl(&mut self, item: &'ast ItemImpl) {
        if let (None, Type::Path(path)) = (&item.trait_, &*item.self_ty) {
            self.impls.push((self.scope.clone(), names(&path.path)));
        }
        visit::visit_item_impl(self, item);
    }

    fn visit_item_use(&mut self, item: &'ast ItemUse) {
        if item.leading_colon.is_none() {
            self.add_use(&item.tree, &[], !matches!(item.vis, Visibility::Inherited));
        }
    }

    fn visit_expr_call(&mut self, call: &'ast ExprCall) {
        if let Expr::Path(function) = &*call.func
            && let Some(name) = function.path.get_ident()
        {
            self.add_code(vec![name.to_string()], true);
        }
        visit::visit_expr_call(self, call);
    }

    fn visit_path(&mut self, path: &'ast Path) {
        if path.leading_colon.is_none() {
            self.add_code(names(path), false);
        }
        visit::visit_path(self, path);
    }

    fn visit_macro(&mut self, called: &'ast Macro) {
        self.visit_path(&called.path);
        self.scan(called.tokens.clone(), false);
    }

    fn visit_attribute(&mut self, attribute: &'ast Attribute) {
        if let Meta::List(list) = &attribute.meta {
            self.scan(list.tokens.clone(), true);
        }
    }

    /// The path in a visibility is not an import.
    fn visit_vis_restricted(&mut self, _: &'ast VisRestricted) {}
}

/// The names that patterns bind.
#[derive(Default)]
struct Bound(BTreeSet<String>);

impl<'ast> Visit<'ast> for Bound {
    fn visit_pat_ident(&mut self, pattern: &'ast PatIdent) {
        let name = pattern.ident.to_string();
        if !name.starts_with(char::is_uppercase) {
            self.0.insert(name);
        }
        visit::visit_pat_ident(self, pattern);
    }
}
