//! The openssl command: for certificates that no honest library signs, and for servers that speak
//! what rustls has long forgotten.

use super::authorities::Identity;
use super::lab::Lab;
use crate::eventually;
use std::fs::File;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// Whether there is an openssl command to ask.
pub(crate) fn is_here() -> bool {
    Command::new("openssl")
        .arg("version")
        .output()
        .is_ok_and(|output| output.status.success())
}

/// Runs openssl in a folder and fails the test if it refuses.
pub(crate) fn openssl(folder: &Path, arguments: &[&str]) {
    let output = Command::new("openssl")
        .args(arguments)
        .current_dir(folder)
        .output()
        .expect("openssl starts");
    assert!(
        output.status.success(),
        "openssl {arguments:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
}

/// A certificate for `localhost` that openssl signs with the lab's issuing authority.
pub(crate) struct Signed {
    pub(crate) certificate: PathBuf,
    pub(crate) key: PathBuf,
}

/// What is odd about a certificate.
pub(crate) struct Oddity<'a> {
    /// Arguments of `openssl x509 -req`, such as `-sha1`.
    pub(crate) signing: &'a [&'a str],
    /// How its key is made: arguments of openssl that write `leaf.key`; none for the lab's own key.
    pub(crate) key: &'a [&'a [&'a str]],
}

/// Signs a certificate in a folder of its own.
pub(crate) fn sign(lab: &Lab, name: &str, oddity: &Oddity<'_>) -> Signed {
    let folder = lab.folder().join(name);
    std::fs::create_dir_all(&folder).unwrap();
    let write = |file: &str, text: &str| std::fs::write(folder.join(file), text).unwrap();
    write("ca.pem", &super::authorities::pem(&lab.issuing.der()));
    write("ca.key", lab.issuing.key_pem());
    write("leaf.key", &lab.leaf_key);
    write(
        "extensions",
        "subjectAltName=DNS:localhost,IP:127.0.0.1\nkeyUsage=digitalSignature,keyEncipherment\nextendedKeyUsage=serverAuth\n",
    );
    for arguments in oddity.key {
        openssl(&folder, arguments);
    }
    let request = "req -new -key leaf.key -subj /CN=localhost -out leaf.csr";
    openssl(&folder, &request.split(' ').collect::<Vec<_>>());
    let signing = "x509 -req -in leaf.csr -CA ca.pem -CAkey ca.key -days 3650 -extfile extensions -out leaf.pem";
    let mut arguments: Vec<&str> = signing.split(' ').collect();
    arguments.extend(oddity.signing);
    if !oddity.signing.contains(&"-set_serial") {
        arguments.extend(["-set_serial", "77"]);
    }
    openssl(&folder, &arguments);
    Signed {
        certificate: folder.join("leaf.pem"),
        key: folder.join("leaf.key"),
    }
}

impl Signed {
    /// The certificate, DER.
    pub(crate) fn der(&self) -> Vec<u8> {
        let der = self.certificate.with_extension("der");
        let folder = self.certificate.parent().unwrap();
        openssl(
            folder,
            &[
                "x509", "-in", "leaf.pem", "-outform", "DER", "-out", "leaf.der",
            ],
        );
        std::fs::read(der).unwrap()
    }

    /// As rustls shows it, with the lab's intermediate behind it; only for the lab's own key.
    pub(crate) fn identity(&self, lab: &Lab) -> Identity {
        Identity::new(vec![self.der(), lab.issuing.der()], &lab.leaf_key)
    }
}

/// A running `openssl s_server` over a folder that holds a module proxy's files. Killed when dropped.
pub(crate) struct OpensslServer {
    pub(crate) address: SocketAddr,
    child: Child,
}

impl Drop for OpensslServer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Starts `openssl s_server` with this certificate, the lab's intermediate, and these arguments.
pub(crate) fn serve(lab: &Lab, name: &str, signed: &Signed, arguments: &[&str]) -> OpensslServer {
    let folder = lab.folder().join(format!("{name}-files"));
    let module = super::web::module();
    let versions = folder.join("example.lab/m/@v");
    std::fs::create_dir_all(&versions).unwrap();
    std::fs::write(versions.join("list"), "v1.0.0\n").unwrap();
    std::fs::write(versions.join("v1.0.0.info"), module.info()).unwrap();
    std::fs::write(versions.join("v1.0.0.mod"), module.go_mod_file()).unwrap();
    std::fs::write(versions.join("v1.0.0.zip"), module.zip()).unwrap();
    let chain = folder.join("chain.pem");
    std::fs::write(&chain, super::authorities::pem(&lab.issuing.der())).unwrap();
    let said = folder.join("said");
    let output = File::create(&said).unwrap();
    let child = Command::new("openssl")
        .args(["s_server", "-accept", "127.0.0.1:0", "-WWW"])
        .arg("-cert")
        .arg(&signed.certificate)
        .arg("-key")
        .arg(&signed.key)
        .arg("-cert_chain")
        .arg(&chain)
        .args(arguments)
        .current_dir(&folder)
        .stdin(Stdio::null())
        .stdout(output.try_clone().unwrap())
        .stderr(output)
        .spawn()
        .expect("openssl starts");
    let mut server = OpensslServer {
        address: ([127, 0, 0, 1], 0).into(),
        child,
    };
    server.address = eventually("openssl s_server listens", || {
        let text = std::fs::read_to_string(&said).unwrap_or_default();
        if let Ok(Some(status)) = server.child.try_wait() {
            panic!("openssl s_server {arguments:?} ended with {status}: {text}");
        }
        let line = text.lines().find_map(|line| line.strip_prefix("ACCEPT "))?;
        line.trim().parse().ok()
    });
    server
}
