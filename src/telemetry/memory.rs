//! What the system says of its memory in, bytes that this process may still take or has taken out. Linux; elsewhere nothing is known.

use std::fs;

/// `None`: it cannot be told.
pub fn available() -> Option<u64> {
    let machine = of_machine(&fs::read_to_string("/proc/meminfo").ok()?)?;
    let read = |name: &str| fs::read_to_string(format!("/sys/fs/cgroup/{name}")).ok();
    let container =
        read("memory.max").zip(read("memory.current")).and_then(|(max, now)| of_container(&max, &now));
    Some(container.map_or(machine, |container| container.min(machine)))
}

/// The most that this process has had in memory at once; `None`: it cannot be told.
pub fn peak() -> Option<u64> {
    of_process(&fs::read_to_string("/proc/self/status").ok()?)
}

fn of_process(status: &str) -> Option<u64> {
    kibibytes(status, "VmHWM:")
}

fn of_machine(meminfo: &str) -> Option<u64> {
    kibibytes(meminfo, "MemAvailable:")
}

/// A line of such a table, `MemAvailable:  2048 kB`, in bytes.
pub fn kibibytes(table: &str, name: &str) -> Option<u64> {
    let line = table.lines().find_map(|line| line.strip_prefix(name))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib << 10)
}

/// `max` is a number or the word `max`.
fn of_container(max: &str, now: &str) -> Option<u64> {
    let (max, now): (u64, u64) = (max.trim().parse().ok()?, now.trim().parse().ok()?);
    Some(max.saturating_sub(now))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernels_tables_are_read() {
        assert_eq!(of_machine("MemTotal:  8000 kB\nMemAvailable:    2048 kB\n"), Some(2 << 20));
        assert_eq!(of_machine("MemTotal:  8000 kB\n"), None);
        assert_eq!(of_process("Name:\tx\nVmHWM:\t    12 kB\n"), Some(12 << 10));
        assert_eq!(of_container("4096\n", "1024\n"), Some(3072));
        assert_eq!(of_container("max\n", "1024\n"), None);
    }
}
