//! Where the users of a region log in. It guesses no host, or passwords could go to another operator of the same service:
//! whoever gave a region an endpoint of its own, or has one whose IAM is published nowhere, has to say where that is.

use url::Url;

use super::{COM, Endpoint, EndpointError, Regions, at, known, overridden};

/// Regions whose IAM has another suffix than their DWS, in the vendor's own client libraries.
const COM_ALL_THE_SAME: [&str; 3] = ["ap-southeast-4", "cn-east-4", "tr-west-1"];

/// Regions whose IAM the vendor's own client libraries do not name.
const NOT_NAMED: [&str; 7] =
    ["af-north-1", "ap-southeast-5", "cn-north-11", "cn-north-12", "cn-south-4", "cn-southwest-3", "eu-west-101"];

/// The built-in IAM of a region, if there is one.
pub(super) fn known_iam(region: &str) -> Result<Option<Endpoint>, EndpointError> {
    if NOT_NAMED.contains(&region) {
        return Ok(None);
    }
    if COM_ALL_THE_SAME.contains(&region) { at("iam", region, COM) } else { known("iam", region) }.map(Some)
}

impl Regions {
    /// With these instead of the built-in ones, by region.
    pub fn with_iam(mut self, overrides: &[(String, Url)]) -> Result<Self, EndpointError> {
        for (region, url) in overrides {
            if !self.allowed.contains_key(region) {
                return Err(EndpointError::IamOfNoRegion(region.clone(), self.names()));
            }
            self.iam.insert(region.clone(), overridden("--iam-endpoint", region, url)?);
        }
        Ok(self)
    }

    /// The IAM of a region, if it is known.
    pub fn iam(&self, region: &str) -> Option<&Endpoint> {
        self.iam.get(region)
    }
}
