//! Checks a request's signature as the gateway does: it rebuilds the text that the client must have signed from the
//! request that arrived, and compares. Written from the signing guide, independently of the operator's signer.

use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};

/// The signed parts of a request that arrived.
#[derive(Debug)]
pub struct Arrived<'a> {
    /// `GET`, `POST`.
    pub method: &'a str,
    /// Path and query as they stood in the request line, percent-encoded.
    pub target: &'a str,
    /// All headers, in the order of arrival.
    pub headers: &'a [(String, String)],
    /// The bytes.
    pub body: &'a [u8],
}

/// The parts of an `Authorization` header.
#[derive(Debug, PartialEq, Eq)]
pub struct Claimed {
    pub access: String,
    /// Names of the signed headers, as listed.
    pub signed_headers: Vec<String>,
    pub signature: String,
}

/// Parses an `Authorization` header.
pub fn parse(header: &str) -> Option<Claimed> {
    let fields = header.strip_prefix("SDK-HMAC-SHA256 ")?;
    let field = |name: &str| fields.split(", ").find_map(|part| part.strip_prefix(name)?.strip_prefix('='));
    Some(Claimed {
        access: field("Access")?.to_owned(),
        signed_headers: field("SignedHeaders")?.split(';').map(str::to_owned).collect(),
        signature: field("Signature")?.to_owned(),
    })
}

/// The text whose hash is signed; the gateway repeats it in its refusal.
pub fn canonical(arrived: &Arrived<'_>, signed_headers: &[String]) -> String {
    let (path, query) = arrived.target.split_once('?').unwrap_or((arrived.target, ""));
    let slash = if path.ends_with('/') { "" } else { "/" };
    let mut pairs: Vec<_> = query
        .split('&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
        .collect();
    pairs.sort_unstable();
    let query: Vec<_> = pairs.into_iter().map(|(name, value)| format!("{name}={value}")).collect();
    let mut text = format!("{}\n{path}{slash}\n{}\n", arrived.method, query.join("&"));
    for name in signed_headers {
        let values: Vec<_> = arrived
            .headers
            .iter()
            .filter(|(other, _)| other.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.trim())
            .collect();
        text.extend([name.as_str(), ":", &values.join(","), "\n"]);
    }
    text + &format!("\n{}\n{}", signed_headers.join(";"), digest(arrived.body))
}

/// The signature that a holder of this secret key would have made.
pub fn expected(secret: &str, date: &str, canonical: &str) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).expect("a key of any length is valid");
    mac.update(b"SDK-HMAC-SHA256\n");
    mac.update(date.as_bytes());
    mac.update(b"\n");
    mac.update(digest(canonical.as_bytes()).as_bytes());
    hex::encode(mac.finalize().into_bytes())
}

/// SHA-256 in hex.
pub fn digest(bytes: &[u8]) -> String {
    hex::encode(Sha256::digest(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    const CALL: &str =
        "/v2/89cd04f168b84af6be287f71730fdb4b/clusters/e59d6b86-9072-46eb-a996-13f8b44994c1/redistribution";
    const BODY: &[u8] = br#"{"redis_mode":"online","parallel_jobs":3}"#;

    fn sign(method: &str, target: &str, headers: &[(&str, &str)], signed: &str, body: &[u8]) -> (String, String) {
        let headers: Vec<_> = headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let date = headers.iter().find(|(name, _)| name.eq_ignore_ascii_case("x-sdk-date")).unwrap().1.clone();
        let signed: Vec<_> = signed.split(';').map(str::to_owned).collect();
        let canonical = canonical(&Arrived { method, target, headers: &headers, body }, &signed);
        (digest(canonical.as_bytes()), expected("SecretKey", &date, &canonical))
    }

    #[test]
    fn the_published_vectors_hold() {
        let go = [("X-Sdk-Date", "20060102T150405Z"), ("TEST_UNDERSCORE", "x")];
        let first = sign("GET", "/path?limit=1", &go, "x-sdk-date", b"");
        assert_eq!(first.1, "5a2ce64c865e0e6046321c6f3d5a77ba8413eeaf355c3166c03d58d02ac79624");
        let second = sign("POST", "/path?key=value", &go, "x-sdk-date", b"{\"Name\":\"test\",\"Id\":1}\n");
        assert_eq!(second.1, "cecc2af119b18ab70b4d094c0750f3b42c02f254903179a0fc2cc72fc9db4f59");
        let python = [("Host", "service.endpoint.myhuaweicloud.com"), ("X-Sdk-Date", "20200608T023900Z")];
        let first = sign("GET", "/resources?size=1", &python, "host;x-sdk-date", b"");
        assert_eq!(first.1, "cfb4171acec81de07d50e53d57eb77edd537414d66ddb1d7d780f128e12cd842");
        let second = sign("POST", "/resources?size=1", &python, "host;x-sdk-date", br#"{"name":"test","id":1}"#);
        assert_eq!(second.1, "436b1ac0a1ae03705934bb70ef2f2e09f7bfed2117d731a38235053199323a1f");
    }

    #[test]
    fn the_vectors_of_this_call_hold() {
        let headers = [
            ("host", "dws.cn-north-4.myhuaweicloud.com"),
            ("x-project-id", "89cd04f168b84af6be287f71730fdb4b"),
            ("x-sdk-date", "20240101T000000Z"),
        ];
        let plain = sign("POST", CALL, &headers, "host;x-sdk-date", BODY);
        assert_eq!(plain.0, "a53a8398964af7b562198e83345aefbe090389e3c7bfef8bddec87c1aa53ca7c");
        assert_eq!(plain.1, "d7706000ed113a2ffb6f1de238d81da26b1e328df0413be5fd0177b29b644133");
        let full = sign("POST", CALL, &headers, "host;x-project-id;x-sdk-date", BODY);
        assert_eq!(full.0, "1c5e2a488a746197dd03f466b12137b009cb1912055e73e8dc29eb3aecc236d8");
        assert_eq!(full.1, "bf7158a3f551ead7f07ca81182bae7d596fe34c67258ae3b22578b5a01ebec02");
        let get = sign("GET", &format!("{CALL}?offset=0&limit=10"), &headers, "host;x-sdk-date", b"");
        assert_eq!(get.1, "0494a5a8f7f00c552e9b7e02a30c315ede80c01ba78c3a8f1e9f834f7368e221");
    }

    #[test]
    fn only_a_well_formed_authorization_header_is_parsed() {
        let claimed = parse("SDK-HMAC-SHA256 Access=AK, SignedHeaders=host;x-sdk-date, Signature=ab").unwrap();
        assert_eq!(
            claimed,
            Claimed {
                access: "AK".into(),
                signed_headers: vec!["host".into(), "x-sdk-date".into()],
                signature: "ab".into()
            }
        );
        for wrong in
            ["", "Bearer x", "SDK-HMAC-SHA256 Access=AK", "SDK-HMAC-SM3 Access=AK, SignedHeaders=a, Signature=b"]
        {
            assert_eq!(parse(wrong), None);
        }
    }
}
