//! The authority, the certificates and the key of service accounts of one control plane. They are worthless outside of
//! its directory, and must not be used for anything else.

use std::{fs, path::Path};

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose,
};

use crate::failure::Failure;

/// Writes all of them into the directory and returns the authority's certificate as PEM.
pub fn write(directory: &Path) -> Result<String, Failure> {
    fs::create_dir_all(directory)?;
    let mut params = CertificateParams::new(Vec::new())?;
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.distinguished_name.push(DnType::CommonName, "testbed");
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::DigitalSignature];
    let key = KeyPair::generate()?;
    let ca_pem = params.self_signed(&key)?.pem();
    fs::write(directory.join("ca.crt"), &ca_pem)?;
    let issuer = Issuer::new(params, key);

    let hosts = ["127.0.0.1", "::1", "localhost", "kubernetes.default.svc", "10.96.0.1"];
    leaf(directory, &issuer, "apiserver", None, &hosts)?;
    leaf(directory, &issuer, "admin", Some("system:masters"), &[])?;
    leaf(directory, &issuer, "system:kube-controller-manager", None, &[])?;
    leaf(directory, &issuer, "system:kube-scheduler", None, &[])?;
    leaf(directory, &issuer, "system:node:node", Some("system:nodes"), &[])?;
    leaf(directory, &issuer, "kubelet", None, &["10.96.0.1"])?;

    // The verifying side reads a public key only in its own form.
    let service_accounts = KeyPair::generate()?;
    fs::write(directory.join("service-accounts.key"), service_accounts.serialize_pem())?;
    fs::write(directory.join("service-accounts.pub"), service_accounts.public_key_pem())?;
    Ok(ca_pem)
}

/// A server's certificate if hosts are given, otherwise that of a client called `name`.
fn leaf(
    directory: &Path,
    issuer: &Issuer<'static, KeyPair>,
    name: &str,
    group: Option<&str>,
    hosts: &[&str],
) -> Result<(), Failure> {
    let mut params = CertificateParams::new(hosts.iter().map(ToString::to_string).collect::<Vec<_>>())?;
    params.distinguished_name.push(DnType::CommonName, name);
    if let Some(group) = group {
        params.distinguished_name.push(DnType::OrganizationName, group);
    }
    params.use_authority_key_identifier_extension = true;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages =
        vec![if hosts.is_empty() { ExtendedKeyUsagePurpose::ClientAuth } else { ExtendedKeyUsagePurpose::ServerAuth }];
    let key = KeyPair::generate()?;
    let file = directory.join(name.rsplit(':').next().unwrap_or(name));
    fs::write(file.with_extension("crt"), params.signed_by(&key, issuer)?.pem())?;
    fs::write(file.with_extension("key"), key.serialize_pem())?;
    Ok(())
}
