//! The arguments about circuits.

use super::*;

#[test]
fn circuits_are_listed_only_where_that_is_asked_for() {
    let lists = |arguments: &[&str]| parse(arguments).unwrap().circuits_endpoint;
    assert!(!lists(&[]) && !lists(&["--circuits-endpoint=false"]));
    assert!(lists(&["--circuits-endpoint"]) && lists(&["--circuits-endpoint=true"]));
    assert!(refusal("--circuits-endpoint=yes").ends_with(
        "`yes` is neither true nor false: write true to list the circuits at /health/circuits, \
        else false"
    ));
}

#[test]
fn circuits_open_as_they_are_told_and_are_switched_off_by_0_calls() {
    let circuits = |arguments: &[&str]| parse(arguments).map(|config| config.http_circuits);
    let all = [
        "--http-circuit-calls=1",
        "--http-circuit-window=1m30s",
        "--http-circuit-unknown-percent=100",
        "--http-circuit-open=1h",
    ];
    let told = CircuitConfig {
        calls: 1,
        window: Duration::from_secs(90),
        unknown_percent: 100,
        open: Duration::from_hours(1),
    };
    assert_eq!(circuits(&all).unwrap(), Some(told));
    assert_eq!(circuits(&["--http-circuit-calls=0", "--http-circuit-open=1s"]).unwrap(), None);
    for wrong in ["-1", "", "many", "20.5", "1000001"] {
        let sentence = format!(
            "`{wrong}` is no number of calls: write a whole number from 1 to 1000000, such as 20, \
             or 0 to switch circuits off"
        );
        assert!(refusal(&format!("--http-circuit-calls={wrong}")).ends_with(&sentence), "{wrong}");
    }
    for wrong in ["0", "101", "50%", "0.5", ""] {
        let sentence =
            format!("`{wrong}` is no percentage: write a whole number from 1 to 100, such as 50");
        assert!(
            refusal(&format!("--http-circuit-unknown-percent={wrong}")).contains(&sentence),
            "{wrong}"
        );
    }
    for argument in ["--http-circuit-window", "--http-circuit-open"] {
        for wrong in ["0", "999ms", "1h1s"] {
            let sentence = format!(
                "`{wrong}` is out of bounds: write at least 1s and at most 1h; \
                 --http-circuit-calls=0 switches circuits off"
            );
            assert!(
                refusal(&format!("{argument}={wrong}")).ends_with(&sentence),
                "{argument}={wrong}"
            );
        }
        for wrong in ["30", "-30s", "soon"] {
            assert!(
                refusal(&format!("{argument}={wrong}"))
                    .contains(&format!("`{wrong}` is no duration: write a number and a unit"))
            );
        }
    }
}
