//! Who asks, as far as it can be known without passwords.

use axum::http::{HeaderMap, HeaderName};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// Who asked a proxy, and what other proxies said before it: addresses with commas between them, the newest last.
const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// Where requests come from: one address, of version 6 the network of one site or machine (64 bits), because whoever
/// has one such address has them all.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) struct Client(IpAddr);

impl Client {
    /// Of a request that came through no connection of ours.
    pub(crate) const UNKNOWN: Client = Client(IpAddr::V4(Ipv4Addr::UNSPECIFIED));

    /// Who asks over a connection of this client: somebody else where it is one of `proxies`, whose word is taken for the
    /// last address, and so on for those that are proxies themselves. What else stands there anybody may have written.
    pub(crate) fn asking(self, headers: &HeaderMap, proxies: &[IpAddr]) -> Client {
        let is_proxy = |client: Client| proxies.iter().any(|proxy| Client::from(*proxy) == client);
        let mut asking = self;
        let lines = headers.get_all(FORWARDED_FOR).iter().rev();
        for address in lines.flat_map(|line| line.to_str().unwrap_or_default().rsplit(',')) {
            if !is_proxy(asking) {
                break;
            }
            let Some(before) = forwarded(address.trim()) else { break };
            asking = before;
        }
        asking
    }
}

impl From<IpAddr> for Client {
    fn from(address: IpAddr) -> Client {
        Client(match address.to_canonical() {
            IpAddr::V4(address) => IpAddr::V4(address),
            IpAddr::V6(address) => {
                let [a, b, c, d, ..] = address.segments();
                IpAddr::V6(Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0))
            }
        })
    }
}

/// An address, perhaps with a port.
fn forwarded(text: &str) -> Option<Client> {
    let bare = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(text);
    let address = bare.parse().or_else(|_| text.parse().map(|socket: SocketAddr| socket.ip()));
    address.ok().map(Client::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_proxies_are_believed_who_asks() {
        let of = |text: &str| Client::from(text.parse::<IpAddr>().unwrap());
        let proxies: Vec<IpAddr> =
            ["10.0.0.1", "10.0.0.2", "2001:db8:1:2::3"].map(|p| p.parse().unwrap()).to_vec();
        for (connected, lines, asking) in [
            ("10.0.0.1", &[][..], "10.0.0.1"),
            ("10.0.0.1", &["192.168.1.7"], "192.168.1.7"),
            ("10.0.0.9", &["192.168.1.7"], "10.0.0.9"),
            ("10.0.0.1", &["192.168.1.7, 10.0.0.2"], "192.168.1.7"),
            ("10.0.0.1", &["192.168.1.7", "10.0.0.2"], "192.168.1.7"),
            ("10.0.0.1", &["192.168.1.7, 172.16.0.1, 10.0.0.2"], "172.16.0.1"),
            ("10.0.0.1", &["192.168.1.7:4711"], "192.168.1.7"),
            ("2001:db8:1:2::3", &["[2001:db8:9:9::1]:4711"], "2001:db8:9:9::1"),
            ("10.0.0.1", &["[2001:db8:9:9::1]"], "2001:db8:9:9::1"),
            ("10.0.0.1", &["unknown"], "10.0.0.1"),
            ("10.0.0.1", &["192.168.1.7, , 10.0.0.2"], "10.0.0.2"),
            ("10.0.0.1", &[""], "10.0.0.1"),
        ] {
            let mut headers = HeaderMap::new();
            for line in lines {
                headers.append(FORWARDED_FOR, line.parse().unwrap());
            }
            assert_eq!(of(connected).asking(&headers, &proxies), of(asking), "{connected} {lines:?}");
        }
    }

    #[test]
    fn a_site_of_version_6_is_one_client() {
        let of = |text: &str| Client::from(text.parse::<IpAddr>().unwrap());
        assert_eq!(of("2001:db8:1:2::3"), of("2001:db8:1:2:ffff::9"));
        assert_ne!(of("2001:db8:1:2::3"), of("2001:db8:1:3::3"));
        assert_eq!(of("::ffff:10.0.0.7"), of("10.0.0.7"));
        assert_ne!(of("10.0.0.8"), of("10.0.0.7"));
    }
}
