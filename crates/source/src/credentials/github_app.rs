//! Tokens of a GitHub App: a signed claim in, a token of an hour out, made anew before it expires.

use std::time::Duration;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{RSA_PKCS1_SHA256, RsaKeyPair};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::Method;
use http::header::{self, HeaderMap, HeaderValue};
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::PemObject;
use serde::Deserialize;
use url::Url;

use super::expiring::{Expiring, Fresh};
use super::http::{Clients, words};
use super::rule::GithubApp;
use super::unusable;
use crate::{Means, Secret, SourceError, SourceErrorKind};

/// A token is made anew so long before it expires: a large clone may begin with it.
const MARGIN: Duration = Duration::from_secs(300);

/// GitHub's tokens hold an hour; a longer promise is not relied upon.
const LONGEST: Duration = Duration::from_secs(3600);

/// How far the clocks of GitHub and this machine may differ, as GitHub's own documentation advises.
const CLOCK_DRIFT_SECONDS: i64 = 60;

/// How long a claim holds. GitHub refuses more than ten minutes.
const CLAIM_SECONDS: i64 = 540;

/// More of an answer is not read.
const MOST_BYTES: usize = 64 << 10;

/// How long one exchange may take.
const TIME_LIMIT: Duration = Duration::from_secs(30);

/// The user that goes with an installation's token.
const USER: &str = "x-access-token";

/// The token of one rule's installation.
pub(super) struct AppToken {
    token: Expiring<Means>,
}

#[derive(Deserialize)]
struct TokenAnswer {
    token: String,
    expires_at: String,
}

impl AppToken {
    pub(super) fn new() -> Self {
        Self {
            token: Expiring::new(),
        }
    }

    /// The installation's token as a password; `rule` names the rule in errors.
    pub(super) async fn means(
        &self,
        rule: &str,
        app: &GithubApp,
        clients: &Clients,
    ) -> Result<Means, SourceError> {
        let make = async {
            tokio::time::timeout(TIME_LIMIT, exchange(rule, app, clients))
                .await
                .map_err(|_| {
                    let text = format!("{} did not answer in time", app.api);
                    failed(rule, SourceErrorKind::TimedOut, &text, "")
                })?
        };
        self.token.value(make).await
    }

    pub(super) async fn forget(&self) {
        self.token.forget().await;
    }
}

async fn exchange(
    rule: &str,
    app: &GithubApp,
    clients: &Clients,
) -> Result<Fresh<Means>, SourceError> {
    let pem = app
        .key
        .text()
        .await
        .map_err(|reason| unusable(rule, &format!("the app's key: {reason}"), ""))?;
    let now = jiff::Timestamp::now();
    let claim = claim(&app.id, &pem, now.as_second())
        .map_err(|reason| unusable(rule, &reason, KEY_CURE))?;
    let base = app.api.expose().as_str().trim_end_matches('/');
    let url = format!(
        "{base}/app/installations/{}/access_tokens",
        app.installation
    );
    let url = Url::parse(&url).map_err(|error| unusable(rule, &error.to_string(), ""))?;
    let mut headers = HeaderMap::new();
    let accept = HeaderValue::from_static("application/vnd.github+json");
    headers.insert(header::ACCEPT, accept);
    let mut bearer = HeaderValue::from_str(&format!("Bearer {}", claim.expose()))
        .map_err(|_| unusable(rule, "its claim cannot stand in a header", ""))?;
    bearer.set_sensitive(true);
    headers.insert(header::AUTHORIZATION, bearer);

    let client = clients.of_named_host(app.api.host().unwrap_or_default())?;
    let reply = client
        .ask_once(Method::POST, &url, &headers)
        .await
        .map_err(|failure| failed(rule, failure.error.kind(), &failure.error.to_string(), ""))?;
    let status = reply.status.as_u16();
    let body = reply.body.beginning(MOST_BYTES).await;
    if status != 201 && status != 200 {
        let said = words(&body, &[&claim]);
        return Err(refused(rule, app, status, &said));
    }
    let no_token = || {
        let text = format!("{} answered what is no token", app.api);
        failed(rule, SourceErrorKind::BadAnswer, &text, "")
    };
    let answer: TokenAnswer = serde_json::from_slice(&body).map_err(|_| no_token())?;
    let expires_at: jiff::Timestamp = answer.expires_at.parse().map_err(|_| no_token())?;
    let printable = answer.token.chars().all(|letter| letter.is_ascii_graphic());
    if answer.token.is_empty() || !printable {
        return Err(no_token());
    }
    let seconds = expires_at.as_second().saturating_sub(now.as_second());
    let holds = u64::try_from(seconds).map_or(Duration::ZERO, Duration::from_secs);
    if holds.is_zero() {
        let text = format!("{} gave a token that has expired by our clock", app.api);
        let cure = "compare this machine's clock with the time";
        return Err(failed(rule, SourceErrorKind::BadAnswer, &text, cure));
    }
    let holds = holds.min(LONGEST);
    Ok(Fresh {
        value: Means::Password {
            username: USER.to_owned(),
            password: Secret::new(answer.token),
        },
        renew_in: holds.checked_sub(MARGIN).unwrap_or(holds / 2),
        dies_in: holds,
    })
}

const KEY_CURE: &str = "make a new private key on the app's page and put it, as it was downloaded, into the key's file";

impl GithubApp {
    /// Whether a text is a private key that can sign for an app; the error is a phrase that shows nothing of it.
    pub fn check_key(pem: &Secret) -> Result<(), String> {
        read_key(pem).map(drop)
    }
}

fn read_key(pem: &Secret) -> Result<RsaKeyPair, String> {
    let key = PrivateKeyDer::from_pem_slice(pem.expose().as_bytes())
        .map_err(|_| "the app's key is no private key in PEM form".to_owned())?;
    let pair = match &key {
        PrivateKeyDer::Pkcs1(key) => RsaKeyPair::from_der(key.secret_pkcs1_der()),
        PrivateKeyDer::Pkcs8(key) => RsaKeyPair::from_pkcs8(key.secret_pkcs8_der()),
        _ => return Err("the app's key is no RSA key".to_owned()),
    };
    pair.map_err(|_| "the app's key is no RSA key that can sign".to_owned())
}

/// The signed claim that this is the app (RFC 7519, RS256); the error is a phrase.
fn claim(id: &str, pem: &Secret, now_unix_seconds: i64) -> Result<Secret, String> {
    let pair = read_key(pem)?;
    let part = |value: &serde_json::Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let signed = format!(
        "{}.{}",
        part(&serde_json::json!({"alg": "RS256", "typ": "JWT"})),
        part(&serde_json::json!({
            "iat": now_unix_seconds - CLOCK_DRIFT_SECONDS,
            "exp": now_unix_seconds + CLAIM_SECONDS,
            "iss": id,
        })),
    );
    let mut signature = vec![0; pair.public_modulus_len()];
    pair.sign(
        &RSA_PKCS1_SHA256,
        &SystemRandom::new(),
        signed.as_bytes(),
        &mut signature,
    )
    .map_err(|_| "the app's key does not sign".to_owned())?;
    let signature = URL_SAFE_NO_PAD.encode(&signature);
    Ok(Secret::new(format!("{signed}.{signature}")))
}

/// GitHub said no; its words and what they mean.
fn refused(rule: &str, app: &GithubApp, status: u16, said: &str) -> SourceError {
    let (kind, cure) = match status {
        401 => (
            SourceErrorKind::Refused,
            "check that `id` is this app's, that the key is one of its own, and this machine's clock",
        ),
        403 => (
            SourceErrorKind::Refused,
            "the installation may be suspended: look at it in the organisation's settings",
        ),
        404 => (
            SourceErrorKind::Refused,
            "check `installation`: the number at the end of the address of the installation's settings page; \
             and that the app is still installed",
        ),
        429 => (SourceErrorKind::Busy, "wait: GitHub limits the rate"),
        500.. => (SourceErrorKind::Unreachable, "wait: this is GitHub's fault"),
        _ => (SourceErrorKind::BadAnswer, "check `api`"),
    };
    let text = format!(
        "{} gives no token to installation {} of app `{}`: {status}{said}",
        app.api, app.installation, app.id
    );
    failed(rule, kind, &text, cure)
}

fn failed(rule: &str, kind: SourceErrorKind, text: &str, cure: &str) -> SourceError {
    let mut error = unusable(rule, text, cure);
    error.0.kind = kind;
    error
}

#[cfg(test)]
mod tests;
