//! Git over SSH by a real `sshd` (Debian's `openssh-server`) with keys of its own.

use super::GitRepository;
use crate::assert_loopback;
use rustix::process::{Pid, Signal, kill_process_group};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use tempfile::TempDir;

/// An SSH server on loopback for the user who runs the test; it knows one key and runs `git-upload-pack` only. Needs
/// no privileges. Stops when dropped.
pub struct SshServer {
    address: SocketAddr,
    user: String,
    folder: TempDir,
    stopping: Arc<AtomicBool>,
    listening: Option<JoinHandle<()>>,
}

impl SshServer {
    /// A server. `None` where there is no `sshd`: then the test says so and passes, unless `LARDER_REQUIRE_SSHD=1`.
    pub fn find() -> Option<Self> {
        let path = std::env::var_os("PATH").unwrap_or_default();
        let folders: Vec<PathBuf> = std::env::split_paths(&path)
            .chain([PathBuf::from("/usr/sbin"), PathBuf::from("/usr/local/sbin")])
            .collect();
        let find = |name: &str| {
            folders
                .iter()
                .map(|folder| folder.join(name))
                .find(|program| program.is_file())
        };
        let (Some(sshd), Some(_), Some(_)) = (find("sshd"), find("ssh"), find("ssh-keygen")) else {
            let required = std::env::var("LARDER_REQUIRE_SSHD").is_ok_and(|value| value == "1");
            assert!(
                !required,
                "LARDER_REQUIRE_SSHD=1, but `sshd`, `ssh` or `ssh-keygen` is missing"
            );
            eprintln!(
                "THIS TEST DID NOT RUN: `sshd`, `ssh` or `ssh-keygen` is missing (package openssh-server)"
            );
            return None;
        };
        Some(Self::start(sshd))
    }

    fn start(sshd: PathBuf) -> Self {
        let folder = TempDir::with_prefix("larder-test-ssh-").unwrap();
        let below = |name: &str| folder.path().join(name);
        for key in ["host_key", "accepted_key", "stranger_key"] {
            make_key(&below(key));
        }
        std::fs::create_dir(below("repositories")).unwrap();
        write_executable(&below("serve"), &upload_pack_script(folder.path()));
        let accepted = std::fs::read_to_string(below("accepted_key.pub")).unwrap();
        let entry = format!(
            "restrict,command=\"{}\" {accepted}",
            below("serve").display()
        );
        std::fs::write(below("authorized_keys"), entry).unwrap();
        std::fs::write(below("sshd_config"), configuration(folder.path())).unwrap();
        if rustix::process::geteuid().is_root() {
            // Debian's sshd asks for this folder when root starts it.
            let _ = std::fs::DirBuilder::new().mode(0o755).create("/run/sshd");
        }

        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let host_key = std::fs::read_to_string(below("host_key.pub")).unwrap();
        let known_host = format!("[127.0.0.1]:{} {host_key}", address.port());
        std::fs::write(below("known_hosts"), known_host).unwrap();
        let stopping = Arc::new(AtomicBool::new(false));
        let listening = {
            let (stopping, configuration) = (stopping.clone(), below("sshd_config"));
            let log = below("sshd.log");
            std::thread::spawn(move || accept(&listener, &stopping, &sshd, &configuration, &log))
        };
        Self {
            address,
            user: user(),
            folder,
            stopping,
            listening: Some(listening),
        }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Serves a repository at a path such as `/team/a.git`.
    pub fn serve(&self, path: &str, repository: &GitRepository) {
        let link = self
            .below("repositories")
            .join(path.trim_start_matches('/'));
        std::fs::create_dir_all(link.parent().unwrap()).unwrap();
        std::os::unix::fs::symlink(repository.folder(), link).unwrap();
    }

    /// The URL of a path: `ssh://USER@127.0.0.1:PORT/team/a.git`.
    pub fn url(&self, path: &str) -> String {
        format!("ssh://{}@{}{path}", self.user, self.address)
    }

    /// The private key that the server accepts.
    pub fn accepted_key(&self) -> PathBuf {
        self.below("accepted_key")
    }

    /// A private key that it does not know.
    pub fn stranger_key(&self) -> PathBuf {
        self.below("stranger_key")
    }

    /// A file that names the server's host key, for `UserKnownHostsFile`.
    pub fn known_hosts(&self) -> PathBuf {
        self.below("known_hosts")
    }

    /// A value for `GIT_SSH_COMMAND`: this key and no other, this server and no other, nothing of the user's.
    pub fn ssh_command(&self, key: &Path) -> String {
        format!(
            "ssh -F none -i {} -o IdentitiesOnly=yes -o IdentityAgent=none -o BatchMode=yes \
             -o StrictHostKeyChecking=yes -o UserKnownHostsFile={} -o GlobalKnownHostsFile=/dev/null",
            key.display(),
            self.known_hosts().display()
        )
    }

    /// What was asked of it, in order: a line such as `git-upload-pack '/team/a.git'` for each session that was
    /// let in.
    pub fn sessions(&self) -> Vec<String> {
        let log = std::fs::read_to_string(self.below("sessions")).unwrap_or_default();
        log.lines().map(str::to_owned).collect()
    }

    /// What `sshd` wrote about its clients, for the words of a failing test.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.below("sshd.log")).unwrap_or_default()
    }

    fn below(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }
}

impl Drop for SshServer {
    fn drop(&mut self) {
        self.stopping.store(true, Ordering::Release);
        // Wakes the thread that waits for a client.
        let _ = TcpStream::connect(self.address);
        if let Some(listening) = self.listening.take() {
            let _ = listening.join();
        }
    }
}

/// Hands each connection to an `sshd` of its own, as inetd does: so the port is the kernel's choice and no
/// daemon is left behind.
fn accept(
    listener: &TcpListener,
    stopping: &AtomicBool,
    sshd: &Path,
    configuration: &Path,
    log: &Path,
) {
    let mut children: Vec<Child> = Vec::new();
    while let Ok((stream, peer)) = listener.accept() {
        if stopping.load(Ordering::Acquire) {
            break;
        }
        assert_loopback(peer);
        let input = OwnedFd::from(stream.try_clone().unwrap());
        let output = OwnedFd::from(stream);
        let child = Command::new(sshd)
            .arg("-i")
            .arg("-f")
            .arg(configuration)
            .arg("-E")
            .arg(log)
            .stdin(Stdio::from(input))
            .stdout(Stdio::from(output))
            .stderr(Stdio::null())
            .process_group(0)
            .spawn()
            .expect("sshd starts");
        children.push(child);
    }
    // Each has a child of its own, which would outlive it. None was waited for before, so that no number in use
    // now is another's.
    for mut child in children {
        let _ = kill_process_group(Pid::from_child(&child), Signal::KILL);
        let _ = child.wait();
    }
}

fn configuration(folder: &Path) -> String {
    let folder = folder.display();
    format!(
        "HostKey {folder}/host_key\n\
         AuthorizedKeysFile {folder}/authorized_keys\n\
         PidFile none\n\
         UsePAM no\n\
         StrictModes no\n\
         PasswordAuthentication no\n\
         KbdInteractiveAuthentication no\n\
         PermitRootLogin prohibit-password\n\
         AcceptEnv GIT_PROTOCOL\n\
         LogLevel VERBOSE\n"
    )
}

/// What the accepted key may run. Git quotes the path; a path that needs more than that is not served.
fn upload_pack_script(folder: &Path) -> String {
    let folder = folder.display();
    format!(
        "#!/bin/sh\n\
         printf '%s\\n' \"$SSH_ORIGINAL_COMMAND\" >> '{folder}/sessions'\n\
         path=${{SSH_ORIGINAL_COMMAND#\"git-upload-pack '/\"}}\n\
         path=${{path%\"'\"}}\n\
         case \"$path\" in *\\'*|*..*|git-*) echo 'refused' >&2; exit 1;; esac\n\
         export GIT_CONFIG_NOSYSTEM=1 GIT_CONFIG_GLOBAL=/dev/null\n\
         exec git upload-pack \"{folder}/repositories/$path\"\n"
    )
}

fn write_executable(file: &Path, text: &str) {
    std::fs::write(file, text).unwrap();
    std::fs::set_permissions(file, std::fs::Permissions::from_mode(0o755)).unwrap();
}

fn make_key(file: &Path) {
    let status = Command::new("ssh-keygen")
        .args(["-q", "-t", "ed25519", "-N", "", "-C", "larder test", "-f"])
        .arg(file)
        .stdin(Stdio::null())
        .status()
        .expect("ssh-keygen starts");
    assert!(status.success(), "ssh-keygen: {status}");
}

/// The name of the user who runs the test.
fn user() -> String {
    let output = Command::new("id").arg("-un").output().expect("id starts");
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}
