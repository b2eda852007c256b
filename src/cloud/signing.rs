//! PURE: the signature `SDK-HMAC-SHA256` of the cloud's gateway. No key derivation, region or nonce, unlike AWS
//! Signature Version 4, which it resembles. This module must not read a clock or send anything.

use hmac::{Hmac, KeyInit, Mac};
use k8s_openapi::jiff::{Timestamp, tz::TimeZone};
use sha2::{Digest, Sha256};

pub const ALGORITHM: &str = "SDK-HMAC-SHA256";

/// The parts of a request that are signed. Header names in any case and order; only those listed here are signed.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    pub method: &'a str,
    /// The path as it goes over the wire, not percent-encoded.
    pub path: &'a str,
    /// Query pairs, not percent-encoded, in any order.
    pub query: &'a [(&'a str, &'a str)],
    /// Headers to sign; `x-sdk-date` must be among them.
    pub headers: &'a [(&'a str, &'a str)],
    /// Exactly the bytes that are sent.
    pub body: &'a [u8],
}

/// The value of `X-Sdk-Date`: `YYYYMMDDTHHMMSSZ`, in UTC. The gateway refuses a date that is more than 15 minutes off.
pub fn sdk_date(now: Timestamp) -> String {
    now.to_zoned(TimeZone::UTC).strftime("%Y%m%dT%H%M%SZ").to_string()
}

pub fn authorization(access_key: &str, secret_key: &str, date: &str, request: &Request<'_>) -> String {
    let (signed_headers, _) = canonical_headers(request.headers);
    let signature = signature(secret_key, date, request);
    format!("{ALGORITHM} Access={access_key}, SignedHeaders={signed_headers}, Signature={signature}")
}

/// The signature alone, in lower-case hex.
pub fn signature(secret_key: &str, date: &str, request: &Request<'_>) -> String {
    let to_sign = format!("{ALGORITHM}\n{date}\n{}", sha256(canonical_request(request).as_bytes()));
    // A key of any length is valid for HMAC; the empty string cannot happen, since a Secret without a key is refused.
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(secret_key.as_bytes()) else { return String::new() };
    mac.update(to_sign.as_bytes());
    hex::encode(mac.finalize().into_bytes())
}

fn canonical_request(request: &Request<'_>) -> String {
    let (signed, headers) = canonical_headers(request.headers);
    format!(
        "{}\n{}\n{}\n{headers}\n{signed}\n{}",
        request.method,
        canonical_path(request.path),
        canonical_query(request.query),
        sha256(request.body)
    )
}

/// Each segment encoded, and a slash appended if there is none: for signing only, the path on the wire stays without it.
fn canonical_path(path: &str) -> String {
    let mut encoded = path.split('/').map(encode).collect::<Vec<_>>().join("/");
    if !encoded.ends_with('/') {
        encoded.push('/');
    }
    encoded
}

/// The query, encoded and sorted by key, then by value.
pub fn canonical_query(query: &[(&str, &str)]) -> String {
    let mut pairs: Vec<_> = query.iter().map(|(key, value)| (encode(key), encode(value))).collect();
    pairs.sort();
    pairs.iter().map(|(key, value)| format!("{key}={value}")).collect::<Vec<_>>().join("&")
}

/// The list of signed names and the header lines, each ending in a newline.
fn canonical_headers(headers: &[(&str, &str)]) -> (String, String) {
    // Names with an underscore are not signed: gateways drop or rename them on the way.
    let signable = headers.iter().filter(|(name, _)| !name.contains('_'));
    let mut headers: Vec<_> = signable.map(|(name, value)| (name.to_ascii_lowercase(), value.trim())).collect();
    headers.sort();
    let names = headers.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>().join(";");
    let lines = headers.iter().flat_map(|(name, value)| [name.as_str(), ":", value, "\n"]).collect();
    (names, lines)
}

/// Unreserved characters stay, every other byte becomes `%XX` in upper case.
fn encode(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'~') {
            encoded.push(char::from(byte));
        } else {
            encoded.push('%');
            encoded.push_str(&hex::encode_upper([byte]));
        }
    }
    encoded
}

fn sha256(bytes: &[u8]) -> String {
    hex::encode(Sha256::digest(bytes))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    const PATH: &str =
        "/v2/89cd04f168b84af6be287f71730fdb4b/clusters/e59d6b86-9072-46eb-a996-13f8b44994c1/redistribution";
    const HOST: (&str, &str) = ("host", "dws.cn-north-4.myhuaweicloud.com");
    const BODY: &[u8] = br#"{"redis_mode":"online","parallel_jobs":3}"#;

    fn sign(request: &Request<'_>) -> (String, String) {
        sign_with("SecretKey", request)
    }

    fn sign_with(secret_key: &str, request: &Request<'_>) -> (String, String) {
        let date = request.headers.iter().find(|(name, _)| name.eq_ignore_ascii_case("x-sdk-date")).unwrap().1;
        (sha256(canonical_request(request).as_bytes()), signature(secret_key, date, request))
    }

    #[test]
    fn the_published_vector_of_the_signing_guide_holds() {
        // https://support.huaweicloud.com/eu/nl-nl/devg-apisign/api-sign-algorithm-004.html prints this sample key.
        let request = Request {
            method: "GET",
            path: "/v1/77b6a44cba5143ab91d13ab9a8ff44fd/vpcs",
            query: &[("limit", "2"), ("marker", "13551d6b-755d-4757-b956-536f674975c0")],
            headers: &[
                ("Host", "service.region.example.com"),
                ("X-Sdk-Date", "20191115T033655Z"),
                ("Content-Type", "application/json"),
            ],
            body: b"",
        };
        let expected = (
            "b25362e603ee30f4f25e7858e8a7160fd36e803bb2dfe206278659d71a9bcd7a".to_owned(),
            "7be6668032f70418fcc22abc52071e57aff61b84a1d2381bb430d6870f4f6ebe".to_owned(),
        );
        assert_eq!(sign_with("MFyfvK41ba2giqM7Uio6PznpdUKGpownRZlmVmHc", &request), expected);
    }

    #[test]
    fn the_published_vectors_of_the_go_client_hold() {
        let date = ("X-Sdk-Date", "20060102T150405Z");
        let get = Request {
            method: "GET",
            path: "/path",
            query: &[("limit", "1")],
            headers: &[date, ("TEST_UNDERSCORE", "TEST_VALUE")],
            body: b"",
        };
        assert_eq!(sign(&get).1, "5a2ce64c865e0e6046321c6f3d5a77ba8413eeaf355c3166c03d58d02ac79624");
        let post = Request {
            method: "POST",
            path: "/path",
            query: &[("key", "value")],
            headers: &[date],
            body: b"{\"Name\":\"test\",\"Id\":1}\n",
        };
        assert_eq!(sign(&post).1, "cecc2af119b18ab70b4d094c0750f3b42c02f254903179a0fc2cc72fc9db4f59");
    }

    #[test]
    fn the_published_vectors_of_the_python_client_hold() {
        let headers = [("host", "service.endpoint.myhuaweicloud.com"), ("x-sdk-date", "20200608T023900Z")];
        let get = Request { method: "GET", path: "/resources", query: &[("size", "1")], headers: &headers, body: b"" };
        assert_eq!(sign(&get).1, "cfb4171acec81de07d50e53d57eb77edd537414d66ddb1d7d780f128e12cd842");
        let post = Request { method: "POST", body: br#"{"name":"test","id":1}"#, ..get };
        assert_eq!(sign(&post).1, "436b1ac0a1ae03705934bb70ef2f2e09f7bfed2117d731a38235053199323a1f");
    }

    #[test]
    fn the_vectors_for_this_call_hold() {
        assert_eq!(sha256(BODY), "ba198cf18419c04d6c47fdcc9373dbf41ba66a258835fc77b16e8e0019b7d34e");
        let date = ("X-Sdk-Date", "20240101T000000Z");
        let plain = Request { method: "POST", path: PATH, query: &[], headers: &[HOST, date], body: BODY };
        let expected = (
            "a53a8398964af7b562198e83345aefbe090389e3c7bfef8bddec87c1aa53ca7c".to_owned(),
            "d7706000ed113a2ffb6f1de238d81da26b1e328df0413be5fd0177b29b644133".to_owned(),
        );
        assert_eq!(sign(&plain), expected);
        let project = ("X-Project-Id", "89cd04f168b84af6be287f71730fdb4b");
        let with_project = Request { headers: &[project, date, HOST], ..plain };
        let expected = (
            "1c5e2a488a746197dd03f466b12137b009cb1912055e73e8dc29eb3aecc236d8".to_owned(),
            "bf7158a3f551ead7f07ca81182bae7d596fe34c67258ae3b22578b5a01ebec02".to_owned(),
        );
        assert_eq!(sign(&with_project), expected);
        let get = Request { method: "GET", query: &[("limit", "10"), ("offset", "0")], body: b"", ..plain };
        assert_eq!(sign(&get).1, "0494a5a8f7f00c552e9b7e02a30c315ede80c01ba78c3a8f1e9f834f7368e221");
    }

    #[test]
    fn the_query_encoding_of_both_clients_holds() {
        let query = [
            ("enable", "true"),
            ("limit", "1"),
            ("multi", "3"),
            ("multi", "1"),
            ("multi", "2"),
            ("test", "一 (&=?!#%.*)"),
            ("path", "/tmp/123"),
        ];
        assert_eq!(
            canonical_query(&query),
            "enable=true&limit=1&multi=1&multi=2&multi=3&path=%2Ftmp%2F123&test=%E4%B8%80%20%28%26%3D%3F%21%23%25.%2A%29"
        );
    }

    #[test]
    fn the_header_names_the_key_the_signed_headers_and_the_signature() {
        let date = ("X-Sdk-Date", "20240101T000000Z");
        let request = Request { method: "POST", path: PATH, query: &[], headers: &[HOST, date], body: BODY };
        assert_eq!(
            authorization("AccessKey", "SecretKey", date.1, &request),
            "SDK-HMAC-SHA256 Access=AccessKey, SignedHeaders=host;x-sdk-date, Signature=d7706000ed113a2ffb6f1de238d81da26b1e328df0413be5fd0177b29b644133"
        );
    }

    #[test]
    fn the_date_is_utc_without_separators() {
        assert_eq!(sdk_date("2024-01-01T01:00:00.9+01:00".parse().unwrap()), "20240101T000000Z");
    }
}
