use super::*;
use crate::resource::Reason;

fn data(pairs: &[(&str, &str)]) -> Data {
    pairs.iter().map(|(key, value)| ((*key).to_owned(), value.as_bytes().to_vec())).collect()
}

fn now() -> Timestamp {
    "2026-12-01T18:00:00Z".parse().unwrap()
}

fn read(pairs: &[(&str, &str)]) -> Result<Pair, CredentialsError> {
    parse(&data(pairs), "Secret team/dws", now(), Duration::from_secs(120)).map(pair)
}

fn pair(account: Account) -> Pair {
    let Account::Pair(pair) = account else { panic!("no access key") };
    pair
}

const GOOD: [(&str, &str); 2] = [("accessKey", "AK"), ("secretKey", "SK")];

#[test]
fn a_trailing_newline_is_cut_and_nothing_else() {
    let key = read(&[("accessKey", "AK\n"), ("secretKey", "SK\r\n"), ("securityToken", "T")]).unwrap();
    assert_eq!((key.access.as_str(), key.secret.expose_secret()), ("AK", "SK"));
    assert_eq!(key.token.unwrap().expose_secret(), "T");
    for bad in ["SK\n\n", " SK", "S K", "SK\0", "", "\n", "ключ"] {
        let error = read(&[("accessKey", "AK"), ("secretKey", bad)]).unwrap_err();
        assert_eq!(error.reason(), Some(Reason::CredentialsInvalid), "{bad:?}");
        assert!(error.to_string().contains("Secret team/dws: secretKey"), "{error}");
    }
}

#[test]
fn what_is_missing_is_named_and_no_value_is_shown() {
    for (missing, present) in [("accessKey", ("secretKey", "canary")), ("secretKey", ("accessKey", "canary"))] {
        let error = read(&[present]).unwrap_err().to_string();
        assert!(error.contains(&format!("{missing} is missing")) && !error.contains("canary"), "{error}");
    }
    assert!(matches!(read(&[("accessKey", "A,B"), ("secretKey", "SK")]), Err(CredentialsError::Invalid { .. })));
}

#[test]
fn a_temporary_key_must_outlive_the_call() {
    let expiring = |at: &str| read(&[GOOD[0], GOOD[1], ("expiresAt", at)]);
    assert!(expiring("2026-12-01T18:02:00Z").is_ok());
    assert!(expiring("2026-12-01T18:02:00.574000Z").is_ok(), "with a fraction too");
    assert_eq!(expiring("2026-12-01T18:01:59Z").unwrap_err().reason(), Some(Reason::CredentialsExpired));
    assert_eq!(expiring("2020-01-01T00:00:00Z").unwrap_err().reason(), Some(Reason::CredentialsExpired));
    assert_eq!(expiring("soon").unwrap_err().reason(), Some(Reason::CredentialsInvalid));
}

#[test]
fn nothing_about_a_key_can_be_printed() {
    let key =
        read(&[("accessKey", "canary-access"), ("secretKey", "canary-secret"), ("securityToken", "canary-token")])
            .unwrap();
    let shown = format!("{key:?} {:?}", KeyIdentity::from([7; 32]));
    assert!(!shown.contains("canary"), "{shown}");
}

fn ladder(own_for: &[&str]) -> Ladder {
    let service = tower::service_fn(|_: http::Request<kube::client::Body>| async {
        Ok::<_, std::io::Error>(http::Response::new(kube::client::Body::empty()))
    });
    let own_for: Vec<_> = own_for.iter().map(|&namespace| namespace.to_owned()).collect();
    Ladder::new(Client::new(service, "default"), None, &own_for, Duration::from_secs(60))
}

#[tokio::test]
async fn one_rung_is_chosen_by_annotation_then_namespace_then_default() {
    let secret = |name: &str| Rung::Secret { namespace: "team".to_owned(), name: name.to_owned() };
    assert_eq!(ladder(&["*"]).choose(Some("named"), "team"), secret("named"));
    assert_eq!(ladder(&["team"]).choose(None, "team"), Rung::Controller);
    assert_eq!(ladder(&["*"]).choose(None, "team"), Rung::Controller);
    assert_eq!(ladder(&["other"]).choose(None, "team"), secret(DEFAULT_SECRET));
    assert_eq!(ladder(&[]).choose(None, "team"), secret(DEFAULT_SECRET));
    assert_eq!(
        (Rung::Controller.describe(), secret("x").describe()),
        ("Controller".to_owned(), "Namespace/x".to_owned())
    );
}

#[tokio::test]
async fn the_same_values_at_the_same_endpoint_are_the_same_key_and_nothing_else_is() {
    let ladder = ladder(&[]);
    let endpoint = |url: &str| Endpoint { region: "r".to_owned(), host: "h".to_owned(), url: url.parse().unwrap() };
    let key = |access: &str, secret: &str| Key::Pair(read(&[("accessKey", access), ("secretKey", secret)]).unwrap());
    let here = endpoint("https://a.example");
    let identity = ladder.identity(&key("AK", "SK"), &here);
    assert_eq!(identity, ladder.identity(&key("AK", "SK\n"), &here));
    assert_ne!(identity, ladder.identity(&key("AKS", "K"), &here));
    assert_ne!(identity, ladder.identity(&key("AK", "SX"), &here));
    assert_ne!(identity, ladder.identity(&key("AK", "SK"), &endpoint("https://b.example")));
}

#[tokio::test]
async fn the_controllers_own_credentials_are_read_anew_after_they_were_refused() {
    let directory = tempfile::tempdir().unwrap();
    let mut ladder = ladder(&["*"]);
    ladder.own = Some(directory.path().to_owned());
    let missing = ladder.read(&Rung::Controller, Instant::now(), now()).await.unwrap_err();
    assert_eq!(missing.reason(), Some(Reason::CredentialsNotFound));
    std::fs::write(directory.path().join("accessKey"), "AK\n").unwrap();
    std::fs::write(directory.path().join("secretKey"), "one").unwrap();
    assert_eq!(
        pair(ladder.read(&Rung::Controller, Instant::now(), now()).await.unwrap()).secret.expose_secret(),
        "one"
    );
    std::fs::write(directory.path().join("secretKey"), "two").unwrap();
    ladder.forget(&Rung::Controller);
    assert_eq!(
        pair(ladder.read(&Rung::Controller, Instant::now(), now()).await.unwrap()).secret.expose_secret(),
        "two"
    );
}

#[tokio::test]
async fn a_pair_read_across_a_rotation_is_not_used() {
    let pair = |access: &str, secret: &str| data(&[("accessKey", access), ("secretKey", secret)]);
    let settle = async |mut reads: Vec<Data>| {
        reads.reverse();
        let one_more = || std::io::Error::other("one read more than needed");
        settled(|| std::future::ready(reads.pop().ok_or_else(one_more))).await.unwrap()
    };
    let (old, torn, new) = (pair("old", "old"), pair("old", "new"), pair("new", "new"));
    assert_eq!(settle(vec![old.clone(), old.clone()]).await, Some(old.clone()));
    assert_eq!(settle(vec![torn.clone(), new.clone(), new.clone()]).await, Some(new.clone()));
    assert_eq!(settle(vec![old.clone(), torn.clone(), new.clone(), new.clone()]).await, Some(new.clone()));
    assert_eq!(settle(vec![old.clone(), new.clone(), old, torn]).await, None);
}

#[tokio::test]
async fn what_the_api_server_says_of_a_secret_becomes_its_reason_or_another_try() {
    for (code, reason) in [
        (404, Some(Reason::CredentialsNotFound)),
        (403, Some(Reason::CredentialsForbidden)),
        (401, None),
        (500, None),
        (503, None),
    ] {
        let service = tower::service_fn(move |_: http::Request<kube::client::Body>| async move {
            let status = serde_json::json!({"kind": "Status", "apiVersion": "v1", "code": code, "status": "Failure", "reason": "x", "message": "x"});
            let body = kube::client::Body::from(status.to_string().into_bytes());
            Ok::<_, std::io::Error>(http::Response::builder().status(code).body(body).unwrap())
        });
        let ladder = Ladder::new(Client::new(service, "default"), None, &[], Duration::from_secs(60));
        let rung = ladder.choose(Some("named"), "team");
        let error = ladder.read(&rung, Instant::now(), now()).await.unwrap_err();
        assert_eq!(error.reason(), reason, "{code}: {error}");
        assert!(error.to_string().contains("Secret team/named"), "{error}");
    }
}

#[tokio::test]
async fn a_file_of_the_controllers_own_that_cannot_be_read_is_a_fact_and_names_the_directory() {
    let directory = tempfile::tempdir().unwrap();
    // What is no file cannot be read by root either.
    std::fs::create_dir(directory.path().join("accessKey")).unwrap();
    let mut ladder = ladder(&["*"]);
    ladder.own = Some(directory.path().to_owned());
    let error = ladder.read(&Rung::Controller, Instant::now(), now()).await.unwrap_err();
    assert_eq!(error.reason(), Some(Reason::CredentialsInvalid), "{error}");
    assert!(error.to_string().contains(&directory.path().display().to_string()), "{error}");
}
