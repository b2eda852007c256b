//! Where the users of a region log in. It guesses no host: whoever gave a region an endpoint of its own has to say where its
//! IAM is, or passwords could go to another operator of the same service.

use url::Url;

use super::{COM, Endpoint, EndpointError, Regions, at, known, overridden};

/// Regions whose IAM has another suffix than their DWS, in the vendor's own client libraries.
const COM_ALL_THE_SAME: [&str; 3] = ["ap-southeast-4", "cn-east-4", "tr-west-1"];

/// The built-in IAM of a region.
pub(super) fn known_iam(region: &str) -> Result<Endpoint, EndpointError> {
    if COM_ALL_THE_SAME.contains(&region) { at("iam", region, COM) } else { known("iam", region) }
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
