//! The explicit proxy of `--proxy`: parsed once, the proxy of all connections to the cloud. Its credentials appear nowhere else.

use base64::{Engine, engine::general_purpose::STANDARD};
use http::{HeaderValue, Uri};
use percent_encoding::percent_decode_str;
use url::Url;

use super::ClientError;

/// A proxy that tunnels TLS.
#[derive(Clone)]
pub struct Proxy {
    /// `http://host:port`, without credentials.
    pub address: Uri,
    /// The value of `Proxy-Authorization`, marked sensitive.
    pub login: Option<HeaderValue>,
}

impl Proxy {
    /// Parses `http://[user:password@]host:port`.
    pub fn read(url: &Url) -> Result<Self, ClientError> {
        // Credentials with a / that is not written as %2F would parse as a host and a path.
        let is_bare = url.path() == "/" && url.query().is_none() && url.fragment().is_none();
        let host = url.host_str().filter(|_| url.scheme() == "http" && is_bare).ok_or(ClientError::Proxy)?;
        let port = url.port_or_known_default().unwrap_or(80);
        let address = format!("http://{host}:{port}").parse().map_err(|_| ClientError::Proxy)?;
        let login = if url.username().is_empty() {
            None
        } else {
            let decoded = |text| percent_decode_str(text).decode_utf8_lossy().into_owned();
            let pair = format!("{}:{}", decoded(url.username()), decoded(url.password().unwrap_or_default()));
            let mut value =
                HeaderValue::from_str(&format!("Basic {}", STANDARD.encode(pair))).map_err(|_| ClientError::Proxy)?;
            value.set_sensitive(true);
            Some(value)
        };
        Ok(Self { address, login })
    }

    /// Its host name; `None` if its host is an IP address.
    pub fn name(&self) -> Option<&str> {
        let host = self.address.host()?;
        host.trim_matches(['[', ']']).parse::<std::net::IpAddr>().is_err().then_some(host)
    }

    /// The proxy setting of the HTTP client, for https only: a proxy would see a plain http request whole, with its
    /// signature, and its own answer could be taken for the cloud's. Plain http is for loopback, which needs no proxy.
    pub fn for_calls(&self) -> Result<reqwest::Proxy, ClientError> {
        let proxy =
            reqwest::Proxy::https(self.address.to_string()).map_err(|error| ClientError::Setup(error.to_string()))?;
        Ok(match &self.login {
            Some(login) => proxy.custom_http_auth(login.clone()),
            None => proxy,
        })
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;
