//! Tests that each mutant breaks exactly one rule, and that the rules know nothing of the mutants.
//!
//! The rules of a room are the functions in `rules/kept.rs`. The functions in `rules/mutants.rs`
//! beside have the same names and signatures and break them. Only the feature `twins` builds these,
//! so these tests read the sources.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use proc_macro2::{Span, TokenStream, TokenTree};
use saga_operator::mutants::Mutant;
use syn::{File, Item, Signature, spanned::Spanned};

/// The file with the names of the mutants.
const NAMES: &str = "src/mutants.rs";
/// The end of the path of a file with the broken rules of a room.
const BROKEN: &str = "/rules/mutants.rs";
/// The end of the path of a file with the rules of a room.
const KEPT: &str = "/rules/kept.rs";

#[test]
fn every_mutant_breaks_a_rule_in_one_place() {
    let mut places = BTreeMap::<String, Vec<String>>::new();
    for (path, text) in sources().into_iter().filter(|(path, _)| path.ends_with(BROKEN)) {
        for mutant in mutants_in(text.parse().unwrap()) {
            places.entry(mutant).or_default().push(path.clone());
        }
    }
    let known: Vec<_> = Mutant::ALL.iter().map(|mutant| format!("{mutant:?}")).collect();
    for mutant in &known {
        let places = places.get(mutant).map(Vec::as_slice).unwrap_or_default();
        assert_eq!(
            places.len(),
            1,
            "Mutant::{mutant} is to stand once in a file {BROKEN}: {places:?}"
        );
    }
    assert_eq!(places.len(), known.len());
}

#[test]
fn no_other_line_knows_of_a_mutant() {
    let elsewhere = |(path, _): &(String, String)| path != NAMES && !path.ends_with(BROKEN);
    for (path, text) in sources().into_iter().filter(elsewhere) {
        let found: Vec<_> = text
            .lines()
            .map(str::trim)
            .filter(|line| !line.starts_with("//") && mentions_a_mutant(line))
            .filter(|line| !path.ends_with("/rules/mod.rs") || !is_switch(line))
            .filter(|line| path != "src/lib.rs" || *line != "pub mod mutants;")
            .collect();
        assert!(found.is_empty(), "{path} knows of a mutant: {found:?}");
    }
}

#[test]
fn every_broken_rule_is_a_rule_of_its_room() {
    let sources: BTreeMap<_, _> = sources().into_iter().collect();
    let mut rooms = 0;
    for (path, text) in sources.iter().filter(|(path, _)| path.ends_with(BROKEN)) {
        let room = path.trim_end_matches(BROKEN);
        let rules = functions(&sources[&format!("{room}{KEPT}")]);
        for (name, broken) in functions(text) {
            assert_eq!(rules.get(&name), Some(&broken), "{path}: {name} is to stand in {KEPT}");
        }
        assert_eq!(
            sources[&format!("{room}/rules/mod.rs")].matches(r#"cfg(feature = "twins")"#).count(),
            2,
            "{room}: only the feature builds the mutants"
        );
        rooms += 1;
    }
    let folders = sources.keys().filter(|path| path.ends_with(KEPT)).count();
    assert_eq!(rooms, folders, "a folder with rules has no mutants");
}

#[test]
fn a_mutant_is_found_in_code_only() {
    let code = "fn a() -> bool { broken(Mutant::Key) || broken(Mutant::Slots) } // Mutant::Pivot";
    assert_eq!(mutants_in(code.parse().unwrap()), ["Key", "Slots"]);
    assert!(mentions_a_mutant("use crate::mutants::{Mutant, broken};"));
    assert!(mentions_a_mutant("if broken(Mutant::Key) {"));
    assert!(!mentions_a_mutant("faults.push(Fault::broken(path, message));"));
    assert!(is_switch("mod mutants;") && !is_switch("use self::mutants::{a};"));
}

#[test]
fn rules_are_compared_by_their_types() {
    let types = |text: &str| functions(text).into_iter().collect::<Vec<_>>();
    let rule = types("pub fn a<'k>(mut b: Option<&'k str>, c: [u8; 2]) -> bool { c[0] == 1 }");
    assert_eq!(
        rule,
        types("pub fn a<'k>(\n b: Option<&'k str>,\n c: [u8; 2],\n) -> bool { true }")
    );
    assert_ne!(rule, types("pub fn a<'k>(b: Option<&'k str>, c: [u8; 3]) -> bool { true }"));
    assert!(types("fn private() {}").is_empty());
}

/// Returns whether a line of code mentions a mutant.
fn mentions_a_mutant(line: &str) -> bool {
    line.contains("Mutant") || line.contains("mutants") || line.contains(r#"feature = "twins""#)
}

/// Returns whether a line is part of the switch between the rules and the broken rules.
fn is_switch(line: &str) -> bool {
    line == "mod mutants;"
        || line.starts_with("#[cfg(") && line.contains(r#"feature = "twins""#)
        || line.starts_with("pub") && line.ends_with(" use self::mutants::*;")
}

/// Returns the mutants that tokens name, in their order.
fn mutants_in(tokens: TokenStream) -> Vec<String> {
    let tokens: Vec<_> = tokens.into_iter().collect();
    let mut found = Vec::new();
    for (place, token) in tokens.iter().enumerate() {
        match (token, tokens.get(place + 3)) {
            (TokenTree::Group(group), _) => found.extend(mutants_in(group.stream())),
            (TokenTree::Ident(name), Some(TokenTree::Ident(mutant))) if name == "Mutant" => {
                found.push(mutant.to_string());
            }
            (TokenTree::Ident(_) | TokenTree::Punct(_) | TokenTree::Literal(_), _) => {}
        }
    }
    found
}

/// Returns the functions of a file that other files can call, each with its types.
fn functions(text: &str) -> BTreeMap<String, String> {
    let file: File = syn::parse_file(text).unwrap();
    let mut found = BTreeMap::new();
    for item in file.items {
        if let Item::Fn(function) = item
            && !matches!(function.vis, syn::Visibility::Inherited)
        {
            found.insert(function.sig.ident.to_string(), types(&function.sig));
        }
    }
    found
}

/// Returns the types of a signature as text without spaces. The patterns of the arguments are no
/// part of it.
fn types(signature: &Signature) -> String {
    let text = |span: Span| span.source_text().unwrap_or_default();
    let inputs: Vec<_> = signature
        .inputs
        .iter()
        .filter_map(|input| match input {
            syn::FnArg::Typed(input) => Some(text(input.ty.span())),
            syn::FnArg::Receiver(_) => None,
        })
        .collect();
    let (generics, output) = (text(signature.generics.span()), text(signature.output.span()));
    let types = format!("{generics}({}){output}", inputs.join(","));
    types.split_whitespace().collect::<String>().replace(",)", ")")
}

/// Returns the files under `src/`, by their paths from the root.
fn sources() -> Vec<(String, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut found = Vec::new();
    collect(&root.join("src"), &mut found);
    let shown = |path: &PathBuf| path.strip_prefix(root).unwrap().to_str().unwrap().to_owned();
    found.iter().map(|path| (shown(path), fs::read_to_string(path).unwrap())).collect()
}

/// Adds the Rust files of a folder and of its subfolders.
fn collect(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}
