use super::*;
use crate::settings::complaint::Complaint;
use crate::settings::file;
use std::path::Path;

#[test]
fn the_pages_in_docs_are_what_the_program_says() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/reference");
    for (name, page) in pages() {
        let written = fs_err::read_to_string(folder.join(&name)).unwrap_or_default();
        assert!(
            written == page,
            "docs/reference/{name} is out of date: write it anew with `cargo xtask docs`"
        );
    }
}

#[test]
fn the_sample_file_is_a_settings_file_and_its_commented_lines_are_valid_too() {
    let sample = sample_toml();
    let check = |text: &str| {
        let mut complaints = Vec::new();
        file::parse(text, Path::new("larder.toml"), &mut complaints);
        let text: String = complaints.iter().map(Complaint::render).collect();
        assert_eq!(text, "");
    };
    check(&sample);
    // The tables come after `upstream` itself, which they replace; a file has one or the other.
    let uncommented: String = sample
        .lines()
        .filter_map(|line| line.strip_prefix("# "))
        .filter(|line| line.starts_with('[') || line.contains(" = "))
        .filter(|line| !line.starts_with("upstream = "))
        .map(|line| format!("{line}\n"))
        .collect();
    assert!(uncommented.contains("\nlog_level = "));
    check(&uncommented);
}

#[test]
fn every_setting_is_in_the_reference() {
    let page = settings_markdown();
    for setting in SETTINGS {
        assert!(page.contains(&format!("\n### `{}`\n", setting.key)));
        assert!(page.contains(setting.environment));
    }
}
