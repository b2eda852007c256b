use std::sync::atomic::{AtomicUsize, Ordering};

use k8s_openapi::ByteString;
use tokio::sync::Semaphore;

use super::*;
use crate::{api::Reason, cloud::auth::AccessKey, credentials::secret::Data};

fn data(pairs: &[(&str, &str)]) -> Data {
    pairs.iter().map(|(key, value)| ((*key).to_owned(), value.as_bytes().to_vec())).collect()
}

fn now() -> Timestamp {
    "2026-12-01T18:00:00Z".parse().unwrap()
}

fn read(pairs: &[(&str, &str)]) -> Result<AccessKey, CredentialsError> {
    parse(&data(pairs), "Secret team/dws", now(), Duration::from_secs(120)).map(access_key)
}

fn access_key(credential: Credential) -> AccessKey {
    let Credential::AccessKey(key) = credential else { panic!("no access key") };
    key
}

const GOOD: [(&str, &str); 2] = [("accessKey", "AK"), ("secretKey", "SK")];

#[test]
fn parse_removes_one_trailing_newline_only() {
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
fn parse_names_a_missing_key_and_shows_no_value() {
    for (missing, present) in [("accessKey", ("secretKey", "canary")), ("secretKey", ("accessKey", "canary"))] {
        let error = read(&[present]).unwrap_err().to_string();
        assert!(error.contains(&format!("{missing} is missing")) && !error.contains("canary"), "{error}");
    }
}

#[test]
fn parse_refuses_a_key_with_any_other_character() {
    for good in ["AK", "a+/=_-9", "Zm9vYmFy/+=="] {
        assert!(read(&[("accessKey", good), ("secretKey", good)]).is_ok(), "{good:?}");
    }
    for bad in [
        "\"AK\"",
        "'AK'",
        "\"AK",
        "AK'",
        "A,B",
        "A B",
        " AK",
        "AK ",
        "A\tB",
        "A\nB",
        "AK\u{a0}",
        "\u{feff}AK",
        "\u{200b}AK",
        "AK;",
        "AK:",
        "<AK>",
        "A.K",
        "AK\\n",
        "$AK",
        "{AK}",
        "A\u{e9}",
        "AK\0",
        "AK%3D",
        "\r\nAK",
        "AK\n\n",
    ] {
        for (key, other) in [("accessKey", "secretKey"), ("secretKey", "accessKey")] {
            let error = read(&[(key, bad), (other, "GOOD")]).unwrap_err();
            assert_eq!(error.reason(), Some(Reason::CredentialsInvalid), "{key} {bad:?}");
            assert!(error.to_string().contains(&format!("Secret team/dws: {key} ")), "{error}");
        }
    }
    for bad in ["\"T\"", "'T'"] {
        let error = read(&[GOOD[0], GOOD[1], ("securityToken", bad)]).unwrap_err();
        assert_eq!(error.reason(), Some(Reason::CredentialsInvalid), "{bad:?}");
    }
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
fn debug_output_shows_nothing_of_a_key() {
    let key =
        read(&[("accessKey", "canary-access"), ("secretKey", "canary-secret"), ("securityToken", "canary-token")])
            .unwrap();
    let shown = format!("{key:?} {:?}", KeyIdentity::from([7; 32]));
    assert!(!shown.contains("canary"), "{shown}");
}

fn credentials(default_for: &[&str]) -> Credentials {
    let service = tower::service_fn(|_: http::Request<kube::client::Body>| async {
        Ok::<_, std::io::Error>(http::Response::new(kube::client::Body::empty()))
    });
    let default_for: Vec<_> = default_for.iter().map(|&namespace| namespace.to_owned()).collect();
    Credentials::new(Client::new(service, "default"), None, &default_for, Duration::from_secs(60))
}

#[tokio::test]
async fn choose_prefers_the_annotation_then_the_namespace_then_the_default() {
    let secret = |name: &str| CredentialSource::Secret { namespace: "team".to_owned(), name: name.to_owned() };
    assert_eq!(credentials(&["*"]).choose(Some("named"), "team"), secret("named"));
    assert_eq!(credentials(&["team"]).choose(None, "team"), CredentialSource::Controller);
    assert_eq!(credentials(&["*"]).choose(None, "team"), CredentialSource::Controller);
    assert_eq!(credentials(&["other"]).choose(None, "team"), secret(DEFAULT_SECRET));
    assert_eq!(credentials(&[]).choose(None, "team"), secret(DEFAULT_SECRET));
    assert_eq!(
        (CredentialSource::Controller.describe(), secret("x").describe()),
        ("Controller".to_owned(), "Namespace/x".to_owned())
    );
}

#[tokio::test]
async fn identity_is_equal_only_for_equal_values_and_endpoints() {
    let credentials = credentials(&[]);
    let endpoint = |url: &str| Endpoint { region: "r".to_owned(), host: "h".to_owned(), url: url.parse().unwrap() };
    let key =
        |access: &str, secret: &str| Key::AccessKey(read(&[("accessKey", access), ("secretKey", secret)]).unwrap());
    let here = endpoint("https://a.example");
    let identity = credentials.identity(&key("AK", "SK"), &here);
    assert_eq!(identity, credentials.identity(&key("AK", "SK\n"), &here));
    assert_ne!(identity, credentials.identity(&key("AKS", "K"), &here));
    assert_ne!(identity, credentials.identity(&key("AK", "SX"), &here));
    assert_ne!(identity, credentials.identity(&key("AK", "SK"), &endpoint("https://b.example")));
}

/// Credentials whose API server counts reads of a Secret, and answers each only with a permit of the semaphore.
fn slow_credentials() -> (Arc<Credentials>, Arc<AtomicUsize>, Arc<Semaphore>) {
    let (reads, answers) = (Arc::new(AtomicUsize::new(0)), Arc::new(Semaphore::new(0)));
    let shared = (Arc::clone(&reads), Arc::clone(&answers));
    let service = tower::service_fn(move |_: http::Request<kube::client::Body>| {
        let (reads, answers) = shared.clone();
        async move {
            let number = reads.fetch_add(1, Ordering::SeqCst);
            answers.acquire().await.unwrap().forget();
            let data = serde_json::json!({"accessKey": ByteString(b"AK".into()), "secretKey": ByteString(format!("SK{number}").into())});
            let secret =
                serde_json::json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "named"}, "data": data});
            Ok::<_, std::io::Error>(http::Response::new(kube::client::Body::from(secret.to_string().into_bytes())))
        }
    });
    (Arc::new(Credentials::new(Client::new(service, "team"), None, &[], Duration::from_secs(60))), reads, answers)
}

/// Runs the other tasks until all of them wait.
async fn all_wait() {
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_burst_reads_its_secret_once_and_a_later_object_reads_it_again() {
    let (credentials, reads, answers) = slow_credentials();
    let read = |since: Instant| {
        let credentials = Arc::clone(&credentials);
        tokio::spawn(async move {
            let source = credentials.choose(Some("named"), "team");
            access_key(credentials.read(&source, since, now()).await.unwrap()).secret.expose_secret().to_owned()
        })
    };
    let seen = Instant::now();
    let burst = futures::future::join_all((0..50).map(|_| read(seen)));
    all_wait().await;
    let later = read(Instant::now());
    all_wait().await;
    assert_eq!(reads.load(Ordering::SeqCst), 2);
    answers.add_permits(2);
    assert!(burst.await.into_iter().all(|secret| secret.unwrap() == "SK0"));
    assert_eq!(later.await.unwrap(), "SK1");
    let once_more = credentials.read(&credentials.choose(Some("named"), "team"), seen, now()).await.unwrap();
    assert_eq!(access_key(once_more).secret.expose_secret(), "SK1", "the latest result is cached");
    assert_eq!(reads.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn a_read_in_flight_at_a_refusal_is_not_used_afterwards() {
    let (credentials, reads, answers) = slow_credentials();
    let (source, seen) = (credentials.choose(Some("named"), "team"), Instant::now());
    let (first, before) = (Arc::clone(&credentials), source.clone());
    let before = tokio::spawn(async move { first.read(&before, seen, now()).await.map(drop) });
    all_wait().await;
    credentials.forget(&source);
    answers.add_permits(2);
    before.await.unwrap().unwrap();
    assert_eq!(access_key(credentials.read(&source, seen, now()).await.unwrap()).secret.expose_secret(), "SK1");
    assert_eq!(reads.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn an_abandoned_read_does_not_block_the_next_one() {
    let (credentials, reads, answers) = slow_credentials();
    let (source, seen) = (credentials.choose(Some("named"), "team"), Instant::now());
    let (first, before) = (Arc::clone(&credentials), source.clone());
    let before = tokio::spawn(async move { first.read(&before, seen, now()).await.map(drop) });
    all_wait().await;
    before.abort();
    assert!(before.await.unwrap_err().is_cancelled());
    answers.add_permits(1);
    assert_eq!(access_key(credentials.read(&source, seen, now()).await.unwrap()).secret.expose_secret(), "SK1");
    assert_eq!(reads.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn default_credentials_are_read_again_after_a_refusal() {
    let directory = tempfile::tempdir().unwrap();
    let mut credentials = credentials(&["*"]);
    credentials.reader.default_dir = Some(directory.path().to_owned());
    let missing = credentials.read(&CredentialSource::Controller, Instant::now(), now()).await.unwrap_err();
    assert_eq!(missing.reason(), Some(Reason::CredentialsNotFound));
    std::fs::write(directory.path().join("accessKey"), "AK\n").unwrap();
    std::fs::write(directory.path().join("secretKey"), "one").unwrap();
    assert_eq!(
        access_key(credentials.read(&CredentialSource::Controller, Instant::now(), now()).await.unwrap())
            .secret
            .expose_secret(),
        "one"
    );
    std::fs::write(directory.path().join("secretKey"), "two").unwrap();
    credentials.forget(&CredentialSource::Controller);
    assert_eq!(
        access_key(credentials.read(&CredentialSource::Controller, Instant::now(), now()).await.unwrap())
            .secret
            .expose_secret(),
        "two"
    );
}

#[tokio::test]
async fn an_error_of_the_api_server_becomes_a_reason_or_a_retry() {
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
        let credentials = Credentials::new(Client::new(service, "default"), None, &[], Duration::from_secs(60));
        let source = credentials.choose(Some("named"), "team");
        let error = credentials.read(&source, Instant::now(), now()).await.unwrap_err();
        assert_eq!(error.reason(), reason, "{code}: {error}");
        assert!(error.to_string().contains("Secret team/named"), "{error}");
    }
}

#[tokio::test]
async fn an_unreadable_default_credentials_file_is_reported_with_its_directory() {
    let directory = tempfile::tempdir().unwrap();
    // A directory cannot be read as a file, even by root.
    std::fs::create_dir(directory.path().join("accessKey")).unwrap();
    let mut credentials = credentials(&["*"]);
    credentials.reader.default_dir = Some(directory.path().to_owned());
    let error = credentials.read(&CredentialSource::Controller, Instant::now(), now()).await.unwrap_err();
    assert_eq!(error.reason(), Some(Reason::CredentialsInvalid), "{error}");
    assert!(error.to_string().contains(&directory.path().display().to_string()), "{error}");
}
