//! The way out for git to addresses that a request chose: a SOCKS proxy (RFC 1928, 1929) of our own on loopback
//! that looks names up itself and judges the address that it dials.
//!
//! So neither a redirect nor a name that leads elsewhere at the second look reaches this machine or the networks
//! around it, whatever git and its HTTP library make of an address. Each child has a password of its own, which
//! is worth nothing after its end. SOCKS rather than CONNECT, because it carries `http://`, too.

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::{Arc, Weak};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinHandle;

use crate::address::Undialled;
use crate::{AddressGuard, ForbiddenAddress};

/// Connections at once, of all children together.
const CONNECTIONS: usize = 64;
/// How long a child may take to say where it wants to go, and a dial to succeed.
const PATIENCE: Duration = Duration::from_secs(10);
/// Addresses of one name that are tried.
const ADDRESSES: usize = 8;

/// SOCKS: version, the one method and the one command that are spoken, and the answers.
const VERSION: u8 = 5;
const METHOD_PASSWORD: u8 = 2;
const METHOD_NONE: u8 = 0xff;
const COMMAND_CONNECT: u8 = 1;
const SUCCEEDED: u8 = 0;
const NOT_ALLOWED: u8 = 2;
const UNREACHABLE: u8 = 4;
const COMMAND_UNKNOWN: u8 = 7;

/// The addresses of a host that may be dialled, in the time and number that a dial may take.
///
/// # Errors
/// As [`AddressGuard::addresses`].
pub(super) async fn allowed_addresses(
    guard: &AddressGuard,
    host: &str,
    port: u16,
) -> Result<Vec<SocketAddr>, Undialled> {
    let found = tokio::time::timeout(PATIENCE, guard.addresses(host, port));
    let mut allowed = found
        .await
        .unwrap_or_else(|_| Err(Undialled::Lookup(io::ErrorKind::TimedOut.into())))?;
    allowed.truncate(ADDRESSES);
    Ok(allowed)
}

/// The proxy. It ends with its last handle.
pub(super) struct GuardedProxy {
    address: SocketAddr,
    shared: Arc<Shared>,
    door: JoinHandle<()>,
}

struct Shared {
    guard: Arc<AddressGuard>,
    passes: Mutex<HashMap<String, Weak<Holder>>>,
}

/// What is known of one child's way out.
struct Holder {
    password: String,
    refused: Mutex<Option<ForbiddenAddress>>,
    /// Never written: connections end when it is gone.
    alive: watch::Sender<()>,
}

/// The right of one child to go out. Its connections end with it.
pub(super) struct Pass {
    url: String,
    holder: Arc<Holder>,
    shared: Arc<Shared>,
}

impl Pass {
    /// The proxy as git is told of it. A secret.
    pub(super) fn url(&self) -> &str {
        &self.url
    }

    /// The forbidden address that the child wanted to reach, if it did.
    pub(super) fn refused(&self) -> Option<ForbiddenAddress> {
        self.holder.refused.lock().clone()
    }
}

impl Drop for Pass {
    fn drop(&mut self) {
        self.shared.passes.lock().remove(&self.holder.password);
    }
}

impl Drop for GuardedProxy {
    fn drop(&mut self) {
        self.door.abort();
    }
}

impl GuardedProxy {
    /// Opens a port on loopback.
    pub(super) async fn open(guard: Arc<AddressGuard>) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let shared = Arc::new(Shared {
            guard,
            passes: Mutex::default(),
        });
        let door = tokio::spawn(keep_door(listener, shared.clone()));
        Ok(Self {
            address,
            shared,
            door,
        })
    }

    /// A pass for one child.
    pub(super) fn pass(&self) -> io::Result<Pass> {
        let password = random_word()?;
        let holder = Arc::new(Holder {
            password: password.clone(),
            refused: Mutex::new(None),
            alive: watch::Sender::new(()),
        });
        self.shared
            .passes
            .lock()
            .insert(password.clone(), Arc::downgrade(&holder));
        Ok(Pass {
            url: format!("socks5h://larder:{password}@{}", self.address),
            holder,
            shared: self.shared.clone(),
        })
    }
}

/// 128 random bits in hexadecimal.
fn random_word() -> io::Result<String> {
    let mut bits = [0; 16];
    rustls::crypto::aws_lc_rs::default_provider()
        .secure_random
        .fill(&mut bits)
        .map_err(|_| io::Error::other("the system gives no random numbers"))?;
    Ok(format!("{:032x}", u128::from_be_bytes(bits)))
}

async fn keep_door(listener: TcpListener, shared: Arc<Shared>) {
    let seats = Arc::new(Semaphore::new(CONNECTIONS));
    loop {
        let Ok(seat) = seats.clone().acquire_owned().await else {
            return;
        };
        let Ok((stream, _)) = listener.accept().await else {
            // Out of descriptors, mostly: some will come back.
            tokio::time::sleep(Duration::from_millis(50)).await;
            continue;
        };
        let shared = shared.clone();
        tokio::spawn(async move {
            // Git tells of a connection that failed; a pass, of a refusal.
            let _ = shared.serve(stream).await;
            drop(seat);
        });
    }
}

impl Shared {
    async fn serve(&self, mut client: TcpStream) -> io::Result<()> {
        let admitted = tokio::time::timeout(PATIENCE, self.admit(&mut client)).await??;
        let Some((holder, host, port)) = admitted else {
            return Ok(());
        };
        let mut alive = holder.alive.subscribe();
        let way = self.dial(&holder, &host, port);
        // A connection ends with its child's pass; the pass is not kept by its connections.
        let dialled = tokio::select! {
            dialled = way => dialled,
            _ = alive.changed() => return Ok(()),
        };
        drop(holder);
        let mut server = match dialled {
            Ok(server) => server,
            Err(answer) => return reply(&mut client, answer).await,
        };
        reply(&mut client, SUCCEEDED).await?;
        tokio::select! {
            copied = tokio::io::copy_bidirectional(&mut client, &mut server) => copied.map(|_| ()),
            _ = alive.changed() => Ok(()),
        }
    }

    /// Reads who asks and where to. `None` once it was refused.
    async fn admit(
        &self,
        client: &mut TcpStream,
    ) -> io::Result<Option<(Arc<Holder>, String, u16)>> {
        let [version, methods] = read(client).await?;
        let mut offered = vec![0; usize::from(methods)];
        client.read_exact(&mut offered).await?;
        if version != VERSION || !offered.contains(&METHOD_PASSWORD) {
            client.write_all(&[VERSION, METHOD_NONE]).await?;
            return Ok(None);
        }
        client.write_all(&[VERSION, METHOD_PASSWORD]).await?;
        let [_, user_bytes] = read(client).await?;
        let mut user = vec![0; usize::from(user_bytes)];
        client.read_exact(&mut user).await?;
        let [password_bytes] = read(client).await?;
        let mut password = vec![0; usize::from(password_bytes)];
        client.read_exact(&mut password).await?;
        let holder = String::from_utf8(password)
            .ok()
            .and_then(|password| self.passes.lock().get(&password)?.upgrade());
        let Some(holder) = holder else {
            client.write_all(&[1, 1]).await?;
            return Ok(None);
        };
        client.write_all(&[1, SUCCEEDED]).await?;
        let [version, command, _, kind] = read(client).await?;
        if version != VERSION || command != COMMAND_CONNECT {
            reply(client, COMMAND_UNKNOWN).await?;
            return Ok(None);
        }
        let host = match kind {
            1 => IpAddr::V4(Ipv4Addr::from(read::<4>(client).await?)).to_string(),
            4 => IpAddr::V6(Ipv6Addr::from(read::<16>(client).await?)).to_string(),
            3 => {
                let [bytes] = read(client).await?;
                let mut name = vec![0; usize::from(bytes)];
                client.read_exact(&mut name).await?;
                String::from_utf8(name).map_err(io::Error::other)?
            }
            _ => return Ok(None),
        };
        let port = u16::from_be_bytes(read(client).await?);
        Ok(Some((holder, host, port)))
    }

    /// Dials one of the host's addresses, or says with which answer it is not.
    async fn dial(&self, holder: &Holder, host: &str, port: u16) -> Result<TcpStream, u8> {
        let addresses = match allowed_addresses(&self.guard, host, port).await {
            Ok(addresses) => addresses,
            Err(Undialled::Forbidden(refusal)) => {
                holder.refused.lock().get_or_insert(refusal);
                return Err(NOT_ALLOWED);
            }
            Err(Undialled::Lookup(_)) => return Err(UNREACHABLE),
        };
        for address in addresses {
            let dialled = tokio::time::timeout(PATIENCE, TcpStream::connect(address)).await;
            if let Ok(Ok(server)) = dialled {
                return Ok(server);
            }
        }
        Err(UNREACHABLE)
    }
}

async fn read<const N: usize>(client: &mut TcpStream) -> io::Result<[u8; N]> {
    let mut bytes = [0; N];
    client.read_exact(&mut bytes).await?;
    Ok(bytes)
}

/// Answers a request; the address in the answer means nothing to a client that connects.
async fn reply(client: &mut TcpStream, answer: u8) -> io::Result<()> {
    client
        .write_all(&[VERSION, answer, 0, 1, 0, 0, 0, 0, 0, 0])
        .await
}
