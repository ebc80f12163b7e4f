//! The checksum database, and go.sum.

use super::super::lab::{Lab, Prepared};
use super::super::listener::{Server, closed_port, listen};
use super::super::web::{self, LOGIN_PAGE, Web, always, module, reply};
use super::super::{Case, case};
use super::certificates::private_ca;
use super::http::REQUIRING;
use crate::FakeSumdb;
use gomod::sumdb::log::SigningKey;
use std::sync::Arc;

/// A hash of nothing that the lab serves.
const OTHER_HASH: &str = "h1:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=";
const IMPORTING: &str = "package a\nimport _ \"example.lab/m\"\n";

pub(in super::super) const CASES: &[Case] = &[
    case("sumdb-mismatch-db", "sum-mismatch-sumdb", |lab| {
        let database = FakeSumdb::new("sum.lab.test");
        database.add("example.lab/m", "v1.0.0", OTHER_HASH, OTHER_HASH);
        over_database(lab, &database.clone(), database_web(database))
    }),
    case("sumdb-404", "sumdb-not-found", |lab| {
        let nothing = always(
            404,
            "Not Found",
            "text/plain; charset=utf-8",
            "file does not exist",
        );
        over_database(lab, &healthy(), nothing)
    }),
    case("sumdb-html", "sumdb-bad-answer", |lab| {
        over_database(lab, &healthy(), always(200, "OK", "text/html", LOGIN_PAGE))
    }),
    case("sumdb-refused", "sumdb-unreachable", |lab| {
        with_database(lab, &healthy(), &format!("http://{}", closed_port()))
    }),
    case("sumdb-wrong-key", "sumdb-wrong-key", |lab| {
        // The right name with a key that has signed nothing here.
        let other = SigningKey::from_seed("sum.lab.test", [7; 32]).unwrap();
        let server = serve(database_web(healthy()));
        let value = format!("{} http://{}", other.verifier(), server.address);
        proxy(lab).env("GOSUMDB", value).keep(server)
    }),
    case("sumdb-tls", "tls-untrusted-ca", |lab| {
        let database = private_ca(lab);
        let prepared = with_database(lab, &healthy(), &database.url);
        prepared.keep(database)
    }),
    case("sumdb-bad-value", "sumdb-config", |lab| {
        proxy(lab).env("GOSUMDB", "foo")
    }),
    case("gosum-mismatch", "sum-mismatch-gosum", |lab| {
        let go_sum = format!(
            "example.lab/m v1.0.0 {OTHER_HASH}\nexample.lab/m v1.0.0/go.mod {OTHER_HASH}\n"
        );
        proxy(lab).file("go.mod", REQUIRING).file("go.sum", go_sum)
    })
    .asked(&["mod", "download"]),
    case("gosum-missing", "sum-missing-entry", |lab| {
        proxy(lab)
            .file("go.mod", REQUIRING)
            .file("go.sum", "")
            .file("a.go", IMPORTING)
            .env("GOFLAGS", "-mod=readonly")
    })
    .asked(&["build", "./..."]),
];

fn healthy() -> FakeSumdb {
    let database = FakeSumdb::new("sum.lab.test");
    database.add_module(&module());
    database
}

/// A healthy module proxy.
fn proxy(lab: &Lab) -> Prepared {
    lab.proxy_showing(&lab.healthy(&["localhost"]))
}

fn database_web(database: FakeSumdb) -> Web {
    Arc::new(move |request| {
        let (status, body) = database.answer(&request.target);
        let reason = if status == 200 { "OK" } else { "Not Found" };
        reply(status, reason, "text/plain; charset=UTF-8", &body)
    })
}

fn serve(web: Web) -> Server {
    listen(move |stream| web::serve(stream, Arc::clone(&web)))
}

/// A healthy module proxy, and these answers in place of the database.
fn over_database(lab: &Lab, database: &FakeSumdb, web: Web) -> Prepared {
    let server = serve(web);
    with_database(lab, database, &format!("http://{}", server.address)).keep(server)
}

fn with_database(lab: &Lab, database: &FakeSumdb, url: &str) -> Prepared {
    proxy(lab).env("GOSUMDB", format!("{} {url}", database.verifier_key()))
}
