//! A filter that allows a list of calls, as a binary search over ranges of numbers.
//!
//! The kernel runs a filter for each number when it is installed, twice per dyno; a list of comparisons takes half a
//! millisecond for that, and ten times the memory.

/// The length of the beginning of each compiled program, which kills the process if a call is not one of the native
/// architecture.
pub(super) const NATIVE: usize = 3;

const LOAD: u16 = (libc::BPF_LD | libc::BPF_W | libc::BPF_ABS) as u16;
const JUMP_IF_AT_LEAST: u16 = (libc::BPF_JMP | libc::BPF_JGE | libc::BPF_K) as u16;
const RETURN: u16 = (libc::BPF_RET | libc::BPF_K) as u16;

/// A program that allows these calls; others fail with the error `errno`.
pub(super) fn allow_only(calls: &[i64], errno: u32) -> Vec<libc::sock_filter> {
    let number = step(LOAD, 0, 0);
    [number].into_iter().chain(search(&ranges(calls), libc::SECCOMP_RET_ERRNO | errno)).collect()
}

/// The first number of each range, ascending from 0 on, and whether its calls are allowed.
fn ranges(calls: &[i64]) -> Vec<(u32, bool)> {
    let mut numbers: Vec<u32> = calls.iter().filter_map(|call| u32::try_from(*call).ok()).collect();
    numbers.sort_unstable();
    numbers.dedup();
    let mut ranges = if numbers.first() == Some(&0) { Vec::new() } else { vec![(0, false)] };
    for neighbours in numbers.chunk_by(|one, next| one + 1 == *next) {
        if let [first, ..] = neighbours {
            ranges.extend([(*first, true), (first + neighbours.len() as u32, false)]);
        }
    }
    ranges
}

fn search(ranges: &[(u32, bool)], error: u32) -> Vec<libc::sock_filter> {
    if let [] | [_] = ranges {
        let is_allowed = ranges.first().is_some_and(|(_, is_allowed)| *is_allowed);
        return vec![step(RETURN, if is_allowed { libc::SECCOMP_RET_ALLOW } else { error }, 0)];
    }
    let (low, high) = ranges.split_at(ranges.len() / 2);
    let (below, above) = (search(low, error), search(high, error));
    let length = u8::try_from(below.len()).expect("a jump reaches 255 steps, enough for 256 ranges");
    [step(JUMP_IF_AT_LEAST, high[0].0, length)].into_iter().chain(below).chain(above).collect()
}

/// A jump is taken if its condition holds.
fn step(code: u16, k: u32, jt: u8) -> libc::sock_filter {
    libc::sock_filter { code, jt, jf: 0, k }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neighbours_are_one_range() {
        assert_eq!(ranges(&[]), [(0, false)]);
        assert_eq!(ranges(&[5, 3, 4, 4, 9]), [(0, false), (3, true), (6, false), (9, true), (10, false)]);
        assert_eq!(ranges(&[0, 1]), [(0, true), (2, false)]);
    }
}
