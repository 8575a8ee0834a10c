//! Slots per address for connections and platform requests, and which client is evicted for a new one.
//!
//! When an address is at its limit, the client that has made no progress for longest is evicted: an incomplete head, a
//! body or response that does not move, a connection without a request. So clients that share an address with an
//! attacker, as they all do behind an unconfigured proxy, are still served. A new client is rejected only if all others
//! are active.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use tokio::time::sleep;

use crate::client::Client;
use crate::timer::now_ms;

/// Number and interval of retries without a free slot: long enough for pausing clients to become evictable. Many can
/// wait for the same slots.
const TRIES: u32 = 10;
const WAIT: Duration = Duration::from_millis(300);

/// Takes a slot by calling `take`, with retries.
pub(crate) async fn wait_for<T>(mut take: impl FnMut() -> Result<T, Full>) -> Result<T, Full> {
    for _ in 0..TRIES {
        if let Ok(taken) = take() {
            return Ok(taken);
        }
        sleep(WAIT).await;
    }
    take()
}

/// Slots: a number for each address, and for all together.
pub(crate) struct ClientSlots {
    per_address: usize,
    all: usize,
    state: Mutex<State>,
}

/// Clients by address, and by memory address, so that each is found in constant time when it leaves.
#[derive(Default)]
struct State {
    taken: usize,
    /// Those of them that are being evicted.
    leaving: usize,
    groups: HashMap<Group, HashMap<usize, Arc<Client>>>,
}

/// The owner of slots: an IPv4 address, or the IPv6 prefix of one customer of a provider. `None` for clients without a
/// limit of their own.
type Group = Option<u128>;

/// A slot, released when it is dropped.
pub(crate) struct ClientSlot {
    slots: Arc<ClientSlots>,
    group: Group,
    number: usize,
}

/// Why there is no slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Full {
    /// The limit of the address.
    Address,
    /// The limit of all addresses together.
    All,
}

impl ClientSlots {
    pub(crate) fn new(per_address: usize, all: usize) -> Arc<ClientSlots> {
        Arc::new(ClientSlots { per_address: per_address.max(1), all: all.max(1), state: Mutex::default() })
    }

    /// Takes a slot for `client`. Others may be evicted; `evicted` is called with their number.
    pub(crate) fn take(
        self: &Arc<Self>,
        ip: Option<IpAddr>,
        client: &Arc<Client>,
        evicted: impl FnOnce(usize),
    ) -> Result<ClientSlot, Full> {
        let group = ip.map(group_of);
        let mut state = self.lock();
        let left = self.make_room(&mut state, group)?;
        state.leaving += left;
        state.taken += 1;
        let number = Arc::as_ptr(client) as usize;
        state.groups.entry(group).or_default().insert(number, client.clone());
        drop(state);
        if left > 0 {
            evicted(left);
        }
        Ok(ClientSlot { slots: self.clone(), group, number })
    }

    /// Evicts others if there is no free slot. They keep theirs for a moment, so the limit can be exceeded for that
    /// long. Returns the number of evicted clients.
    fn make_room(&self, state: &mut State, group: Group) -> Result<usize, Full> {
        let batch = self.all.div_ceil(100);
        let mut left = 0;
        if state.taken >= self.all {
            // Evicts many at a time, because going through all of them takes time.
            if state.leaving == 0 {
                left = evict(state.groups.values().flat_map(HashMap::values), batch);
            }
            if state.leaving + left == 0 || state.taken >= self.all + batch {
                return Err(Full::All);
            }
        }
        let clients = group.and_then(|_| state.groups.get(&group)).filter(|clients| clients.len() >= self.per_address);
        if let Some(clients) = clients {
            let staying = clients.values().filter(|client| !client.is_evicted()).count();
            if staying >= self.per_address {
                left += match evict(clients.values(), 1) {
                    0 => return Err(Full::Address),
                    n => n,
                };
            }
        }
        Ok(left)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(|broken| broken.into_inner())
    }
}

/// Closes the connections without progress for longest. Returns their number.
fn evict<'a>(clients: impl Iterator<Item = &'a Arc<Client>>, most: usize) -> usize {
    let now = now_ms();
    let mut waited_for: Vec<_> =
        clients.filter_map(|client| Some((client.keeps_waiting_since(now)?, client))).collect();
    let n = most.min(waited_for.len());
    if n < waited_for.len() && n > 0 {
        waited_for.select_nth_unstable_by_key(n - 1, |(since, _)| *since);
    }
    for (_, client) in &waited_for[..n] {
        client.evict();
    }
    n
}

fn group_of(ip: IpAddr) -> u128 {
    match ip.to_canonical() {
        IpAddr::V4(ip) => ip.to_ipv6_mapped().to_bits(),
        IpAddr::V6(ip) => ip.to_bits() >> 64 << 64,
    }
}

impl Drop for ClientSlot {
    fn drop(&mut self) {
        let mut state = self.slots.lock();
        state.taken -= 1;
        let Some(clients) = state.groups.get_mut(&self.group) else { return };
        let evicted = clients.remove(&self.number).is_some_and(|client| client.is_evicted());
        if clients.is_empty() {
            state.groups.remove(&self.group);
        }
        state.leaving = state.leaving.saturating_sub(usize::from(evicted));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client() -> Arc<Client> {
        Arc::new(Client::new("192.0.2.1".parse().expect("an address"), false))
    }

    fn ip(text: &str) -> Option<IpAddr> {
        Some(text.parse().expect("an address"))
    }

    #[test]
    fn slots_of_an_address_are_limited() {
        let slots = ClientSlots::new(2, 100);
        let clients = [client(), client(), client(), client()];
        clients.iter().for_each(|client| client.begin_request());
        let take = |from: &str, n: usize| slots.take(ip(from), &clients[n], |_| ());
        let first = take("192.0.2.1", 0).expect("a place");
        let _second = take("::ffff:192.0.2.1", 1).expect("a place");
        assert_eq!(take("192.0.2.1", 2).err(), Some(Full::Address));
        let _other = take("192.0.2.2", 2).expect("a place of another address");
        drop(first);
        let _again = take("192.0.2.1", 3).expect("a place that became free");
    }

    #[test]
    fn one_network_of_ipv6_is_one_address() {
        let slots = ClientSlots::new(1, 100);
        let clients = [client(), client()];
        clients.iter().for_each(|client| client.begin_request());
        let _first = slots.take(ip("2001:db8::1"), &clients[0], |_| ()).expect("a place");
        assert_eq!(slots.take(ip("2001:db8::2"), &clients[1], |_| ()).err(), Some(Full::Address));
        slots.take(ip("2001:db8:0:1::1"), &clients[1], |_| ()).expect("a place of another network");
    }

    #[test]
    fn who_keeps_us_waiting_longest_leaves() {
        let slots = ClientSlots::new(3, 100);
        let clients = [client(), client(), client(), client()];
        clients[0].begin_request();
        clients[1].waits_since(20);
        clients[2].waits_since(10);
        let mut count = 0;
        let _slots: Vec<ClientSlot> = clients
            .iter()
            .map(|client| slots.take(ip("192.0.2.1"), client, |n| count += n).expect("a place"))
            .collect();
        let evicted: Vec<bool> = clients.iter().map(|client| client.is_evicted()).collect();
        assert_eq!((evicted, count), (vec![false, false, true, false], 1));
    }

    #[test]
    fn all_places_are_bounded_too() {
        let slots = ClientSlots::new(usize::MAX, 2);
        let clients = [client(), client()];
        clients.iter().for_each(|client| client.begin_request());
        let taken: Vec<_> = clients.iter().map(|client| slots.take(None, client, |_| ()).expect("a place")).collect();
        assert_eq!(slots.take(None, &client(), |_| ()).err(), Some(Full::All));
        clients[0].waits_since(1);
        slots.take(None, &client(), |_| ()).expect("the place of who keeps us waiting");
        drop(taken);
        let state = slots.lock();
        assert_eq!((state.taken, state.leaving, state.groups.len()), (0, 0, 0));
    }
}
