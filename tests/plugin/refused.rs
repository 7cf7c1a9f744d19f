//! Tests of what cannot be simulated: the message says where the mistake is, what it is, and what
//! to write instead.

use insta::assert_snapshot;

use crate::simulate;

const SAGA: &str = "
apiVersion: saga.dev/v1alpha1
kind: Saga
metadata: {name: order-1}
spec:
  steps:
    - name: reserve
      http: {method: POST, url: http://shop.svc/reserve}
    - name: agree
      dependsOn: [reserve]
      approval: {}
    - name: ship
      dependsOn: [agree]
      pod: {image: ship:1}
      compensation: {pod: {image: unship:1}}
";

/// Returns the error output for a command line or a file that is refused.
fn refused(code: i32, arguments: &[&str], input: &str) -> String {
    let said = simulate(&[&["-f", "-"], arguments].concat(), input);
    assert_eq!((said.code, said.output.as_str()), (code, ""), "{}", said.errors);
    said.errors
}

#[test]
fn a_saga_that_is_not_valid_is_told_with_all_its_faults() {
    let faulty = SAGA
        .replace("dependsOn: [agree]", "dependsOn: [agre]\n      timeout: 0s")
        .replace("kind: Saga", "kind: Saga\nspek: 1");
    assert_snapshot!(refused(1, &[], &faulty));
    assert_snapshot!(refused(
        1,
        &[],
        &SAGA.replace("POST", "POSTT").replace("metadata: {name: order-1}", "metadata: {nam: x}")
    ));
}

#[test]
fn what_is_no_saga_is_told() {
    assert_snapshot!(refused(
        1,
        &[],
        &format!("{SAGA}---\napiVersion: v1\nkind: ConfigMap\nmetadata: {{name: a}}\n")
    ));
    assert_snapshot!(refused(1, &[], "a: 1"));
    assert_snapshot!(refused(1, &[], "[1, 2]"));
    assert_snapshot!(refused(1, &[], &SAGA.replace("v1alpha1", "v1")));
    assert_snapshot!(refused(1, &[], ""));
    let said = refused(1, &[], "a: [");
    assert!(said.starts_with("error: standard input: it is neither YAML nor JSON: "), "{said}");
    let said = refused(
        1,
        &[],
        &SAGA.replace(
            "    - name: agree",
            "      http: {method: GET, url: http://a}\n    - name: agree",
        ),
    );
    assert!(said.contains("duplicate"), "{said}");
}

#[test]
fn a_file_that_is_not_there_is_told() {
    let said = simulate(&["-f", "no/such/file.yaml"], "");
    assert_eq!(said.code, 1);
    assert!(
        said.errors.starts_with("error: cannot read no/such/file.yaml: No such file"),
        "{}",
        said.errors
    );
}

#[test]
fn a_step_that_is_named_is_there_and_can_end_so() {
    assert_snapshot!(refused(2, &["--fail", "shipp"], SAGA));
    assert_snapshot!(refused(2, &["--unknown", "reserve/compensation"], SAGA));
    assert_snapshot!(refused(2, &["--takes", "agree=5s"], SAGA));
    assert_snapshot!(refused(2, &["--fail", "ship:1", "--unknown", "ship"], SAGA));
}

#[test]
fn a_command_line_that_cannot_be_meant_says_what_to_write() {
    for (arguments, says) in [
        (["--fail", "ship:0"], "write ship:2 for the first two"),
        (["--takes", "ship=soon"], "is not a duration: write a number and a unit"),
        (
            ["--request", "5s retri=ship"],
            "there are cancel, settle, compensate, pause, resume, reject, approve, skip, retry",
        ),
        (["--request", "retry=ship"], "write when and what"),
        (["--colour", "never"], "unexpected argument '--colour'"),
    ] {
        let said = refused(2, &arguments, SAGA);
        assert!(said.contains(says), "{said}");
    }
    let said = simulate(&[], "");
    assert_eq!(said.code, 2);
    assert!(said.errors.contains("--filename <FILE>"), "{}", said.errors);
}
