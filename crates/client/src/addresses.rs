//! Whom to ask: the seeds a client was given and the members it has learnt of, the last good one first.

use std::net::SocketAddr;

/// How many addresses are remembered.
const ADDRESSES_MAX: usize = 1_024;

/// Every known address; none is ever forgotten, since a seed may be the only one that comes back.
#[derive(Debug)]
pub(crate) struct Addresses {
    known: Vec<String>,
    current: usize,
}

impl Addresses {
    pub(crate) fn new(seeds: &[String]) -> Self {
        let mut addresses = Self { known: Vec::new(), current: 0 };
        seeds.iter().for_each(|seed| addresses.learn(seed));
        addresses
    }

    /// Remembers an address, unless nobody could connect to it.
    pub(crate) fn learn(&mut self, address: &str) {
        let parsed = address.parse::<SocketAddr>();
        let is_nowhere = parsed.is_ok_and(|a| a.ip().is_unspecified() || a.port() == 0);
        let is_known = self.known.iter().any(|known| known == address);
        if !address.is_empty() && !is_nowhere && !is_known && self.known.len() < ADDRESSES_MAX {
            self.known.push(address.to_owned());
        }
    }

    /// The address that last answered.
    pub(crate) fn current(&self) -> &str {
        self.known.get(self.current).map_or("", String::as_str)
    }

    /// All addresses, the current one first.
    pub(crate) fn in_order(&self) -> Vec<String> {
        let (before, from_current) = self.known.split_at(self.current);
        from_current.iter().chain(before).cloned().collect()
    }

    /// This one answered.
    pub(crate) fn prefer(&mut self, address: &str) {
        if let Some(position) = self.known.iter().position(|known| known == address) {
            self.current = position;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_good_address_comes_first_and_none_is_forgotten() {
        let mut addresses = Addresses::new(&["a:1".into(), "b:1".into()]);
        addresses.learn("c:1");
        addresses.learn("a:1");
        addresses.prefer("b:1");
        assert_eq!(addresses.in_order(), ["b:1", "c:1", "a:1"]);
        assert_eq!(addresses.current(), "b:1");
    }

    #[test]
    fn an_address_that_means_everywhere_leads_nowhere() {
        let mut addresses = Addresses::new(&[]);
        for nowhere in ["", "0.0.0.0:7700", "[::]:7700", "127.0.0.1:0"] {
            addresses.learn(nowhere);
        }
        assert_eq!(addresses.in_order(), Vec::<String>::new());
        assert_eq!(addresses.current(), "");
    }
}
