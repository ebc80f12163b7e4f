//! Git over HTTP, as code hosts serve it: `git http-backend` behind a server that counts and misbehaves.

use super::{GitRepository, clean_git};
use crate::{FakeUpstream, TestCa};
use base64::Engine;
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Response, header, request};
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::Stdio;
use tokio::io::AsyncWriteExt;

/// A code host on loopback: repositories by path, go-import pages, basic authentication. Stops when dropped.
pub struct GitHttpServer {
    http: FakeUpstream,
}

impl GitHttpServer {
    /// A host over plain HTTP.
    pub fn start() -> Self {
        Self {
            http: FakeUpstream::start(),
        }
    }

    /// A host over HTTPS with a certificate of `ca` for `127.0.0.1`, `localhost` and these names.
    pub fn start_tls(ca: &TestCa, names: &[&str]) -> Self {
        let http = FakeUpstream::builder()
            .tls_for(ca, &["h2", "http/1.1"], names)
            .start();
        Self { http }
    }

    /// The server below: to misbehave at a path or under a prefix (every status, stalls, cuts, redirects),
    /// to serve any page, and to count. Paths hold the query: `/team/a.git/info/refs?service=git-upload-pack`.
    pub fn http(&self) -> &FakeUpstream {
        &self.http
    }

    /// Its URL with this path, which begins with a slash or is empty.
    pub fn url(&self, path: &str) -> String {
        self.http.url() + path
    }

    /// Serves a repository at a path such as `/team/a.git`.
    pub fn serve(&self, path: &str, repository: &GitRepository) {
        self.serve_folder(path, repository.folder());
    }

    /// Serves the bare repository in a folder.
    pub fn serve_folder(&self, path: &str, folder: &std::path::Path) {
        let mut routes = self.routes().repositories.lock();
        routes.insert(path.into(), folder.into());
    }

    /// Takes a repository away: 404 from now on.
    pub fn stop_serving(&self, path: &str) {
        self.routes().repositories.lock().remove(path);
    }

    /// Lets only this user with this password see what is under the prefix; all others are answered 401. Several
    /// calls for one prefix let several users in; the longest prefix counts.
    pub fn restrict(&self, prefix: &str, user: &str, password: &str) {
        let pair = base64::engine::general_purpose::STANDARD.encode(format!("{user}:{password}"));
        let mut access = self.routes().access.lock();
        access
            .entry(prefix.into())
            .or_default()
            .push(format!("Basic {pair}"));
    }

    /// Lets everyone in again.
    pub fn open_to_all(&self) {
        self.routes().access.lock().clear();
    }

    /// Serves a page at `PATH?go-get=1` with these `go-import` entries (`corp.example/a git https://… [folder]`).
    pub fn go_import(&self, path: &str, entries: &[&str]) {
        let metas: String = entries
            .iter()
            .map(|entry| format!("<meta name=\"go-import\" content=\"{entry}\">\n"))
            .collect();
        let page =
            format!("<!DOCTYPE html>\n<html><head>\n{metas}</head><body>a page</body></html>\n");
        self.http.serve(
            &format!("{path}?go-get=1"),
            page,
            "text/html; charset=utf-8",
        );
    }

    /// How many requests git made of the repository at this path: two or three a fetch, one or two a listing.
    pub fn git_requests(&self, path: &str) -> usize {
        let below = |seen: &crate::Seen| seen.path.strip_prefix(path).is_some_and(is_git_request);
        self.http.seen().iter().filter(|seen| below(seen)).count()
    }

    fn routes(&self) -> &GitRoutes {
        self.http.git_routes()
    }
}

/// What a server knows of repositories: none, unless it is a [`GitHttpServer`]'s.
#[derive(Default)]
pub(crate) struct GitRoutes {
    repositories: Mutex<BTreeMap<String, PathBuf>>,
    /// By prefix: the `Authorization` headers that are let in.
    access: Mutex<BTreeMap<String, Vec<String>>>,
}

/// True for what git asks below the path of a repository.
fn is_git_request(rest: &str) -> bool {
    let rest = rest.split('?').next().unwrap_or_default();
    matches!(
        rest,
        "/info/refs" | "/HEAD" | "/git-upload-pack" | "/git-receive-pack"
    ) || rest.starts_with("/objects/")
}

impl GitRoutes {
    /// True if these headers let a client see this path.
    pub(crate) fn allows(&self, path: &str, headers: &HeaderMap) -> bool {
        let access = self.access.lock();
        let rule = access
            .iter()
            .filter(|(prefix, _)| path.starts_with(prefix.as_str()))
            .max_by_key(|(prefix, _)| prefix.len());
        let given = headers
            .get(header::AUTHORIZATION)
            .and_then(|value| value.to_str().ok());
        rule.is_none_or(|(_, accepted)| {
            given.is_some_and(|given| accepted.iter().any(|header| header == given))
        })
    }

    /// The repository of a path, and what is asked of it.
    pub(crate) fn find(&self, path: &str) -> Option<(PathBuf, String)> {
        let repositories = self.repositories.lock();
        repositories.iter().find_map(|(prefix, folder)| {
            let rest = path.strip_prefix(prefix.as_str())?;
            is_git_request(rest).then(|| (folder.clone(), rest.to_owned()))
        })
    }

    /// Asks `git http-backend`, which speaks the Common Gateway Interface (RFC 3875).
    pub(crate) async fn answer(
        folder: PathBuf,
        target: &str,
        request: &request::Parts,
        body: Bytes,
    ) -> (Response<()>, Bytes) {
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let header = |name: &str| {
            let value = request
                .headers
                .get(name)
                .and_then(|value| value.to_str().ok());
            value.unwrap_or_default().to_owned()
        };
        let mut command = tokio::process::Command::from(clean_git(&folder));
        let mut child = command
            .arg("http-backend")
            .env("GIT_PROJECT_ROOT", &folder)
            .env("GIT_HTTP_EXPORT_ALL", "1")
            .env("PATH_INFO", path)
            .env("QUERY_STRING", query)
            .env("REQUEST_METHOD", request.method.as_str())
            .env("CONTENT_TYPE", header("content-type"))
            .env("CONTENT_LENGTH", body.len().to_string())
            .env("HTTP_CONTENT_ENCODING", header("content-encoding"))
            .env("GIT_PROTOCOL", header("git-protocol"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .expect("git starts");
        let mut input = child.stdin.take().unwrap();
        let writer = tokio::spawn(async move {
            // A backend that has read enough closes its end.
            let _ = input.write_all(&body).await;
        });
        let output = child.wait_with_output().await.unwrap();
        let _ = writer.await;
        read_answer(output.stdout)
    }
}

/// Headers, a blank line and the body; the status is a header too.
fn read_answer(answer: Vec<u8>) -> (Response<()>, Bytes) {
    let answer = Bytes::from(answer);
    let end = answer
        .windows(4)
        .position(|window| window == b"\r\n\r\n")
        .expect("git http-backend answers with headers");
    let mut head = Response::new(());
    for line in String::from_utf8_lossy(&answer[..end]).lines() {
        let (name, value) = line.split_once(": ").expect("a header");
        if name == "Status" {
            *head.status_mut() = value.split(' ').next().unwrap_or_default().parse().unwrap();
        } else {
            head.headers_mut().append(
                HeaderName::from_bytes(name.as_bytes()).unwrap(),
                HeaderValue::from_str(value).unwrap(),
            );
        }
    }
    (head, answer.slice(end + 4..))
}
