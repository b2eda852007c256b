use k8s_openapi::ByteString;

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

fn access_key(account: Account) -> AccessKey {
    let Account::AccessKey(key) = account else { panic!("no access key") };
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
    with_client(Client::new(service, "default"), default_for)
}

fn with_client(client: Client, default_for: &[&str]) -> Credentials {
    let cloud = cloud::Client::new(&cloud::ClientSettings {
        ca_bundle: None,
        proxy: None,
        connect_timeout: Duration::from_secs(1),
        request_timeout: Duration::from_secs(60),
    });
    let settings = Settings {
        default_for: default_for.iter().map(|&namespace| namespace.to_owned()).collect(),
        request_timeout: Duration::from_secs(60),
        ..Settings::default()
    };
    Credentials::new(client, Arc::new(Semaphore::new(1)), Arc::new(cloud.unwrap()), settings)
}

/// Credentials whose API server answers each read of a Secret with these values, and with this code.
fn with_secret(answer: impl Fn() -> (u16, Vec<(&'static str, String)>) + Clone + Send + 'static) -> Credentials {
    let service = tower::service_fn(move |_: http::Request<kube::client::Body>| {
        let (code, values) = answer();
        async move {
            let data: std::collections::BTreeMap<_, _> =
                values.into_iter().map(|(key, value)| (key, ByteString(value.into_bytes()))).collect();
            let secret =
                serde_json::json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "x"}, "data": data});
            let status = serde_json::json!({"kind": "Status", "apiVersion": "v1", "code": code, "status": "Failure", "reason": "x", "message": "x"});
            let body = if code == 200 { secret } else { status }.to_string().into_bytes();
            let answer = http::Response::builder().status(code).body(kube::client::Body::from(body));
            Ok::<_, std::io::Error>(answer.unwrap())
        }
    });
    with_client(Client::new(service, "team"), &[])
}

fn endpoint(url: &str) -> Endpoint {
    Endpoint { region: "r".to_owned(), host: "h".to_owned(), url: url.parse().unwrap() }
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
        (CredentialSource::Controller.in_status(), secret("x").in_status()),
        ("Controller".to_owned(), "Namespace/x".to_owned())
    );
}

#[tokio::test]
async fn names_are_equal_only_for_equal_values_and_endpoints() {
    let credentials = credentials(&[]);
    let key =
        |access: &str, secret: &str| Key::AccessKey(read(&[("accessKey", access), ("secretKey", secret)]).unwrap());
    let here = endpoint("https://a.example");
    let digests = credentials.digests(&key("AK", "SK"), &here);
    assert_eq!(digests, credentials.digests(&key("AK", "SK\n"), &here));
    let (other_secret, elsewhere) = (
        credentials.digests(&key("AK", "SX"), &here),
        credentials.digests(&key("AK", "SK"), &endpoint("https://b.example")),
    );
    assert_ne!(digests.key, credentials.digests(&key("AKS", "K"), &here).key);
    assert_ne!(digests.values, other_secret.values);
    assert_eq!(digests.key, other_secret.key, "wrong signatures count by the access key");
    assert!(digests.key != elsewhere.key && digests.values != elsewhere.values);
}

#[tokio::test]
async fn other_values_in_the_secret_are_noticed_by_the_second_read() {
    let secret = Arc::new(Mutex::new("one"));
    let of_secret = Arc::clone(&secret);
    let credentials =
        with_secret(move || (200, vec![("accessKey", "AK".to_owned()), ("secretKey", (*of_secret.lock()).to_owned())]));
    let here = endpoint("https://a.example");
    let source = credentials.choose(Some("named"), "team");
    let purpose = Purpose { source, endpoint: &here, iam: None, project: "project" };
    let credential = credentials.resolve(&purpose).await.unwrap();
    assert!(credentials.refresh(&purpose, credential.clone()).await.unwrap().is_some());
    *secret.lock() = "two";
    assert!(credentials.refresh(&purpose, credential).await.unwrap().is_none());
}

#[tokio::test]
async fn a_failed_read_is_shared_until_its_pause_and_the_recovery_is_told() {
    let (code, reads) = (Arc::new(Mutex::new(404)), Arc::new(Mutex::new(0)));
    let (of_code, counted) = (Arc::clone(&code), Arc::clone(&reads));
    let credentials = with_secret(move || {
        *counted.lock() += 1;
        (*of_code.lock(), GOOD.map(|(key, value)| (key, value.to_owned())).into())
    });
    let here = endpoint("https://a.example");
    let purpose = |name| Purpose {
        source: credentials.choose(Some(name), "team"),
        endpoint: &here,
        iam: None,
        project: "project",
    };
    for _ in 0..3 {
        let hold = credentials.resolve(&purpose("missing")).await.unwrap_err();
        assert_eq!(hold.reason, Reason::CredentialsNotFound);
        assert!(hold.retry_after <= Duration::from_secs(5));
    }
    assert_eq!(*reads.lock(), 1);
    *code.lock() = 200;
    assert!(!credentials.resolve(&purpose("other")).await.unwrap().is_recovered, "another source");
    let missing = credentials.choose(Some("missing"), "team");
    credentials.failures.lock().make_due(&missing);
    assert!(credentials.resolve(&purpose("missing")).await.unwrap().is_recovered);
    assert!(!credentials.resolve(&purpose("missing")).await.unwrap().is_recovered);
}

#[tokio::test]
async fn default_credentials_are_read_anew_each_time() {
    let directory = tempfile::tempdir().unwrap();
    let mut credentials = credentials(&["*"]);
    credentials.settings.default_dir = Some(directory.path().to_owned());
    for secret in ["one", "two"] {
        std::fs::write(directory.path().join("accessKey"), "AK\n").unwrap();
        std::fs::write(directory.path().join("secretKey"), secret).unwrap();
        let (account, _) = credentials.read(&CredentialSource::Controller).await.unwrap();
        assert_eq!(access_key(account).secret.expose_secret(), secret);
    }
}

#[tokio::test(start_paused = true)]
async fn an_error_of_the_api_server_is_a_reason_at_once_or_after_three_tries() {
    for (code, reason, expected) in [
        (404, Some(Reason::CredentialsNotFound), 1),
        (403, Some(Reason::CredentialsForbidden), 1),
        (401, None, 3),
        (500, None, 3),
        (503, None, 3),
    ] {
        let reads = Arc::new(Mutex::new(0));
        let counted = Arc::clone(&reads);
        let credentials = with_secret(move || {
            *counted.lock() += 1;
            (code, Vec::new())
        });
        let source = credentials.choose(Some("named"), "team");
        let (error, _) = credentials.read(&source).await.unwrap_err();
        assert_eq!((error.reason(), *reads.lock()), (reason, expected), "{code}: {error}");
        assert!(error.to_string().contains("Secret team/named"), "{error}");
    }
}

#[tokio::test]
async fn an_unreadable_default_credentials_file_is_reported_with_its_directory() {
    let directory = tempfile::tempdir().unwrap();
    // A directory cannot be read as a file, even by root.
    std::fs::create_dir(directory.path().join("accessKey")).unwrap();
    let mut credentials = credentials(&["*"]);
    credentials.settings.default_dir = Some(directory.path().to_owned());
    let (error, _) = credentials.read(&CredentialSource::Controller).await.unwrap_err();
    assert_eq!(error.reason(), Some(Reason::CredentialsInvalid), "{error}");
    assert!(error.to_string().contains(&directory.path().display().to_string()), "{error}");
}
