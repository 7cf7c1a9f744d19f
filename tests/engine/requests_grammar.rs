//! The values of request annotations: any text is recorded or ignored.

use proptest::prelude::*;
use saga_operator::api::{RequestAction, RequestResult};

use crate::{properties::for_all, requests::held, saga::saga, world::World};

/// Generates texts as they occur on objects: names, lists, tokens, JSON, and arbitrary text.
fn value() -> impl Strategy<Value = String> {
    let word = prop_oneof![
        Just("a"),
        Just("b"),
        Just("c"),
        Just("nobody"),
        Just("*"),
        Just(""),
        Just("B"),
        Just(r#"b={"x":[1,2]}"#),
        Just("\u{0}")
    ];
    let list = prop::collection::vec(word, 0..5).prop_map(|words| words.join(","));
    let token =
        prop_oneof![2 => Just(String::new()), 2 => "@[A-Za-z0-9._-]{1,63}", 1 => "@[ -~]{0,70}"];
    prop_oneof![
        4 => (list, token).prop_map(|(list, token)| format!("{list}{token}")),
        1 => "@[A-Za-z0-9._-]{1,63}(: [ -~]{0,40})?",
        1 => "[,{}@*=\"\\\\ ]{0,40}",
        3 => any::<String>(),
        1 => (any::<char>(), 1..20_000_usize)
            .prop_map(|(letter, count)| std::iter::repeat_n(letter, count).collect()),
    ]
}

/// Returns whether the text is one step with an object of outputs.
fn is_with_outputs(named: &str) -> bool {
    let object = |text: &str| {
        serde_json::from_str::<serde_json::Map<String, serde_json::Value>>(text).is_ok()
    };
    named
        .split_once('=')
        .is_some_and(|(name, outputs)| ["b", "c"].contains(&name.trim()) && object(outputs))
}

/// Returns the token by the grammar, found in a different way than the operator finds it.
fn token(action: RequestAction, value: &str) -> Option<&str> {
    let value = value.trim();
    let token = if action.takes_reason() {
        value.strip_prefix('@')?.split(':').next()
    } else {
        value.contains('@').then(|| value.split('@').next_back()).flatten()
    };
    token.filter(|token| {
        (1..=63).contains(&token.len())
            && token.chars().all(|letter| letter.is_ascii_alphanumeric() || "._-".contains(letter))
    })
}

/// Returns the text after the token of a reason.
fn reason<'a>(value: &'a str, token: &str) -> &'a str {
    value.trim()[token.len() + 1..].trim_start_matches(':').trim_start()
}

#[test]
fn any_value_is_recorded_or_ignored_as_the_grammar_says() {
    let held = held();
    for_all(10_000, (value(), 0..RequestAction::ALL.len()), |(value, pick)| {
        let action = RequestAction::ALL[pick];
        let mut world = World::with(saga().http("a").undo().then_http("b").undo().then_http("c"));
        (world.finalizer, world.now) = (true, held.now);
        world.restore(held.raw.clone());
        world.annotate(action.annotation(), &value);
        world.run_to_rest();
        let records = world.status().requests;
        let stays = world.annotations.get(action.annotation()) == Some(&value);
        let token = token(action, &value);
        if value.trim().is_empty() {
            prop_assert!(records.is_empty() && stays);
        } else {
            prop_assert_eq!(records.len(), 1);
            prop_assert_eq!((records[0].token.as_deref(), stays), (token, token.is_some()));
            let named = value
                .rsplit_once('@')
                .map_or(value.as_str(), |(body, _)| if token.is_some() { body } else { &value });
            let good = match action {
                RequestAction::Cancel | RequestAction::Compensate | RequestAction::Pause => {
                    token.is_some_and(|token| !reason(&value, token).starts_with('@'))
                        || !value.trim().starts_with('@')
                }
                // No step is uncertain, the saga is not paused, and no approval waits.
                RequestAction::Settle
                | RequestAction::Resume
                | RequestAction::Reject
                | RequestAction::Approve => false,
                RequestAction::Skip => {
                    named.split(',').all(|name| ["b", "c"].contains(&name.trim()))
                        || is_with_outputs(named)
                }
                RequestAction::Retry => {
                    named.trim() == "*" || named.split(',').all(|name| name.trim() == "b")
                }
            };
            prop_assert_eq!(records[0].result == RequestResult::Accepted, good);
        }
        Ok(())
    });
}
