//! PURE: the proxy of the API server from the environment, by kubectl's rules. For the cloud only `--proxy` applies.

use http::Uri;
use hyper_util::client::proxy::matcher::Matcher;
use url::Url;

/// An invalid NO_PROXY: kube rejects it as a whole if one part is invalid.
pub const NO_PROXY: &str =
    "NO_PROXY cannot be read: it must be *, or names and addresses with one comma between two of them";

const SCHEMES: [&str; 3] = ["http", "https", "socks5"];

/// The message for an invalid proxy in this setting, without any of its text.
pub fn invalid(setting: &str) -> String {
    format!(
        "{setting} must be http://HOST:PORT, https://HOST:PORT or socks5://HOST:PORT; http and https may have a login, as http://USER:PASSWORD@HOST:PORT with %40 for @ and %2F for /"
    )
}

/// Parses the URL of a proxy; without a scheme it is http.
pub fn read(text: &str) -> Option<Uri> {
    let text = if text.contains("://") { text.to_owned() } else { format!("http://{text}") };
    // `Url` is stricter than `Uri`, which reads a port that is no number as no port.
    Url::parse(&text).ok()?;
    let url: Uri = text.parse().ok()?;
    let scheme = url.scheme_str().filter(|scheme| SCHEMES.contains(scheme))?;
    // kube would not send the login of a socks5 proxy.
    let has_login = url.authority().is_some_and(|authority| authority.as_str().contains('@'));
    let is_complete = url.host().is_some_and(|host| !host.is_empty()) && !(has_login && scheme == "socks5");
    is_complete.then_some(url)
}

/// `HTTPS_PROXY`, or `HTTP_PROXY` for a server without TLS, unless `NO_PROXY` names the server or it is on this
/// machine.
pub fn of_environment(server: &Uri, variable: impl Fn(&str) -> Option<String>) -> Result<Option<Uri>, String> {
    let either = |upper: &str| {
        let lower = upper.to_ascii_lowercase();
        variable(upper).filter(|text| !text.is_empty()).or_else(|| variable(&lower)).filter(|text| !text.is_empty())
    };
    let name = if server.scheme_str() == Some("http") { "HTTP_PROXY" } else { "HTTPS_PROXY" };
    let Some(text) = either(name).filter(|_| !is_local(server)) else { return Ok(None) };
    let proxy = read(&text).ok_or_else(|| invalid(name))?;
    let excepted = excepted(&either("NO_PROXY").unwrap_or_default(), server);
    // The matcher only answers whether a proxy is used, so any proxy serves.
    let anywhere = Matcher::builder().all("http://proxy.invalid").no(excepted).build();
    Ok(anywhere.intercept(server).map(|_| proxy))
}

/// NO_PROXY in the form that the matcher reads: it supports neither ports nor `*.` before a name.
fn excepted(text: &str, server: &Uri) -> String {
    let port = server.port_u16().unwrap_or(if server.scheme_str() == Some("http") { 80 } else { 443 });
    let translated = |entry: &str| -> Option<String> {
        let entry = entry.trim();
        let entry = entry.strip_prefix("*.").map_or_else(|| entry.to_owned(), |domain| format!(".{domain}"));
        match entry.rsplit_once(':') {
            Some((host, entry_port)) if !host.contains(':') || host.ends_with(']') => {
                (entry_port.parse() == Ok(port)).then(|| host.trim_matches(['[', ']']).to_owned())
            }
            _ => Some(entry),
        }
    };
    text.split(',').filter_map(translated).collect::<Vec<_>>().join(",")
}

fn is_local(server: &Uri) -> bool {
    let host = server.host().unwrap_or_default().trim_matches(['[', ']']);
    host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn proxy(server: &str, variables: &[(&str, &str)]) -> Result<Option<String>, String> {
        let variable =
            |name: &str| variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned());
        let found = of_environment(&server.parse().unwrap(), variable)?;
        Ok(found.map(|url| url.to_string()))
    }

    #[test]
    fn no_proxy_applies_to_the_server_by_the_rules_of_kubectl() {
        let through = |server: &str, no_proxy: &str| {
            let variables = [("HTTPS_PROXY", "http://proxy.example.com:3128"), ("NO_PROXY", no_proxy)];
            proxy(server, &variables).unwrap().is_some()
        };
        for (server, no_proxy, goes_through) in [
            ("https://api.example.com:6443", "", true),
            ("https://api.example.com:6443", "proxy.example.com", true),
            ("https://api.example.com:6443", "example.com", false),
            ("https://api.example.com:6443", ".example.com", false),
            ("https://api.example.com:6443", "*.example.com", false),
            ("https://api.example.com:6443", "ample.com", true),
            ("https://api.example.com:6443", "*", false),
            ("https://api.example.com:6443", " a.b , api.example.com", false),
            ("https://api.example.com:6443", "api.example.com:6443", false),
            ("https://api.example.com:6443", "api.example.com:443", true),
            ("https://api.example.com", "api.example.com:443", false),
            ("https://10.1.2.3:6443", "10.0.0.0/8", false),
            ("https://10.1.2.3:6443", "11.0.0.0/8", true),
            ("https://10.1.2.3:6443", "10.1.2.3:6443", false),
            ("https://[fd00::1]:6443", "fd00::/8", false),
            ("https://[fd00::1]:6443", "[fd00::1]:6443", false),
            // Requests to this machine use no proxy of the environment.
            ("https://127.0.0.1:6443", "", false),
            ("https://[::1]:6443", "", false),
            ("https://localhost:6443", "", false),
        ] {
            assert_eq!(through(server, no_proxy), goes_through, "{server} with NO_PROXY={no_proxy}");
        }
    }

    #[test]
    fn the_variable_is_that_of_the_servers_scheme_in_either_case() {
        let server = "https://api.example.com";
        let url = |variables: &[(&str, &str)]| proxy(server, variables).unwrap();
        assert_eq!(url(&[("https_proxy", "http://p:1")]).as_deref(), Some("http://p:1/"));
        assert_eq!(url(&[("HTTPS_PROXY", ""), ("https_proxy", "p:1")]).as_deref(), Some("http://p:1/"));
        assert_eq!(url(&[("HTTPS_PROXY", "user:pw@p:1")]).as_deref(), Some("http://user:pw@p:1/"));
        assert_eq!(url(&[("HTTP_PROXY", "http://p:1"), ("ALL_PROXY", "http://p:1")]), None);
        let plain = proxy("http://api.example.com", &[("HTTP_PROXY", "http://p:1")]).unwrap();
        assert_eq!(plain.as_deref(), Some("http://p:1/"));
    }

    #[test]
    fn an_invalid_proxy_is_reported_without_its_login() {
        for text in ["ftp://user:canary@p:1", "http://user:can^ary@p:1", "socks5://user:canary@p:1", "http://"] {
            let error = proxy("https://api.example.com", &[("HTTPS_PROXY", text)]).unwrap_err();
            assert!(error.starts_with("HTTPS_PROXY must be http://HOST:PORT"), "{error}");
            assert!(!error.contains("canary") && !error.contains("can^ary"), "{error}");
        }
    }
}
