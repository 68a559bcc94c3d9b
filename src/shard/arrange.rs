//! Which loops run where: `cores=auto|none|LIST` against the CPUs that this process may use.

use std::fmt;

use rustix::thread::{CpuSet, sched_getaffinity};

use crate::config::Cores;
use crate::types::limits::SHARDS_MAX;

/// CPUs from which on a core for the replica alone pays.
const CPUS_FOR_DEDICATED_MIN: usize = 4;

/// Which loops there are, and on which CPUs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Arrangement {
    /// One loop steps both machines, without a hop.
    One {
        /// Pinned there.
        cpu: Option<u16>,
    },
    /// The replica has a core of its own, and every front has one.
    Dedicated {
        /// The replica's CPU.
        replica: u16,
        /// The fronts' CPUs.
        fronts: Vec<u16>,
    },
}

impl Arrangement {
    /// For these CPUs of ours.
    pub fn new(cores: &Cores, ours: &[u16]) -> Self {
        let list = match cores {
            Cores::None => return Self::One { cpu: None },
            Cores::Auto if ours.len() < CPUS_FOR_DEDICATED_MIN => return Self::One { cpu: None },
            Cores::Auto => ours,
            Cores::List(list) => list,
        };
        match list {
            [] => Self::One { cpu: None },
            [cpu] => Self::One { cpu: Some(*cpu) },
            [replica, fronts @ ..] => {
                let fronts = fronts[..fronts.len().min(SHARDS_MAX)].to_vec();
                Self::Dedicated { replica: *replica, fronts }
            }
        }
    }

    /// How many fronts there are.
    pub fn fronts(&self) -> usize {
        match self {
            Self::One { .. } => 1,
            Self::Dedicated { fronts, .. } => fronts.len(),
        }
    }
}

impl fmt::Display for Arrangement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::One { cpu: None } => write!(f, "one loop, pinned nowhere"),
            Self::One { cpu: Some(cpu) } => write!(f, "one loop on CPU {cpu}"),
            Self::Dedicated { replica, fronts } => {
                write!(f, "replica on CPU {replica}, {} fronts on {fronts:?}", fronts.len())
            }
        }
    }
}

/// The CPUs that this process may use, ascending.
pub fn cpus() -> Vec<u16> {
    let Ok(set) = sched_getaffinity(None) else { return Vec::new() };
    let last = CpuSet::MAX_CPU;
    (0..last).filter(|cpu| set.is_set(*cpu)).filter_map(|cpu| u16::try_from(cpu).ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_setting_on_every_machine_has_its_arrangement() {
        let dedicated =
            |replica, fronts: &[u16]| Arrangement::Dedicated { replica, fronts: fronts.to_vec() };
        let one = |cpu| Arrangement::One { cpu };
        #[rustfmt::skip]
        let table = [
            (Cores::Auto,              &[0][..],          one(None)),
            (Cores::Auto,              &[0, 1, 2],        one(None)),
            (Cores::Auto,              &[0, 1, 2, 3],     dedicated(0, &[1, 2, 3])),
            (Cores::Auto,              &[4, 5, 6, 7, 9],  dedicated(4, &[5, 6, 7, 9])),
            (Cores::None,              &[0, 1, 2, 3],     one(None)),
            (Cores::List(vec![1]),     &[0, 1],           one(Some(1))),
            (Cores::List(vec![1, 0]),  &[0, 1],           dedicated(1, &[0])),
        ];
        for (cores, ours, expected) in table {
            assert_eq!(Arrangement::new(&cores, ours), expected, "{cores:?} on {ours:?}");
        }
    }

    #[test]
    fn this_machine_has_a_cpu() {
        assert!(!cpus().is_empty());
    }
}
