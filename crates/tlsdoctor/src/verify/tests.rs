//! The verdict against the real go command: the same chains go through a handshake of `crypto/tls`.
#![expect(
    clippy::disallowed_methods,
    reason = "the real go and openssl are the witnesses"
)]

use std::path::{Path, PathBuf};
use std::process::Command;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rcgen::{
    BasicConstraints, CertificateParams, CidrSubnet, CustomExtension, DnType,
    ExtendedKeyUsagePurpose, GeneralSubtree, IsCa, Issuer, KeyPair, KeyUsagePurpose,
    NameConstraints, SanType, SerialNumber, date_time_ymd,
};

use super::*;

const NOW: &str = "2026-06-15T12:00:00Z";

/// Does what a client of `crypto/tls` does with each case, and prints a line of JSON for each.
const WITNESS: &str = r#"
package main

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"time"
)

type Case struct {
	Chain [][]byte
	Key   []byte
	Roots [][]byte
	Host  string
	Now   time.Time
}

func ask(c Case) string {
	roots := x509.NewCertPool()
	for _, der := range c.Roots {
		root, err := x509.ParseCertificate(der)
		if err != nil {
			return "ROOT " + err.Error()
		}
		roots.AddCert(root)
	}
	key, err := x509.ParsePKCS8PrivateKey(c.Key)
	if err != nil {
		return "KEY " + err.Error()
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "LISTEN " + err.Error()
	}
	defer listener.Close()
	ours, err := net.Dial("tcp", listener.Addr().String())
	if err != nil {
		return "DIAL " + err.Error()
	}
	ours.SetDeadline(time.Now().Add(5 * time.Second))
	theirs, err := listener.Accept()
	if err != nil {
		return "ACCEPT " + err.Error()
	}
	go func() {
		server := tls.Server(theirs, &tls.Config{Certificates: []tls.Certificate{{Certificate: c.Chain, PrivateKey: key}}})
		server.Handshake()
		theirs.Close()
	}()
	client := tls.Client(ours, &tls.Config{RootCAs: roots, ServerName: c.Host, Time: func() time.Time { return c.Now }})
	err = client.Handshake()
	ours.Close()
	if err != nil {
		return err.Error()
	}
	return ""
}

func main() {
	data, err := os.ReadFile(os.Args[1])
	if err != nil {
		panic(err)
	}
	var cases []Case
	if err := json.Unmarshal(data, &cases); err != nil {
		panic(err)
	}
	answers := []string{}
	for _, c := range cases {
		answers = append(answers, ask(c))
	}
	out, err := json.Marshal(answers)
	if err != nil {
		panic(err)
	}
	fmt.Println(string(out))
}
"#;

struct Case {
    name: &'static str,
    chain: Vec<Vec<u8>>,
    key: Vec<u8>,
    roots: Vec<Vec<u8>>,
    host: &'static str,
    now: &'static str,
}

impl Case {
    fn ours(&self) -> String {
        let roots = self.roots.iter().map(|der| Certificate::parse(der));
        let roots = roots.map(|root| Arc::new(root.unwrap())).collect();
        let question = Question {
            roots: &roots,
            host: self.host,
            now: self.now.parse().unwrap(),
            go_debug: GoDebug::default(),
        };
        match verify_sent(&self.chain, question) {
            Ok(_) => String::new(),
            Err(refusal) => refusal.text,
        }
    }
}

/// The program of this name; `None` where it is missing and need not be there.
fn program(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&path).map(|folder| folder.join(name));
    let found = found.into_iter().find(|program| program.is_file());
    let required = std::env::var("LARDER_REQUIRE_GO").is_ok_and(|value| value == "1");
    assert!(
        found.is_some() || !required,
        "LARDER_REQUIRE_GO=1, but there is no `{name}` in PATH"
    );
    if found.is_none() {
        eprintln!("THIS TEST DID NOT RUN: there is no `{name}` in PATH");
    }
    found
}

/// What Go says of each case.
fn ask_go(cases: &[Case]) -> Option<Vec<String>> {
    let go = program("go")?;
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str| folder.path().join(name);
    fs_err::write(file("go.mod"), "module witness\n\ngo 1.26\n").unwrap();
    fs_err::write(file("main.go"), WITNESS).unwrap();
    let encode = |list: &[Vec<u8>]| {
        list.iter()
            .map(|der| STANDARD.encode(der))
            .collect::<Vec<_>>()
    };
    let json: Vec<_> = cases
        .iter()
        .map(|case| {
            serde_json::json!({
                "Chain": encode(&case.chain),
                "Key": STANDARD.encode(&case.key),
                "Roots": encode(&case.roots),
                "Host": case.host,
                "Now": case.now,
            })
        })
        .collect();
    fs_err::write(file("cases.json"), serde_json::to_string(&json).unwrap()).unwrap();
    let output = Command::new(go)
        .args(["run", ".", "cases.json"])
        .current_dir(folder.path())
        .env("GOFLAGS", "-mod=mod")
        .env("GOPROXY", "off")
        .env("GOTOOLCHAIN", "local")
        .env("GODEBUG", "")
        .output()
        .unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");
    Some(serde_json::from_slice(&output.stdout).unwrap())
}

struct Authority {
    der: Vec<u8>,
    issuer: Issuer<'static, KeyPair>,
}

fn authority(name: &str, change: impl FnOnce(&mut CertificateParams)) -> Authority {
    let (params, key) = authority_parts(name, change);
    let der = params.self_signed(&key).unwrap().der().to_vec();
    Authority {
        der,
        issuer: Issuer::new(params, key),
    }
}

fn authority_parts(
    name: &str,
    change: impl FnOnce(&mut CertificateParams),
) -> (CertificateParams, KeyPair) {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
    params.not_before = date_time_ymd(2020, 1, 1);
    params.not_after = date_time_ymd(2040, 1, 1);
    params.use_authority_key_identifier_extension = true;
    change(&mut params);
    (params, KeyPair::generate().unwrap())
}

impl Authority {
    fn below(&self, name: &str, change: impl FnOnce(&mut CertificateParams)) -> Self {
        let (params, key) = authority_parts(name, change);
        let der = params.signed_by(&key, &self.issuer).unwrap().der().to_vec();
        Self {
            der,
            issuer: Issuer::new(params, key),
        }
    }

    /// Certificate and key.
    fn leaf(&self, change: impl FnOnce(&mut CertificateParams)) -> (Vec<u8>, Vec<u8>) {
        let (params, key) = leaf_parts(change);
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        (certificate.der().to_vec(), key.serialize_der())
    }
}

fn leaf_parts(change: impl FnOnce(&mut CertificateParams)) -> (CertificateParams, KeyPair) {
    let mut params = CertificateParams::new(vec!["proxy.example".to_owned()]).unwrap();
    params.distinguished_name = rcgen::DistinguishedName::new();
    params
        .distinguished_name
        .push(DnType::CommonName, "proxy.example");
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    params.not_before = date_time_ymd(2026, 1, 1);
    params.not_after = date_time_ymd(2027, 1, 1);
    params.use_authority_key_identifier_extension = true;
    change(&mut params);
    (params, KeyPair::generate().unwrap())
}

fn alternative_names(names: &[&str]) -> Vec<SanType> {
    let name = |name: &&str| match name.parse() {
        Ok(address) => SanType::IpAddress(address),
        Err(_) => SanType::DnsName((*name).try_into().unwrap()),
    };
    names.iter().map(name).collect()
}

/// The certificate with its signed part changed and signed anew with this key.
fn signed_again(der: &[u8], key: &[u8], change: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    let mut signed = Certificate::parse(der).unwrap().signed_part;
    change(&mut signed);
    let key = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, key).unwrap();
    let signature = key.sign(&SystemRandom::new(), &signed).unwrap();
    let algorithm = [0x30, 10, 6, 8, 0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 3, 2];
    let mut bits = vec![0];
    bits.extend(signature.as_ref());
    let content = [signed, algorithm.to_vec(), value(3, &bits)].concat();
    value(0x30, &content)
}

fn value(tag: u8, content: &[u8]) -> Vec<u8> {
    let length = u16::try_from(content.len()).unwrap();
    let [high, low] = length.to_be_bytes();
    let mut out = match length {
        0..128 => vec![tag, low],
        128..256 => vec![tag, 0x81, low],
        _ => vec![tag, 0x82, high, low],
    };
    out.extend(content);
    out
}

#[expect(clippy::too_many_lines, reason = "a table of cases")]
fn cases() -> Vec<Case> {
    let root = authority("Example Root", |_| {});
    let middle = root.below("Example Issuing CA", |_| {});
    let mut cases: Vec<Case> = Vec::new();
    let mut add = |name, chain: &[&[u8]], key: &[u8], roots: &[&[u8]], host| {
        cases.push(Case {
            name,
            chain: chain.iter().map(|der| der.to_vec()).collect(),
            key: key.to_vec(),
            roots: roots.iter().map(|der| der.to_vec()).collect(),
            host,
            now: NOW,
        });
    };
    let host = "proxy.example";

    let (leaf, key) = middle.leaf(|_| {});
    let whole: &[&[u8]] = &[&leaf, &middle.der];
    add("healthy", whole, &key, &[&root.der], host);
    add(
        "in disorder",
        &[&leaf, &root.der, &middle.der],
        &key,
        &[&root.der],
        host,
    );
    add("leaf alone", &[&leaf], &key, &[&root.der], host);
    add("no roots", whole, &key, &[], host);
    add("intermediate trusted", &[&leaf], &key, &[&middle.der], host);
    add("leaf trusted", &[&leaf], &key, &[&leaf], host);
    add("upper case", whole, &key, &[&root.der], "PROXY.example");
    add(
        "dot at the end",
        whole,
        &key,
        &[&root.der],
        "proxy.example.",
    );
    add("other name", whole, &key, &[&root.der], "other.example");
    add("by address", whole, &key, &[&root.der], "192.0.2.1");
    add(
        "authority first",
        &[&middle.der, &leaf],
        &key,
        &[&root.der],
        host,
    );
    let foreign = authority("Foreign CA", |_| {});
    add(
        "foreign intermediate",
        &[&leaf, &foreign.der],
        &key,
        &[&root.der],
        host,
    );
    add("truncated", &[&leaf[..200]], &key, &[&root.der], host);
    add(
        "bytes behind",
        &[&[leaf.as_slice(), &[0]].concat()],
        &key,
        &[&root.der],
        host,
    );
    let mut damaged = leaf.clone();
    *damaged.last_mut().unwrap() ^= 1;
    add(
        "damaged signature",
        &[&damaged, &middle.der],
        &key,
        &[&root.der],
        host,
    );
    let renewed = authority("Example Root", |_| {});
    add("stale root", whole, &key, &[&renewed.der], host);

    for (name, from, until) in [("expired leaf", 2024, 2025), ("future leaf", 2027, 2028)] {
        let (leaf, key) = middle.leaf(|params| {
            params.not_before = date_time_ymd(from, 1, 1);
            params.not_after = date_time_ymd(until, 1, 1);
        });
        add(name, &[&leaf, &middle.der], &key, &[&root.der], host);
        add("and without issuer", &[&leaf], &key, &[&root.der], host);
    }
    let old = authority("Old Root", |params| {
        params.not_after = date_time_ymd(2025, 1, 1)
    });
    let (leaf, key) = old.leaf(|_| {});
    add("expired root", &[&leaf], &key, &[&old.der], host);
    let old = root.below("Old CA", |params| {
        params.not_after = date_time_ymd(2025, 1, 1)
    });
    let (leaf, key) = old.leaf(|_| {});
    add(
        "expired intermediate",
        &[&leaf, &old.der],
        &key,
        &[&root.der],
        host,
    );
    add(
        "expired intermediate, root unknown",
        &[&leaf, &old.der],
        &key,
        &[],
        host,
    );

    for (name, names, host) in [
        ("wildcard", &["*.example"][..], "proxy.example"),
        ("wildcard too deep", &["*.example"], "a.proxy.example"),
        (
            "wildcard without label",
            &["*.proxy.example"],
            "proxy.example",
        ),
        (
            "several names",
            &["a.example", "b.example"],
            "proxy.example",
        ),
        ("underscore", &["a_b.example"], "a_b.example"),
        ("address", &["192.0.2.7"], "192.0.2.7"),
        ("other address", &["192.0.2.7", "2001:db8::7"], "192.0.2.8"),
        ("address of six", &["2001:db8::7"], "2001:db8::7"),
        ("address for a name", &["192.0.2.7"], "proxy.example"),
    ] {
        let (leaf, key) = middle.leaf(|params| params.subject_alt_names = alternative_names(names));
        add(name, &[&leaf, &middle.der], &key, &[&root.der], host);
    }
    let many: Vec<String> = (0..120).map(|n| format!("host{n}.example")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    let (leaf, key) = middle.leaf(|params| params.subject_alt_names = alternative_names(&many));
    add(
        "many names",
        &[&leaf, &middle.der],
        &key,
        &[&root.der],
        host,
    );
    let (leaf, key) = middle.leaf(|params| params.subject_alt_names.clear());
    add(
        "common name only",
        &[&leaf, &middle.der],
        &key,
        &[&root.der],
        host,
    );
    add(
        "no name at all",
        &[&leaf, &middle.der],
        &key,
        &[&root.der],
        "other.example",
    );

    let subtree = |name: &str| GeneralSubtree::DnsName(name.to_owned());
    let network = |network: &str| {
        let (address, mask) = network.split_once('/').unwrap();
        let address: std::net::Ipv4Addr = address.parse().unwrap();
        let mask: std::net::Ipv4Addr = mask.parse().unwrap();
        GeneralSubtree::IpAddress(CidrSubnet::V4(address.octets(), mask.octets()))
    };
    for (name, permitted, excluded) in [
        ("permitted", vec![subtree("example")], vec![]),
        ("permitted below a dot", vec![subtree(".example")], vec![]),
        ("not permitted", vec![subtree("corp.test")], vec![]),
        (
            "permitted is deeper",
            vec![subtree("a.proxy.example")],
            vec![],
        ),
        ("no suffix of labels", vec![subtree("xample")], vec![]),
        ("excluded", vec![], vec![subtree("proxy.example")]),
        (
            "excluded above",
            vec![],
            vec![subtree("example"), subtree("x.example")],
        ),
        ("others excluded", vec![], vec![subtree("corp.test")]),
        (
            "addresses only",
            vec![network("10.0.0.0/255.0.0.0")],
            vec![],
        ),
    ] {
        let narrow = root.below("Narrow CA", |params| {
            params.name_constraints = Some(NameConstraints {
                permitted_subtrees: permitted,
                excluded_subtrees: excluded,
            });
        });
        let (leaf, key) = narrow.leaf(|_| {});
        add(name, &[&leaf, &narrow.der], &key, &[&root.der], host);
        let (leaf, key) = narrow.leaf(|params| {
            params.subject_alt_names = alternative_names(&["proxy.example", "192.0.2.9"]);
        });
        add(
            "with an address",
            &[&leaf, &narrow.der],
            &key,
            &[&root.der],
            host,
        );
        let (leaf, key) =
            narrow.leaf(|params| params.subject_alt_names = alternative_names(&["*.example"]));
        add(
            "with a wildcard",
            &[&leaf, &narrow.der],
            &key,
            &[&root.der],
            host,
        );
    }

    let (leaf, key) = middle
        .leaf(|params| params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth]);
    add(
        "for clients",
        &[&leaf, &middle.der],
        &key,
        &[&root.der],
        host,
    );
    let (leaf, key) = middle.leaf(|params| params.extended_key_usages.clear());
    add(
        "for anything",
        &[&leaf, &middle.der],
        &key,
        &[&root.der],
        host,
    );
    let mail = root.below("Mail CA", |params| {
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::EmailProtection];
    });
    let (leaf, key) = mail.leaf(|_| {});
    add(
        "authority for mail",
        &[&leaf, &mail.der],
        &key,
        &[&root.der],
        host,
    );
    let plain = root.below("Not A CA", |params| params.is_ca = IsCa::ExplicitNoCa);
    let (leaf, key) = plain.leaf(|_| {});
    add(
        "issuer is no authority",
        &[&leaf, &plain.der],
        &key,
        &[&root.der],
        host,
    );
    let plain = root.below("Signs Nothing", |params| {
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    });
    let (leaf, key) = plain.leaf(|_| {});
    add(
        "issuer may not sign",
        &[&leaf, &plain.der],
        &key,
        &[&root.der],
        host,
    );
    let nameless = root.below("", |params| {
        params.is_ca = IsCa::ExplicitNoCa;
        params.distinguished_name = rcgen::DistinguishedName::new();
        params
            .distinguished_name
            .push(DnType::OrganizationName, "An \"Org\" é");
    });
    let (leaf, key) = nameless.leaf(|_| {});
    add(
        "issuer with an organisation",
        &[&leaf, &nameless.der],
        &key,
        &[&root.der],
        host,
    );
    let nameless = root.below("", |params| {
        params.is_ca = IsCa::ExplicitNoCa;
        params.distinguished_name = rcgen::DistinguishedName::new();
        params.distinguished_name.push(DnType::CountryName, "XX");
        params.serial_number = Some(SerialNumber::from_slice(&[1, 0, 0, 0, 0, 0, 0, 0, 7]));
    });
    let (leaf, key) = nameless.leaf(|_| {});
    add(
        "issuer with a serial only",
        &[&leaf, &nameless.der],
        &key,
        &[&root.der],
        host,
    );
    let short = root.below("Short CA", |params| {
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    });
    let below = short.below("Below Short CA", |_| {});
    let (leaf, key) = below.leaf(|_| {});
    add(
        "path too long",
        &[&leaf, &below.der, &short.der],
        &key,
        &[&root.der],
        host,
    );
    let (leaf, key) = short.leaf(|_| {});
    add(
        "path just long enough",
        &[&leaf, &short.der],
        &key,
        &[&root.der],
        host,
    );
    let extension = |critical| {
        let mut extension = CustomExtension::from_oid_content(&[1, 2, 3, 4, 5], vec![5, 0]);
        extension.set_criticality(critical);
        extension
    };
    for (name, critical) in [("unknown critical", true), ("unknown extension", false)] {
        let (leaf, key) = middle.leaf(|params| params.custom_extensions.push(extension(critical)));
        add(name, &[&leaf, &middle.der], &key, &[&root.der], host);
        let odd = root.below("Odd CA", |params| {
            params.custom_extensions.push(extension(critical));
        });
        let (leaf, key) = odd.leaf(|_| {});
        add(
            "and of an authority",
            &[&leaf, &odd.der],
            &key,
            &[&root.der],
            host,
        );
    }
    let (params, key) = leaf_parts(|_| {});
    let leaf = params.self_signed(&key).unwrap().der().to_vec();
    add(
        "self-signed",
        &[&leaf],
        &key.serialize_der(),
        &[&root.der],
        host,
    );
    add(
        "self-signed, trusted",
        &[&leaf],
        &key.serialize_der(),
        &[&leaf],
        host,
    );
    let (params, key) = leaf_parts(|params| {
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    });
    let leaf = params.self_signed(&key).unwrap().der().to_vec();
    add(
        "self-signed authority",
        &[&leaf],
        &key.serialize_der(),
        &[&root.der],
        host,
    );
    add(
        "self-signed authority, trusted",
        &[&leaf],
        &key.serialize_der(),
        &[&leaf],
        host,
    );

    let signer = authority("Signer", |_| {});
    let signer_key = signer.issuer.key().serialize_der();
    let (leaf, key) = signer.leaf(|params| {
        params.serial_number = Some(SerialNumber::from_slice(&[0x7b, 1, 2]));
    });
    let replace = |from: &'static [u8], to: &'static [u8]| {
        let again = signed_again(&leaf, &signer_key, |signed| {
            let at = signed.windows(from.len()).position(|part| part == from);
            let at = at.expect("the bytes are there");
            signed.splice(at..at + from.len(), to.iter().copied());
        });
        assert_ne!(again, leaf);
        again
    };
    let odd: [(&'static str, &'static [u8], &'static [u8]); 7] = [
        ("negative serial", &[2, 3, 0x7b, 1, 2], &[2, 3, 0xfb, 1, 2]),
        (
            "serial with a zero too many",
            &[2, 3, 0x7b, 1, 2],
            &[2, 3, 0, 1, 2],
        ),
        ("version 4", &[0xa0, 3, 2, 1, 2], &[0xa0, 3, 2, 1, 3]),
        (
            "another signature algorithm inside",
            &[0x3d, 4, 3, 2],
            &[0x3d, 4, 3, 3],
        ),
        ("no date", b"260101000000Z", b"261301000000Z"),
        ("bad string", &[0x0c, 13, b'p'], &[0x13, 13, b'@']),
        ("unknown curve", &[0x3d, 3, 1, 7], &[0x3d, 3, 1, 6]),
    ];
    for (name, from, to) in odd {
        add(name, &[&replace(from, to)], &key, &[&signer.der], host);
    }
    let names = &[0x82, 13, b'p', b'r', b'o'];
    add(
        "name that is no ASCII",
        &[&replace(names, &[0x82, 13, 0xff, b'r', b'o'])],
        &key,
        &[&signer.der],
        host,
    );
    add(
        "address of five bytes",
        &[&replace(names, &[0x87, 13, b'p', b'r', b'o'])],
        &key,
        &[&signer.der],
        host,
    );
    cases
}

/// Certificates that only the openssl command makes.
fn odd_cases(folder: &Path) -> Option<Vec<Case>> {
    let openssl = program("openssl")?;
    let run = |arguments: &str| {
        let output = Command::new(&openssl)
            .args(arguments.split_whitespace())
            .current_dir(folder)
            .output()
            .unwrap();
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "openssl {arguments}: {errors}");
    };
    let der = |name: &str| {
        let pem = fs_err::read(folder.join(name)).unwrap();
        crate::certificate::pem_blocks(&pem).next().unwrap()
    };
    fs_err::write(
        folder.join("leaf.ext"),
        "subjectAltName=DNS:proxy.example\nextendedKeyUsage=serverAuth\nbasicConstraints=critical,CA:false\n",
    )
    .unwrap();
    fs_err::write(
        folder.join("ca.ext"),
        "basicConstraints=critical,CA:true\nkeyUsage=critical,keyCertSign,cRLSign\nsubjectKeyIdentifier=hash\n",
    )
    .unwrap();
    run("genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:2048 -out ca.key");
    run("genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:512 -out small.key");
    run("genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:1024 -out middling.key");
    run("genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out p256.key");
    run("genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-384 -out p384.key");
    run("genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-521 -out p521.key");
    run("genpkey -algorithm EC -pkeyopt ec_paramgen_curve:brainpoolP256r1 -out brainpool.key");
    run("genpkey -algorithm ED25519 -out ed25519.key");
    run("genpkey -genparam -algorithm DSA -pkeyopt dsa_paramgen_bits:1024 -out dsa.params");
    run("genpkey -paramfile dsa.params -out dsa.key");
    // openssl has no option for the dates of `x509 -req` but the days from now on: these cases are judged now.
    let now = "NOW";
    let sign = |issuer: &str, key: &str, options: &str, extensions: &str, out: &str| {
        run(&format!(
            "req -new -key {key} -subj /CN={out} -out {out}.csr"
        ));
        let by = match issuer {
            "" => format!("-signkey {key}"),
            issuer => format!("-CA {issuer}.pem -CAkey {issuer}.key -set_serial 7"),
        };
        run(&format!(
            "x509 -req -in {out}.csr {by} -days 30 {options} -extfile {extensions}.ext -out {out}.pem"
        ));
    };
    let mut cases = Vec::new();
    sign("", "ca.key", "-sha256", "ca", "ca");
    let pkcs8 = |name: &str| {
        run(&format!(
            "pkcs8 -topk8 -nocrypt -in {name} -outform DER -out {name}.der"
        ));
        fs_err::read(folder.join(format!("{name}.der"))).unwrap()
    };
    for (name, key, options) in [
        ("RSA 2048", "ca.key", "-sha256"),
        ("SHA-384", "p256.key", "-sha384"),
        ("SHA-512", "p256.key", "-sha512"),
        ("SHA-1", "p256.key", "-sha1"),
        ("MD5", "p256.key", "-md5"),
        (
            "PSS",
            "p256.key",
            "-sha256 -sigopt rsa_padding_mode:pss -sigopt rsa_pss_saltlen:digest",
        ),
        (
            "PSS with a long salt",
            "p256.key",
            "-sha256 -sigopt rsa_padding_mode:pss -sigopt rsa_pss_saltlen:max",
        ),
        ("RSA 1024", "middling.key", "-sha256"),
        ("Ed25519", "ed25519.key", "-sha256"),
        ("P-384", "p384.key", "-sha256"),
        ("P-521", "p521.key", "-sha256"),
        ("brainpool", "brainpool.key", "-sha256"),
        ("DSA", "dsa.key", "-sha256"),
    ] {
        sign("ca", key, options, "leaf", "leaf");
        // Go's server cannot use a key that Go does not know; its client has refused by then.
        let key = if matches!(name, "brainpool" | "DSA") {
            "p256.key"
        } else {
            key
        };
        cases.push((name, vec![der("leaf.pem")], pkcs8(key), der("ca.pem")));
    }
    for (name, key, options) in [
        ("authority with RSA 512", "small", "-sha256"),
        ("authority with RSA 1024", "middling", "-sha256"),
        ("authority with P-384", "p384", "-sha384"),
        ("authority with P-521", "p521", "-sha512"),
        ("authority with Ed25519", "ed25519", ""),
        ("authority signed with SHA-1", "ca", "-sha1"),
    ] {
        let hash = if name.ends_with("SHA-1") {
            "-sha256"
        } else {
            options
        };
        sign("", &format!("{key}.key"), options, "ca", key);
        sign(key, "p256.key", hash, "leaf", "leaf");
        cases.push((
            name,
            vec![der("leaf.pem")],
            pkcs8("p256.key"),
            der(&format!("{key}.pem")),
        ));
    }
    let case = |(name, chain, key, root)| Case {
        name,
        chain,
        key,
        roots: vec![root],
        host: "proxy.example",
        now,
    };
    Some(cases.into_iter().map(case).collect())
}

#[test]
fn the_verdict_is_gos_in_every_word() {
    let folder = tempfile::tempdir().unwrap();
    let now: &'static str = Timestamp::now()
        .strftime("%Y-%m-%dT%H:%M:%SZ")
        .to_string()
        .leak();
    let mut cases = cases();
    for mut case in odd_cases(folder.path()).unwrap_or_default() {
        case.now = now;
        cases.push(case);
    }
    let Some(answers) = ask_go(&cases) else {
        return;
    };
    let differing: Vec<_> = cases
        .iter()
        .zip(&answers)
        .filter(|(case, go)| case.ours() != **go)
        .map(|(case, go)| format!("{}\n  go:   {go}\n  ours: {}", case.name, case.ours()))
        .collect();
    assert!(
        differing.is_empty(),
        "{} of {}:\n{}",
        differing.len(),
        cases.len(),
        differing.join("\n")
    );
    let refused = answers.iter().filter(|answer| !answer.is_empty()).count();
    assert!(
        refused > 40 && answers.len() - refused > 20,
        "{refused} of {}",
        answers.len()
    );
}
