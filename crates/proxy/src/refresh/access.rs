//! Who may refresh: an operator with a token, a code host that signs what it sends.
//!
//! Comparisons take the same time wherever two texts differ. Several secrets of a kind may hold at once,
//! so that one can be replaced by the next without a gap.

use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::{digest, hmac};
use source::Secret;

/// The secrets. Each kind is off where it has none.
#[derive(Clone, Debug, Default)]
pub struct RefreshAccess {
    /// Tokens of operators.
    pub tokens: Vec<Secret>,
    /// What code hosts sign with, or send as it is.
    pub webhook_secrets: Vec<Secret>,
}

/// How a code host proves that a webhook is its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Proof {
    /// The HMAC-SHA-256 of the body in hexadecimal digits, after this text.
    Signature {
        /// What stands before the digits.
        prefix: &'static str,
    },
    /// The secret itself.
    Secret,
}

impl RefreshAccess {
    /// True for `Bearer TOKEN` with one of the tokens.
    pub fn admits_operator(&self, authorization: &str) -> bool {
        let Some((scheme, token)) = authorization.split_once(' ') else {
            return false;
        };
        scheme.eq_ignore_ascii_case("bearer") && is_one_of(&self.tokens, token.trim())
    }

    /// True if the host's header proves that it knows one of the webhook secrets.
    pub fn admits_webhook(&self, proof: Proof, header: &str, body: &[u8]) -> bool {
        match proof {
            Proof::Secret => is_one_of(&self.webhook_secrets, header),
            Proof::Signature { prefix } => {
                let Some(signature) = header.strip_prefix(prefix).and_then(read_signature) else {
                    return false;
                };
                // No early end: which of the secrets fits is nobody's business either.
                self.webhook_secrets.iter().fold(false, |fits, secret| {
                    let key = hmac::Key::new(hmac::HMAC_SHA256, secret.expose().as_bytes());
                    hmac::verify(&key, body, &signature).is_ok() | fits
                })
            }
        }
    }
}

/// Digests are compared, so that not even the length of a secret shows.
fn is_one_of(secrets: &[Secret], given: &str) -> bool {
    let digest_of = |text: &str| digest::digest(&digest::SHA256, text.as_bytes());
    let given = digest_of(given);
    secrets.iter().fold(false, |fits, secret| {
        let secret = digest_of(secret.expose());
        verify_slices_are_equal(secret.as_ref(), given.as_ref()).is_ok() | fits
    })
}

/// The 32 bytes of 64 hexadecimal digits; the hosts write them in lower case.
fn read_signature(digits: &str) -> Option<[u8; 32]> {
    let mut signature = [0; 32];
    if digits.len() != 2 * signature.len() {
        return None;
    }
    for (byte, pair) in signature.iter_mut().zip(digits.as_bytes().chunks(2)) {
        let mut value = 0;
        for digit in pair {
            value = value * 16 + char::from(*digit).to_digit(16)?;
        }
        *byte = u8::try_from(value).ok()?;
    }
    Some(signature)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn access(secrets: &[&str]) -> RefreshAccess {
        let secrets: Vec<Secret> = secrets.iter().map(|text| Secret::new(*text)).collect();
        RefreshAccess {
            tokens: secrets.clone(),
            webhook_secrets: secrets,
        }
    }

    #[test]
    fn only_a_bearer_with_a_known_token_is_an_operator() {
        let check = |header: &str, expected: bool| {
            let known = access(&["first-token-of-two", "second-token-of-two"]);
            assert_eq!(known.admits_operator(header), expected, "{header}");
        };
        check("Bearer first-token-of-two", true);
        check("bearer second-token-of-two", true);
        check("Bearer  second-token-of-two", true);
        check("Bearer first-token-of-tw", false);
        check("Bearer first-token-of-two2", false);
        check("Bearer ", false);
        check("Bearer", false);
        check("first-token-of-two", false);
        check("Basic first-token-of-two", false);
        assert!(!access(&[]).admits_operator("Bearer "));
    }

    /// Signatures made by `printf '%s' BODY | openssl dgst -sha256 -hmac SECRET`.
    #[test]
    fn a_signature_fits_its_body_and_its_secret_only() {
        const BODY: &[u8] = b"{\"repository\":{}}";
        const SIGNATURE: &str = "d0ef764ccd47ecbd84ce38d03493c808d1a0db051a001718306216620e3fd533";
        const OF_EMPTY: &str = "e7739649e37a250130e5fffbf6cebfc850418edbf5a876cd326f10880c581127";
        let plain = Proof::Signature { prefix: "" };
        let prefixed = Proof::Signature { prefix: "sha256=" };
        let check = |proof: Proof, header: &str, body: &[u8], expected: bool| {
            let known = access(&["the secret before", "a secret of thirty-two letters!!"]);
            assert_eq!(
                known.admits_webhook(proof, header, body),
                expected,
                "{proof:?} {header}"
            );
        };
        check(plain, SIGNATURE, BODY, true);
        check(prefixed, &format!("sha256={SIGNATURE}"), BODY, true);
        check(plain, &SIGNATURE.to_uppercase(), BODY, true);
        check(plain, OF_EMPTY, b"", true);
        check(plain, SIGNATURE, b"{\"repository\":{} }", false);
        check(plain, OF_EMPTY, BODY, false);
        check(prefixed, SIGNATURE, BODY, false);
        check(prefixed, &format!("sha1={SIGNATURE}"), BODY, false);
        check(plain, &SIGNATURE[1..], BODY, false);
        check(plain, &format!("{SIGNATURE}00"), BODY, false);
        check(plain, &format!("é{}", &SIGNATURE[2..]), BODY, false);
        check(plain, "", BODY, false);
        assert!(!access(&[]).admits_webhook(plain, SIGNATURE, BODY));
        assert!(!access(&["another secret"]).admits_webhook(plain, SIGNATURE, BODY));
    }
}
