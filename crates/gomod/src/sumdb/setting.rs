//! GOSUMDB values (rule 65).
use super::Verifier;
use crate::{ParseError, SafeUrl};

/// The one key that is built into the go command (cmd/go/internal/modfetch.knownGOSUMDB).
const SUM_GOLANG_ORG: &str = "sum.golang.org+033de0ae+Ac4zctda0e5eza+HJyk9SxEdh+s3Ux18htTTAD8OuAn8";
/// Where the same database is reached from mainland China (cmd/go/internal/modfetch.dbDial).
const SUM_GOLANG_GOOGLE_CN: &str = "sum.golang.google.cn";

/// A GOSUMDB value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SumdbSetting {
    /// `off`: no database.
    Off,
    /// One database.
    Database {
        /// Its name and key.
        verifier: Verifier,
        /// Where it is reached, and nowhere else; `None`: through the GOPROXY list or at `https://NAME`.
        url: Option<SafeUrl>,
    },
}

impl SumdbSetting {
    /// Reads `off`, `NAME`, `NAME+HASH+KEY`, or one of the last two with a URL behind it
    /// (cmd/go/internal/modfetch.dbDial). An empty value is an error, as it is to the go command.
    pub fn parse(text: &str) -> Result<Self, ParseError> {
        let error = |reason: &str| ParseError::new("GOSUMDB", text, reason);
        match text {
            "off" => return Ok(Self::Off),
            SUM_GOLANG_GOOGLE_CN => {
                return Ok(Self::Database {
                    verifier: Verifier::parse(SUM_GOLANG_ORG)?,
                    url: Some(SafeUrl::parse(&format!("https://{SUM_GOLANG_GOOGLE_CN}"))?),
                });
            }
            _ => {}
        }
        let mut fields = text.split_whitespace();
        let key = fields.next().ok_or_else(|| error("missing GOSUMDB"))?;
        let url = fields.next();
        if fields.next().is_some() {
            return Err(error("too many fields"));
        }
        let verifier = match key {
            "sum.golang.org" => Verifier::parse(SUM_GOLANG_ORG)?,
            key if !key.contains('+') => {
                return Err(error(
                    "only the key of sum.golang.org is built in; write `NAME+HASH+KEY`",
                ));
            }
            key => Verifier::parse(key).map_err(|inner| error(&inner.reason))?,
        };
        if !is_database_name(verifier.name()) {
            return Err(error("invalid sumdb name (must be host[/path])"));
        }
        let url = url
            .map(|url| SafeUrl::parse(url).map_err(|inner| error(&inner.reason)))
            .transpose()?;
        Ok(Self::Database { verifier, url })
    }
}

/// True for `host[/path]`: nothing that a URL reads as user, query or fragment, no path that
/// normalises to another.
fn is_database_name(name: &str) -> bool {
    let Ok(url) = url::Url::parse(&format!("https://{name}")) else {
        return false;
    };
    let written_path = name
        .find('/')
        .map_or("/", |slash| name.get(slash..).unwrap_or(""));
    !name.ends_with('/')
        && !name.starts_with('/')
        && !name.contains(['@', '?', '#', '%', '\\'])
        && url.has_host()
        && url.path() == written_path
}
