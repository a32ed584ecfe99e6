//! A folder in, the room on its file system and that system's kind out. Linux; elsewhere nothing is known.

use std::path::Path;

/// What is known of a file system.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Disk {
    /// Bytes that this user may still write.
    pub free: u64,
    pub total: u64,
    /// `ext4`, `tmpfs`; empty: one that has no name here.
    pub kind: &'static str,
}

/// Magic numbers of statfs(2).
#[cfg(target_os = "linux")]
const KINDS: &[(i64, &str)] = &[
    (0xef53, "ext4"),
    (0x5846_5342, "xfs"),
    (0x9123_683e, "btrfs"),
    (0x0102_1994, "tmpfs"),
    (0x794c_7630, "overlay"),
    (0x6969, "nfs"),
    (0xff53_4d42, "cifs"),
    (0xfe53_4d42, "smb2"),
    (0x6573_5546, "fuse"),
    (0x2fc1_2fc1, "zfs"),
    (0x0102_1997, "9p"),
    (0x5346_4846, "wsl"),
];

impl Disk {
    /// Of where the folder is; `None`: it cannot be told.
    #[cfg(target_os = "linux")]
    pub fn of(folder: &Path) -> Option<Disk> {
        let room = rustix::fs::statvfs(folder).ok()?;
        let magic = rustix::fs::statfs(folder).ok()?.f_type as i64;
        let kind = KINDS.iter().find(|(number, _)| *number == magic).map_or("", |(_, name)| name);
        let bytes = |blocks: u64| blocks.saturating_mul(room.f_frsize);
        Some(Disk { free: bytes(room.f_bavail), total: bytes(room.f_blocks), kind })
    }

    #[cfg(not(target_os = "linux"))]
    pub fn of(_folder: &Path) -> Option<Disk> {
        None
    }

    /// What is in it is in memory, and gone with the machine.
    pub fn is_memory(&self) -> bool {
        self.kind == "tmpfs"
    }

    /// Other machines may have it too; databases find their locks unreliable there.
    pub fn is_remote(&self) -> bool {
        ["nfs", "cifs", "smb2", "9p"].contains(&self.kind)
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn the_root_has_room_and_what_is_not_there_has_none() {
        let disk = Disk::of(Path::new("/")).unwrap();
        assert!(disk.total > 0 && disk.free <= disk.total, "{disk:?}");
        assert_eq!(Disk::of(Path::new("/nowhere/at/all")), None);
    }
}
