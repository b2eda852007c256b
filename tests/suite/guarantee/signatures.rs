//! A gateway that was written from the signing guide, independently of the operator's signer, accepts every signature;
//! and it rejects any change on the way.

use proptest::prelude::*;
use redistribution_operator::cloud::signing::{Request, signature};
use testbed::simulator::signature::{Arrived, canonical, expected};

const DATE: &str = "20261125T120000Z";

/// The gateway's decision on a request that arrived.
fn verified(secret: &str, method: &str, target: &str, headers: &[(String, String)], body: &[u8]) -> String {
    let mut signed: Vec<_> = headers.iter().map(|(name, _)| name.to_ascii_lowercase()).collect();
    signed.sort();
    expected(secret, DATE, &canonical(&Arrived { method, target, headers, body }, &signed))
}

proptest! {
    #[test]
    fn a_signature_is_what_the_gateway_computes_and_depends_on_every_part(
        secret in "[!-~]{1,48}",
        method in "GET|POST",
        path in "(/[A-Za-z0-9._~-]{1,12}){1,5}",
        query in proptest::collection::btree_map("[A-Za-z][A-Za-z0-9]{0,6}", "[A-Za-z0-9._~-]{0,8}", 0..4),
        more in proptest::collection::btree_map("x-[a-z]{1,10}", "[!-~]([ -~]{0,20}[!-~])?", 0..4),
        body in proptest::collection::vec(any::<u8>(), 0..200),
    ) {
        let mut headers = more;
        headers.insert("host".to_owned(), "dws.example.com".to_owned());
        headers.insert("x-sdk-date".to_owned(), DATE.to_owned());
        let pairs: Vec<_> = query.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
        let to_sign: Vec<_> = headers.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        let request = Request { method: &method, path: &path, query: &pairs, headers: &to_sign, body: &body };
        let ours = signature(&secret, DATE, &request);

        let wire_query: Vec<_> = query.iter().map(|(key, value)| format!("{key}={value}")).collect();
        let target = if wire_query.is_empty() { path.clone() } else { format!("{path}?{}", wire_query.join("&")) };
        let arrived: Vec<_> = headers.into_iter().collect();
        prop_assert_eq!(&ours, &verified(&secret, &method, &target, &arrived, &body));

        let mut changed = arrived.clone();
        changed[0].1.push('x');
        let longer = [body.as_slice(), b"x"].concat();
        for (what, other) in [
            ("secret", verified(&format!("{secret}x"), &method, &target, &arrived, &body)),
            ("method", verified(&secret, "DELETE", &target, &arrived, &body)),
            ("path", verified(&secret, &method, &format!("/x{target}"), &arrived, &body)),
            ("query", verified(&secret, &method, &format!("{target}{}zz=1", if target.contains('?') { '&' } else { '?' }), &arrived, &body)),
            ("header", verified(&secret, &method, &target, &changed, &body)),
            ("body", verified(&secret, &method, &target, &arrived, &longer)),
        ] {
            prop_assert_ne!(&ours, &other, "{} does not matter", what);
        }
    }
}
