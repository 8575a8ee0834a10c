//! Addresses and networks, as an operator lists them: `10.0.0.7, 192.0.2.0/24, 2001:db8::/32`.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use ipnet::IpNet;

/// A list of networks; an address alone is a network of one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Networks(Vec<IpNet>);

impl Networks {
    /// Whether `ip` is in one of them. An IPv4 address is the same in the form of IPv6.
    pub fn contains(&self, ip: IpAddr) -> bool {
        let ip = ip.to_canonical();
        self.0.iter().any(|network| network.contains(&ip))
    }

    /// Whether the list is empty.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl FromStr for Networks {
    type Err = String;

    /// Reads a list with commas. A network of all addresses is refused: nobody would be a stranger.
    fn from_str(text: &str) -> Result<Networks, String> {
        let items = text.split(',').map(str::trim).filter(|item| !item.is_empty());
        items.map(network).collect::<Result<_, _>>().map(Networks)
    }
}

fn network(text: &str) -> Result<IpNet, String> {
    let alone = || text.parse::<IpAddr>().map(|ip| IpNet::from(ip.to_canonical()));
    match text.parse::<IpNet>().or_else(|_| alone()) {
        Ok(network) if network.prefix_len() == 0 => Err(format!("{text} is every address there is; name fewer")),
        Ok(network) => Ok(network.trunc()),
        Err(_) => Err(format!("{text:?} is neither an address nor a network; write it like 10.0.0.7 or 10.0.0.0/8")),
    }
}

impl fmt::Display for Networks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, network) in self.0.iter().enumerate() {
            write!(f, "{}{network}", if i == 0 { "" } else { "," })?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_found_in_the_list_in_either_form() {
        let list: Networks = " 10.1.0.0/16, 192.0.2.7,2001:db8::/32 ,".parse().expect("it is a list");
        let has = |ip: &str| list.contains(ip.parse().expect("it is an address"));
        assert!(has("10.1.255.1") && has("192.0.2.7") && has("::ffff:192.0.2.7") && has("2001:db8:1::1"));
        assert!(!has("10.2.0.1") && !has("192.0.2.8") && !has("2001:db9::1") && !has("::1"));
        assert_eq!(list.to_string(), "10.1.0.0/16,192.0.2.7/32,2001:db8::/32");
        assert_eq!(list.to_string().parse(), Ok(list));
    }

    #[test]
    fn what_is_no_list_is_said() {
        for bad in ["10.0.0.0/33", "here", "0.0.0.0/0", "::/0", "10.0.0.1;10.0.0.2"] {
            assert!(bad.parse::<Networks>().is_err(), "{bad}");
        }
        assert!("".parse::<Networks>().expect("an empty list").is_empty());
    }
}
