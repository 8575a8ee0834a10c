//! Connection limits of dynos: a guaranteed share for each, and a shared pool beyond that.
//!
//! The machine has a single connection table. Dynos use at most half of it, and only connections beyond a dyno's share
//! can be refused because of others. So a dyno that stays within its share is served, however many others flood.

/// The share of each dyno, and the pool.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Shares {
    /// Guaranteed connections per dyno.
    pub own: u64,
    /// Concurrent connections per dyno, in each direction.
    pub each: u64,
    /// Connections of all dynos beyond their shares.
    pub pool: u64,
    /// Guaranteed new connections per dyno and second, and their burst.
    pub pace: (u64, u64),
    /// New connections of all dynos beyond that.
    pub pool_pace: (u64, u64),
}

/// For each new connection, the kernel walks the list in which its rule counts, in the context of the process that
/// sends the next packet. So potentially long lists are divided by a hash of the connection: that of one dyno, and that
/// of all of them.
pub(super) const LISTS: (u64, u64) = (8, 64);
/// Seconds for which the kernel remembers a closed connection, if that can be set.
pub(super) const LINGER: u64 = 5;
/// The default in place of [`LINGER`], if that cannot be set.
const LINGER_AT_WORST: u64 = 120;

impl Shares {
    /// For a table of this size. `brief` says whether closed connections are forgotten soon: they are not counted then,
    /// since the rate limits bound them.
    pub fn of(table: u64, brief: bool) -> Shares {
        let own = (table / 256).clamp(64, 1024);
        let linger = if brief { LINGER } else { LINGER_AT_WORST };
        let pace = (table / 256 / linger).clamp(20, 250);
        Shares {
            own,
            each: (table / 16).clamp(own, 8192),
            pool: table / 4,
            pace: (pace, pace * 8),
            pool_pace: ((table / 4 / LINGER_AT_WORST).max(pace), table / 16),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_is_small_beside_the_whole() {
        let usual = Shares::of(262_144, true);
        assert_eq!((usual.own, usual.each, usual.pool), (1024, 8192, 65_536));
        assert_eq!((usual.pace, usual.pool_pace), ((204, 1632), (546, 16_384)));
        for table in [16_384, 65_536, 262_144, 2_000_000] {
            for brief in [true, false] {
                let Shares { own, each, pool, pace, pool_pace } = Shares::of(table, brief);
                assert!(own <= table / 128 && own <= each && each <= pool / 4, "{table}");
                assert!(pool <= table / 4 && pace.0 <= pool_pace.0, "{table}");
                assert!((each - own) / LISTS.0 <= 1024 && (table > 262_144 || pool / LISTS.1 <= 1024), "{table}");
            }
        }
    }
}
