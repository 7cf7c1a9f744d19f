//! Tests of the operator as an administrator installs it: from its image, as pods of a real node,
//! with Helm, and with the rights of the chart alone.
//!
//! ```text
//!  rights alone ─► installed without policies ─► with them ─► used, killed, upgraded under load
//!      ─► audited ─► named namespaces ─► removed
//! ```
//!
//! The acts build on each other and run in this order. If one act fails, the others still run.
//!
//! The acts need a cluster with a node, the image on that node, and the sample shop: `make e2e`
//! provides them. `SAGA_E2E_ACT` names the only acts to run, separated by commas.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "tests fail by panicking"
)]

mod audit;
#[path = "../operator/crash.rs"]
#[allow(dead_code, unused_imports, reason = "this binary uses a part of it")]
mod crash;
#[path = "../operator/gate.rs"]
mod gate;
mod installed;
mod leader;
mod matrices;
mod removal;
mod rights;
#[path = "../shop/mod.rs"]
mod shop;
#[path = "../operator/stand/mod.rs"]
#[allow(dead_code, unused_imports, reason = "this binary uses a part of it")]
mod stand;
mod tools;
mod upgrade;

use std::{process::ExitCode, time::Instant};

use futures::future::BoxFuture;

/// An act: its name, and the function that runs it.
type Act = (&'static str, fn() -> BoxFuture<'static, ()>);

/// All acts, in their order.
const ACTS: &[Act] = &[
    ("admission-matrix", || Box::pin(async { matrices::who_may_ask_for_what() })),
    ("rights-matrix", || Box::pin(async { matrices::what_an_account_may_not_do() })),
    ("without-policies", || Box::pin(installed::without_the_policies_the_operator_says_so())),
    ("install", || Box::pin(installed::as_two_pods_under_restricted_pod_security())),
    ("can-i", || {
        Box::pin(async { rights::the_readme_of_the_chart_prints_the_rights_that_there_are() })
    }),
    ("helm-test", || Box::pin(async { installed::helm_test_passes() })),
    ("examples", || Box::pin(async { installed::the_examples_call_services_by_name() })),
    ("leader-killed", || {
        Box::pin(leader::one_that_is_killed_in_mid_saga_is_followed_within_twenty_seconds())
    }),
    ("leader-deleted", || {
        Box::pin(leader::one_whose_pod_is_deleted_in_mid_saga_hands_over_and_loses_nothing())
    }),
    ("upgrade", || Box::pin(upgrade::fifty_sagas_go_on_while_the_definition_gains_a_field())),
    ("every-right", || Box::pin(rights::each_is_needed_for_something())),
    ("namespace", || Box::pin(removal::a_namespace_goes_with_its_sagas())),
    ("audit", || Box::pin(async { rights::nothing_is_missing_and_nothing_unused() })),
    ("named-namespaces", || {
        Box::pin(removal::a_namespace_goes_where_the_operator_works_in_named_ones_alone())
    }),
    ("uninstall", || Box::pin(removal::what_is_uninstalled_leaves_sagas_that_can_be_let_go())),
    ("install-again", || Box::pin(removal::one_that_is_installed_again_goes_on())),
    ("remove-all", || Box::pin(removal::the_definition_goes_only_where_that_is_asked_for())),
];

/// The number of characters that are printed of the reason why an act failed.
const LONGEST_REASON: usize = 2000;

fn main() -> ExitCode {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    if runtime.block_on(play()) { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Returns the beginning of a reason, which says what it is about, and its end, where a program
/// says why it failed.
fn shortened(why: &str) -> String {
    let letters: Vec<char> = why.chars().collect();
    let (head, tail) = (LONGEST_REASON / 4, LONGEST_REASON * 3 / 4);
    let Some(left_out) = letters.len().checked_sub(LONGEST_REASON).filter(|left_out| *left_out > 0)
    else {
        return why.to_owned();
    };
    let text = |part: &[char]| part.iter().collect::<String>();
    let (begin, end) = (text(&letters[..head]), text(&letters[letters.len() - tail..]));
    format!("{begin} … {left_out} characters … {end}")
}

/// Runs the acts that are asked for. Returns whether all of them passed.
async fn play() -> bool {
    let wanted = std::env::var("SAGA_E2E_ACT").unwrap_or_default();
    let wanted: Vec<_> = wanted.split(',').filter(|name| !name.is_empty()).collect();
    let unknown: Vec<_> =
        wanted.iter().filter(|name| !ACTS.iter().any(|(act, _)| act == *name)).collect();
    assert!(
        unknown.is_empty(),
        "SAGA_E2E_ACT names {unknown:?}; there are {:?}",
        ACTS.iter().map(|(name, _)| name).collect::<Vec<_>>()
    );
    let (mut passed, mut failed) = (0, Vec::new());
    for (name, act) in ACTS.iter().filter(|(name, _)| wanted.is_empty() || wanted.contains(name)) {
        let begun = Instant::now();
        println!("e2e: {name} …");
        // Each act runs in its own task, so that a panic fails this act only.
        let played = tokio::spawn(act()).await;
        let took = begun.elapsed().as_secs();
        match played {
            Ok(()) => {
                passed += 1;
                println!("e2e: {name} passed ({took} s)");
            }
            Err(why) => {
                println!("e2e: {name} FAILED ({took} s)");
                failed.push(format!("{name}: {}", shortened(&why.to_string())));
            }
        }
    }
    // The failures are printed again at the end of the output.
    for why in &failed {
        println!("e2e: FAILED {why}");
    }
    println!("e2e: {passed} passed, {} failed", failed.len());
    failed.is_empty()
}
