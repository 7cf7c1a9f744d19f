//! How random sagas are generated.

use proptest::prelude::*;
use saga_operator::api::{OnFailure, RequestAction};

use crate::{
    random::{Case, Kind, Meddling, Sketch, name},
    script::{
        Act, disrupted, millis, never_ends, never_starts, not_reached, says_no, seconds, stuck,
        succeeds, turned_away, unknown, unknown_but_done, vanishes,
    },
};

fn act() -> impl Strategy<Value = Act> {
    let end = prop_oneof![
        4 => Just(succeeds()),
        3 => Just(says_no()),
        1 => Just(says_no().finally()),
        1 => Just(turned_away()),
        1 => Just(not_reached()),
        1 => Just(disrupted()),
        1 => Just(unknown()),
        2 => Just(unknown_but_done()),
        1 => Just(unknown().and_wants(seconds(9))),
        1 => Just(vanishes()),
        1 => Just(vanishes().but_done()),
        1 => Just(never_ends()),
        1 => Just(never_ends().but_done()),
        1 => Just(never_starts()),
        1 => Just(stuck()),
    ];
    let takes = prop_oneof![Just(0), Just(300), Just(1000), Just(2500), Just(7000)];
    let delays =
        prop_oneof![8 => Just((0, 0)), 1 => Just((2, 0)), 1 => Just((0, 1)), 1 => Just((0, 40))];
    (end, takes, delays).prop_map(|(act, takes, (refusals, drops))| {
        act.takes(millis(takes)).refused_first(refusals).lost_first(drops)
    })
}

fn kind() -> impl Strategy<Value = Kind> {
    prop_oneof![
        4 => Just(Kind::Pod),
        4 => Just(Kind::Http),
        1 => prop_oneof![Just(None), (1..60_u8).prop_map(Some)].prop_map(Kind::Approval),
        1 => (1..30_u8).prop_map(Kind::Wait),
    ]
}

fn sketch() -> impl Strategy<Value = Sketch> {
    let shape = (
        kind(),
        any::<u16>(),
        any::<u16>(),
        prop_oneof![1 => Just(None), 3 => any::<bool>().prop_map(Some)],
    );
    let rules = (
        prop::bool::weighted(0.05),
        prop_oneof![2 => Just(None), 1 => any::<bool>().prop_map(Some)],
    );
    let limits = (1..4_i32, 1..4_i32, prop_oneof![4 => Just(None), 1 => (1..30_u8).prop_map(Some)]);
    let acts = (
        prop_oneof![2 => Just(Vec::new()), 1 => prop::collection::vec(act(), 1..6)],
        prop_oneof![2 => Just(Vec::new()), 1 => prop::collection::vec(act(), 1..4)],
    );
    (shape, rules, limits, acts).prop_map(|(shape, rules, limits, (acts, undo_acts))| {
        let (kind, some, others, undo) = shape;
        let (pivot, compensate_failed) = rules;
        let (attempts, undo_attempts, deadline) = limits;
        Sketch {
            kind,
            after: some & others,
            undo,
            pivot,
            compensate_failed,
            attempts,
            undo_attempts,
            deadline,
            acts,
            undo_acts,
        }
    })
}

fn meddling() -> impl Strategy<Value = Vec<(usize, Meddling)>> {
    let what = prop_oneof![
        2 => Just(Meddling::Delete),
        4 => Just(Meddling::Suspend),
        2 => Just(Meddling::Unsuspend),
        2 => Just(Meddling::Policy(OnFailure::Compensate)),
        2 => Just(Meddling::Policy(OnFailure::Hold)),
        1 => (1..=4_i32).prop_map(Meddling::Parallel),
        1 => Just(Meddling::Restart),
        1 => Just(Meddling::Change),
        1 => Just(Meddling::Strip),
    ];
    prop_oneof![1 => Just(Vec::new()), 1 => prop::collection::vec((0..40_usize, what), 1..5)]
}

pub fn case() -> impl Strategy<Value = Case> {
    let steps = prop::collection::vec(sketch(), 1..=12);
    let crashes =
        prop::collection::vec((0..80_usize, prop_oneof![Just(0), Just(1), Just(40)]), 0..3);
    let asks = prop_oneof![1 => Just(Vec::new()), 1 => prop::collection::vec(ask(), 1..6)];
    let within = prop_oneof![3 => Just(None), 1 => (1..60_u8).prop_map(Some)];
    (steps, (1..=4_i32, any::<bool>(), within), crashes, asks, meddling()).prop_map(
        |(steps, rules, crashes, asks, meddling)| {
            let (parallel, compensate, within) = rules;
            Case { steps, parallel, compensate, within, crashes, asks, meddling }
        },
    )
}

fn ask() -> impl Strategy<Value = (usize, RequestAction, String)> {
    let steps = prop_oneof![
        2 => Just("*".to_owned()),
        4 => prop::collection::vec((0..12_usize).prop_map(name), 1..4)
            .prop_map(|names| names.join(",")),
        1 => Just("nobody".to_owned()),
    ];
    let token = prop_oneof![3 => Just(None), 1 => (0..3_u8).prop_map(Some)];
    let reasons = prop_oneof![
        1 => Just(RequestAction::Cancel),
        1 => Just(RequestAction::Compensate),
        2 => Just(RequestAction::Pause),
        2 => Just(RequestAction::Resume),
    ];
    let action = prop_oneof![
        3 => Just(RequestAction::Retry),
        3 => Just(RequestAction::Skip),
        1 => Just(RequestAction::Approve),
        1 => Just(RequestAction::Reject),
        2 => reasons,
    ];
    (0..40_usize, action, steps, token).prop_map(|(at, action, steps, token)| {
        let value = match (action.takes_reason(), token) {
            (true, Some(token)) => format!("@t{token}: no"),
            (true, None) => "no".to_owned(),
            (false, Some(token)) => format!("{steps}@t{token}"),
            (false, None) => steps,
        };
        (at, action, value)
    })
}
