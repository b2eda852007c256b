//! The simulator's authority and its server certificate, created at each start.

use std::sync::Arc;

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose,
};
use rustls::{
    ServerConfig,
    pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer},
};

/// The listener's certificate, and the authority that a client must trust.
pub struct Certificate {
    pub ca_pem: String,
    pub server: Arc<ServerConfig>,
}

/// A certificate for loopback and these names, by an authority of its own.
pub fn make(names: &[String]) -> Result<Certificate, String> {
    let text = |error: rcgen::Error| error.to_string();
    let mut ca = CertificateParams::new(Vec::new()).map_err(text)?;
    ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    // Not the server's own name: OpenSSL treats a certificate with the same name for issuer and subject as self-signed.
    ca.distinguished_name.push(DnType::CommonName, "dws-simulator authority");
    ca.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::DigitalSignature];
    let ca_key = KeyPair::generate().map_err(text)?;
    let ca_pem = ca.self_signed(&ca_key).map_err(text)?.pem();
    let issuer = Issuer::new(ca, ca_key);

    let loopback = ["127.0.0.1", "::1", "localhost"].map(str::to_owned);
    let mut leaf =
        CertificateParams::new(loopback.into_iter().chain(names.iter().cloned()).collect::<Vec<_>>()).map_err(text)?;
    leaf.distinguished_name.push(DnType::CommonName, "dws-simulator");
    leaf.use_authority_key_identifier_extension = true;
    leaf.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    leaf.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    let key = KeyPair::generate().map_err(text)?;
    let certificate = leaf.signed_by(&key, &issuer).map_err(text)?;
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let server = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .and_then(|builder| builder.with_no_client_auth().with_single_cert(vec![certificate.der().clone()], key))
        .map_err(|error| error.to_string())?;
    Ok(Certificate { ca_pem, server: Arc::new(server) })
}
