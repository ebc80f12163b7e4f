//! `POST /-/refresh/MODULE` and `POST /-/webhook/HOST`: new tags at once.
//!
//! A body is only read for a webhook, within [`BODY_BYTES`] and [`BODY_DEADLINE`], by at most
//! [`READERS`] requests at a time: whoever can connect may send one, and only its whole proves who did.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use gomod::{ModulePath, Request};
use http::request::Parts;
use http::{HeaderValue, Method, Response, StatusCode, header};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper::body::Incoming;
use source::Touched;
use tokio::sync::Semaphore;

use super::Room;
use super::body::AnswerBody;
use super::error;
use super::respond::{Reply, TEXT};
use crate::observe::{Outcome, RefreshedBy};
use crate::refresh::access::RefreshAccess;
use crate::refresh::webhook::{self, CodeHost};
use crate::refresh::{Forgotten, Refreshes, TooMany};

/// What a webhook's body may weigh. GitHub's own limit is 25 MiB, which only a push of thousands of
/// commits comes near; what is larger is refused, and the new tags are seen when the list is due.
const BODY_BYTES: usize = 1 << 20;
/// How long a webhook's body may take. The hosts themselves wait 10 s for the answer.
const BODY_DEADLINE: Duration = Duration::from_secs(10);
/// Bodies that are read at once; more wait as long as a body may take.
const READERS: usize = 16;

/// The two ways in.
pub(super) struct RefreshDoor {
    refreshes: Refreshes,
    access: RefreshAccess,
    readers: Semaphore,
}

impl RefreshDoor {
    pub(super) fn new(refreshes: Refreshes, access: RefreshAccess) -> Self {
        Self {
            refreshes,
            access,
            readers: Semaphore::new(READERS),
        }
    }
}

/// Answers what lies below `/-/refresh` and `/-/webhook`; `None` for any other operation.
pub(super) async fn answer(
    room: &Arc<Room>,
    head: &Parts,
    body: Incoming,
    operation: &str,
) -> Option<Reply> {
    let door = &room.refresh;
    let (name, rest) = operation.split_once('/').unwrap_or((operation, ""));
    let said = match name {
        "refresh" | "webhook" if head.method != Method::POST => Err(Refusal::Method),
        "refresh" => door.refresh(head, rest),
        "webhook" => door.webhook(head, body, rest).await,
        _ => return None,
    };
    Some(match said {
        Ok(text) => reply(StatusCode::OK, text, "application/json"),
        Err(refusal) => refusal.reply(),
    })
}

impl RefreshDoor {
    fn refresh(&self, head: &Parts, escaped_path: &str) -> Result<String, Refusal> {
        if self.access.tokens.is_empty() {
            return Err(Refusal::Off {
                what: "refreshing",
                settings: "refresh_token_file or LARDER_REFRESH_TOKEN",
            });
        }
        let by = RefreshedBy::Operator;
        let authorization = text_of(head, &header::AUTHORIZATION).unwrap_or_default();
        if !self.access.admits_operator(authorization) {
            self.refreshes.refused(by);
            return Err(Refusal::NoToken);
        }
        let Some(module_path) = module_path(escaped_path) else {
            self.refreshes.malformed(by);
            return Err(Refusal::NoModule);
        };
        let forgotten = self.refreshes.forget(by, Touched::below(&module_path))?;
        let mut said = summary(&forgotten);
        said["modules_below"] = forgotten.touched.prefixes().collect();
        Ok(line(&said))
    }

    async fn webhook(&self, head: &Parts, body: Incoming, host: &str) -> Result<String, Refusal> {
        let host = CodeHost::parse(host).ok_or(Refusal::NoHost)?;
        if self.access.webhook_secrets.is_empty() {
            return Err(Refusal::Off {
                what: "a webhook",
                settings: "webhook_secret_file or LARDER_WEBHOOK_SECRET",
            });
        }
        let by = host.refreshed_by();
        let (header, proof) = host.proof();
        let unsigned = || {
            self.refreshes.refused(by);
            Refusal::NoSignature { header }
        };
        // Without the header, the body can prove nothing: it is not read.
        let given = text_of(head, header).ok_or_else(unsigned)?;
        let body = self.read(head, body).await.inspect_err(|_| {
            self.refreshes.malformed(by);
        })?;
        if !self.access.admits_webhook(proof, given, &body) {
            return Err(unsigned());
        }
        let touched = webhook::touched(&body).map_err(|error| {
            self.refreshes.malformed(by);
            Refusal::Payload(error.to_string())
        })?;
        let said = match touched {
            Some(touched) => summary(&self.refreshes.forget(by, touched)?),
            None => serde_json::json!({ "repositories": [] }),
        };
        Ok(line(&said))
    }

    async fn read(&self, head: &Parts, body: Incoming) -> Result<Bytes, Refusal> {
        let announced: Option<u64> =
            text_of(head, &header::CONTENT_LENGTH).and_then(|text| text.parse().ok());
        if announced.is_some_and(|bytes| bytes > BODY_BYTES as u64) {
            return Err(Refusal::TooLarge);
        }
        let turn = tokio::time::timeout(BODY_DEADLINE, self.readers.acquire()).await;
        let Ok(Ok(_turn)) = turn else {
            return Err(Refusal::TooMany(TooMany {
                retry_after: BODY_DEADLINE,
            }));
        };
        let reading = Limited::new(body, BODY_BYTES).collect();
        match tokio::time::timeout(BODY_DEADLINE, reading).await {
            Ok(Ok(body)) => Ok(body.to_bytes()),
            Ok(Err(error)) if error.is::<LengthLimitError>() => Err(Refusal::TooLarge),
            Ok(Err(_)) => Err(Refusal::Broken),
            Err(_) => Err(Refusal::TooSlow),
        }
    }
}

/// What the rooms forgot. Module paths are not among it: a code host shows the answer to whoever may see its
/// webhooks.
fn summary(forgotten: &Forgotten) -> serde_json::Value {
    let repositories = forgotten.touched.repositories().iter();
    serde_json::json!({
        "repositories": repositories.map(ToString::to_string).collect::<Vec<_>>(),
        "answers": forgotten.answers,
        "failures": forgotten.failures,
    })
}

fn line(said: &serde_json::Value) -> String {
    format!("{said}\n")
}

/// Reads an escaped path by the same rules as those of the protocol.
fn module_path(escaped_path: &str) -> Option<ModulePath> {
    match Request::parse(&format!("/{escaped_path}/@v/list")) {
        Ok(Request::List(module_path)) => Some(module_path),
        Ok(_) | Err(_) => None,
    }
}

fn text_of(head: &Parts, name: impl header::AsHeaderName) -> Option<&str> {
    head.headers.get(name)?.to_str().ok()
}

/// Why nothing was refreshed.
#[derive(Debug)]
enum Refusal {
    Method,
    Off {
        what: &'static str,
        settings: &'static str,
    },
    NoToken,
    NoModule,
    NoHost,
    NoSignature {
        header: &'static str,
    },
    TooLarge,
    TooSlow,
    Broken,
    Payload(String),
    TooMany(TooMany),
}

impl From<TooMany> for Refusal {
    fn from(too_many: TooMany) -> Self {
        Self::TooMany(too_many)
    }
}

impl Refusal {
    fn reply(&self) -> Reply {
        let (status, text) = match self {
            Self::Method => (
                StatusCode::METHOD_NOT_ALLOWED,
                "only POST is answered here".into(),
            ),
            Self::Off { what, settings } => (
                StatusCode::NOT_FOUND,
                format!("{what} is not enabled here: whoever runs this server sets {settings}"),
            ),
            Self::NoToken => (
                StatusCode::UNAUTHORIZED,
                "a refresh needs the operator's token: `Authorization: Bearer TOKEN`".into(),
            ),
            Self::NoModule => (
                StatusCode::BAD_REQUEST,
                "no module path: POST /-/refresh/MODULE, with `!` and the small letter for each capital one"
                    .into(),
            ),
            Self::NoHost => (
                StatusCode::NOT_FOUND,
                "no such webhook: /-/webhook/github, /-/webhook/gitlab and /-/webhook/gitea are".into(),
            ),
            Self::NoSignature { header } => (
                StatusCode::UNAUTHORIZED,
                format!("the webhook is not signed with this server's secret: `{header}` is missing or wrong"),
            ),
            Self::TooLarge => (
                StatusCode::PAYLOAD_TOO_LARGE,
                "the body is larger than 1 MiB".into(),
            ),
            Self::TooSlow => (
                StatusCode::REQUEST_TIMEOUT,
                "the body did not come within 10 seconds".into(),
            ),
            Self::Broken => (
                StatusCode::BAD_REQUEST,
                "the body could not be read to its end".into(),
            ),
            Self::Payload(reason) => (
                StatusCode::BAD_REQUEST,
                format!("{reason}\nset the webhook's content type to application/json"),
            ),
            Self::TooMany(_) => (
                StatusCode::TOO_MANY_REQUESTS,
                "too many refreshes; new versions are seen when the list is due, without one".into(),
            ),
        };
        let mut reply = reply(status, error::body(&[text]), TEXT);
        let headers = reply.response.headers_mut();
        match self {
            Self::Method => {
                headers.insert(header::ALLOW, HeaderValue::from_static("POST"));
            }
            Self::NoToken => {
                headers.insert(
                    header::WWW_AUTHENTICATE,
                    HeaderValue::from_static("Bearer realm=\"larder\""),
                );
            }
            Self::TooMany(TooMany { retry_after }) => {
                let seconds = retry_after.as_secs().max(1);
                headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
            }
            Self::Off { .. }
            | Self::NoModule
            | Self::NoHost
            | Self::NoSignature { .. }
            | Self::TooLarge
            | Self::TooSlow
            | Self::Broken
            | Self::Payload(_) => {}
        }
        reply.outcome = match self {
            Self::NoToken | Self::NoSignature { .. } => Outcome::Denied,
            _ => Outcome::Failed,
        };
        reply
    }
}

fn reply(status: StatusCode, text: String, content_type: &'static str) -> Reply {
    let mut response = Response::new(AnswerBody::whole(text));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    headers.insert(
        header::X_CONTENT_TYPE_OPTIONS,
        HeaderValue::from_static("nosniff"),
    );
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Reply {
        response,
        outcome: Outcome::Own,
        source: None,
    }
}
