use super::{GoModHash, H1, Sha256};

#[test]
fn digests_read_back_what_they_print() {
    let digest = Sha256::of(b"abc");
    let hex = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
    assert_eq!(digest.to_string(), hex);
    assert_eq!(Sha256::parse(hex), Ok(digest));
    for bad in [
        "",
        "ba",
        &hex.to_uppercase(),
        &hex.replace('b', "g"),
        &format!("{hex}0"),
        &hex.replacen("ba", "é", 1),
    ] {
        assert!(Sha256::parse(bad).is_err(), "{bad}");
    }
}

#[test]
fn an_h1_reads_back_what_it_prints() {
    let empty = "h1:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=";
    assert_eq!(H1::of(&mut []).unwrap().to_string(), empty);
    assert_eq!(H1::parse(empty).unwrap().to_string(), empty);
    for bad in [
        "",
        "h1:",
        "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=",
        "h2:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=",
        "h1:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU",
        "h1:47DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFU=",
        "h1:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFV=",
        "h1:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuA==",
        " h1:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=",
    ] {
        assert!(H1::parse(bad).is_err(), "{bad}");
    }
}

#[test]
fn a_go_mod_hashes_as_a_tree_of_one_file() {
    let content = b"module example.com/a\n";
    let tree = H1::of(&mut [("go.mod".into(), Sha256::of(content))]).unwrap();
    assert_eq!(GoModHash::of(content), GoModHash(tree));
}

#[test]
fn the_order_of_files_does_not_matter() {
    let [a, b] = ["a", "b"].map(|name| (name.to_owned(), Sha256::of(name.as_bytes())));
    let forth = H1::of(&mut [a.clone(), b.clone()]).unwrap();
    assert_eq!(H1::of(&mut [b, a]).unwrap(), forth);
}

#[test]
fn a_name_cannot_forge_a_line() {
    let digest = Sha256::of(b"");
    let error = H1::of(&mut [(format!("a\n{digest}  b"), digest)]).unwrap_err();
    assert!(error.reason.contains("newlines"), "{error}");
}
