//! Any status that somebody may write.

use k8s_openapi::{
    api::core::v1::{ContainerState, ContainerStatus, PodCondition, PodStatus},
    apimachinery::pkg::apis::meta::v1::Time,
};
use proptest::prelude::*;

use super::*;
use crate::{
    manifest::pod_template::STEP_CONTAINER,
    objects::pod::fields::{DISRUPTION, SCHEDULED},
    text::MAX_LINE,
};

fn text() -> impl Strategy<Value = Option<String>> {
    const WORDS: [&str; 11] = [
        "{\"a\": 1}",
        "{\"a\": \"b\u{0}\"}",
        "",
        "Evicted",
        "NodeLost",
        "StartError",
        "ContainerStatusUnknown",
        "Unknown",
        "OOMKilled",
        "DeletionByPodGC",
        " Error\n",
    ];
    prop_oneof![
        Just(None),
        proptest::sample::select(&WORDS[..]).prop_map(|word| Some(word.into())),
        "\\PC{0,400}".prop_map(Some),
        ".{0,300}".prop_map(Some)
    ]
}

fn terminated() -> impl Strategy<Value = ContainerStateTerminated> {
    let code = prop_oneof![Just(0), Just(137), Just(143), any::<i32>()];
    let instant = || {
        prop_oneof![
            Just(None),
            (-60..3_i64).prop_map(|second| Some(Time(Timestamp::from_second(second).unwrap())))
        ]
    };
    (code, text(), text(), instant(), instant()).prop_map(
        |(exit_code, reason, message, started_at, finished_at)| ContainerStateTerminated {
            exit_code,
            reason,
            message,
            started_at,
            finished_at,
            ..ContainerStateTerminated::default()
        },
    )
}

fn container_states() -> impl Strategy<Value = Option<ContainerState>> {
    let waiting = proptest::option::of((text(), text())).prop_map(|both| {
        both.map(|(reason, message)| k8s_openapi::api::core::v1::ContainerStateWaiting {
            reason,
            message,
        })
    });
    let running = any::<bool>().prop_map(|is| is.then(Default::default));
    proptest::option::of((proptest::option::of(terminated()), running, waiting)).prop_map(|all| {
        all.map(|(terminated, running, waiting)| ContainerState { terminated, running, waiting })
    })
}

fn containers() -> impl Strategy<Value = Vec<ContainerStatus>> {
    let name = proptest::sample::select(&[STEP_CONTAINER, "proxy", ""][..]);
    let one = (
        name,
        container_states(),
        container_states(),
        -1..2,
        proptest::option::of(any::<bool>()),
        text(),
    )
        .prop_map(|(name, state, last_state, restart_count, started, container_id)| {
            ContainerStatus {
                name: name.into(),
                state,
                last_state,
                restart_count,
                started,
                container_id,
                ..ContainerStatus::default()
            }
        });
    proptest::collection::vec(one, 0..4)
}

fn conditions() -> impl Strategy<Value = Vec<PodCondition>> {
    let type_ = proptest::sample::select(&[DISRUPTION, SCHEDULED, "Ready"][..]);
    let value = proptest::sample::select(&["True", "False", " True", ""][..]);
    let one =
        (type_, value, text(), text()).prop_map(|(type_, status, reason, message)| PodCondition {
            type_: type_.into(),
            status: status.into(),
            reason,
            message,
            ..PodCondition::default()
        });
    proptest::collection::vec(one, 0..4)
}

fn phases() -> impl Strategy<Value = Option<String>> {
    let known =
        proptest::sample::select(&["", "Pending", "Running", "Succeeded", "Failed", "Unknown"][..]);
    prop_oneof![
        3 => known.prop_map(|phase| Some(phase.into())),
        3 => Just(Some("Failed".into())),
        1 => text()
    ]
}

prop_compose! {
    fn pods()(
        phase in phases(),
        reason in text(),
        message in text(),
        containers in proptest::option::of(containers()),
        conditions in proptest::option::of(conditions()),
        decides in proptest::option::of(proptest::sample::select(&["step", "proxy", "No \
            name"][..])),
        init in proptest::option::of(containers()),
        bound in any::<bool>(),
        deleted in any::<bool>(),
        grace in proptest::option::of(prop_oneof![Just(30), any::<i64>()]),
        finishes in text(),
    ) -> Pod {
        let mut pod = Pod::default();
        pod.metadata.deletion_grace_period_seconds = grace;
        pod.metadata.deletion_timestamp = deleted.then_some(Time(Timestamp::UNIX_EPOCH));
        let finishes = finishes.map(|said| ("saga.dev/finishes-on-sigterm".to_owned(), said));
        let decides = decides.map(|name| ("saga.dev/container".to_owned(), name.to_owned()));
        pod.metadata.annotations = Some(decides.into_iter().chain(finishes).collect());
        pod.spec = Some(k8s_openapi::api::core::v1::PodSpec {
            node_name: bound.then(|| "n1".into()),
            termination_grace_period_seconds: grace,
            ..Default::default()
        });
        pod.status = Some(PodStatus {
            phase,
            reason,
            message,
            conditions,
            container_statuses: containers,
            init_container_statuses: init,
            ..PodStatus::default()
        });
        pod
    }
}

proptest! {
    #[test]
    fn no_status_confuses_the_reader(pod in pods()) {
        let read = state(&pod, Duration::ZERO);
        prop_assert!(
            said(&read).chars().count() <= MAX_LINE && !said(&read).contains(char::is_control),
            "{read:?}"
        );
        // What shows that the container may have started is never taken for nothing, and so never
        // free of charge.
        if let ChildState::Ended(End::Failed(failure)) = &read {
            prop_assert!(failure.reached == Reached::Answer || !may_have_started(&pod), "{read:?}");
            prop_assert!(failure.reached == Reached::Nothing || !failure.disrupted, "{read:?}");
        }
        let mut stripped = pod.clone();
        strip(&mut stripped);
        prop_assert_eq!(state(&stripped, Duration::ZERO), read);
        prop_assert_eq!(gone(&stripped), gone(&pod));
        prop_assert_eq!(stuck(&stripped, Timestamp::MAX), stuck(&pod, Timestamp::MAX));
        prop_assert_eq!(held_up(&stripped), held_up(&pod));
    }
}
