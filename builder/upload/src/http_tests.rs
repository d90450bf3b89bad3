use super::*;

#[test]
fn hosts_and_loopback() {
    assert_eq!(host_of("a.example:80/x?y"), "a.example:80");
    assert_eq!(host_of("user:word@a.example/x"), "a.example");
    for (host, local) in [
        ("127.0.0.1:80", true),
        ("localhost", true),
        ("[::1]:80", true),
        ("127.0.0.1.example.org", false),
        ("10.0.0.1", false),
        ("", false),
    ] {
        assert_eq!(is_loopback(host), local, "{host}");
    }
    assert_eq!(encode("a b/ü~"), "a%20b%2F%C3%BC~");
    assert_eq!(encode_path("a b/c"), "a%20b/c");
}

#[test]
fn credentials_do_not_go_into_a_network_in_clear() {
    let http = Http::new(None, false, Patience { tries: 1, ..Patience::default() }).unwrap();
    let error = http.fetch("x", Request::new("GET", "http://192.0.2.1/")).unwrap_err();
    assert!(error.to_string().contains("192.0.2.1"), "{error}");
    assert!(error.is_input());
}

#[test]
fn complaints_of_every_cloud() {
    let answer = |status, body: &str| Response {
        status,
        headers: BTreeMap::new(),
        body: body.as_bytes().to_vec(),
    };
    for (status, body, code, message) in [
        (
            403,
            "<Error><Code>AccessDenied</Code><Message>No</Message><StringToSign>secret</StringToSign></Error>",
            "AccessDenied",
            "No",
        ),
        (400, r#"{"__type":"ValidationException","message":"bad"}"#, "ValidationException", "bad"),
        (404, r#"{"error":{"code":404,"message":"gone","title":"Not Found"}}"#, "404", "gone"),
        (401, r#"{"error":{"code":"unauthorized","message":"who"}}"#, "unauthorized", "who"),
        (400, r#"{"error":"invalid_grant","error_description":"old"}"#, "", "old"),
        (422, r#"{"id":"unprocessable_entity","message":"x"}"#, "unprocessable_entity", "x"),
        (500, "<html>secret</html>", "", ""),
        (500, "secret", "", ""),
    ] {
        assert_eq!(
            answer(status, body).complaint(),
            (code.to_owned(), message.to_owned()),
            "{body}"
        );
    }
    let expired = answer(400, "<Error><Code>ExpiredToken</Code></Error>").refused("x");
    assert!(matches!(expired, UploadError::Expired { .. }) && expired.is_resumable());
    let quota = answer(413, r#"{"message":"quota"}"#).refused("x");
    assert!(quota.hint().unwrap().contains("--prune") && !quota.is_resumable());
    assert!(answer(400, r#"{"__type":"RequestThrottledException"}"#).is_transient());
    assert!(!answer(400, r#"{"__type":"ValidationException"}"#).is_transient());
}
