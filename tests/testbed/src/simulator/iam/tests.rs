use super::*;

const TARGET: &str = "/v3/auth/tokens?nocatalog=true";

struct Bench {
    iam: Iam,
    start: Instant,
}

impl Bench {
    fn new() -> Self {
        let seconds = Duration::from_secs;
        let mut iam = Iam::new(seconds(900), seconds(86400));
        let user = User { domain: "domain".into(), password: "right".into(), failures: 0, locked_until: None };
        iam.users.insert("user".into(), user);
        iam.projects.insert("lab".into(), "p".into());
        Self { iam, start: Instant::now() }
    }

    fn login(&mut self, target: &str, user: [&str; 3], scope: &Value, second: u64) -> Answer {
        let [domain, name, password] = user;
        let user = json!({"name": name, "password": password, "domain": {"name": domain}});
        let identity = json!({"methods": ["password"], "password": {"user": user}});
        let body = json!({"auth": {"identity": identity, "scope": scope}}).to_string();
        assert_eq!(named(body.as_bytes()), name);
        let now = self.start + Duration::from_secs(second);
        self.iam.login(target, body.as_bytes(), "2024-01-01T00:00:00Z".parse().unwrap(), now)
    }

    fn with(&mut self, password: &str, second: u64) -> Answer {
        self.login(TARGET, ["domain", "user", password], &json!({"project": {"id": "p"}}), second)
    }

    fn scoped(&mut self, scope: &Value) -> Option<String> {
        let answer = self.login(TARGET, ["domain", "user", "right"], scope, 0);
        assert_eq!(answer.status, 201, "{answer:?}");
        self.iam.tokens[token_of(&answer)].project.clone()
    }
}

fn token_of(answer: &Answer) -> &str {
    &answer.headers.iter().find(|(name, _)| name == "X-Subject-Token").unwrap().1
}

#[test]
fn a_right_password_gets_a_token_for_its_project_that_tells_its_end() {
    let mut bench = Bench::new();
    let answer = bench.with("right", 0);
    assert_eq!(answer.status, 201);
    let body: Value = serde_json::from_str(&answer.body).unwrap();
    assert_eq!(body["token"]["expires_at"], "2024-01-02T00:00:00.000000Z");
    assert_eq!((&body["token"]["project"]["id"], &body["token"]["project"]["name"]), (&json!("p"), &json!("lab")));
    assert_eq!(body["token"].get("catalog"), None);
    let token = &bench.iam.tokens[token_of(&answer)];
    assert_eq!((token.user.as_str(), token.project.as_deref()), ("user", Some("p")));
    bench.iam.whole_seconds = true;
    bench.iam.lifetime = Duration::from_secs(60);
    let second = bench.with("right", 0);
    assert!(second.body.contains(r#""expires_at":"2024-01-01T00:01:00Z""#), "{}", second.body);
    assert_ne!(token_of(&answer), token_of(&second));
    assert!(!bench.iam.tokens[token_of(&answer)].revoked, "a new token ends no older one");
}

#[test]
fn a_project_is_given_by_id_or_name_or_the_token_has_none() {
    let mut bench = Bench::new();
    assert_eq!(bench.scoped(&json!({"project": {"id": "any"}})).as_deref(), Some("any"));
    assert_eq!(bench.scoped(&json!({"project": {"name": "lab"}})).as_deref(), Some("p"));
    assert_eq!(bench.scoped(&json!({"domain": {"name": "domain"}})), None);
    assert_eq!(bench.scoped(&Value::Null), None);
    let unknown = bench.login(TARGET, ["domain", "user", "right"], &json!({"project": {"name": "nowhere"}}), 0);
    assert_eq!(unknown.status, 401);
}

#[test]
fn wrong_password_wrong_domain_and_unknown_user_look_the_same() {
    let mut bench = Bench::new();
    let scope = json!({"project": {"id": "p"}});
    let expected =
        json!({"error": {"code": 401, "message": "The username or password is wrong.", "title": "Unauthorized"}});
    for user in [["domain", "user", "wrong"], ["other", "user", "right"], ["domain", "nobody", "right"]] {
        let answer = bench.login(TARGET, user, &scope, 0);
        assert_eq!((answer.status, serde_json::from_str::<Value>(&answer.body).unwrap()), (401, expected.clone()));
    }
    assert_eq!(bench.iam.tokens.len(), 0);
}

#[test]
fn five_wrong_passwords_in_a_row_lock_the_user_and_four_do_not() {
    let mut bench = Bench::new();
    for _ in 0..4 {
        bench.with("wrong", 0);
    }
    assert_eq!(bench.with("right", 0).status, 201);
    for _ in 0..5 {
        assert_eq!(bench.with("wrong", 0).status, 401);
    }
    let locked = bench.with("right", 899);
    assert!(locked.status == 401 && locked.body.contains("locked"), "{locked:?}");
    assert_eq!(bench.with("right", 900).status, 201);
}

#[test]
fn the_catalogue_can_be_declined_and_other_bodies_are_refused() {
    let mut bench = Bench::new();
    let scope = json!({"project": {"id": "p"}});
    for target in ["/v3/auth/tokens", "/v3/auth/tokens?nocatalog="] {
        let answer = bench.login(target, ["domain", "user", "right"], &scope, 0);
        assert!(answer.body.contains("catalog"), "{target}");
    }
    for body in ["", "{}", r#"{"auth":{"identity":{"methods":["token"]}}}"#] {
        let answer = bench.iam.login(TARGET, body.as_bytes(), Timestamp::UNIX_EPOCH, bench.start);
        assert_eq!(answer.status, 400, "{body}");
    }
}
