//! What the real clients said when the faults were first measured: go 1.26, curl 7.88 with OpenSSL 3.0,
//! git 2.39 with GnuTLS, and `openssl s_client` 3.0, on Linux.

use std::sync::OnceLock;

/// The recording of one case. What was not measured is absent.
pub struct Recording {
    /// The case.
    pub id: String,
    /// What go wrote; empty where it passed.
    pub go: String,
    /// What git wrote, where it failed.
    pub git: Option<String>,
    /// The "Verify return code" that s_client ended with.
    pub openssl_verify_code: Option<u64>,
}

/// All recordings.
pub fn all() -> &'static [Recording] {
    static RECORDED: OnceLock<Vec<Recording>> = OnceLock::new();
    RECORDED.get_or_init(|| {
        let text = include_str!("recorded.json");
        let entries: Vec<serde_json::Value> = serde_json::from_str(text).unwrap();
        entries.iter().map(recording).collect()
    })
}

/// The recording of this case, where there is one.
pub fn find(id: &str) -> Option<&'static Recording> {
    all().iter().find(|recording| recording.id == id)
}

fn recording(entry: &serde_json::Value) -> Recording {
    let text = |name: &str| entry[name].as_str().map(str::to_owned);
    let git_failed = entry["git_status"]
        .as_i64()
        .is_some_and(|status| status > 0);
    Recording {
        id: text("id").unwrap(),
        go: text("go").unwrap(),
        git: text("git").filter(|_| git_failed),
        openssl_verify_code: entry["openssl_verify_code"].as_u64(),
    }
}
