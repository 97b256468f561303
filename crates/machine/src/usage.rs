//! What a process uses of its machine, and how much there is. What a system does not tell is `None`.

use std::{io, path::Path, time::Duration};

/// Memory of this process that is in use, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Memory {
    /// Now.
    pub resident: u64,
    /// The most that it ever was.
    pub peak: u64,
}

/// Room on a disk, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Space {
    /// What this user may still write.
    pub free: u64,
    /// All of it.
    pub total: u64,
}

/// The memory of this process. Linux tells.
pub fn memory() -> Option<Memory> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    Some(Memory { resident: field(&status, "VmRSS:")?, peak: field(&status, "VmHWM:")? })
}

/// The time that all threads of this process have worked, together.
pub fn cpu() -> Option<Duration> {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    Duration::try_from(time).ok()
}

/// The room on the disk that has `path`. Blocks.
pub fn space(path: &Path) -> io::Result<Space> {
    let disk = rustix::fs::statvfs(path)?;
    Ok(Space { free: disk.f_bavail * disk.f_frsize, total: disk.f_blocks * disk.f_frsize })
}

/// A field of a file such as `/proc/meminfo`, in bytes.
pub fn field(text: &str, name: &str) -> Option<u64> {
    let kib: u64 =
        text.lines().find_map(|line| line.strip_prefix(name))?.trim().strip_suffix(" kB")?.trim().parse().ok()?;
    kib.checked_mul(1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_is_found_by_its_name() {
        assert_eq!(field("MemTotal:       24046648 kB\nMemFree: 1 kB", "MemFree:"), Some(1024));
        assert_eq!(field("MemTotal: many kB", "MemTotal:"), None);
        assert_eq!(field("", "MemTotal:"), None);
    }

    #[test]
    fn what_is_used_is_told_and_is_no_more_than_there_is() {
        let Space { free, total } = space(Path::new("/")).unwrap();
        assert!(0 < total && free <= total, "{free} of {total}");
        let before = cpu().unwrap();
        let sum = (0..20_000_000_u64).fold(0, |sum: u64, i| std::hint::black_box(sum.wrapping_add(i)));
        assert!(sum > 0 && cpu().unwrap() > before);
        if cfg!(target_os = "linux") {
            let Memory { resident, peak } = memory().unwrap();
            assert!(0 < resident && resident <= peak, "{resident} {peak}");
        }
    }
}
