//! Requests of the GOPROXY protocol.
//!
//! The server parses each request's path here, and `exec` and `trace` read the same paths back. What
//! a request means (which source, allowed or not) is decided elsewhere.

use std::borrow::Cow;

use crate::{
    FileKind, ModulePath, ModuleVersion, ParseError, Revision, Version, escape, path,
    sumdb::Tile,
    version::{is_canonical, not_canonical},
};

/// What a request path asks for.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Request {
    /// `PATH/@v/list`.
    List(ModulePath),
    /// `PATH/@latest`.
    Latest(ModulePath),
    /// `PATH/@v/VERSION.{info,mod,zip}` with a canonical version that fits the path.
    File(ModuleVersion, FileKind),
    /// `PATH/@v/NAME.info` with any other name: a branch, tag, commit, or a version whose major does not fit.
    Resolve(ModulePath, Revision),
    /// `sumdb/NAME/…`.
    Sumdb {
        /// The database's name, `sum.golang.org` or `host/path`.
        name: String,
        /// What is asked of it.
        request: SumdbRequest,
    },
}

/// What is asked of a checksum database.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum SumdbRequest {
    /// `supported`.
    Supported,
    /// `latest`.
    Latest,
    /// `lookup/PATH@VERSION`.
    Lookup(ModuleVersion),
    /// `tile/H/L/N[.p/W]` and `tile/H/data/N[.p/W]`.
    Tile(Tile),
}

impl Request {
    /// The longest target that is read, in bytes.
    pub const MAX_TARGET_BYTES: usize = 8 << 10;

    /// Reads the path of a request target: leading `/`, no query. Percent-escapes are decoded once (`%21` is `!`).
    pub fn parse(target: &str) -> Result<Self, ParseError> {
        let path = decode(target).map_err(|reason| ParseError::new(WHAT, target, reason))?;
        let fail = |reason: &str| ParseError::new(WHAT, &path, reason);
        let path = path
            .strip_prefix('/')
            .ok_or_else(|| fail("no leading slash"))?;
        check_shape(path).map_err(fail)?;
        if let Some(path) = path.strip_prefix("sumdb/") {
            return parse_sumdb(path);
        }
        if let Some(path) = path.strip_suffix("/@latest") {
            return Ok(Self::Latest(parse_path(path)?));
        }
        let (path, file) = path
            .rsplit_once("/@v/")
            .ok_or_else(|| fail("neither /@v/ nor /@latest in it"))?;
        let path = parse_path(path)?;
        if file == "list" {
            return Ok(Self::List(path));
        }
        let (stem, extension) = file
            .rsplit_once('.')
            .ok_or_else(|| fail("want list or VERSION.{info,mod,zip}"))?;
        let kind = FileKind::from_extension(extension)
            .ok_or_else(|| fail("unknown extension, want info, mod or zip"))?;
        let revision = escape::unescape_revision(stem)?;
        if is_canonical(&revision) {
            let version = Version::from_checked(revision.as_ref().into());
            match ModuleVersion::new(path.clone(), version) {
                Ok(module) => return Ok(Self::File(module, kind)),
                Err(error) if kind != FileKind::Info => return Err(error),
                Err(_) => {}
            }
        } else if kind != FileKind::Info {
            return Err(not_canonical(&revision));
        }
        Ok(Self::Resolve(path, Revision::from_checked(revision.into())))
    }

    /// The path that asks for it, without a leading slash: plain text, which [`SafeUrl::join_path`](crate::SafeUrl::join_path) makes fit for a URL.
    pub fn path(&self) -> String {
        match self {
            Self::List(module_path) => format!("{}/@v/list", module_path.escape().as_str()),
            Self::Latest(module_path) => format!("{}/@latest", module_path.escape().as_str()),
            Self::File(module, kind) => format!(
                "{}/@v/{}.{}",
                module.path().escape().as_str(),
                module.version().escape().as_str(),
                kind.extension()
            ),
            Self::Resolve(module_path, revision) => format!(
                "{}/@v/{}.info",
                module_path.escape().as_str(),
                revision.escape().as_str()
            ),
            Self::Sumdb { name, request } => {
                let rest = match request {
                    SumdbRequest::Supported => "supported".to_owned(),
                    SumdbRequest::Latest => "latest".to_owned(),
                    SumdbRequest::Lookup(module) => format!(
                        "lookup/{}@{}",
                        module.path().escape().as_str(),
                        module.version().escape().as_str()
                    ),
                    SumdbRequest::Tile(tile) => tile.path(),
                };
                format!("sumdb/{name}/{rest}")
            }
        }
    }

    /// The module that is asked for, if it is one.
    pub fn module_path(&self) -> Option<&ModulePath> {
        match self {
            Self::List(path) | Self::Latest(path) | Self::Resolve(path, _) => Some(path),
            Self::File(module, _)
            | Self::Sumdb {
                request: SumdbRequest::Lookup(module),
                ..
            } => Some(module.path()),
            Self::Sumdb { .. } => None,
        }
    }
}

const WHAT: &str = "request";

/// The longest name of a checksum database, in elements; keeps the search for its end cheap.
const MAX_NAME_ELEMENTS: usize = 16;

/// Decodes percent-escapes once. Most targets have none and are borrowed.
fn decode(target: &str) -> Result<Cow<'_, str>, &'static str> {
    if target.len() > Request::MAX_TARGET_BYTES {
        return Err("longer than 8192 bytes");
    }
    if !target.contains('%') {
        return Ok(Cow::Borrowed(target));
    }
    let mut decoded = Vec::with_capacity(target.len());
    let mut bytes = target.bytes();
    while let Some(byte) = bytes.next() {
        if byte != b'%' {
            decoded.push(byte);
            continue;
        }
        match (hex_value(bytes.next()), hex_value(bytes.next())) {
            (Some(high), Some(low)) => decoded.push(high << 4 | low),
            _ => return Err("invalid percent-escape"),
        }
    }
    String::from_utf8(decoded)
        .map(Cow::Owned)
        .map_err(|_| "percent-escapes that are not UTF-8")
}

fn hex_value(digit: Option<u8>) -> Option<u8> {
    u8::try_from(char::from(digit?).to_digit(16)?).ok()
}

/// What no request may have, whatever it asks for; `path` is decoded and lacks its leading slash.
fn check_shape(path: &str) -> Result<(), &'static str> {
    if path.is_empty() {
        return Err("empty path");
    }
    // Control characters beyond ASCII are refused with all else that is not ASCII, further in.
    if path.bytes().any(|byte| byte.is_ascii_control()) {
        return Err("control character");
    }
    for element in path.split('/') {
        match element {
            "" if path.ends_with('/') && !path.contains("//") => return Err("trailing slash"),
            "" => return Err("double slash"),
            "." | ".." => return Err("`.` or `..` as path element"),
            _ => {}
        }
    }
    Ok(())
}

fn parse_path(escaped: &str) -> Result<ModulePath, ParseError> {
    let path = escape::unescape_module_path(escaped)?;
    Ok(ModulePath::from_checked(path.into()))
}

/// `NAME/supported`, `NAME/latest`, `NAME/lookup/PATH@VERSION` or `NAME/tile/…`.
///
/// Both a database's name and a module's path may hold slashes, and elements such as `tile`: the
/// first keyword with a well-formed rest decides.
fn parse_sumdb(path: &str) -> Result<Request, ParseError> {
    let mut first_error = None;
    for (slash, _) in path.match_indices('/').take(MAX_NAME_ELEMENTS) {
        let Some((name, rest)) = path.split_at_checked(slash) else {
            continue;
        };
        match parse_sumdb_request(rest) {
            Some(Ok(request)) => {
                check_database_name(name)?;
                return Ok(Request::Sumdb {
                    name: name.into(),
                    request,
                });
            }
            Some(Err(error)) => first_error = first_error.or(Some(error)),
            None => {}
        }
    }
    Err(first_error.unwrap_or_else(|| {
        let reason = "want NAME/supported, NAME/latest, NAME/lookup/PATH@VERSION or NAME/tile/…";
        ParseError::new("checksum database request", path, reason)
    }))
}

/// Reads what follows a database's name; `None` if it does not start with a keyword.
fn parse_sumdb_request(rest: &str) -> Option<Result<SumdbRequest, ParseError>> {
    match rest {
        "/supported" => return Some(Ok(SumdbRequest::Supported)),
        "/latest" => return Some(Ok(SumdbRequest::Latest)),
        _ => {}
    }
    if let Some(module) = rest.strip_prefix("/lookup/") {
        return Some(parse_lookup(module).map(SumdbRequest::Lookup));
    }
    let tile = rest
        .strip_prefix('/')
        .filter(|tile| tile.starts_with("tile/"))?;
    Some(Tile::parse_path(tile).map(SumdbRequest::Tile))
}

fn parse_lookup(module: &str) -> Result<ModuleVersion, ParseError> {
    let (path, version) = module
        .split_once('@')
        .ok_or_else(|| ParseError::new("lookup", module, "want PATH@VERSION"))?;
    let path = parse_path(path)?;
    let version = Version::parse(&escape::unescape_revision(version)?)?;
    ModuleVersion::new(path, version)
}

/// A database's name is a host, maybe with a port, and maybe a path (rule 65).
fn check_database_name(name: &str) -> Result<(), ParseError> {
    let (host, rest) = name.split_once('/').unwrap_or((name, ""));
    let host = match host.split_once(':') {
        Some((host, port))
            if !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit()) =>
        {
            host
        }
        _ => host,
    };
    std::iter::once(host)
        .chain(rest.split('/').filter(|_| !rest.is_empty()))
        .try_for_each(|element| path::check_element(element, path::PathKind::Import))
        .map_err(|reason| ParseError::new("checksum database name", name, reason))
}

#[cfg(test)]
mod tests;
