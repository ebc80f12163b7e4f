use super::*;
use crate::credentials::rule::SecretSource;
use crate::credentials::tests::{https_server, variable};
use crate::raw_server::{RawServer, Step, answer};
use aws_lc_rs::encoding::AsDer;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{KeyPair as _, RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey};
use gomod::SafeUrl;
use std::sync::Arc;

const RULE: &str = "[[credential]] git.example";

/// A new RSA key and its PEM form.
fn key() -> (RsaKeyPair, String) {
    let pair = RsaKeyPair::generate(KeySize::Rsa2048).unwrap();
    let der = pair.as_der().unwrap();
    let body = base64::engine::general_purpose::STANDARD.encode(der.as_ref());
    let pem = format!("-----BEGIN PRIVATE KEY-----\n{body}\n-----END PRIVATE KEY-----\n");
    (pair, pem)
}

fn app(server: &RawServer, key: &str) -> GithubApp {
    GithubApp {
        id: "Iv1.abc".to_owned(),
        installation: 77,
        key: variable(key),
        api: SafeUrl::parse(&format!("https://{}/api/v3/", server.address)).unwrap(),
    }
}

fn token(number: usize, seconds: i64) -> Vec<Step> {
    let expires_at = jiff::Timestamp::from_second(jiff::Timestamp::now().as_second() + seconds);
    let body = serde_json::json!({
        "token": format!("ghs_{number}"),
        "expires_at": expires_at.unwrap().to_string(),
        "permissions": {"contents": "read"},
    });
    answer("201 Created", &[], body.to_string().as_bytes())
}

async fn ask(cell: &AppToken, app: &GithubApp, clients: &Clients) -> Result<String, SourceError> {
    let means = cell.means(RULE, app, clients).await?;
    Ok(match means {
        Means::Password { username, password } => format!("{username}:{}", password.expose()),
        Means::SshKey { .. } => unreachable!("an app has no SSH key"),
    })
}

#[test]
fn the_claim_names_the_app_and_is_signed_by_its_key() {
    let (pair, pem) = key();
    let claim = claim("12345", &Secret::new(pem), 1_000_000).unwrap();
    let (signed, signature) = claim.expose().rsplit_once('.').unwrap();
    let public = pair.public_key().as_ref();
    let signature = URL_SAFE_NO_PAD.decode(signature).unwrap();
    UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, public)
        .verify(signed.as_bytes(), &signature)
        .unwrap();
    let parts: Vec<serde_json::Value> = signed
        .split('.')
        .map(|part| serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap())
        .collect();
    assert_eq!(parts[0], serde_json::json!({"alg": "RS256", "typ": "JWT"}));
    let expected = serde_json::json!({"iss": "12345", "iat": 999_940, "exp": 1_000_540});
    assert_eq!(parts[1], expected);
}

#[tokio::test]
async fn one_token_serves_all_until_shortly_before_it_expires() {
    let (server, options) = https_server(|number, _| token(number, 3600)).await;
    let clients = Clients::new(Arc::default(), options);
    let (_, pem) = key();
    let (app, cell) = (app(&server, &pem), AppToken::new());
    let (first, second) = tokio::join!(ask(&cell, &app, &clients), ask(&cell, &app, &clients));
    assert_eq!(first.unwrap(), "x-access-token:ghs_0");
    assert_eq!(second.unwrap(), "x-access-token:ghs_0");
    let requests = server.requests();
    assert_eq!(requests.len(), 1);
    let head = &requests[0];
    assert!(
        head.starts_with("post /api/v3/app/installations/77/access_tokens http/1.1"),
        "{head}"
    );
    assert!(head.contains("\r\nauthorization: bearer ey"), "{head}");
    cell.forget().await;
    assert_eq!(
        ask(&cell, &app, &clients).await.unwrap(),
        "x-access-token:ghs_1"
    );
}

#[tokio::test]
async fn a_token_is_made_anew_five_minutes_before_its_end() {
    let (server, options) = https_server(|number, _| token(number, 3600)).await;
    let clients = Clients::new(Arc::default(), options);
    let (_, pem) = key();
    let fresh = exchange(RULE, &app(&server, &pem), &clients).await.unwrap();
    assert!((3290..=3300).contains(&fresh.renew_in.as_secs()));
    assert!((3590..=3600).contains(&fresh.dies_in.as_secs()));
    let (server, options) = https_server(|number, _| token(number, 60)).await;
    let clients = Clients::new(Arc::default(), options);
    let fresh = exchange(RULE, &app(&server, &pem), &clients).await.unwrap();
    assert!(fresh.renew_in < fresh.dies_in && fresh.dies_in <= Duration::from_secs(60));
}

#[tokio::test]
async fn what_github_refuses_is_said_with_its_words_and_the_cure() {
    let (_, pem) = key();
    let pem = &pem;
    let check = async |status: &'static str, body: &'static str, kind, told: &[&str]| {
        let (server, options) =
            https_server(move |_, _| answer(status, &[], body.as_bytes())).await;
        let clients = Clients::new(Arc::default(), options);
        let error = ask(&AppToken::new(), &app(&server, pem), &clients)
            .await
            .unwrap_err();
        assert_eq!(error.kind(), kind, "{error}");
        let text = format!("{error} {:?}", error.0.notes);
        for part in told {
            assert!(text.contains(part), "{part} in {text}");
        }
        assert!(!text.contains("eyJ") && !text.contains("PRIVATE"), "{text}");
    };
    use SourceErrorKind::{BadAnswer, Busy, Refused, Unreachable};
    let bad = "{\"message\": \"A JSON web token could not be decoded\"}";
    check(
        "401 Unauthorized",
        bad,
        Refused,
        &[RULE, "could not be decoded", "clock"],
    )
    .await;
    check(
        "404 Not Found",
        "{\"message\": \"Not Found\"}",
        Refused,
        &["installation 77", "`installation`"],
    )
    .await;
    check(
        "403 Forbidden",
        "{\"message\": \"This installation has been suspended\"}",
        Refused,
        &["suspended"],
    )
    .await;
    check("429 Too Many Requests", "", Busy, &["wait"]).await;
    check(
        "502 Bad Gateway",
        "<html>",
        Unreachable,
        &["GitHub's fault"],
    )
    .await;
    check("200 OK", "<html>", BadAnswer, &["no token"]).await;
    check(
        "201 Created",
        "{\"token\": \"a b\", \"expires_at\": \"2999-01-01T00:00:00Z\"}",
        BadAnswer,
        &["no token"],
    )
    .await;
    check(
        "201 Created",
        "{\"token\": \"a\", \"expires_at\": \"2001-01-01T00:00:00Z\"}",
        BadAnswer,
        &["expired", "clock"],
    )
    .await;
}

#[tokio::test]
async fn a_key_that_cannot_sign_is_a_fault_of_the_set_up() {
    let elliptic = rcgen::KeyPair::generate().unwrap().serialize_pem();
    let clients = Clients::new(Arc::default(), crate::raw_server::impatient());
    let check = async |key: SecretSource, reason: &str| {
        let app = GithubApp {
            id: "1".to_owned(),
            installation: 1,
            key,
            api: SafeUrl::parse("https://git.example").unwrap(),
        };
        let error = ask(&AppToken::new(), &app, &clients).await.unwrap_err();
        assert_eq!(error.kind(), SourceErrorKind::Internal);
        assert!(error.to_string().contains(reason), "{error}");
    };
    check(variable("no key"), "no private key in PEM form").await;
    check(variable(&elliptic), "no RSA key").await;
    check(
        SecretSource::File("/nowhere/key.pem".into()),
        "its file is not there",
    )
    .await;
}

#[test]
fn the_api_of_a_host_is_where_github_has_it() {
    let check = |host: &str, api: &str| assert_eq!(GithubApp::api_of_host(host), api);
    check("github.com", "https://api.github.com");
    check("our.ghe.com", "https://api.our.ghe.com");
    check("github.corp.example", "https://github.corp.example/api/v3");
}
