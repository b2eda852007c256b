use super::*;

fn user() -> User {
    User { name: "project-bot".to_owned(), password: "p\"ä".to_owned().into(), domain: "locksmith".to_owned() }
}

fn now() -> Timestamp {
    "2026-12-01T18:00:00Z".parse().unwrap()
}

fn reply(status: u16, body: &str, date: Option<&str>) -> Reply {
    let body = Body::Complete(body.as_bytes().to_vec());
    let date = date.map(str::to_owned);
    let retry_after = Some("7".to_owned());
    Reply { status, date, retry_after, request_id: None, encoding: None, redirect: None, body }
}

fn answer(status: u16, body: &str) -> Login {
    read(&reply(status, body, None), Some("canary".to_owned().into()), &user(), now())
}

fn refusal(status: u16, text: &str) -> Login {
    answer(status, &json!({"error": {"code": status, "message": text, "title": "x"}}).to_string())
}

#[test]
fn a_login_requests_one_project_in_the_documented_form() {
    let body: Value = serde_json::from_str(&login_body(&user(), "89cd04f168b84af6be287f71730fdb4b")).unwrap();
    let user = json!({"name": "project-bot", "password": "p\"ä", "domain": {"name": "locksmith"}});
    let expected = json!({"auth": {
        "identity": {"methods": ["password"], "password": {"user": user}},
        "scope": {"project": {"id": "89cd04f168b84af6be287f71730fdb4b"}}
    }});
    assert_eq!(body, expected);
}

#[test]
fn the_lifetime_of_a_token_is_by_the_clock_of_iam_and_at_most_a_day() {
    for (issued, expires, seconds) in [
        (Some("2020-01-01T00:00:00.000000Z"), "2020-01-02T00:00:00.574000Z", 86_400),
        (Some("2020-01-01T00:00:00Z"), "2020-01-01T00:01:00Z", 60),
        (Some("2020-01-01T00:00:00Z"), "2030-01-01T00:00:00Z", 86_400),
        (Some("2020-01-01T00:00:00Z"), "2019-01-01T00:00:00Z", 0),
        (None, "2026-12-01T19:00:00Z", 3600),
    ] {
        let body = json!({"token": {"issued_at": issued, "expires_at": expires}}).to_string();
        let Ok((token, life)) = answer(201, &body) else { panic!("no token: {body}") };
        assert_eq!((token.expose_secret(), life.as_secs()), ("canary", seconds));
    }
    for body in ["", "{}", r#"{"token": {}}"#, r#"{"token": {"expires_at": "soon"}}"#, "[]"] {
        assert!(matches!(answer(201, body), Err(LoginFailure::Unreadable(_))), "{body}");
    }
}

#[test]
fn the_lifetime_of_an_older_token_counts_from_the_answer() {
    let day = json!({"issued_at": "2020-01-01T00:00:00Z", "expires_at": "2020-01-02T00:00:00Z"});
    let no_issue = json!({"expires_at": "2020-01-02T00:00:00Z"});
    for (token, date, seconds) in [
        (&day, "Wed, 01 Jan 2020 23:00:00 GMT", 3600),
        (&day, "Tue, 31 Dec 2019 00:00:00 GMT", 86_400),
        (&day, "soon", 86_400),
        (&no_issue, "Wed, 01 Jan 2020 23:00:00 GMT", 3600),
    ] {
        let reply = reply(201, &json!({"token": token}).to_string(), Some(date));
        assert_eq!(life(&reply, now()), Some(Duration::from_secs(seconds)), "{date}");
    }
}

#[test]
fn a_refusal_is_read_by_whole_words_without_the_users_names() {
    let read_with = |name: &str, domain: &str, text: &str| {
        let user = User { name: name.to_owned(), domain: domain.to_owned(), ..user() };
        let body = json!({"error": {"code": 401, "message": text, "title": "x"}}).to_string();
        read(&reply(401, &body, None), None, &user, now())
    };
    for text in ["The user is blocked", "Unlock it first", "The projector is off", "Telescope"] {
        assert!(matches!(read_with("u", "d", text), Err(LoginFailure::Wrong)), "{text}");
    }
    for name in ["o", "l", "ock", "the", "account", "lock"] {
        assert!(matches!(read_with(name, name, "The account is LOCKED."), Err(LoginFailure::Locked)), "{name}");
        assert!(matches!(read_with(name, "project", "The project's scope"), Err(LoginFailure::Project(401))), "{name}");
    }
    for text in ["user lock of project is unknown", "project/lock: wrong", "lock, lock"] {
        assert!(matches!(read_with("lock", "project", text), Err(LoginFailure::Wrong)), "{text}");
    }
    assert!(matches!(read_with("", "", "locked"), Err(LoginFailure::Locked)));
}

#[test]
fn a_refusal_means_a_wrong_password_unless_it_names_a_lock_or_project() {
    for text in ["The username or password is wrong.", "Unauthorized.", "", "project-bot of locksmith is unknown"] {
        assert!(matches!(refusal(401, text), Err(LoginFailure::Wrong)), "{text}");
    }
    assert!(matches!(answer(401, "<html>"), Err(LoginFailure::Wrong)));
    assert!(matches!(refusal(401, "The account is locked."), Err(LoginFailure::Locked)));
    for status in [400, 401, 404] {
        assert!(
            matches!(refusal(status, "The project does not exist."), Err(LoginFailure::Project(code)) if code == status)
        );
    }
    assert!(matches!(refusal(401, "User x has no access to project y"), Err(LoginFailure::Project(401))));
}

#[test]
fn every_other_answer_has_its_own_result() {
    assert!(matches!(refusal(403, "Forbidden"), Err(LoginFailure::Forbidden)));
    assert!(matches!(refusal(429, "IAM.0012"), Err(LoginFailure::Throttled(wait)) if wait == Duration::from_secs(7)));
    for status in [400, 404, 405, 413] {
        assert!(matches!(refusal(status, "x"), Err(LoginFailure::Refused(code)) if code == status));
    }
    for status in [500, 502, 503, 504, 999] {
        assert!(matches!(refusal(status, "x"), Err(LoginFailure::Failed(code)) if code == status));
    }
    for status in [200, 204, 302, 307] {
        assert!(matches!(refusal(status, "x"), Err(LoginFailure::Unreadable(_))), "{status}");
    }
}

#[test]
fn a_token_that_fits_in_no_header_is_ignored() {
    let read_with = |value: HeaderValue| token(&HeaderMap::from_iter([("x-subject-token".parse().unwrap(), value)]));
    assert!(read_with(HeaderValue::from_static("MIIE")).is_some());
    for bad in ["", "a b", &"x".repeat(MAX_TOKEN + 1)] {
        assert!(read_with(bad.parse().unwrap()).is_none());
    }
    let secret = format!("{:?}", Login::Ok(("canary".to_owned().into(), Duration::ZERO)));
    assert!(!secret.contains("canary"), "{secret}");
}
