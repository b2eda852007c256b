use super::*;

const TARGET: &str = "/v2/p/clusters/c/redistribution";

struct Bench {
    gateway: Gateway,
    start: Instant,
}

impl Bench {
    fn new() -> Self {
        let keys = HashMap::from([
            ("AK".to_owned(), Key::new("SK".to_owned(), None)),
            ("TEMPORARY".to_owned(), Key::new("SK".to_owned(), Some("token".to_owned()))),
        ]);
        let (iam, calls, lock) = (Iam::new(), Meter::default(), Duration::from_secs(300));
        Self { gateway: Gateway { keys, iam, calls, lock }, start: Instant::now() }
    }

    /// Signs with that secret and date, and sends at `second`.
    fn ask(&mut self, access: &str, secret: &str, date: &str, token: Option<&str>, second: u64) -> Result<(), Answer> {
        let mut headers = vec![("host".to_owned(), "h".to_owned()), ("x-sdk-date".to_owned(), date.to_owned())];
        headers.extend(token.map(|token| ("X-Security-Token".to_owned(), token.to_owned())));
        let signed = ["host".to_owned(), "x-sdk-date".to_owned()];
        let unsigned = Arrived { method: "POST", target: TARGET, headers: &headers, body: b"{}" };
        let signature = signature::expected(secret, date, &signature::canonical(&unsigned, &signed));
        headers.push((
            "Authorization".to_owned(),
            format!("SDK-HMAC-SHA256 Access={access}, SignedHeaders=host;x-sdk-date, Signature={signature}"),
        ));
        let arrived = Arrived { method: "POST", target: TARGET, headers: &headers, body: b"{}" };
        let time = "2024-01-01T00:00:00Z".parse().unwrap();
        let caller = self.gateway.judge(&arrived, "p", time, self.start + Duration::from_secs(second))?;
        assert_eq!(caller, Caller::Key(access.to_owned()));
        Ok(())
    }

    fn with_token(&mut self, token: &str, project: &str, time: &str) -> Result<Caller, Answer> {
        let headers = [("x-auth-token".to_owned(), token.to_owned())];
        let arrived = Arrived { method: "GET", target: TARGET, headers: &headers, body: b"" };
        self.gateway.judge(&arrived, project, time.parse().unwrap(), self.start)
    }

    fn good(&mut self, second: u64) -> Result<(), Answer> {
        self.ask("AK", "SK", "20240101T000000Z", None, second)
    }

    fn wrong(&mut self) -> Answer {
        self.ask("AK", "other", "20240101T000000Z", None, 0).unwrap_err()
    }
}

#[test]
fn a_wrong_signature_is_refused_with_an_echo_of_the_signed_text() {
    let mut bench = Bench::new();
    assert_eq!(bench.good(0), Ok(()));
    let refusal = bench.wrong();
    assert_eq!(refusal.status, 401);
    assert!(refusal.body.contains("APIGW.0301") && refusal.body.contains("canonicalRequest:POST|"), "{}", refusal.body);
}

#[test]
fn five_wrong_signatures_in_a_row_lock_the_key_and_four_do_not() {
    let mut bench = Bench::new();
    for _ in 0..4 {
        bench.wrong();
    }
    assert_eq!(bench.good(0), Ok(()));
    for _ in 0..5 {
        bench.wrong();
    }
    let locked = bench.good(299).unwrap_err();
    assert!(locked.body.contains("AK access failed to reach the limit,forbidden"), "{}", locked.body);
    assert_eq!(bench.good(300), Ok(()));
}

#[test]
fn unknown_key_missing_signature_and_stale_date_are_distinguished() {
    let mut bench = Bench::new();
    let unknown = bench.ask("NOBODY", "SK", "20240101T000000Z", None, 0).unwrap_err();
    assert!(unknown.body.contains("ak NOBODY not exist"));
    for stale in ["20240101T001501Z", "20231231T234459Z", "", "yesterday"] {
        let expired = bench.ask("AK", "SK", stale, None, 0).unwrap_err();
        assert!(
            expired.body.contains("signature expired") && expired.body.contains("server time:20240101T000000Z"),
            "{stale}"
        );
    }
    for fresh in ["20240101T001500Z", "20231231T234500Z"] {
        assert_eq!(bench.ask("AK", "SK", fresh, None, 0), Ok(()));
    }
    let none = bench.gateway.judge(
        &Arrived { method: "POST", target: TARGET, headers: &[], body: b"" },
        "p",
        Timestamp::now(),
        Instant::now(),
    );
    assert_eq!(none.unwrap_err().status, 401);
}

#[test]
fn a_temporary_key_needs_its_token() {
    let mut bench = Bench::new();
    assert_eq!(bench.ask("TEMPORARY", "SK", "20240101T000000Z", Some("token"), 0), Ok(()));
    for wrong in [None, Some("another")] {
        assert_eq!(bench.ask("TEMPORARY", "SK", "20240101T000000Z", wrong, 0).unwrap_err().status, 401);
    }
}

#[test]
fn a_429_shows_its_window_and_a_retry_after_only_if_configured() {
    for retry_after in [true, false] {
        let mut bench = Bench::new();
        bench.gateway.calls.limit = Some(Throttle { limit: 2, seconds: 10, retry_after });
        assert_eq!((bench.good(0), bench.good(1)), (Ok(()), Ok(())));
        let refusal = bench.good(4).unwrap_err();
        assert_eq!(refusal.status, 429);
        assert!(refusal.body.contains("policy user over ratelimit,limit:2,time:10 second"), "{}", refusal.body);
        let header = refusal.headers.iter().find(|(name, _)| name == "Retry-After").map(|(_, value)| value.as_str());
        assert_eq!(header, retry_after.then_some("7"));
        assert_eq!(bench.good(10), Ok(()));
    }
}

#[test]
fn a_token_is_good_for_its_project_until_its_end_or_its_revocation() {
    use crate::iam::Token;
    let mut bench = Bench::new();
    let token = |project: Option<&str>| Token {
        user: "user".into(),
        project: project.map(str::to_owned),
        expires: "2024-01-02T00:00:00Z".parse().unwrap(),
        revoked: false,
    };
    bench.gateway.iam.tokens.insert("T".into(), token(Some("p")));
    bench.gateway.iam.tokens.insert("UNSCOPED".into(), token(None));
    let refused = |answer: Result<Caller, Answer>, status: u16, code: &str| {
        let answer = answer.unwrap_err();
        assert!(answer.status == status && answer.body.contains(code), "{answer:?}");
    };
    let before = "2024-01-01T23:59:59Z";
    assert_eq!(bench.with_token("T", "P", before), Ok(Caller::User("user".into())));
    refused(bench.with_token("T", "other", before), 403, "APIGW.0306");
    refused(bench.with_token("UNSCOPED", "p", before), 403, "APIGW.0306");
    refused(bench.with_token("NONE", "p", before), 401, "decrypt token fail");
    refused(bench.with_token("T", "p", "2024-01-02T00:00:00Z"), 401, "APIGW.0307");
    bench.gateway.iam.revoke("user");
    refused(bench.with_token("T", "p", before), 401, "APIGW.0307");
}
