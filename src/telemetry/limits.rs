//! Nothing in; what the system lets this process have out: files at once, and processor time. Linux; elsewhere nothing is known.

use std::fs;

/// Files, sockets and pipes that may be open at once; `None`: it cannot be told, or there is no limit.
pub fn open_files() -> Option<u64> {
    soft(&fs::read_to_string("/proc/self/limits").ok()?, "Max open files")
}

/// Cores' worth of time that the container may use, such as 1.5; `None`: all that there are, or it cannot be told.
pub fn quota() -> Option<f64> {
    quota_of(&fs::read_to_string("/sys/fs/cgroup/cpu.max").ok()?)
}

/// `Max open files   1024   1048576   files`: soft before hard.
fn soft(limits: &str, name: &str) -> Option<u64> {
    let line = limits.lines().find_map(|line| line.strip_prefix(name))?;
    line.split_whitespace().next()?.parse().ok()
}

/// Microseconds in each so many microseconds; `max` for no bound.
fn quota_of(cpu_max: &str) -> Option<f64> {
    let (quota, period) = cpu_max.trim().split_once(' ')?;
    let (quota, period): (f64, f64) = (quota.parse().ok()?, period.parse().ok()?);
    (period > 0.0).then_some(quota / period)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernels_tables_are_read() {
        let limits = "Limit                     Soft Limit           Hard Limit           Units\n\
                      Max cpu time              unlimited            unlimited            seconds\n\
                      Max open files            1024                 1048576              files\n";
        assert_eq!(soft(limits, "Max open files"), Some(1024));
        assert_eq!(soft(limits, "Max cpu time"), None);
        assert_eq!(quota_of("150000 100000\n"), Some(1.5));
        assert_eq!(quota_of("max 100000\n"), None);
    }
}
