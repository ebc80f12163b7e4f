//! The peer: nginx as a careful operator would set it up for static files.

use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::Outcome;
use crate::larder::{Usage, tail};
use crate::process::{answers, run};

/// Makes sure that `nginx` is there: installed from Debian's `nginx-light` where that can be done.
pub(super) fn install() -> Outcome {
    if answers("nginx", &["-v"]) {
        return Ok(());
    }
    println!("nginx is missing: trying `apt-get install nginx-light`");
    let _ = run(Command::new("apt-get").args(["update", "--quiet"]));
    let _ = run(Command::new("apt-get").args([
        "install",
        "--yes",
        "--quiet",
        "--no-install-recommends",
        "nginx-light",
    ]));
    if answers("nginx", &["-v"]) {
        return Ok(());
    }
    Err("nginx is missing: install Debian's `nginx-light`, or nginx from your system's packages, and put it on the PATH".into())
}

/// Whether each request is written down.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum AccessLog {
    On,
    Off,
}

/// A running nginx of our own, with two workers.
pub(super) struct Nginx {
    master: Child,
    pub(super) address: SocketAddr,
}

impl Nginx {
    /// Serves the files below `folder`; its own files go to `work`. With a certificate and its key: over TLS 1.3, with
    /// HTTP/2.
    pub(super) fn start(
        folder: &Path,
        work: &Path,
        access_log: AccessLog,
        certificate: Option<(&Path, &Path)>,
    ) -> Outcome<Self> {
        fs_err::create_dir_all(work)?;
        let address = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?;
        let log = match access_log {
            AccessLog::On => format!(
                "access_log {}/access.log combined buffer=64k;",
                work.display()
            ),
            AccessLog::Off => "access_log off;".to_owned(),
        };
        let (listen_as, tls) = match certificate {
            None => ("", String::new()),
            Some((certificate, key)) => (
                " ssl http2",
                format!(
                    "ssl_certificate {}; ssl_certificate_key {}; ssl_protocols TLSv1.3;",
                    certificate.display(),
                    key.display()
                ),
            ),
        };
        let work_folder = work.display();
        let configuration = format!(
            "daemon off;
worker_processes 2;
pid {work_folder}/pid;
error_log {work_folder}/error.log;
events {{ worker_connections 4096; }}
http {{
  {log}
  sendfile on;
  tcp_nopush on;
  tcp_nodelay on;
  keepalive_requests 1000000000;
  keepalive_timeout 75s;
  open_file_cache max=10000 inactive=10m;
  open_file_cache_valid 10m;
  types {{ application/zip zip; application/json info; text/plain mod; }}
  default_type text/plain;
  client_body_temp_path {work_folder}/body;
  proxy_temp_path {work_folder}/proxy;
  fastcgi_temp_path {work_folder}/fastcgi;
  uwsgi_temp_path {work_folder}/uwsgi;
  scgi_temp_path {work_folder}/scgi;
  server {{ listen {address}{listen_as}; {tls} root {}; }}
}}
",
            folder.display()
        );
        let file = work.join("nginx.conf");
        fs_err::write(&file, configuration)?;
        let error_log = work.join("error.log");
        let mut master = Command::new("nginx")
            .args([
                "-e".as_ref(),
                error_log.as_os_str(),
                "-c".as_ref(),
                file.as_os_str(),
            ])
            .stdin(Stdio::null())
            .stderr(Stdio::null())
            .spawn()?;
        let deadline = Instant::now() + Duration::from_secs(10);
        while TcpStream::connect(address).is_err() {
            if let Some(status) = master.try_wait()? {
                return Err(format!("nginx ended with {status}:\n{}", tail(&error_log)).into());
            }
            if Instant::now() > deadline {
                return Err("nginx does not listen after 10 s".into());
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        Ok(Self { master, address })
    }

    /// Of the master and all workers together.
    pub(super) fn usage(&self) -> Outcome<Usage> {
        let master = self.master.id();
        let mut total = Usage::of(master)?;
        let workers = fs_err::read_to_string(format!("/proc/{master}/task/{master}/children"))?;
        for worker in workers.split_whitespace() {
            let usage = Usage::of(worker.parse()?)?;
            total.cpu += usage.cpu;
            total.resident_bytes += usage.resident_bytes;
            total.peak_bytes += usage.peak_bytes;
        }
        Ok(total)
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        // SIGTERM makes the master end its workers; a master that is killed would leave them behind.
        let process = rustix::process::Pid::from_child(&self.master);
        let _ = rustix::process::kill_process(process, rustix::process::Signal::TERM);
        let _ = self.master.wait();
    }
}
