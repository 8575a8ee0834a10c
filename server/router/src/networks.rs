//! Addresses and networks, as an operator lists them: `10.0.0.7, 192.0.2.0/24, 2001:db8::/32`.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use ipnet::IpNet;

/// A list of networks; an address alone is a network of one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Networks {
    listed: Vec<IpNet>,
    /// Exceptions from the list.
    except: Vec<IpNet>,
}

impl Networks {
    /// Whether `ip` is in one of them. An IPv4-mapped IPv6 address counts as the IPv4 address.
    pub fn contains(&self, ip: IpAddr) -> bool {
        let ip = ip.to_canonical();
        let within = |networks: &[IpNet]| networks.iter().any(|network| network.contains(&ip));
        within(&self.listed) && !within(&self.except)
    }

    /// Whether the list is empty.
    pub fn is_empty(&self) -> bool {
        self.listed.is_empty()
    }

    /// The same list without the addresses of `others`.
    pub fn without(&self, others: &Networks) -> Networks {
        let except = self.except.iter().chain(&others.listed).copied().collect();
        Networks { listed: self.listed.clone(), except }
    }

    /// Whether the lists overlap.
    pub fn overlaps(&self, others: &Networks) -> bool {
        let meet = |a: &IpNet, b: &IpNet| a.contains(b) || b.contains(a);
        self.listed.iter().any(|a| others.listed.iter().any(|b| meet(a, b)))
    }
}

impl FromStr for Networks {
    type Err = String;

    /// Parses a comma-separated list. Rejects a network of all addresses, which would trust everybody.
    fn from_str(text: &str) -> Result<Networks, String> {
        let items = text.split(',').map(str::trim).filter(|item| !item.is_empty());
        let listed = items.map(network).collect::<Result<_, _>>()?;
        Ok(Networks { listed, except: Vec::new() })
    }
}

fn network(text: &str) -> Result<IpNet, String> {
    let alone = || text.parse::<IpAddr>().map(|ip| IpNet::from(ip.to_canonical()));
    match text.parse::<IpNet>().or_else(|_| alone()) {
        Ok(network) if network.prefix_len() == 0 => {
            Err(format!("{text} includes all addresses; specify smaller networks"))
        }
        Ok(network) => Ok(network.trunc()),
        Err(_) => Err(format!("{text:?} is neither an address nor a network; use e.g. 192.168.1.7 or 192.168.1.0/24")),
    }
}

impl fmt::Display for Networks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, network) in self.listed.iter().enumerate() {
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
    fn what_is_taken_out_of_a_list_is_not_in_it() {
        let read = |text: &str| text.parse::<Networks>().expect("it is a list");
        let (all, dynos) = (read("10.0.0.0/8,127.0.0.1"), read("10.231.0.0/16"));
        let list = all.without(&dynos);
        let has = |ip: &str| list.contains(ip.parse().expect("it is an address"));
        assert!(has("10.230.255.255") && has("10.232.0.1") && has("127.0.0.1"));
        assert!(!has("10.231.0.6") && !has("::ffff:10.231.255.254") && !has("11.0.0.1"));
        assert!(
            all.overlaps(&dynos) && read("10.231.7.0/24").overlaps(&dynos) && !read("10.1.0.0/16").overlaps(&dynos)
        );
        assert_eq!(list.to_string(), "10.0.0.0/8,127.0.0.1/32");
    }

    #[test]
    fn a_response_that_is_not_a_list_is_an_error() {
        for bad in ["10.0.0.0/33", "here", "0.0.0.0/0", "::/0", "10.0.0.1;10.0.0.2"] {
            assert!(bad.parse::<Networks>().is_err(), "{bad}");
        }
        assert!("".parse::<Networks>().expect("an empty list").is_empty());
    }
}
