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
    "access_key",
    "credential",
    "authorization",
];

/// Beginnings of tokens that tell by themselves what they are.
const TOKEN_PREFIXES: &[&str] = &["ghp_", "gho_", "ghs_", "github_pat_", "glpat-", "AKIA"];

/// The text without user information in URLs and without the values of secrets.
pub(crate) fn redact(text: &str) -> String {
    let mut clean = String::with_capacity(text.len());
    let mut hide_next_word = false;
    for piece in text.split_inclusive([' ', '\t', '"', '\'', '&', '?', ';', ',']) {
        let word = piece.trim_end_matches([' ', '\t', '"', '\'', '&', '?', ';', ',']);
        let end = piece.get(word.len()..).unwrap_or_default();
        if hide_next_word && !word.is_empty() {
            // The scheme of an `Authorization` header is no secret; what follows it is.
            if matches!(
                word.to_ascii_lowercase().as_str(),
                "basic" | "bearer" | "negotiate"
            ) {
                clean.push_str(word);
            } else {
                clean.push_str(HIDDEN);
                hide_next_word = false;
            }
        } else {
            push_word(word, &mut clean);
            let lower = word.to_ascii_lowercase();
            hide_next_word = lower.ends_with("authorization:")
                || lower.ends_with("private-token:")
                || lower.ends_with("password:");
        }
        clean.push_str(end);
    }
    clean
}

fn push_word(word: &str, clean: &mut String) {
    if TOKEN_PREFIXES.iter().any(|prefix| word.starts_with(prefix)) {
        clean.push_str(HIDDEN);
        return;
    }
    if let Some((name, value)) = word.split_once('=') {
        let name_lower = name.to_ascii_lowercase();
        if !value.is_empty()
            && SECRET_NAMES
                .iter()
                .any(|secret| name_lower.ends_with(secret))
        {
            clean.push_str(name);
            clean.push('=');
            clean.push_str(HIDDEN);
            return;
        }
    }
    let mut rest = word;
    while let Some((before, after)) = rest.split_once("://") {
        clean.push_str(before);
        clean.push_str("://");
        let authority = after.split(['/', '|']).next().unwrap_or_default();
        rest = match authority.rfind('@') {
            // A user name alone, as in ssh://git@host, says nothing.
            Some(at) if authority.get(..at).is_some_and(|user| user == "git") => after,
            Some(at) => {
                clean.push_str(HIDDEN);
                after.get(at..).unwrap_or_default()
            }
            None => after,
        };
    }
    clean.push_str(rest);
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
        check("日本語 a@b: c", "日本語 a@b: c");
    }
}
