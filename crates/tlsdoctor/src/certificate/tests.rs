use super::*;

#[test]
fn a_serial_is_printed_in_hex_and_in_decimal() {
    let check = |content: &[u8], hex: &str, decimal: &str| {
        let serial = Serial(content.to_vec());
        assert_eq!(
            (serial.hex().as_str(), serial.decimal().as_str()),
            (hex, decimal)
        );
    };
    check(&[7], "07", "7");
    check(&[0], "", "0");
    check(&[0, 0xff], "ff", "255");
    check(
        &[1, 0, 0, 0, 0, 0, 0, 0, 0],
        "010000000000000000",
        "18446744073709551616",
    );
    check(&[0xfb], "-05", "-5");
    check(&[0xff, 0], "-0100", "-256");
}

#[test]
fn facts_are_read_from_what_go_refuses() {
    let mut parameters = rcgen::CertificateParams::new(vec!["proxy.example".to_owned()]).unwrap();
    parameters.serial_number = Some(rcgen::SerialNumber::from_slice(&[0x7b, 9]));
    let key = rcgen::KeyPair::generate().unwrap();
    let good = parameters.self_signed(&key).unwrap().der().to_vec();
    let at = good
        .windows(4)
        .position(|part| part == [2, 2, 0x7b, 9])
        .unwrap();
    let mut odd = good.clone();
    odd[at + 2] = 0xfb;
    let certificate = Certificate::parse(&odd).unwrap();
    assert_eq!(
        certificate.complaint.as_deref(),
        Some("x509: negative serial number")
    );
    assert_eq!(certificate.dns_names, ["proxy.example"]);
    assert_eq!(certificate.key.describe(), "ECDSA P-256");
    assert!(!certificate.signs_itself());

    let certificate = Certificate::parse(&good).unwrap();
    assert_eq!(certificate.complaint, None);
    assert!(certificate.signs_itself());
    let pem = certificate.to_pem();
    assert_eq!(Certificate::from_pem(pem.as_bytes()), [certificate]);
    let refused = Certificate::parse(b"nothing").unwrap_err();
    assert_eq!(refused.to_string(), "x509: malformed certificate");
}

#[test]
fn pem_is_read_among_other_things() {
    let check = |text: &str, blocks: &[&[u8]]| {
        let found: Vec<_> = pem_blocks(text.as_bytes()).collect();
        assert_eq!(found, blocks, "{text}");
    };
    check(
        "-----BEGIN CERTIFICATE-----\nAQI=\n-----END CERTIFICATE-----\n",
        &[&[1, 2]],
    );
    check(
        "# CA\r\n-----BEGIN CERTIFICATE-----\r\nAQ\r\nI=\r\n-----END CERTIFICATE-----",
        &[&[1, 2]],
    );
    check(
        "-----BEGIN PRIVATE KEY-----\nAQI=\n-----END PRIVATE KEY-----\n",
        &[],
    );
    check(
        "-----BEGIN CERTIFICATE-----\n?\n-----END CERTIFICATE-----\n",
        &[],
    );
    check("-----BEGIN CERTIFICATE-----\nAQI=\n", &[]);
}
