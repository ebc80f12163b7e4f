//! What a server shows, and what a client trusts.

use super::super::authorities::{
    Authority, Identity, authority_information_access, authority_params, leaf_params, named,
};
use super::super::lab::{Lab, Prepared};
use super::super::listener::{Server, listen};
use super::super::openssl::{self, Oddity};
use super::super::tls_server::TlsServer;
use super::super::web::{self, module_proxy, reply};
use super::super::{Case, Needs, case};
use rcgen::{
    CertificateParams, CustomExtension, ExtendedKeyUsagePurpose, GeneralSubtree, IsCa,
    KeyUsagePurpose, NameConstraints, SanType, date_time_ymd,
};
use std::sync::Arc;

pub(in super::super) const CASES: &[Case] = &[
    case("ok", "healthy", |lab| {
        lab.proxy_showing(&lab.healthy(&["localhost"]))
    }),
    case("incomplete-chain", "tls-incomplete-chain", incomplete_chain),
    case("wrong-intermediate", "tls-wrong-intermediate", |lab| {
        let leaf = lab.leaf(&leaf_params(&["localhost"]));
        lab.proxy_showing(&lab.showing(vec![leaf, lab.private_issuing.der()]))
    }),
    case("disordered-chain", "healthy", |lab| {
        let leaf = lab.leaf(&leaf_params(&["localhost"]));
        lab.proxy_showing(&lab.showing(vec![leaf, lab.root.der(), lab.issuing.der()]))
    }),
    case("private-ca", "tls-untrusted-ca", private_ca),
    case("private-ca-trusted", "healthy", |lab| {
        let roots = lab.pem_file("corp-roots.pem", &[lab.private_root.der()]);
        private_ca(lab).trusting(&roots)
    }),
    case("interception", "tls-intercepted", |lab| {
        lab.proxy(TlsServer::minting(
            Arc::clone(&lab.inspection),
            lab.leaf_key.clone(),
        ))
    }),
    case("self-signed", "tls-self-signed", |lab| {
        let own = self_signed(lab);
        lab.proxy_showing(&lab.showing(vec![own]))
    }),
    case("self-signed-trusted", "healthy", |lab| {
        let own = self_signed(lab);
        let roots = lab.pem_file("self-signed.pem", std::slice::from_ref(&own));
        lab.proxy_showing(&lab.showing(vec![own])).trusting(&roots)
    }),
    case("expired-leaf", "tls-cert-expired", |lab| {
        leaf_with(lab, |params| {
            params.not_before = date_time_ymd(2021, 1, 1);
            params.not_after = date_time_ymd(2022, 2, 1);
        })
    }),
    case("expired-root", "tls-ca-expired", |lab| {
        let mut params = authority_params("Lab Root CA");
        params.not_after = date_time_ymd(2022, 2, 1);
        let root = Authority::root(params, &lab.root_key);
        let roots = lab.pem_file("expired-root.pem", &[root.der()]);
        lab.proxy_showing(&lab.healthy(&["localhost"]))
            .trusting(&roots)
    }),
    case("not-yet-valid", "tls-not-yet-valid", |lab| {
        leaf_with(lab, |params| {
            params.not_before = date_time_ymd(2093, 6, 1);
            params.not_after = date_time_ymd(2094, 6, 1);
        })
    }),
    case("hostname-mismatch", "tls-name-mismatch", |lab| {
        lab.proxy_showing(&lab.healthy(&["other.example", "www.other.example"]))
    }),
    case("wildcard-depth", "tls-name-mismatch", |lab| {
        lab.proxy_showing(&lab.healthy(&["*.lab.test"]))
    }),
    case("cn-only", "tls-san-missing", |lab| {
        let mut params = leaf_params(&[]);
        params.distinguished_name = named("localhost");
        leaf_of(lab, &params)
    }),
    case("ip-no-san", "tls-san-missing", |lab| {
        let server = TlsServer::new(&lab.healthy(&["localhost"])).serve(module_proxy());
        let url = format!("https://127.0.0.1:{}", server.address.port());
        lab.url(url).keep(server)
    }),
    case("name-constraint-permitted", "tls-name-constraints", |lab| {
        let mut params = authority_params("Lab Constrained CA");
        params.name_constraints = Some(NameConstraints {
            permitted_subtrees: vec![GeneralSubtree::DnsName("corp.example".into())],
            excluded_subtrees: Vec::new(),
        });
        under(lab, params, &leaf_params(&["localhost"]))
    }),
    case("sha1-leaf", "tls-weak-signature", |lab| {
        let oddity = Oddity {
            signing: &["-sha1"],
            key: &[],
        };
        let signed = openssl::sign(lab, "sha1-leaf", &oddity);
        lab.proxy_showing(&signed.identity(lab))
    })
    .needs(Needs::Openssl),
    case("sha1-root", "healthy", |lab| {
        let folder = lab.folder();
        std::fs::write(folder.join("sha1-root.key"), &lab.root_key).unwrap();
        let request = [
            "req",
            "-x509",
            "-sha1",
            "-key",
            "sha1-root.key",
            "-subj",
            "/CN=Lab Root CA",
            "-days",
            "3650",
            "-out",
            "sha1-root.pem",
            "-addext",
            "subjectKeyIdentifier=none",
        ];
        openssl::openssl(folder, &request);
        lab.proxy_showing(&lab.healthy(&["localhost"]))
            .trusting(&folder.join("sha1-root.pem"))
    })
    .needs(Needs::Openssl),
    case("md5-leaf", "tls-weak-signature", |lab| {
        let oddity = Oddity {
            signing: &["-md5"],
            key: &[],
        };
        let arguments = ["-cipher", "DEFAULT:@SECLEVEL=0"];
        served_by_openssl(lab, "md5-leaf", &oddity, &arguments)
    })
    .needs(Needs::Openssl),
    case("rsa-512", "tls-weak-key", |lab| rsa(lab, "512")).needs(Needs::Openssl),
    case("rsa-1024", "tls-weak-key", |lab| rsa(lab, "1024")).needs(Needs::Openssl),
    case("ec-brainpool", "tls-weak-key", |lab| {
        let key = "ecparam -name brainpoolP256r1 -genkey -noout -out leaf.key";
        let key: Vec<&str> = key.split(' ').collect();
        let oddity = Oddity {
            signing: &["-sha256"],
            key: &[&key],
        };
        let arguments = ["-tls1_2", "-cipher", "ALL:!aNULL:!eNULL:@SECLEVEL=0"];
        served_by_openssl(lab, "ec-brainpool", &oddity, &arguments)
    })
    .needs(Needs::Openssl),
    case("ed25519-ok", "healthy", |lab| {
        let key = rcgen::KeyPair::generate_for(&rcgen::PKCS_ED25519)
            .unwrap()
            .serialize_pem();
        let mut params = leaf_params(&["localhost"]);
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        let leaf = lab.issuing.sign(&params, &key);
        let sent = vec![leaf, lab.issuing.der()];
        lab.proxy_showing(&Identity::new(sent, &key))
    }),
    case("dsa-key", "tls-weak-key", |lab| {
        let parameters = ["dsaparam", "-out", "dsa.params", "1024"];
        let key = ["gendsa", "-out", "leaf.key", "dsa.params"];
        let oddity = Oddity {
            signing: &["-sha256"],
            key: &[&parameters, &key],
        };
        let arguments = ["-tls1_2", "-cipher", "ALL:!aNULL:!eNULL:@SECLEVEL=0"];
        served_by_openssl(lab, "dsa-key", &oddity, &arguments)
    })
    .needs(Needs::Openssl),
    case("intermediate-not-ca", "tls-key-usage", |lab| {
        let mut params = authority_params("Not A CA");
        params.is_ca = IsCa::ExplicitNoCa;
        under(lab, params, &leaf_params(&["localhost"]))
    }),
    case("ca-no-certsign", "tls-key-usage", |lab| {
        let mut params = authority_params("Lab CA without certSign");
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        under(lab, params, &leaf_params(&["localhost"]))
    }),
    case("eku-client-only", "tls-key-usage", |lab| {
        leaf_with(lab, |params| {
            params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        })
    }),
    case("negative-serial", "tls-bad-certificate", negative_serial).needs(Needs::Openssl),
    case("bad-signature", "tls-bad-certificate", |lab| {
        let mut leaf = lab.leaf(&leaf_params(&["localhost"]));
        *leaf.last_mut().unwrap() ^= 1;
        lab.proxy_showing(&lab.showing(vec![leaf, lab.issuing.der()]))
    }),
    case("stale-root-same-name", "tls-stale-ca", |lab| {
        let old = Authority::root(authority_params("Lab Root CA"), &lab.other_key);
        let roots = lab.pem_file("stale-root.pem", &[old.der()]);
        let leaf = lab.root.sign(&leaf_params(&["localhost"]), &lab.leaf_key);
        lab.proxy_showing(&lab.showing(vec![leaf])).trusting(&roots)
    }),
    // No client asks for revocation lists on its own, so the list need not exist.
    case("revoked", "healthy", |lab| {
        leaf_with(lab, |params| {
            params.serial_number = Some(rcgen::SerialNumber::from(0x0bad_u64));
            params.crl_distribution_points = vec![rcgen::CrlDistributionPoint {
                uris: vec!["http://127.0.0.1:9/revoked.crl".into()],
            }];
        })
    }),
    case("must-staple-missing", "healthy", |lab| {
        leaf_with(lab, |params| {
            // RFC 7633: SEQUENCE { INTEGER 5 (status_request) }.
            let feature = vec![0x30, 3, 2, 1, 5];
            params.custom_extensions = vec![CustomExtension::from_oid_content(
                &[1, 3, 6, 1, 5, 5, 7, 1, 24],
                feature,
            )];
        })
    }),
    case("no-trust-store", "tls-missing-ca-bundle", |lab| {
        let missing = lab.folder().join("does-not-exist.pem");
        lab.proxy_showing(&lab.healthy(&["localhost"]))
            .trusting(&missing)
    }),
    case("trust-file-empty", "tls-missing-ca-bundle", |lab| {
        let empty = lab.pem_file("empty.pem", &[]);
        lab.proxy_showing(&lab.healthy(&["localhost"]))
            .trusting(&empty)
    }),
    case("leaf-not-first", "tls-chain-order", |lab| {
        let leaf = lab.leaf(&leaf_params(&["localhost"]));
        lab.proxy_showing(&lab.showing(vec![lab.issuing.der(), leaf]))
    }),
    case("malformed-cert", "tls-bad-certificate", |lab| {
        let mut leaf = lab.leaf(&leaf_params(&["localhost"]));
        leaf.truncate(200);
        lab.proxy_showing(&lab.showing(vec![leaf, lab.issuing.der()]))
    }),
    case("empty-cert-list", "tls-bad-certificate", |lab| {
        lab.proxy_showing(&lab.showing(Vec::new()))
    }),
    case("godebug-rsa1024", "healthy", |lab| {
        rsa(lab, "1024").env("GODEBUG", "rsa1024min=0")
    })
    .needs(Needs::Openssl),
    case("godebug-negserial", "healthy", |lab| {
        negative_serial(lab).env("GODEBUG", "x509negativeserial=1")
    })
    .needs(Needs::Openssl),
    case("goinsecure-no-effect", "tls-untrusted-ca", |lab| {
        private_ca(lab).env("GOINSECURE", "*")
    }),
];

/// The leaf alone; the intermediate is where the leaf's caIssuers entry says.
fn incomplete_chain(lab: &Lab) -> Prepared {
    let files = issuer_files(lab);
    let place = format!("http://{}", files.address);
    lab.proxy_showing(&leaf_alone(lab, "localhost", &place))
        .keep(files)
}

/// Where the intermediate lies.
pub(super) fn issuer_files(lab: &Lab) -> Server {
    let intermediate = lab.issuing.der();
    let files: web::Web =
        Arc::new(move |_| reply(200, "OK", "application/pkix-cert", &intermediate));
    listen(move |stream| web::serve(stream, Arc::clone(&files)))
}

/// A leaf of this name without its intermediate, which is to be found below `place`.
pub(super) fn leaf_alone(lab: &Lab, name: &str, place: &str) -> Identity {
    let mut params = leaf_params(&[name]);
    params.custom_extensions = vec![authority_information_access(&format!(
        "{place}/issuing.der"
    ))];
    let leaf = lab.leaf(&params);
    lab.showing(vec![leaf])
}

/// A complete chain of a company's authority, which the client doesn't know.
pub(super) fn private_ca(lab: &Lab) -> Prepared {
    let leaf = lab
        .private_issuing
        .sign(&leaf_params(&["localhost"]), &lab.leaf_key);
    lab.proxy_showing(&lab.showing(vec![leaf, lab.private_issuing.der()]))
}

fn self_signed(lab: &Lab) -> Vec<u8> {
    let mut params = leaf_params(&["localhost"]);
    params.is_ca = IsCa::ExplicitNoCa;
    Authority::root(params, &lab.leaf_key).der()
}

/// A healthy leaf, changed in one way.
pub(super) fn leaf_with(lab: &Lab, change: impl FnOnce(&mut CertificateParams)) -> Prepared {
    let mut params = leaf_params(&["localhost"]);
    change(&mut params);
    leaf_of(lab, &params)
}

fn leaf_of(lab: &Lab, params: &CertificateParams) -> Prepared {
    lab.proxy_showing(&lab.showing(vec![lab.leaf(params), lab.issuing.der()]))
}

/// A leaf under an intermediate of its own.
pub(super) fn under(lab: &Lab, authority: CertificateParams, leaf: &CertificateParams) -> Prepared {
    let authority = lab.root.intermediate(authority, &lab.other_key);
    let leaf = authority.sign(leaf, &lab.leaf_key);
    lab.proxy_showing(&lab.showing(vec![leaf, authority.der()]))
}

fn negative_serial(lab: &Lab) -> Prepared {
    let oddity = Oddity {
        signing: &["-sha256", "-set_serial", "-5"],
        key: &[],
    };
    let signed = openssl::sign(lab, "negative-serial", &oddity);
    lab.proxy_showing(&signed.identity(lab))
}

fn rsa(lab: &Lab, bits: &str) -> Prepared {
    let key = ["genrsa", "-out", "leaf.key", bits];
    let oddity = Oddity {
        signing: &["-sha256"],
        key: &[&key],
    };
    let arguments = ["-tls1_2", "-cipher", "ALL:!aNULL:!eNULL:@SECLEVEL=0"];
    served_by_openssl(lab, &format!("rsa-{bits}"), &oddity, &arguments)
}

/// A certificate made and served by openssl.
pub(super) fn served_by_openssl(
    lab: &Lab,
    name: &str,
    oddity: &Oddity<'_>,
    arguments: &[&str],
) -> Prepared {
    let signed = openssl::sign(lab, name, oddity);
    let server = openssl::serve(lab, name, &signed, arguments);
    lab.at(server.address).keep(server)
}

/// Another name beside the usual ones.
pub(super) fn alternative_name(name: &str) -> SanType {
    SanType::DnsName(name.to_owned().try_into().unwrap())
}
