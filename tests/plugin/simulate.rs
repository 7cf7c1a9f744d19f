//! Tests of what a user sees of a saga that was never created.

use insta::assert_snapshot;

use crate::{report, simulate};

/// A saga that needs an approval, waits for a minute, and ships.
const RELEASE: &str = "
apiVersion: saga.dev/v1alpha1
kind: Saga
metadata: {name: release-7, namespace: shop}
spec:
  onFailure: Compensate
  maxParallel: 2
  steps:
    - name: prepare
      http: {method: POST, url: http://shop.svc/prepare}
      compensation: {http: {method: POST, url: http://shop.svc/undo}}
    - name: agree
      dependsOn: [prepare]
      approval: {message: Ship it?}
    - name: cool-down
      dependsOn: [prepare]
      wait: {for: 1m}
    - name: ship
      dependsOn: [agree, cool-down]
      timeout: 5s
      retry: {maxAttempts: 3, backoff: {type: Linear, initialDelay: 2s}}
      pod: {image: ship:1}
";

fn release(arguments: &[&str]) -> String {
    report(&[&["-f", "-"], arguments].concat(), RELEASE)
}

fn example(file: &str, arguments: &[&str]) -> String {
    report(&[&["-f", &format!("examples/{file}")], arguments].concat(), "")
}

#[test]
fn an_order_goes_through() {
    assert_snapshot!(example("order-checkout.yaml", &["--outputs", r#"ship={"tracking": "T-1"}"#]));
}

#[test]
fn what_fails_for_good_has_all_before_it_undone() {
    assert_snapshot!(example(
        "order-checkout-failing.yaml",
        &["--fail", "ship", "--takes", "ship=90s"]
    ));
}

#[test]
fn a_held_saga_waits_for_a_person_who_tries_again() {
    assert_snapshot!(example("order-checkout-held.yaml", &["--fail", "charge-card:1"]));
    assert_snapshot!(example(
        "order-checkout-held.yaml",
        &["--fail", "charge-card:1", "--request", "10s retry=charge-card"]
    ));
}

#[test]
fn a_job_runs_and_is_stopped_as_a_pod_is() {
    let job = "job: {spec: {template: {spec: {containers: [{name: a, image: proxy:1}, {name: \
        step, image: ship:1}]}}}}";
    let said = report(
        &["-f", "-", "--request", "2s approve=agree", "--takes", "ship=1h"],
        &RELEASE.replace("pod: {image: ship:1}", job),
    );
    assert!(
        said.contains("attempt 1 begins (job ship:1)") && said.contains("attempt 1 is stopped"),
        "{said}"
    );
}

#[test]
fn what_is_unknown_is_tried_again_and_then_undone() {
    assert_snapshot!(example("order-checkout-retrying.yaml", &["--unknown", "charge-card"]));
}

#[test]
fn a_compensation_that_fails_waits_and_the_rest_is_undone() {
    let arguments = [
        "--fail",
        "ship",
        "--fail",
        "charge-card/compensation",
        "--request",
        "30s skip=charge-card",
    ];
    assert_snapshot!(example("order-checkout-failing.yaml", &arguments));
}

#[test]
fn an_approval_waits_until_it_is_answered() {
    assert_snapshot!(release(&[]));
    assert_snapshot!(release(&["--request", "2m saga.dev/approve=agree"]));
    assert_snapshot!(release(&["--request", "10s reject=agree"]));
}

#[test]
fn an_attempt_that_takes_too_long_is_stopped() {
    assert_snapshot!(release(&[
        "--request",
        "2s approve=agree",
        "--takes",
        "ship=1h",
        "--takes",
        "prepare=31s"
    ]));
}

#[test]
fn a_saga_is_paused_suspended_and_deleted() {
    assert_snapshot!(release(&[
        "--request",
        "0s pause=the shop is closed",
        "--request",
        "1h resume=it is open"
    ]));
    assert_snapshot!(release(&[
        "--request",
        "0s suspend",
        "--request",
        "5m unsuspend",
        "--request",
        "6m delete",
        "--request",
        "7m delete"
    ]));
    assert_snapshot!(release(&[
        "--request",
        "10s cancel=no longer wanted",
        "--request",
        "11s retry=shipp"
    ]));
}

#[test]
fn a_request_that_stands_in_the_file_is_judged_as_one_held_in_git() {
    let annotated = RELEASE
        .replace("namespace: shop}", "namespace: shop, annotations: {saga.dev/pause: because}}");
    assert_snapshot!(report(&["-f", "-", "--request", "5s approve=agree"], &annotated));
}

#[test]
fn several_sagas_are_simulated_one_after_the_other() {
    let other =
        RELEASE.replace("release-7", "release-8").replace("name: ship\n", "name: publish\n");
    let said = report(
        &["-f", "-", "--fail", "publish", "--request", "2s approve=agree"],
        &format!("---\n{RELEASE}---\n{other}"),
    );
    let ends: Vec<_> = said
        .lines()
        .filter(|line| line.starts_with("release-") || line.starts_with("phase"))
        .collect();
    assert_eq!(
        ends,
        [
            "release-7 in namespace shop, from 2026-01-01T00:00:00Z",
            "phase          Completed",
            "release-8 in namespace shop, from 2026-01-01T00:00:00Z",
            "phase          Compensated",
        ]
    );
}

#[test]
fn a_compensation_that_may_fail_without_outputs_is_warned_of() {
    let reading = RELEASE.replace(
        "http: {method: POST, url: http://shop.svc/undo}",
        "http: {method: POST, url: http://shop.svc/undo, body: {id: '${outputs.id}'}}",
    );
    let said = simulate(
        &["-f", "-", "--request", "2s approve=agree"],
        &reading.replace(
            "url: http://shop.svc/prepare}",
            "url: http://shop.svc/prepare}\n      outputs: {id: '${response.body.id}'}",
        ),
    );
    assert_eq!(said.code, 0, "{}", said.errors);
    assert_snapshot!(said.errors);
}

#[test]
fn json_is_yaml() {
    let saga: serde_json::Value = serde_saphyr::from_str(RELEASE).unwrap();
    assert_eq!(report(&["-f", "-"], &saga.to_string()), release(&[]));
}

#[test]
fn a_saga_that_ended_is_deleted_in_its_time() {
    let kept = RELEASE.replace("maxParallel: 2", "ttlSecondsAfterFinished: 3600");
    let said = report(&["-f", "-", "--request", "2s approve=agree"], &kept);
    assert!(said.contains("+1h01m") && said.ends_with("The saga is gone.\n"), "{said}");
}

#[test]
fn a_run_that_does_not_rest_is_given_up() {
    // A budget has at most 1,000 attempts, and so many are fewer than these moves.
    let steps: String = ('a'..='h').fold(String::new(), |steps, name| {
        steps + &format!("    - {{name: {name}, pod: {{image: \"ship:1\"}}}}\n")
    });
    let endless = format!(
        "apiVersion: saga.dev/v1alpha1\nkind: Saga\nmetadata: {{name: release-7, namespace: \
         shop}}\nspec:\n  maxParallel: 8\n  defaults: {{retry: {{maxAttempts: 1000}}}}\n  \
         steps:\n{steps}"
    );
    let fails = ["a", "b", "c", "d", "e", "f", "g", "h"].map(|step| ["--fail", step]);
    let said = report(&[&["-f", "-"][..], fails.as_flattened()].concat(), &endless);
    assert!(
        said.ends_with(
            "Given up after 20000 moves of the simulated world: the saga has not \
            ended.\n"
        ),
        "{}",
        &said[said.len() - 500..]
    );
    assert!(said.lines().count() < 20_100);
}

#[test]
fn a_status_in_the_file_is_not_read_and_that_is_said() {
    let said = simulate(&["-f", "-"], &format!("{RELEASE}status: {{phase: Completed}}\n"));
    assert_eq!((said.code, said.output), (0, release(&[])));
    assert_eq!(
        said.errors,
        "note: release-7: its status is ignored, and the simulation starts before the first step\n"
    );
}

#[test]
fn nothing_of_a_saga_reaches_the_terminal_but_its_words() {
    let coloured = RELEASE.replace("Ship it?", "\"\\e[31mShip\\nit\\e[0m\"");
    let said = report(&["-f", "-"], &coloured);
    assert!(said.contains("[31mShip it"), "{said}");
    assert!(said.chars().all(|letter| letter == '\n' || !letter.is_control()), "{said:?}");
}
