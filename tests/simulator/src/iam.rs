//! Users, their passwords and their tokens. It must not know the use of a token, nor the wire.

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use k8s_openapi::jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::{
    address,
    answer::{Answer, Shape},
};

/// Wrong passwords in a row that lock a user.
const FAILURES: usize = 5;
const LOCK: Duration = Duration::from_secs(15 * 60);
/// Length of a token: the real ones have some thousand characters.
const TOKEN_CHARACTERS: usize = 3000;

/// A user. The password is in no Debug output.
pub struct User {
    pub domain: String,
    pub password: String,
    pub failures: usize,
    pub locked_until: Option<Instant>,
}

/// The owner of a token, and its scope.
pub struct Token {
    pub user: String,
    /// Its project, if that is its scope.
    pub project: Option<String>,
    pub expires: Timestamp,
    pub revoked: bool,
}

pub struct Iam {
    /// By name, which is unique over all domains here.
    pub users: HashMap<String, User>,
    pub tokens: HashMap<String, Token>,
}

struct Asked {
    user: String,
    password: String,
    domain: String,
    scope: Value,
}

impl Iam {
    pub fn new() -> Self {
        Self { users: HashMap::new(), tokens: HashMap::new() }
    }

    pub fn login(&mut self, target: &str, body: &[u8], time: Timestamp, now: Instant) -> Answer {
        let Some(asked) = read(body) else { return refuse(400, "Bad Request", "The request body is invalid.") };
        let wrong = refuse(401, "Unauthorized", "The username or password is wrong.");
        let Some(user) = self.users.get_mut(&asked.user).filter(|user| user.domain == asked.domain) else {
            return wrong;
        };
        if user.locked_until.is_some_and(|until| now < until) {
            return refuse(401, "Unauthorized", "The account is locked.");
        }
        if user.password != asked.password {
            user.failures += 1;
            if user.failures >= FAILURES {
                user.failures = 0;
                user.locked_until = Some(now + LOCK);
            }
            return wrong;
        }
        user.failures = 0;
        // By id, any project can be named; none is known by its name.
        let scope = &asked.scope["project"];
        let project = scope["id"].as_str().map(str::to_owned);
        if project.is_none() && !scope["name"].is_null() {
            return refuse(401, "Unauthorized", "The project does not exist.");
        }
        self.issue(&asked, project, address::parameter(target, "nocatalog").is_none_or(str::is_empty), time)
    }

    fn issue(&mut self, asked: &Asked, project: Option<String>, catalogue: bool, time: Timestamp) -> Answer {
        let expires = time.saturating_add(SignedDuration::from_hours(24)).unwrap_or(Timestamp::MAX);
        let random = || format!("{:032x}", rand::random::<u128>());
        let text: String = std::iter::repeat_with(random).take(TOKEN_CHARACTERS / 32).collect();
        let domain = json!({"id": "d78cbac186b744899480f25bd022f468", "name": asked.domain});
        let mut token = json!({
            "expires_at": text_of(expires), "issued_at": text_of(time), "methods": ["password"], "roles": [],
            "user": {"domain": domain, "id": "7116d09f88fa41908676fdd4b039e95b", "name": asked.user, "password_expires_at": ""}
        });
        if let Some(id) = &project {
            token["project"] = json!({"id": id, "name": null, "domain": domain});
        }
        if catalogue {
            let service =
                |number| json!({"id": format!("{number:032x}"), "type": format!("service{number}"), "endpoints": []});
            token["catalog"] = (0..60).map(service).collect();
        }
        let whose = Token { user: asked.user.clone(), project, expires, revoked: false };
        self.tokens.insert(text.clone(), whose);
        Answer::with_body(201, json!({"token": token}).to_string()).header("X-Subject-Token", &text)
    }

    pub fn revoke(&mut self, user: &str) {
        self.tokens.values_mut().filter(|token| token.user == user).for_each(|token| token.revoked = true);
    }
}

fn text_of(time: Timestamp) -> String {
    time.strftime("%Y-%m-%dT%H:%M:%S.%6fZ").to_string()
}

/// The user named in a login, if its body is readable.
pub fn named(body: &[u8]) -> String {
    read(body).map(|asked| asked.user).unwrap_or_default()
}

fn read(body: &[u8]) -> Option<Asked> {
    let value: Value = serde_json::from_slice(body).ok()?;
    let (identity, scope) = (&value["auth"]["identity"], value["auth"]["scope"].clone());
    if !identity["methods"].as_array()?.contains(&json!("password")) {
        return None;
    }
    let user = &identity["password"]["user"];
    let text = |value: &Value| value.as_str().map(str::to_owned);
    let (name, password) = (text(&user["name"])?, text(&user["password"])?);
    Some(Asked { user: name, password, domain: text(&user["domain"]["name"])?, scope })
}

fn refuse(status: u16, title: &str, text: &str) -> Answer {
    Answer::error(Shape::NumericCode, status, title, text)
}
