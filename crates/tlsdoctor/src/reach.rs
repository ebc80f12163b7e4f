//! Which addresses may be dialled for a host that nobody but a stranger named: a redirect, or a certificate,
//! must not send this program into the network that it stands in.

use std::net::IpAddr;

use crate::forward_proxy::ForwardProxy;
use crate::options::Reach;
use crate::target::Target;

impl Reach {
    /// Whether this address may be dialled.
    pub(crate) fn allows(self, address: IpAddr) -> bool {
        match self {
            Self::Anywhere => true,
            Self::PublicAddresses => is_public(address),
        }
    }

    /// Whether a forward proxy may be asked for this host. It looks names up itself, so that only what is written
    /// as an address, or as this machine, can be judged here.
    pub(crate) fn allows_by_proxy(self, target: &Target) -> bool {
        self == Self::Anywhere || !is_written_as_private(target)
    }
}

/// Whether the way to a target ends in a private network, as far as it can be seen from here: at the address that
/// is dialled, or behind a proxy at the one that the target is written as.
pub(crate) fn ends_in_private_network(
    target: &Target,
    dialled: IpAddr,
    proxy: Option<&ForwardProxy>,
) -> bool {
    match proxy {
        Some(_) => is_written_as_private(target),
        None => !is_public(dialled),
    }
}

fn is_written_as_private(target: &Target) -> bool {
    target.host == "localhost" || target.address().is_some_and(|address| !is_public(address))
}

/// Whether an address belongs to nobody's own network.
pub(crate) fn is_public(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(four) => {
            let [a, b, ..] = four.octets();
            !(four.is_private()
                || four.is_loopback()
                || four.is_link_local()
                || four.is_broadcast()
                || four.is_documentation()
                || four.is_multicast()
                || a == 0
                || a >= 240
                || a == 100 && (64..128).contains(&b)
                || a == 198 && (18..20).contains(&b)
                || (a, b) == (192, 0))
        }
        IpAddr::V6(six) => {
            let [first, second, ..] = six.segments();
            // Global unicast without documentation, 6to4, Teredo and what else embeds an IPv4 address.
            first & 0xe000 == 0x2000
                && first != 0x2002
                && !(first == 0x2001 && (second < 0x0200 || second == 0x0db8))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::is_public;

    #[test]
    fn private_networks_are_known() {
        let check = |address: &str, public: bool| {
            assert_eq!(is_public(address.parse().unwrap()), public, "{address}");
        };
        check("93.184.216.34", true);
        check("2606:2800:220:1::1", true);
        for address in [
            "127.0.0.1",
            "10.1.2.3",
            "172.20.0.1",
            "192.168.0.1",
            "169.254.169.254",
            "100.64.0.1",
            "0.0.0.0",
            "::1",
            "fe80::1",
            "fd00::1",
            "::ffff:10.0.0.1",
            "64:ff9b::a00:1",
            "2002:a00:1::",
        ] {
            check(address, false);
        }
    }
}
