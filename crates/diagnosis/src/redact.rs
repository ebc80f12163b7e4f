//! Passwords and tokens are taken out of whatever is quoted from a log.

/// What stands in the place of a secret.
const HIDDEN: &str = "***";

/// Names of query parameters, headers and variables whose value is a secret. Compared without case,
/// at the end of the name, so that `X-Amz-Signature` and `CI_JOB_TOKEN` are met too.
const SECRET_NAMES: &[&str] = &[
    "signature",
    "token",
    "password",
    "passwd",
    "secret",
    "apikey",
    "api_key",
    "api-key",
    "access_key",
    "credential",
    "authorization",
];

/// Beginnings of tokens that tell by themselves what they are.
const TOKEN_PREFIXES: &[&str] = &[
    "ghp_",
    "gho_",
    "ghs_",
    "ghu_",
    "github_pat_",
    "glpat-",
    "gldt-",
    "glcbt-",
    "AKIA",
];

/// True for a word that begins as the tokens of code hosts and clouds do.
pub fn begins_as_token(word: &str) -> bool {
    TOKEN_PREFIXES.iter().any(|prefix| word.starts_with(prefix))
}

/// What the next word is, as far as the ones before it tell.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Expected {
    /// Nothing special.
    Word,
    /// A secret, if a colon stands before it: a quoted name was read, as in JSON.
    Colon,
    /// A secret.
    Secret,
}

/// The text without user information in URLs and without the values of secrets.
pub fn redact(text: &str) -> String {
    const SEPARATORS: [char; 8] = [' ', '\t', '"', '\'', '&', '?', ';', ','];
    let mut clean = String::with_capacity(text.len());
    let mut expected = Expected::Word;
    let is_netrc = text.contains("machine ") && text.contains("login ");
    for piece in text.split_inclusive(SEPARATORS) {
        let word = piece.trim_end_matches(SEPARATORS);
        let end = piece.get(word.len()..).unwrap_or_default();
        if word.is_empty() {
            clean.push_str(end);
            continue;
        }
        let lower = word.to_ascii_lowercase();
        if expected == Expected::Secret {
            // The scheme of an `Authorization` header is no secret; what follows it is.
            if matches!(lower.as_str(), "basic" | "bearer" | "negotiate") {
                clean.push_str(word);
            } else {
                clean.push_str(HIDDEN);
                expected = Expected::Word;
            }
        } else {
            push_word(word, &mut clean);
            let after_name = expected == Expected::Colon;
            expected = match lower.strip_suffix(':') {
                Some("") if after_name => Expected::Secret,
                Some(name) if names_header(name) => Expected::Secret,
                None if is_option(&lower) || is_netrc && lower == "password" => Expected::Secret,
                None if end.starts_with(['"', '\'']) && names_secret(&lower) => Expected::Colon,
                _ => Expected::Word,
            };
        }
        clean.push_str(end);
    }
    clean
}

fn names_secret(lower: &str) -> bool {
    SECRET_NAMES.iter().any(|secret| lower.ends_with(secret))
}

/// `Authorization:`, `X-Api-Key:`, `password:`. A word like `token` alone is said of other things, too.
fn names_header(lower: &str) -> bool {
    let is_composed = lower.contains(['-', '_']);
    ["authorization", "password", "passwd"]
        .iter()
        .any(|name| lower.ends_with(name))
        || is_composed && names_secret(lower)
}

/// `--password WORD`.
fn is_option(lower: &str) -> bool {
    lower.starts_with("--") && names_secret(lower)
}

fn push_word(word: &str, clean: &mut String) {
    if begins_as_token(word) {
        clean.push_str(HIDDEN);
        return;
    }
    if let Some((name, value)) = word.split_once('=') {
        let name_lower = name.to_ascii_lowercase();
        if !value.is_empty() && names_secret(&name_lower) {
            clean.push_str(name);
            clean.push('=');
            clean.push_str(HIDDEN);
            return;
        }
    }
    if let Some(at) = bare_credentials(word) {
        clean.push_str(HIDDEN);
        clean.push_str(word.get(at..).unwrap_or_default());
        return;
    }
    let mut rest = word;
    while let Some((before, after)) = rest.split_once("://") {
        clean.push_str(before);
        clean.push_str("://");
        let authority = after.split(['/', '|']).next().unwrap_or_default();
        rest = match authority.rfind('@') {
            // A user name alone, as in ssh://git@host, says nothing, and go writes `xxxxx` for passwords itself.
            Some(at)
                if authority
                    .get(..at)
                    .is_some_and(|user| user == "git" || user.ends_with(":xxxxx")) =>
            {
                after
            }
            Some(at) => {
                clean.push_str(HIDDEN);
                after.get(at..).unwrap_or_default()
            }
            None => after,
        };
    }
    clean.push_str(rest);
}

/// Where the host begins, with its `@`, in `user:password@host.example`, as HTTPS_PROXY is often written. Neither an
/// image's digest (`golang:1.26@sha256:…`) nor a module's version has a host there.
fn bare_credentials(word: &str) -> Option<usize> {
    let at = word.rfind('@').filter(|_| !word.contains("://"))?;
    let (name, password) = word.get(..at)?.split_once(':')?;
    let host = word.get(at + 1..)?;
    let is_version = host
        .strip_prefix('v')
        .is_some_and(|rest| rest.starts_with(|letter: char| letter.is_ascii_digit()));
    let name_of_host = host.split([':', '/']).next().unwrap_or_default();
    let is_host = name_of_host.contains('.')
        && !is_version
        && name_of_host.starts_with(|letter: char| letter.is_ascii_alphanumeric());
    (is_host && !name.is_empty() && !password.is_empty() && !password.contains('/')).then_some(at)
}

#[cfg(test)]
mod tests {
    use super::redact;

    #[test]
    fn passwords_and_tokens_are_not_quoted() {
        let check = |text: &str, clean: &str| assert_eq!(redact(text), clean);
        check(
            "Get \"https://user:word@mirror.example/a\": EOF",
            "Get \"https://***@mirror.example/a\": EOF",
        );
        check(
            "x.zip?Expires=1&Signature=abc%3D&Id=s\"",
            "x.zip?Expires=1&Signature=***&Id=s\"",
        );
        check("Authorization: Basic dXNlcg==", "Authorization: Basic ***");
        check("ssh://git@host.example/a", "ssh://git@host.example/a");
        check(
            "GOPROXY=https://me:x@a.example,https://b.example",
            "GOPROXY=https://***@a.example,https://b.example",
        );
        check("CI_JOB_TOKEN=abc ok", "CI_JOB_TOKEN=*** ok");
        check("a 'ghp_abcdef' b", "a '***' b");
        check("X-Api-Key: abc, next", "X-Api-Key: ***, next");
        check(
            r#"{"user":"me","password":"word","n":1}"#,
            r#"{"user":"me","password":"***","n":1}"#,
        );
        check(
            "docker login --password word host",
            "docker login --password *** host",
        );
        check(
            "machine a.example login me password word",
            "machine a.example login me password ***",
        );
        check(
            "Support for password authentication was removed",
            "Support for password authentication was removed",
        );
        check("unexpected token: x", "unexpected token: x");
        check(
            "lookup me:word@proxy.example: no such host",
            "lookup ***@proxy.example: no such host",
        );
        let untouched = |text: &str| check(text, text);
        untouched("golang:1.26@sha256:0123abcd");
        untouched("main.go:3:2: a.example/b@v1.2.3: x");
        untouched("x:y@v1.2.3");
        untouched("git@host.example:a/b.git");
        untouched("reading https://me:xxxxx@proxy.example/a/@v/list: 404 Not Found");
        check("日本語 a@b: c", "日本語 a@b: c");
    }
}
