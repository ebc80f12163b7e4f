//! One certificate's signature under another's key (`CheckSignatureFrom`), with Go's words.

use aws_lc_rs::signature as algorithms;
use aws_lc_rs::signature::{UnparsedPublicKey, VerificationAlgorithm};

use super::{HintFault, SMALLEST_RSA_BITS};
use crate::certificate::{Certificate, Curve, KEY_CERT_SIGN, PublicKey, SignatureAlgorithm};

/// Why a signature does not hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SignatureFault {
    /// The issuer is no authority, or may not sign certificates.
    CannotSign,
    /// MD5 or SHA-1.
    Insecure,
    /// Not known to Go.
    Unimplemented,
    /// The algorithm is for another kind of key.
    OtherKey,
    /// The issuer's RSA key is too short.
    ShortKey(usize),
    /// It does not verify.
    Wrong,
}

impl SignatureFault {
    /// Go's words.
    pub(super) fn text(self, child: &Certificate, parent: &Certificate) -> String {
        let algorithm = child.signature_algorithm;
        match self {
            Self::CannotSign => {
                "x509: invalid signature: parent certificate cannot sign this kind of certificate"
                    .to_owned()
            }
            Self::Insecure => format!(
                "x509: cannot verify signature: insecure algorithm {}",
                algorithm.name()
            ),
            Self::Unimplemented => {
                "x509: cannot verify signature: algorithm unimplemented".to_owned()
            }
            Self::OtherKey => format!(
                "x509: signature algorithm specifies an {} public key, but have public key of type {}",
                kind(algorithm),
                parent.key.go_type()
            ),
            Self::ShortKey(bits) => short_key(bits),
            Self::Wrong => match parent.key {
                PublicKey::Ecdsa { .. } => "x509: ECDSA verification failure".to_owned(),
                PublicKey::Ed25519(_) => "x509: Ed25519 verification failure".to_owned(),
                _ => "crypto/rsa: verification error".to_owned(),
            },
        }
    }

    pub(super) fn hint(self) -> HintFault {
        match self {
            Self::CannotSign => HintFault::CannotSign,
            Self::Insecure => HintFault::InsecureAlgorithm,
            Self::Unimplemented | Self::OtherKey => HintFault::UnknownAlgorithm,
            Self::ShortKey(_) => HintFault::ShortKey,
            Self::Wrong => HintFault::WrongSignature,
        }
    }
}

/// What Go says of an RSA key that it does not verify with.
pub(super) fn short_key(bits: usize) -> String {
    format!(
        "crypto/rsa: {bits}-bit keys are insecure (see https://go.dev/pkg/crypto/rsa#hdr-Minimum_key_size)"
    )
}

/// Whether `parent` signed `child` and may.
pub(crate) fn check_signature_from(
    child: &Certificate,
    parent: &Certificate,
) -> Result<(), SignatureFault> {
    let may_sign = match parent.basic_constraints {
        Some(constraints) => constraints.is_authority,
        None => parent.version != 3,
    };
    if !may_sign || parent.key_usage != 0 && parent.key_usage & KEY_CERT_SIGN == 0 {
        return Err(SignatureFault::CannotSign);
    }
    if matches!(parent.key, PublicKey::Unknown(_)) {
        return Err(SignatureFault::Unimplemented);
    }
    check_signature(child, &parent.key)
}

/// Whether the signature verifies with this key, whatever its owner may sign. A weak algorithm or key is
/// no proof against it: there the names must do.
pub(crate) fn is_signed_with(child: &Certificate, key: &PublicKey) -> bool {
    match check_signature(child, key) {
        Ok(()) | Err(SignatureFault::Insecure | SignatureFault::ShortKey(_)) => true,
        Err(_) => false,
    }
}

/// What kind of key an algorithm is for, in Go's words.
fn kind(algorithm: SignatureAlgorithm) -> &'static str {
    use SignatureAlgorithm as Kind;
    match algorithm {
        Kind::Md5Rsa
        | Kind::Sha1Rsa
        | Kind::Sha256Rsa
        | Kind::Sha384Rsa
        | Kind::Sha512Rsa
        | Kind::Sha256RsaPss
        | Kind::Sha384RsaPss
        | Kind::Sha512RsaPss => "RSA",
        Kind::Sha1Dsa | Kind::Sha256Dsa => "DSA",
        Kind::Sha1Ecdsa | Kind::Sha256Ecdsa | Kind::Sha384Ecdsa | Kind::Sha512Ecdsa => "ECDSA",
        Kind::Ed25519 => "Ed25519",
        Kind::Unknown => "0",
    }
}

fn check_signature(child: &Certificate, key: &PublicKey) -> Result<(), SignatureFault> {
    let algorithm = child.signature_algorithm;
    if algorithm.is_weak() {
        return Err(SignatureFault::Insecure);
    }
    if algorithm == SignatureAlgorithm::Unknown {
        return Err(SignatureFault::Unimplemented);
    }
    let (kind_of_key, bytes) = match key {
        PublicKey::Rsa { key, .. } => ("RSA", key),
        PublicKey::Ecdsa { point, .. } => ("ECDSA", point),
        PublicKey::Ed25519(key) => ("Ed25519", key),
        PublicKey::Dsa { .. } | PublicKey::Unknown(_) => return Err(SignatureFault::Unimplemented),
    };
    if kind(algorithm) != kind_of_key {
        return Err(SignatureFault::OtherKey);
    }
    if let PublicKey::Rsa { bits, .. } = key
        && *bits < SMALLEST_RSA_BITS
    {
        return Err(SignatureFault::ShortKey(*bits));
    }
    let Some(verifier) = verifier(algorithm, key) else {
        // A key of a length or on a curve that Go verifies and aws-lc-rs does not (P-224, RSA of less than
        // 2048 bits with SHA-384 or PSS). Taking the signature for good is the lesser error: a chain that
        // hangs together by names and key identifiers is far likelier than a forged one.
        return Ok(());
    };
    UnparsedPublicKey::new(verifier, bytes)
        .verify(&child.signed_part, &child.signature)
        .map_err(|_| SignatureFault::Wrong)
}

fn verifier(
    algorithm: SignatureAlgorithm,
    key: &PublicKey,
) -> Option<&'static dyn VerificationAlgorithm> {
    use SignatureAlgorithm as Kind;
    let is_long = matches!(key, PublicKey::Rsa { bits, .. } if (2048..=8192).contains(bits));
    let is_taken = matches!(key, PublicKey::Rsa { bits, .. } if *bits <= 8192);
    let curve = match key {
        PublicKey::Ecdsa { curve, .. } => Some(*curve),
        _ => None,
    };
    Some(match (algorithm, curve) {
        (Kind::Sha256Rsa, _) if is_taken => {
            &algorithms::RSA_PKCS1_1024_8192_SHA256_FOR_LEGACY_USE_ONLY
        }
        (Kind::Sha384Rsa, _) if is_long => &algorithms::RSA_PKCS1_2048_8192_SHA384,
        (Kind::Sha512Rsa, _) if is_taken => {
            &algorithms::RSA_PKCS1_1024_8192_SHA512_FOR_LEGACY_USE_ONLY
        }
        (Kind::Sha256RsaPss, _) if is_long => &algorithms::RSA_PSS_2048_8192_SHA256,
        (Kind::Sha384RsaPss, _) if is_long => &algorithms::RSA_PSS_2048_8192_SHA384,
        (Kind::Sha512RsaPss, _) if is_long => &algorithms::RSA_PSS_2048_8192_SHA512,
        (Kind::Sha256Ecdsa, Some(Curve::P256)) => &algorithms::ECDSA_P256_SHA256_ASN1,
        (Kind::Sha384Ecdsa, Some(Curve::P256)) => &algorithms::ECDSA_P256_SHA384_ASN1,
        (Kind::Sha512Ecdsa, Some(Curve::P256)) => &algorithms::ECDSA_P256_SHA512_ASN1,
        (Kind::Sha256Ecdsa, Some(Curve::P384)) => &algorithms::ECDSA_P384_SHA256_ASN1,
        (Kind::Sha384Ecdsa, Some(Curve::P384)) => &algorithms::ECDSA_P384_SHA384_ASN1,
        (Kind::Sha512Ecdsa, Some(Curve::P384)) => &algorithms::ECDSA_P384_SHA512_ASN1,
        (Kind::Sha256Ecdsa, Some(Curve::P521)) => &algorithms::ECDSA_P521_SHA256_ASN1,
        (Kind::Sha384Ecdsa, Some(Curve::P521)) => &algorithms::ECDSA_P521_SHA384_ASN1,
        (Kind::Sha512Ecdsa, Some(Curve::P521)) => &algorithms::ECDSA_P521_SHA512_ASN1,
        (Kind::Ed25519, _) => &algorithms::ED25519,
        _ => return None,
    })
}
