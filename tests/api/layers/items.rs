//! The facts about the items of a file.
#![allow(clippy::wildcard_enum_match_arm, reason = "most kinds of items have no name")]

use syn::{Attribute, Ident, ImplItem, Item, Meta, Token, Visibility, punctuated::Punctuated};

use super::{
    mentions,
    project::{Module, within},
};

/// A named item.
#[derive(Debug)]
pub struct Declared {
    /// The module that contains the item.
    pub scope: Module,
    /// The name of the item.
    pub name: String,
    /// The kind of the item.
    pub kind: Kind,
}

/// The kind of an item.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A module in its own file.
    File,
    /// A module in the same file.
    Inline,
    /// A type or a trait.
    Type,
    /// Any other item.
    Other,
}

/// Returns every named item of a module and of the modules in the same file.
pub fn declared(scope: &[String], items: &[Item]) -> Vec<Declared> {
    let mut all = Vec::new();
    for item in items {
        let facts = facts(item);
        let Some(name) = facts.name.map(ToString::to_string) else { continue };
        let (mut kind, mut inner) = (if facts.a_type { Kind::Type } else { Kind::Other }, None);
        if let Item::Mod(module) = item {
            inner =
                module.content.as_ref().map(|(_, items)| declared(&within(scope, &name), items));
            kind = if inner.is_some() { Kind::Inline } else { Kind::File };
        }
        all.push(Declared { scope: scope.to_vec(), name, kind });
        all.extend(inner.into_iter().flatten());
    }
    all
}

/// Returns the names that items make public: one for each name of a `use`.
pub fn public(items: &[Item]) -> Vec<String> {
    let name = |item| {
        let facts = facts(item);
        match item {
            Item::Use(item) if facts.public => mentions::leaves(item),
            _ => facts.name.filter(|_| facts.public).map(ToString::to_string).into_iter().collect(),
        }
    };
    items.iter().flat_map(name).collect()
}

/// The facts about an item of any kind.
pub struct Facts<'i> {
    /// The name, if the item has one.
    pub name: Option<&'i Ident>,
    /// The attributes.
    pub attributes: &'i [Attribute],
    /// Whether the item is `pub` without restriction.
    pub public: bool,
    /// Whether the item is a type or a trait.
    pub a_type: bool,
}

/// Returns the facts about an item.
pub fn facts(item: &Item) -> Facts<'_> {
    let named = |name, attributes, seen: &Visibility, a_type| Facts {
        name: Some(name),
        attributes,
        public: matches!(seen, Visibility::Public(_)),
        a_type,
    };
    let nameless = |attributes| Facts { name: None, attributes, public: false, a_type: false };
    match item {
        Item::Const(item) => named(&item.ident, &item.attrs, &item.vis, false),
        Item::Enum(item) => named(&item.ident, &item.attrs, &item.vis, true),
        Item::Fn(item) => named(&item.sig.ident, &item.attrs, &item.vis, false),
        Item::Mod(item) => named(&item.ident, &item.attrs, &item.vis, false),
        Item::Static(item) => named(&item.ident, &item.attrs, &item.vis, false),
        Item::Struct(item) => named(&item.ident, &item.attrs, &item.vis, true),
        Item::Trait(item) => named(&item.ident, &item.attrs, &item.vis, true),
        Item::Type(item) => named(&item.ident, &item.attrs, &item.vis, true),
        Item::Union(item) => named(&item.ident, &item.attrs, &item.vis, true),
        Item::Macro(item) => Facts { name: item.ident.as_ref(), ..nameless(&item.attrs) },
        Item::Impl(item) => nameless(&item.attrs),
        Item::Use(item) => {
            Facts { public: matches!(item.vis, Visibility::Public(_)), ..nameless(&item.attrs) }
        }
        _ => nameless(&[]),
    }
}

/// Returns the attributes of an item in an `impl`.
pub fn attributes_within(item: &ImplItem) -> &[Attribute] {
    match item {
        ImplItem::Const(item) => &item.attrs,
        ImplItem::Fn(item) => &item.attrs,
        ImplItem::Type(item) => &item.attrs,
        ImplItem::Macro(item) => &item.attrs,
        _ => &[],
    }
}

/// Returns whether the item is built only for tests.
pub fn is_test(attributes: &[Attribute]) -> bool {
    attributes
        .iter()
        .filter(|attribute| attribute.path().is_ident("cfg"))
        .any(|attribute| attribute.parse_args::<Meta>().is_ok_and(|meta| asks_for_tests(&meta)))
}

fn asks_for_tests(meta: &Meta) -> bool {
    match meta {
        Meta::Path(path) => path.is_ident("test"),
        Meta::List(list) if list.path.is_ident("all") => list
            .parse_args_with(Punctuated::<Meta, Token![,]>::parse_terminated)
            .is_ok_and(|all| all.iter().any(asks_for_tests)),
        _ => false,
    }
}
