//! The lab's certificate authorities: a chain as a public authority has it, a company's private one,
//! and an inspection box. Everything is made when the lab is opened, so that nothing can expire in
//! the repository.

use rcgen::{
    BasicConstraints, CertificateParams, CustomExtension, DistinguishedName, DnType,
    ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose, PKCS_RSA_SHA256, RsaKeySize,
    SanType, date_time_ymd,
};
use std::net::IpAddr;

/// A certificate authority: a root or an intermediate.
pub(crate) struct Authority {
    params: CertificateParams,
    key_pem: String,
    der: Vec<u8>,
}

/// What a server shows: certificates in the order in which they are sent, and the key of whichever is
/// meant to be the leaf.
#[derive(Clone)]
pub(crate) struct Identity {
    /// DER, whether a certificate or not.
    pub(crate) sent: Vec<Vec<u8>>,
    /// PKCS #8.
    pub(crate) key_der: Vec<u8>,
}

/// A key of RSA 2048, PKCS #8 PEM: what most of the lab uses, because Go's words name RSA.
pub(crate) fn rsa_key() -> String {
    let key = KeyPair::generate_rsa_for(&PKCS_RSA_SHA256, RsaKeySize::_2048).unwrap();
    key.serialize_pem()
}

fn key(pem: &str) -> KeyPair {
    KeyPair::from_pem(pem).unwrap()
}

/// The parameters of an authority of this name, valid from 2020 to 2095.
pub(crate) fn authority_params(common_name: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params.use_authority_key_identifier_extension = true;
    (params.not_before, params.not_after) = (date_time_ymd(2020, 1, 1), date_time_ymd(2095, 1, 1));
    params.distinguished_name = named(common_name);
    params
}

/// The parameters of a server's certificate for these names, valid from 2021 to 2094.
pub(crate) fn leaf_params(names: &[&str]) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.subject_alt_names = names.iter().map(|name| alternative(name)).collect();
    params.key_usages = vec![
        KeyUsagePurpose::DigitalSignature,
        KeyUsagePurpose::KeyEncipherment,
    ];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    params.use_authority_key_identifier_extension = true;
    (params.not_before, params.not_after) = (date_time_ymd(2021, 1, 1), date_time_ymd(2094, 1, 1));
    params.distinguished_name = named(names.first().copied().unwrap_or("localhost"));
    params
}

fn alternative(name: &str) -> SanType {
    match name.parse::<IpAddr>() {
        Ok(address) => SanType::IpAddress(address),
        Err(_) => SanType::DnsName(name.to_owned().try_into().unwrap()),
    }
}

/// A subject or issuer of one common name.
pub(crate) fn named(common_name: &str) -> DistinguishedName {
    let mut name = DistinguishedName::new();
    name.push(DnType::CommonName, common_name);
    name
}

/// The caIssuers entry of RFC 5280, section 4.2.2.1: where the issuer's certificate can be fetched.
pub(crate) fn authority_information_access(url: &str) -> CustomExtension {
    const CA_ISSUERS: [u8; 10] = [0x06, 0x08, 0x2b, 0x06, 0x01, 0x05, 0x05, 0x07, 0x30, 0x02];
    let mut description = CA_ISSUERS.to_vec();
    description.extend(der_element(0x86, url.as_bytes()));
    let content = der_element(0x30, &der_element(0x30, &description));
    CustomExtension::from_oid_content(&[1, 3, 6, 1, 5, 5, 7, 1, 1], content)
}

/// One DER element of less than 64 KiB.
pub(crate) fn der_element(tag: u8, content: &[u8]) -> Vec<u8> {
    let mut element = vec![tag];
    match content.len() {
        short @ ..=0x7f => element.push(short as u8),
        medium @ ..=0xff => element.extend([0x81, medium as u8]),
        long => element.extend([0x82, (long >> 8) as u8, long as u8]),
    }
    element.extend(content);
    element
}

impl Authority {
    /// A root with this key.
    pub(crate) fn root(params: CertificateParams, key_pem: &str) -> Self {
        let certificate = params.self_signed(&key(key_pem)).unwrap();
        Self {
            params,
            key_pem: key_pem.into(),
            der: certificate.der().to_vec(),
        }
    }

    /// An intermediate with this key, signed by `self`.
    pub(crate) fn intermediate(&self, params: CertificateParams, key_pem: &str) -> Self {
        let certificate = params.signed_by(&key(key_pem), &self.issuer()).unwrap();
        Self {
            params,
            key_pem: key_pem.into(),
            der: certificate.der().to_vec(),
        }
    }

    /// A certificate for this key, DER.
    pub(crate) fn sign(&self, params: &CertificateParams, key_pem: &str) -> Vec<u8> {
        let certificate = params.signed_by(&key(key_pem), &self.issuer()).unwrap();
        certificate.der().to_vec()
    }

    /// The certificate, DER.
    pub(crate) fn der(&self) -> Vec<u8> {
        self.der.clone()
    }

    /// The key, PKCS #8 PEM.
    pub(crate) fn key_pem(&self) -> &str {
        &self.key_pem
    }

    fn issuer(&self) -> Issuer<'_, KeyPair> {
        Issuer::from_params(&self.params, key(&self.key_pem))
    }
}

impl Identity {
    /// These certificates, and this key.
    pub(crate) fn new(sent: Vec<Vec<u8>>, key_pem: &str) -> Self {
        Self {
            sent,
            key_der: key(key_pem).serialize_der(),
        }
    }
}

/// A certificate as a PEM file holds it.
pub(crate) fn pem(der: &[u8]) -> String {
    use base64::Engine as _;
    let text = base64::engine::general_purpose::STANDARD.encode(der);
    let lines: Vec<&str> = (0..text.len())
        .step_by(64)
        .map(|start| &text[start..text.len().min(start + 64)])
        .collect();
    format!(
        "-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n",
        lines.join("\n")
    )
}
