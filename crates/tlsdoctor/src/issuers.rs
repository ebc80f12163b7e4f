//! Fetching the issuers that a server forgot to send (authorityInfoAccess, RFC 5280, 4.2.2.1).
//!
//! A certificate is a stranger's text, and its URLs lead where the stranger likes: only plain http is
//! followed, only a few steps, only so many bytes, and no address of a private network unless that was
//! asked for.

use std::net::IpAddr;
use std::sync::Arc;

use crate::certificate::Certificate;
use crate::connect::Route;
use crate::der::{Der, tag};
use crate::dns::resolve;
use crate::forward_proxy::{ForwardProxy, ProxyKind};
use crate::http::{Http, Manner};
use crate::options::{FetchIssuers, Options, Reach};
use crate::reach::ends_in_private_network;
use crate::target::{Scheme, Target};
use crate::verify::{Pool, Question, verify};

/// Longer chains are not mended.
const STEPS: usize = 4;

/// What a chase came to.
#[derive(Clone, Debug, Default)]
pub(crate) struct Chase {
    /// The issuers that were found, from the leaf upwards.
    pub(crate) found: Vec<(Arc<Certificate>, String)>,
    /// Whether Go accepts the chain with them.
    pub(crate) is_whole: bool,
    /// What was tried.
    pub(crate) evidence: Vec<String>,
}

/// Follows the issuers from `top`, the last certificate that could be reached from the leaf. `way` is the one to
/// the server itself.
pub(crate) async fn chase(
    leaf: &Arc<Certificate>,
    sent: &Pool,
    top: &Arc<Certificate>,
    question: Question<'_>,
    way: &Route,
    options: &Options,
) -> Chase {
    let reach = reach(way, options.fetch_issuers);
    let mut chase = Chase::default();
    let mut pool = sent.clone();
    let mut last = top.clone();
    for _ in 0..STEPS {
        let Some(url) = last
            .issuer_urls
            .iter()
            .find(|url| url.starts_with("http://"))
        else {
            chase.evidence.push(format!(
                "`{}` does not say where its issuer is",
                last.display_name()
            ));
            break;
        };
        let fetched = match fetch(url, reach, options).await {
            Ok(fetched) => fetched,
            Err(fault) => {
                chase.evidence.push(format!("{}: {fault}", shown_url(url)));
                break;
            }
        };
        let issuer = fetched
            .into_iter()
            .map(Arc::new)
            .find(|it| it.subject.raw == last.issuer.raw);
        let Some(issuer) = issuer else {
            let text = format!("{}: holds no certificate of the issuer", shown_url(url));
            chase.evidence.push(text);
            break;
        };
        chase.evidence.push(format!(
            "{}: `{}`, issued by `{}`",
            shown_url(url),
            issuer.display_name(),
            issuer.issuer
        ));
        let is_root = issuer.is_self_issued();
        pool.add(issuer.clone());
        if !is_root {
            chase.found.push((issuer.clone(), shown_url(url)));
        }
        if verify(leaf, &pool, question).is_ok() {
            chase.is_whole = true;
            break;
        }
        if is_root {
            break;
        }
        last = issuer;
    }
    chase
}

/// Which addresses an issuer may be fetched from; `None` if none.
fn reach(way: &Route, fetch_issuers: FetchIssuers) -> Option<Reach> {
    let is_private = || ends_in_private_network(&way.target, way.address.ip(), way.proxy.as_ref());
    match fetch_issuers {
        FetchIssuers::Never => None,
        FetchIssuers::FromAnywhere => Some(Reach::Anywhere),
        FetchIssuers::FromNetworkOfTarget if is_private() => Some(Reach::Anywhere),
        FetchIssuers::FromNetworkOfTarget | FetchIssuers::FromPublicAddresses => {
            Some(Reach::PublicAddresses)
        }
    }
}

async fn fetch(
    url: &str,
    reach: Option<Reach>,
    options: &Options,
) -> Result<Vec<Certificate>, String> {
    let reach = reach.ok_or("not fetched")?;
    let target = Target::parse(url).map_err(|error| error.reason)?;
    if target.scheme != Scheme::Http {
        return Err("not fetched: only plain http is followed".to_owned());
    }
    let route = route(&target, reach, options).await?;
    let connection = route
        .open()
        .await
        .map_err(|fault| format!("no way to it ({fault:?})"))?;
    let mut http = Http::over(connection, false)
        .await
        .map_err(|fault| format!("{fault:?}"))?;
    let proxy = route.proxy.as_ref();
    let proxy = proxy.filter(|proxy| proxy.kind == ProxyKind::Http);
    let proxy_authorization = proxy.and_then(ForwardProxy::authorization);
    let manner = Manner {
        is_proxied: proxy.is_some(),
        proxy_authorization: proxy_authorization.as_deref(),
        ..Manner::default()
    };
    let fetched = http
        .fetch(&target, &manner, options.timeouts.request)
        .await
        .map_err(|fault| format!("no answer ({fault:?})"))?;
    if fetched.answer.status != 200 {
        return Err(format!("answers {}", fetched.answer.status));
    }
    let certificates = certificates_of(&fetched.body);
    if certificates.is_empty() {
        return Err("is no certificate".to_owned());
    }
    Ok(certificates)
}

/// The way to where an issuer lies: through the forward proxy if the server itself is reached through it.
/// There the proxy looks names up, so that only addresses written as such can be judged.
async fn route(target: &Target, reach: Reach, options: &Options) -> Result<Route, String> {
    let private = || "not fetched: it leads into a private network".to_owned();
    let dialled = match &options.forward_proxy {
        Some(proxy) => {
            if !reach.allows_by_proxy(target) {
                return Err(private());
            }
            let addresses = addresses(&proxy.host, options).await;
            let first = addresses.first().copied();
            (first.ok_or("the proxy has no address")?, proxy.port)
        }
        None => {
            let addresses = addresses(&target.host, options).await;
            let Some(address) = addresses.iter().find(|it| reach.allows(**it)) else {
                return Err(match addresses.is_empty() {
                    true => "the name has no address".to_owned(),
                    false => private(),
                });
            };
            (*address, target.port)
        }
    };
    Ok(Route {
        address: dialled.into(),
        proxy: options.forward_proxy.clone(),
        target: target.clone(),
        time: options.timeouts.connect,
    })
}

async fn addresses(host: &str, options: &Options) -> Vec<IpAddr> {
    match host.parse() {
        Ok(address) => vec![address],
        Err(_) => {
            resolve(host, &options.resolvers, options.timeouts.dns)
                .await
                .addresses
        }
    }
}

/// DER, PEM, or the certificates of a PKCS #7 message.
fn certificates_of(bytes: &[u8]) -> Vec<Certificate> {
    if let Ok(certificate) = Certificate::parse(bytes) {
        return vec![certificate];
    }
    let found = Certificate::from_pem(bytes);
    if !found.is_empty() {
        return found;
    }
    signed_data(bytes).unwrap_or_default()
}

/// The certificates of SignedData (RFC 5652, 5.1).
fn signed_data(bytes: &[u8]) -> Option<Vec<Certificate>> {
    let mut content = Der::new(bytes).inside(tag::SEQUENCE)?;
    content.identifier()?;
    let mut data = content
        .inside(tag::context_constructed(0))?
        .inside(tag::SEQUENCE)?;
    data.integer()?;
    data.element(tag::SET)?;
    data.element(tag::SEQUENCE)?;
    let mut list = data.inside(tag::context_constructed(0))?;
    let mut found = Vec::new();
    while let Some(element) = list.any() {
        found.extend(Certificate::parse(element.whole));
    }
    Some(found)
}

/// The URL without what may be a secret in it.
fn shown_url(url: &str) -> String {
    Target::parse(url).map_or_else(|_| "its URL".to_owned(), |target| target.to_string())
}
