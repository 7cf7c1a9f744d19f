//! What a Pod hands on, and what is told of its log.

use super::*;

/// What a Pod that succeeded hands on, as it is and as the watch keeps it.
fn hands_on(message: &str) -> Option<Value> {
    let whole = read(in_phase("Succeeded", says(0, "Completed", message)));
    let mut stripped = whole.clone();
    strip(&mut stripped);
    let of = |pod: &Pod| {
        let ChildState::Ended(End::Succeeded(outputs)) = state(pod, Duration::ZERO) else {
            panic!("it did not succeed")
        };
        outputs.map(Value::Object)
    };
    assert_eq!(of(&stripped), of(&whole), "{message}");
    of(&whole)
}

#[test]
fn the_json_object_in_the_termination_message_is_handed_on_as_it_is() {
    let nested = json!({"tracking": {"id": "T-1", "stops": [1, 2.5, null, {"at": "Köln – 東京 \
        \u{1f4e6}"}]}, "two  spaces": "a\u{200b}b\n c"});
    assert_eq!(hands_on(&nested.to_string()), Some(nested.clone()));
    assert_eq!(hands_on(&format!("\n {nested:#} \n")), Some(nested));
    assert_eq!(hands_on("{}"), Some(json!({})));
    // Larger than any line, and as large as the kubelet keeps.
    let large = json!({"a": "x".repeat(MAX_HANDED_ON - 8)}).to_string();
    assert_eq!((large.len(), hands_on(&large).is_some()), (MAX_HANDED_ON, true));
}

#[test]
fn what_is_no_json_object_or_only_a_part_of_one_is_not_handed_on() {
    let whole = json!({"text": "é".repeat(MAX_HANDED_ON)}).to_string();
    // The kubelet keeps the end of a file, and where a Pod has many containers the beginning of
    // that.
    let (first, last) = whole.split_at(whole.floor_char_boundary(MAX_HANDED_ON));
    let last = &last[last.ceil_char_boundary(last.len().saturating_sub(MAX_HANDED_ON))..];
    let deep = format!("{{\"a\":{}{}}}", "[".repeat(1000), "]".repeat(1000));
    let others = [
        "",
        " ",
        "done",
        "42",
        "null",
        "[1]",
        "\"text\"",
        "{\"a\": 1} and more",
        "{\"a\": \"line\nbreak\"}",
        "{a: 1}",
    ];
    for message in others.into_iter().chain([first, last, &whole]) {
        assert_eq!(hands_on(message), None, "{message}");
    }
    // It was meant to be handed on: whoever takes it must be able to tell.
    assert!(
        crate::api::json::depth(&hands_on(&deep).unwrap()) > crate::api::json::MAX_OUTPUT_DEPTH
    );
}

#[test]
fn a_container_that_failed_hands_nothing_on() {
    let said = fails(says(3, "Error", "{\"a\": 1}"));
    assert!(fits(&state(&read(said), Duration::ZERO), &Answer("exit code 3 (Error): {\"a\": 1}")));
}

#[test]
fn of_a_long_log_the_end_is_told_and_the_reason_always() {
    let log = format!("{}panicked: no such order\n", "trying once more\n".repeat(120));
    let no_room = "The node was low on resource: memory. ".repeat(20);
    let mut evicted = fails_by("Evicted", says(143, "Error", &log));
    evicted["status"]["message"] = json!(no_room);
    let cases = [
        (fails(says(1, "Error", &log)), "exit code 1 (Error): …"),
        (fails(says(137, "OOMKilled", &log)), "exit code 137 (OOMKilled): …"),
        (
            evicted,
            "was ended with exit code 143 and may have done its work: Evicted: The node was low \
             on resource",
        ),
        (
            fails_by("DeadlineExceeded", says(143, "Error", &log)),
            "was ended with exit code 143 and may have done its work: DeadlineExceeded: see node; \
             Error: …",
        ),
    ];
    for (value, begins) in cases {
        let state = state(&read(value), Duration::ZERO);
        let words = said(&state);
        assert!(
            words.starts_with(begins)
                && words.ends_with("trying once more panicked: no such order"),
            "{words}"
        );
    }
}
