//! This process as Linux's /proc has it: memory, descriptors, threads, processor time. `None` where there is no /proc.

use std::fs;

#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Process {
    pub resident_bytes: f64,
    pub virtual_bytes: f64,
    pub threads: f64,
    pub open_descriptors: f64,
    pub cpu_seconds: f64,
}

impl Process {
    pub fn read() -> Option<Process> {
        let status = fs::read_to_string("/proc/self/status").ok()?;
        let stat = fs::read_to_string("/proc/self/stat").ok()?;
        Some(Process {
            resident_bytes: field(&status, "VmRSS:")? * 1024.0,
            virtual_bytes: field(&status, "VmSize:")? * 1024.0,
            threads: field(&status, "Threads:")?,
            open_descriptors: fs::read_dir("/proc/self/fd").ok()?.count() as f64,
            cpu_seconds: cpu_seconds(&stat)?,
        })
    }
}

/// The number after `name` at the start of a line of /proc/self/status.
fn field(status: &str, name: &str) -> Option<f64> {
    let rest = status.lines().find_map(|line| line.strip_prefix(name))?;
    rest.split_whitespace().next()?.parse().ok()
}

/// utime and stime of proc(5), fields 14 and 15. Linux counts them for user space in hundredths of a second everywhere.
fn cpu_seconds(stat: &str) -> Option<f64> {
    // The second field is the program's name in brackets and may hold spaces and brackets itself.
    let (_, after_name) = stat.rsplit_once(')')?;
    let mut fields = after_name.split_whitespace().skip(11);
    let user: f64 = fields.next()?.parse().ok()?;
    let system: f64 = fields.next()?.parse().ok()?;
    Some((user + system) / 100.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_name_with_brackets_does_not_shift_the_fields() {
        let stat = "7 (a) b) S 1 7 7 0 -1 4194304 100 0 0 0 250 50 0 0 20 0 1 0 100 1000 10";
        assert_eq!(cpu_seconds(stat), Some(3.0));
    }

    #[test]
    fn memory_is_in_kibibytes() {
        assert_eq!(field("Name:\tx\nVmRSS:\t    12 kB\n", "VmRSS:"), Some(12.0));
        assert_eq!(field("Name:\tx\n", "VmRSS:"), None);
    }
}
