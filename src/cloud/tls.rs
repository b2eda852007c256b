//! The TLS configuration of all connections to the cloud: the system's roots, those of `--ca-bundle`, and no way to turn
//! verification off.

use std::{path::Path, sync::Arc};

use rustls::{
    ClientConfig,
    crypto::aws_lc_rs,
    pki_types::{CertificateDer, pem::PemObject},
};
use rustls_platform_verifier::Verifier;

use super::ClientError;

/// The configuration. Without ALPN: only HTTP/1.1 is used.
pub fn config(ca_bundle: Option<&Path>) -> Result<ClientConfig, ClientError> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let roots = ca_bundle.map(certificates).transpose()?.unwrap_or_default();
    let count = roots.len();
    let verifier = if roots.is_empty() {
        Verifier::new(Arc::clone(&provider))
    } else {
        Verifier::new_with_extra_roots(roots, Arc::clone(&provider))
    };
    let verifier = verifier.map_err(|error| ClientError::Roots { count, why: error.to_string() })?;
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| ClientError::Setup(error.to_string()))?;
    Ok(config.dangerous().with_custom_certificate_verifier(Arc::new(verifier)).with_no_client_auth())
}

fn certificates(file: &Path) -> Result<Vec<CertificateDer<'static>>, ClientError> {
    let invalid = |why: String| ClientError::CaBundle { file: file.to_owned(), why };
    let bytes = std::fs::read(file).map_err(|error| invalid(error.to_string()))?;
    let certificates: Vec<_> =
        CertificateDer::pem_slice_iter(&bytes).collect::<Result<_, _>>().map_err(|error| invalid(error.to_string()))?;
    if certificates.is_empty() { Err(invalid("it holds no PEM certificate".to_owned())) } else { Ok(certificates) }
}
