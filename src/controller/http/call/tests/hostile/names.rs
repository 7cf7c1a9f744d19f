//! Names that lead to more than one address, or elsewhere later, and answers that lead elsewhere.

use super::*;

#[tokio::test]
async fn a_name_with_one_bad_address_is_not_reached_at_its_good_one() {
    let witness = witness().await;
    let mixes: [&[&str]; 6] = [
        &["127.0.0.1", "127.0.0.2"],
        &["127.0.0.2", "127.0.0.1"],
        &["127.0.0.1", "169.254.169.254"],
        &["127.0.0.1", "::ffff:127.0.0.2"],
        &["127.0.0.1", "64:ff9b::169.254.169.254"],
        &["127.0.0.1", "127.0.0.1", "127.0.0.1", "127.0.0.1", "10.96.0.1"],
    ];
    for mix in mixes {
        let caller = caller_of(
            allowing(&["127.0.0.1/32"]),
            &NameServer::default().with("mixed.example", &[mix]),
        );
        let message =
            refusal(&caller, &format!("http://mixed.example:{}/", witness.address.port())).await;
        assert!(message.contains("may not reach"), "{mix:?}: {message}");
    }
    assert_eq!(witness.connections().await, 0);
}

/// DNS rebinding: the name leads elsewhere when it is asked for again. It is not asked again.
#[tokio::test]
async fn a_name_is_asked_for_once_and_only_that_answer_is_connected_to() {
    let good = Other::listening("127.0.0.1:0", |mut stream| async move {
        read_request(&mut stream).await;
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await;
    })
    .await;
    let port = good.address.port();
    let bad = Other::listening(&format!("127.0.0.2:{port}"), |_| async {}).await;
    let names = NameServer::default().with("rebound.example", &[&["127.0.0.1"], &["127.0.0.2"]]);
    let caller = caller_of(allowing(&["127.0.0.1/32"]), &names);
    let url = format!("http://rebound.example:{port}/");
    assert_eq!(
        call(&caller, &post(url.clone()), LONG).await.0,
        CallOutcome::Ended(End::Succeeded(None))
    );
    assert_eq!(names.asked(), 1);
    let message = refusal(&caller, &url).await;
    assert!(
        message.contains("may not reach 127.0.0.2: it is a loopback address"),
        "the next attempt asks again: {message}"
    );
    assert_eq!((good.connections().await, bad.connections().await), (1, 0));
}

#[tokio::test]
async fn no_answer_sends_the_caller_elsewhere() {
    let bad = Other::listening("127.0.0.2:0", |_| async {}).await;
    let names = NameServer::default()
        .with("first.example", &[&["127.0.0.1"]])
        .with("bad.example", &[&["127.0.0.2"]]);
    let caller = caller_of(allowing(&["127.0.0.1/32"]), &names);
    let port = bad.address.port();
    let mut asked = 0;
    for location in [
        format!("http://127.0.0.2:{port}/"),
        format!("//127.0.0.2:{port}/"),
        format!("http://bad.example:{port}/"),
        "file:///etc/passwd".into(),
    ] {
        for status in [
            "200 OK",
            "201 Created",
            "300 Multiple Choices",
            "301 Moved",
            "302 Found",
            "303 See Other",
            "305 Use Proxy",
            "307 T",
            "308 P",
        ] {
            let head = format!(
                "location: {location}\r\nrefresh: 0; url={location}\r\nalt-svc: \
                 h2=\"127.0.0.2:{port}\"\r\n"
            );
            let first =
                Other::answering(format!("HTTP/1.1 {status}\r\n{head}content-length: 0\r\n\r\n"))
                    .await;
            let (state, _) = call(
                &caller,
                &post(format!("http://first.example:{}/", first.address.port())),
                LONG,
            )
            .await;
            asked += 1;
            assert_eq!(
                state == CallOutcome::Ended(End::Succeeded(None)),
                status.starts_with('2'),
                "{state:?}"
            );
            assert_eq!(first.connections().await, 1);
        }
    }
    assert_eq!((bad.connections().await, names.asked()), (0, asked));
}
