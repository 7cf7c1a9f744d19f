//! The limits on HTTP requests in flight.

use super::*;

fn limits(arguments: &[&str]) -> Result<CallLimits, String> {
    parse(arguments).map(|config| config.http_calls)
}

#[test]
fn calls_are_limited_as_told() {
    let told = CallLimits { per_host: 1, per_namespace: 1, total: 65_536 };
    assert_eq!(
        limits(&["--http-calls-per-host=1", "--http-calls-per-namespace=1", "--http-calls=65536"]),
        Ok(told)
    );
    for argument in ["--http-calls-per-host", "--http-calls-per-namespace", "--http-calls"] {
        for wrong in ["0", "-1", "", "many", "1.5", "65537"] {
            let sentence = format!(
                "`{wrong}` is no number of calls: write a whole number from 1 to 65536, such as 64"
            );
            assert!(refusal(&format!("{argument}={wrong}")).ends_with(&sentence), "{wrong}");
        }
    }
}

#[test]
fn a_limit_that_can_never_be_reached_is_refused() {
    assert_eq!(
        limits(&["--http-calls-per-host=65"]).unwrap_err(),
        "--http-calls-per-host is 65 and can never be reached, because --http-calls-per-namespace \
         is 64: write at most 64, or raise --http-calls-per-namespace"
    );
    assert_eq!(
        limits(&["--http-calls-per-namespace=1025"]).unwrap_err(),
        "--http-calls-per-namespace is 1025 and can never be reached, because --http-calls is \
         1024: write at most 1024, or raise --http-calls"
    );
}
