//! The IAM endpoints, where the users of a region log in. It guesses no host, or passwords could go to another operator of
//! the same service: a region with an endpoint of its own, or without a published IAM, needs `--iam-endpoint`.

use url::Url;

use super::{COM_SUFFIX, Endpoint, EndpointError, Regions, built_in_endpoint, custom_endpoint, endpoint};

/// Regions whose IAM has the suffix `COM_SUFFIX` although their DWS has another, in the vendor's client libraries.
const IAM_UNDER_COM: [&str; 3] = ["ap-southeast-4", "cn-east-4", "tr-west-1"];

/// Regions without an IAM in the vendor's client libraries.
const WITHOUT_IAM: [&str; 7] =
    ["af-north-1", "ap-southeast-5", "cn-north-11", "cn-north-12", "cn-south-4", "cn-southwest-3", "eu-west-101"];

/// The built-in IAM of a region, if there is one.
pub(super) fn built_in_iam(region: &str) -> Result<Option<Endpoint>, EndpointError> {
    if WITHOUT_IAM.contains(&region) {
        return Ok(None);
    }
    if IAM_UNDER_COM.contains(&region) { endpoint("iam", region, COM_SUFFIX) } else { built_in_endpoint("iam", region) }
        .map(Some)
}

impl Regions {
    /// Replaces the built-in IAM endpoints of these regions.
    pub fn with_iam(mut self, overrides: &[(String, Url)]) -> Result<Self, EndpointError> {
        for (region, url) in overrides {
            if !self.allowed.contains_key(region) {
                return Err(EndpointError::IamOfNoRegion(region.clone(), self.names()));
            }
            self.iam.insert(region.clone(), custom_endpoint("--iam-endpoint", region, url)?);
        }
        Ok(self)
    }

    /// The IAM endpoint of a region, if it is known.
    pub fn iam(&self, region: &str) -> Option<&Endpoint> {
        self.iam.get(region)
    }
}
