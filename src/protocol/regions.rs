//! Regions and their hosts. Only a region that the administrator allows can be resolved; an object names a region, never
//! a host. It opens no connection.
//!
//! No host of an IAM is guessed, or passwords could go to another operator of the same service: a region with an endpoint
//! of its own, or without a published IAM, needs `--iam-endpoint`.

use std::{collections::BTreeMap, net::IpAddr, sync::Arc};

use url::{Host, Url};

/// The regions of the vendor's client libraries, with the suffixes of DWS and of IAM, if that is published. A host is
/// `dws.<region>.<suffix>`.
const REGIONS: [(&str, Option<&str>, &str); 5] = [
    ("myhuaweicloud.cn", None, "cn-north-12 cn-south-4"),
    ("myhuaweicloud.cn", Some("myhuaweicloud.com"), "ap-southeast-4 cn-east-4 tr-west-1"),
    ("myhuaweicloud.eu", None, "eu-west-101"),
    ("myhuaweicloud.com", None, "af-north-1 ap-southeast-5 cn-north-11 cn-southwest-3"),
    (
        "myhuaweicloud.com",
        Some("myhuaweicloud.com"),
        "ae-ad-1 af-south-1 ap-southeast-1 ap-southeast-2 ap-southeast-3 cn-east-2 cn-east-3 cn-east-5 cn-north-1 \
         cn-north-2 cn-north-4 cn-north-9 cn-south-1 cn-southwest-2 la-north-2 la-south-2 me-east-1 my-kualalumpur-1 \
         na-mexico-1 ru-moscow-1 sa-brazil-1",
    ),
];

/// A setting of regions is invalid, or an object's region cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct RegionError(String);

/// Target of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    pub region: String,
    /// Host, with its port if it is not the scheme's own.
    pub host: String,
    /// Scheme, host and port; no path.
    pub url: Url,
}

#[derive(Clone, Debug)]
pub struct Regions {
    default: Option<String>,
    allowed: BTreeMap<String, Arc<Endpoint>>,
    /// IAM endpoints by region: those given by flag, and the built-in ones of regions with the built-in DWS endpoint, if
    /// known.
    iam: BTreeMap<String, Endpoint>,
}

impl Regions {
    /// Allows the default region, the `allowed` regions and the regions with an endpoint in `overrides`, and no other.
    pub fn new(default: Option<&str>, allowed: &[String], overrides: &[(String, Url)]) -> Result<Self, RegionError> {
        let (mut endpoints, mut iam) = (BTreeMap::new(), BTreeMap::new());
        for (region, url) in overrides {
            endpoints.insert(region.clone(), Arc::new(custom_endpoint("--endpoint", region, url)?));
        }
        for region in default.into_iter().chain(allowed.iter().map(String::as_str)) {
            if !endpoints.contains_key(region) {
                let (of_dws, of_iam) = built_in(region)?;
                endpoints.insert(region.to_owned(), Arc::new(of_dws));
                iam.extend(of_iam.map(|of_iam| (region.to_owned(), of_iam)));
            }
        }
        Ok(Self { default: default.map(str::to_owned), allowed: endpoints, iam })
    }

    /// Replaces the built-in IAM endpoints of these regions.
    pub fn with_iam(mut self, overrides: &[(String, Url)]) -> Result<Self, RegionError> {
        for (region, url) in overrides {
            if !self.allowed.contains_key(region) {
                return Err(RegionError(format!(
                    "--iam-endpoint {region}: region {region} is not allowed here; allowed are: {}. Add it with --region, --allow-region or --endpoint",
                    self.names()
                )));
            }
            self.iam.insert(region.clone(), custom_endpoint("--iam-endpoint", region, url)?);
        }
        Ok(self)
    }

    pub fn iam(&self, region: &str) -> Option<&Endpoint> {
        self.iam.get(region)
    }

    pub fn resolve(&self, region: Option<&str>) -> Result<Arc<Endpoint>, RegionError> {
        let Some(region) = region.or(self.default.as_deref()) else {
            return Err(RegionError(format!(
                "spec.region is not set and the controller has no default region. Set spec.region, or start the controller with --region. Allowed are: {}",
                self.names()
            )));
        };
        self.allowed.get(region).cloned().ok_or_else(|| {
            RegionError(format!(
                "Region {region} is not allowed here; allowed are: {}. Correct spec.region, or have the administrator add it with --allow-region or --endpoint",
                self.names()
            ))
        })
    }

    fn names(&self) -> String {
        if self.allowed.is_empty() {
            return "none".to_owned();
        }
        self.allowed.keys().map(String::as_str).collect::<Vec<_>>().join(", ")
    }
}

/// The endpoints of DWS and of IAM, if that is published.
fn built_in(region: &str) -> Result<(Endpoint, Option<Endpoint>), RegionError> {
    check_name(region)?;
    let known = REGIONS.iter().find(|(.., regions)| regions.split(' ').any(|known| known == region));
    let (dws, iam, _) = known.ok_or_else(|| unknown(region))?;
    let endpoint = |service: &str, suffix: &str| {
        let host = format!("{service}.{region}.{suffix}");
        let url = Url::parse(&format!("https://{host}")).map_err(|_| unknown(region))?;
        Ok(Endpoint { region: region.to_owned(), host, url })
    };
    Ok((endpoint("dws", dws)?, iam.map(|suffix| endpoint("iam", suffix)).transpose()?))
}

fn unknown(region: &str) -> RegionError {
    RegionError(format!(
        "region {region:?} is not known; use one such as cn-north-4, or give its endpoint with --endpoint {region}=https://..."
    ))
}

fn custom_endpoint(flag: &'static str, region: &str, url: &Url) -> Result<Endpoint, RegionError> {
    check_name(region)?;
    let only_host = url.username().is_empty()
        && url.password().is_none()
        && matches!(url.path(), "" | "/")
        && url.query().is_none()
        && url.fragment().is_none();
    // The user information of such a URL may be a secret: it is not shown.
    let must_be =
        |what: &str| RegionError(format!("{flag} {region}={}: must be {what}", url.host_str().unwrap_or("?")));
    let Some(host) = host_of(url).filter(|_| only_host) else {
        return Err(must_be("a scheme and a host with an optional port, and nothing else"));
    };
    if url.scheme() != "https" && !(url.scheme() == "http" && is_loopback(url)) {
        return Err(must_be("https; plain http is allowed for loopback addresses only"));
    }
    Ok(Endpoint { region: region.to_owned(), host, url: url.clone() })
}

/// The host, with its port if it is not the scheme's own.
pub fn host_of(url: &Url) -> Option<String> {
    let host = url.host_str()?;
    Some(url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}")))
}

/// A literal loopback address, or `localhost`. Other names may resolve to anything, and to something else tomorrow.
pub fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Ipv4(address)) => IpAddr::from(address).is_loopback(),
        Some(Host::Ipv6(address)) => IpAddr::from(address).is_loopback(),
        Some(Host::Domain(name)) => name == "localhost",
        None => false,
    }
}

fn check_name(region: &str) -> Result<(), RegionError> {
    let part =
        |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit());
    if region.len() <= 63 && region.split('-').all(part) {
        Ok(())
    } else {
        Err(RegionError(format!(
            "region {region:?} is not a valid name: use lower-case letters, digits and single hyphens, at most 63 characters"
        )))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;
