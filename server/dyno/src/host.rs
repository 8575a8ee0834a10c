//! The operator's settings for the dynos of this host, and the limits that result.

use std::fs;

use shim::cgroups::{Cgroups, WHARF};
use shim::{Budget, Network};

use crate::Error;
use crate::caller::Caller;
use crate::ranges::Range;

/// Settings for all dynos of a host.
#[derive(Clone, Debug)]
pub struct Host {
    /// The address range of dynos, at least a /20.
    pub network: Network,
    /// TCP ports of this host that dynos can connect to: the router's public ports, so that apps can call each other.
    pub allowed_ports: Vec<u16>,
    /// Private networks that dynos can reach.
    pub open: Vec<Range>,
    /// A user of the host with restricted network access.
    pub caller: Option<Caller>,
    /// Memory in bytes that is reserved for the machine. By default a tenth of it, but at least 512 MB.
    pub reserve: Option<u64>,
    /// The control group of all dynos. One per host, except in tests.
    pub group: String,
}

impl Default for Host {
    fn default() -> Self {
        let group = WHARF.to_owned();
        let network = Network::default();
        Host { network, allowed_ports: Vec::new(), open: Vec::new(), caller: None, reserve: None, group }
    }
}

/// The smallest default reserve.
const LEAST_RESERVE: u64 = 512 << 20;
/// The least memory for dynos, if the machine has twice as much.
const LEAST_MEMORY: u64 = 256 << 20;
/// Processes and threads that are reserved for the machine.
const LEAST_PIDS: u64 = 1024;

impl Host {
    /// The memory and processes that all dynos together can use.
    pub fn budget(&self) -> Result<Budget, Error> {
        let read = |path: &str| fs::read_to_string(path).map_err(Error::io(format!("read {path}")));
        let number = |path: &str| Ok::<u64, Error>(read(path)?.trim().parse().unwrap_or(32_768));
        let memory = total_memory(&read("/proc/meminfo")?);
        let pids = number("/proc/sys/kernel/pid_max")?.min(number("/proc/sys/kernel/threads-max")?);
        Ok(self.divide(memory, pids))
    }

    fn divide(&self, memory: u64, pids: u64) -> Budget {
        let usual = (memory / 10).max(LEAST_RESERVE).min(memory / 2);
        let reserve = self.reserve.unwrap_or(usual).min(memory - LEAST_MEMORY.min(memory / 2));
        Budget { memory: memory - reserve, pids: pids - (pids / 10).max(LEAST_PIDS).min(pids / 2) }
    }

    /// The limits on memory and processes that are in force for all dynos together; `None` for one that is not set.
    pub fn in_force(&self) -> Result<(Option<u64>, Option<u64>), Error> {
        Ok(Cgroups::of_dynos(&self.group)?.limits())
    }

    /// The weight of all dynos together when they compete for disks with everything else, which has 100. `None` before
    /// the first start; the error says why the kernel has no weights.
    pub fn disk_weight(&self) -> Result<Option<u64>, String> {
        Cgroups::of_dynos(&self.group).map_err(|err| err.to_string())?.disk_weight()
    }
}

fn total_memory(meminfo: &str) -> u64 {
    let line = meminfo.lines().find_map(|line| line.strip_prefix("MemTotal:")?.split_whitespace().next());
    line.and_then(|kib| kib.parse::<u64>().ok()).unwrap_or(0) << 10
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_machine_keeps_a_reserve() {
        let host = Host::default();
        let memory = |total: u64| host.divide(total << 20, 32_768).memory >> 20;
        assert_eq!([512, 1024, 2048, 16_384].map(memory), [256, 512, 1536, 14_745]);
        let mine = Host { reserve: Some(4 << 30), ..Host::default() };
        assert_eq!(mine.divide(16 << 30, 32_768).memory, 12 << 30);
        let all = Host { reserve: Some(64 << 30), ..Host::default() };
        assert_eq!(all.divide(16 << 30, 32_768).memory, 256 << 20, "a reserve above all memory leaves a little");
        assert_eq!([32_768, 1024].map(|pids| host.divide(1 << 30, pids).pids), [29_492, 512]);
    }
}
