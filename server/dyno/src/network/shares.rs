//! How many connections dynos may have: a share of each, which nobody can take from it, and a pool
//! for what goes beyond.
//!
//! The machine's table of connections is one for all. Dynos have at most half of it, and only what is
//! beyond shares can be refused because of others. So however many flood, whoever stays within their
//! own share is served.

/// What a dyno may have of its own, and all of them together beyond that.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Shares {
    /// Connections of one dyno that no other can use up.
    pub own: u64,
    /// Connections of one dyno at one time, in each direction.
    pub each: u64,
    /// Connections beyond shares, of all dynos.
    pub pool: u64,
    /// New connections of one dyno in a second that no other can use up, and how many may come at once.
    pub pace: (u64, u64),
    /// New connections beyond that, of all dynos.
    pub pool_pace: (u64, u64),
}

/// The kernel counts connections by walking a list of them for each new one, on behalf of whoever's packet is next. So
/// what may be long is divided into lists, by a hash of the connection: for one dyno, and for all of them.
pub(super) const LISTS: (u64, u64) = (8, 64);
/// How long an ended connection is remembered, in seconds, where the kernel lets us say so.
pub(super) const LINGER: u64 = 5;
/// As [`LINGER`], where it does not.
const LINGER_AT_WORST: u64 = 120;

impl Shares {
    /// Of a table that holds so many connections. `brief` says whether ended ones are soon forgotten:
    /// they are not counted, so that the pace alone bounds them.
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
