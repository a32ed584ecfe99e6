//! What Linux's scheduler counts of this process in, how long its threads ran and how long they waited for a core out.

use std::fs;
use std::time::Duration;

/// Summed over all threads since each began.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cores {
    pub ran: Duration,
    /// Ready to run while others had the cores.
    pub waited: Duration,
}

impl Cores {
    /// `None`: the kernel does not tell.
    pub fn read() -> Option<Cores> {
        let mut cores = Cores::default();
        for thread in fs::read_dir("/proc/self/task").ok()?.flatten() {
            // A thread may end between the list and the look.
            let Ok(counts) = fs::read_to_string(thread.path().join("schedstat")) else { continue };
            let (ran, waited) = counted(&counts)?;
            cores.ran += ran;
            cores.waited += waited;
        }
        (cores != Cores::default()).then_some(cores)
    }

    /// A thread that has ended since takes its counts along.
    pub fn since(self, before: Cores) -> Cores {
        let (ran, waited) = (self.ran.saturating_sub(before.ran), self.waited.saturating_sub(before.waited));
        Cores { ran, waited }
    }
}

/// Nanoseconds on a core, nanoseconds in wait for one, turns.
fn counted(schedstat: &str) -> Option<(Duration, Duration)> {
    let mut fields = schedstat.split_whitespace();
    let mut nanoseconds = || fields.next()?.parse().ok().map(Duration::from_nanos);
    Some((nanoseconds()?, nanoseconds()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_schedulers_counts_are_read() {
        let times = (Duration::from_nanos(677_251), Duration::from_nanos(1_346_886));
        assert_eq!(counted("677251 1346886 1\n"), Some(times));
        assert_eq!(counted("0\n"), None);
    }

    #[test]
    fn what_was_before_does_not_count_and_nothing_falls_below_zero() {
        let cores =
            |ran, waited| Cores { ran: Duration::from_secs(ran), waited: Duration::from_secs(waited) };
        assert_eq!(cores(9, 2).since(cores(4, 3)), cores(5, 0));
    }
}
