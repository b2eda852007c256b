//! Regions and the host of each. Only what the administrator allows can be resolved; an object names a region, never a
//! host. It opens no connection.

use std::{collections::BTreeMap, net::IpAddr};

use url::{Host, Url};

/// Suffix of most regions.
const COM: &str = "myhuaweicloud.com";
/// Regions of the vendor's own client libraries, by suffix. A host is `dws.<region>.<suffix>`.
const REGIONS: [(&str, &[&str]); 3] = [
    ("myhuaweicloud.cn", &["ap-southeast-4", "cn-east-4", "cn-north-12", "cn-south-4", "tr-west-1"]),
    ("myhuaweicloud.eu", &["eu-west-101"]),
    (
        COM,
        &[
            "ae-ad-1",
            "af-north-1",
            "af-south-1",
            "ap-southeast-1",
            "ap-southeast-2",
            "ap-southeast-3",
            "ap-southeast-5",
            "cn-east-2",
            "cn-east-3",
            "cn-east-5",
            "cn-north-1",
            "cn-north-2",
            "cn-north-4",
            "cn-north-9",
            "cn-north-11",
            "cn-south-1",
            "cn-southwest-2",
            "cn-southwest-3",
            "la-north-2",
            "la-south-2",
            "me-east-1",
            "my-kualalumpur-1",
            "na-mexico-1",
            "ru-moscow-1",
            "sa-brazil-1",
        ],
    ),
];

/// A setting about regions is wrong. For the administrator, at the start.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EndpointError {
    /// Not in the table, and no override.
    #[error(
        "region {0:?} is not known; use one such as cn-north-4, or give its endpoint with --endpoint {0}=https://..."
    )]
    UnknownRegion(String),
    /// Not a name.
    #[error(
        "region {0:?} is not a region's name: lower-case letters, digits and single hyphens, at most 63 characters"
    )]
    BadName(String),
    /// Neither https nor loopback.
    #[error("--endpoint {0}={1}: must be https; plain http is for loopback addresses only")]
    NotHttps(String, String),
    /// More than scheme, host and port.
    #[error("--endpoint {0}={1}: must be a scheme and a host with an optional port, nothing else")]
    MoreThanHost(String, String),
}

/// An object's region cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RegionNotAllowed {
    /// No region at all.
    #[error(
        "spec.region is not set and the controller has no default region. Set spec.region, or start the controller with --region. Allowed are: {0}"
    )]
    NoneNamed(String),
    /// Not among the allowed ones.
    #[error(
        "Region {0} is not allowed here; allowed are: {1}. Correct spec.region, or have the administrator add it with --allow-region or --endpoint"
    )]
    NotAllowed(String, String),
}

/// Where a request goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// Name of the region.
    pub region: String,
    /// Host, with its port if it is not the scheme's own.
    pub host: String,
    /// Scheme, host and port; no path.
    pub url: Url,
}

/// The regions that may be used.
#[derive(Clone, Debug)]
pub struct Regions {
    default: Option<String>,
    allowed: BTreeMap<String, Endpoint>,
}

impl Regions {
    /// The default region, those allowed besides, and the endpoints given for some: these three together and no other.
    pub fn new(default: Option<&str>, allowed: &[String], overrides: &[(String, Url)]) -> Result<Self, EndpointError> {
        let mut endpoints = BTreeMap::new();
        for (region, url) in overrides {
            endpoints.insert(region.clone(), overridden(region, url)?);
        }
        for region in default.into_iter().chain(allowed.iter().map(String::as_str)) {
            if !endpoints.contains_key(region) {
                endpoints.insert(region.to_owned(), known(region)?);
            }
        }
        Ok(Self { default: default.map(str::to_owned), allowed: endpoints })
    }

    /// The endpoint of an object's region.
    pub fn resolve(&self, region: Option<&str>) -> Result<Endpoint, RegionNotAllowed> {
        let Some(region) = region.or(self.default.as_deref()) else {
            return Err(RegionNotAllowed::NoneNamed(self.names()));
        };
        let endpoint = self.allowed.get(region);
        endpoint.cloned().ok_or_else(|| RegionNotAllowed::NotAllowed(region.to_owned(), self.names()))
    }

    fn names(&self) -> String {
        if self.allowed.is_empty() {
            return "none".to_owned();
        }
        self.allowed.keys().map(String::as_str).collect::<Vec<_>>().join(", ")
    }
}

fn known(region: &str) -> Result<Endpoint, EndpointError> {
    check_name(region)?;
    let suffix = REGIONS.iter().find(|(_, regions)| regions.contains(&region)).map(|(suffix, _)| suffix);
    let unknown = || EndpointError::UnknownRegion(region.to_owned());
    let host = format!("dws.{region}.{}", suffix.ok_or_else(unknown)?);
    let url = Url::parse(&format!("https://{host}")).map_err(|_| unknown())?;
    Ok(Endpoint { region: region.to_owned(), host, url })
}

fn overridden(region: &str, url: &Url) -> Result<Endpoint, EndpointError> {
    check_name(region)?;
    let only_host = url.username().is_empty()
        && url.password().is_none()
        && matches!(url.path(), "" | "/")
        && url.query().is_none()
        && url.fragment().is_none();
    // The user information of such a URL may be a secret: it is not shown.
    let shown = || url.host_str().unwrap_or("?").to_owned();
    let Some(host) = url.host_str().filter(|_| only_host) else {
        return Err(EndpointError::MoreThanHost(region.to_owned(), shown()));
    };
    let acceptable = match url.scheme() {
        "https" => true,
        "http" => is_loopback(url),
        _ => false,
    };
    if !acceptable {
        return Err(EndpointError::NotHttps(region.to_owned(), shown()));
    }
    let host = url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"));
    Ok(Endpoint { region: region.to_owned(), host, url: url.clone() })
}

/// A literal loopback address, or `localhost`. Other names may resolve to anything, and to something else tomorrow.
pub(super) fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Ipv4(address)) => IpAddr::from(address).is_loopback(),
        Some(Host::Ipv6(address)) => IpAddr::from(address).is_loopback(),
        Some(Host::Domain(name)) => name == "localhost",
        None => false,
    }
}

fn check_name(region: &str) -> Result<(), EndpointError> {
    let part =
        |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit());
    if region.len() <= 63 && region.split('-').all(part) {
        Ok(())
    } else {
        Err(EndpointError::BadName(region.to_owned()))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn overrides(region: &str, url: &str) -> Vec<(String, Url)> {
        vec![(region.to_owned(), Url::parse(url).unwrap())]
    }

    #[test]
    fn every_region_of_the_table_has_its_host() {
        let count = REGIONS.iter().map(|(_, regions)| regions.len()).sum::<usize>();
        assert_eq!(count, 31);
        for (suffix, regions) in REGIONS {
            for region in regions {
                let endpoint = Regions::new(Some(region), &[], &[]).unwrap().resolve(None).unwrap();
                assert_eq!(endpoint.url.as_str(), format!("https://dws.{region}.{suffix}/"));
                assert_eq!(endpoint.host, format!("dws.{region}.{suffix}"));
            }
        }
    }

    #[test]
    fn only_what_the_administrator_named_is_allowed() {
        let regions =
            Regions::new(Some("cn-north-4"), &["eu-west-101".to_owned()], &overrides("lab", "https://127.0.0.1:8443"))
                .unwrap();
        assert_eq!(regions.resolve(None).unwrap().region, "cn-north-4");
        assert_eq!(regions.resolve(Some("eu-west-101")).unwrap().region, "eu-west-101");
        assert_eq!(regions.resolve(Some("lab")).unwrap().host, "127.0.0.1:8443");
        let refused = regions.resolve(Some("cn-south-1")).unwrap_err().to_string();
        assert!(refused.contains("cn-north-4, eu-west-101, lab") && refused.contains("--allow-region"), "{refused}");
        let none = Regions::new(None, &[], &[]).unwrap().resolve(None).unwrap_err().to_string();
        assert!(none.contains("--region"), "{none}");
    }

    #[test]
    fn wrong_settings_are_refused_in_one_sentence() {
        let unknown = Regions::new(Some("mars-1"), &[], &[]).unwrap_err();
        assert_eq!(unknown, EndpointError::UnknownRegion("mars-1".to_owned()));
        for name in ["dws.example.com", "CN-NORTH-4", "a--b", "-a", "", "a/b"] {
            assert!(matches!(Regions::new(Some(name), &[], &[]), Err(EndpointError::BadName(_))), "{name}");
        }
        for url in ["http://dws.example.com", "http://10.0.0.1", "http://169.254.169.254", "ftp://127.0.0.1"] {
            let error = Regions::new(None, &[], &overrides("lab", url)).unwrap_err();
            assert!(matches!(error, EndpointError::NotHttps(..)), "{url}: {error}");
        }
        for url in ["https://u:p@a.example", "https://a.example/x", "https://a.example/?q", "https://a.example/#f"] {
            let error = Regions::new(None, &[], &overrides("lab", url)).unwrap_err();
            assert!(matches!(error, EndpointError::MoreThanHost(..)), "{url}: {error}");
            assert!(!error.to_string().contains("u:p"));
        }
    }

    #[test]
    fn plain_http_is_for_loopback_alone() {
        for url in ["http://127.0.0.1:1", "http://127.8.9.1", "http://[::1]:9", "http://localhost:80"] {
            assert!(Regions::new(None, &[], &overrides("lab", url)).is_ok(), "{url}");
        }
    }
}
