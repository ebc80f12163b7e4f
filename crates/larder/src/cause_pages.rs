//! The catalogue of causes as HTML, for a server whose error bodies lead to it (`/-/causes/ID`).

use diagnosis::cause::page::{self, Place};
use pulldown_cmark::{Parser, html};

const STYLE: &str = "body{max-width:48em;margin:2em auto;padding:0 1em;font:1rem/1.5 system-ui,sans-serif}\
    pre{overflow-x:auto;padding:.7em;background:#8882}code{font-size:.95em}";

/// The page of a cause by its id; the index of all where that is empty.
pub(crate) fn page(id: &str) -> Option<String> {
    let (title, markdown) = if id.is_empty() {
        ("Causes", page::index(Place::Server))
    } else {
        let cause = diagnosis::cause::find(id)?;
        (cause.title, page::of(cause, Place::Server))
    };
    let mut body = String::new();
    html::push_html(&mut body, Parser::new(&markdown));
    Some(format!(
        "<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width\">\n\
         <title>{title} - Larder</title>\n<style>{STYLE}</style>\n{body}</html>\n"
    ))
}

#[cfg(test)]
mod tests {
    use super::page;

    #[test]
    fn every_link_of_every_page_leads_to_a_page() {
        let ids = diagnosis::cause::all().map(|cause| cause.id);
        for id in std::iter::once("").chain(ids) {
            let shown = page(id).unwrap();
            let links = shown.split("href=\"").skip(1);
            for link in links.filter_map(|rest| rest.split('"').next()) {
                let target = link.strip_prefix("./").unwrap_or(link);
                assert!(page(target).is_some(), "{id}: {link}");
            }
        }
    }

    #[test]
    fn a_command_is_shown_as_it_is_typed() {
        let shown = page("tls-weak-signature").unwrap();
        assert!(
            shown.contains("openssl s_client -connect HOST:443 &lt;/dev/null"),
            "{shown}"
        );
        assert!(page("no-such-cause").is_none());
    }
}
