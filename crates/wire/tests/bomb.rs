//! A zip bomb costs its sender more than us. Alone in its process, so that peak memory is this test's.

use std::{
    io::Read as _,
    time::{Duration, Instant},
};

use dure_wire::{DecodeError, decompress};

/// The most memory that this process has had so far, in KiB.
#[cfg(target_os = "linux")]
fn peak() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("Linux has it");
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|line| line.trim().trim_end_matches(" kB").parse().ok()).expect("a line of KiB")
}

#[cfg(not(target_os = "linux"))]
fn peak() -> u64 {
    0
}

#[test]
fn a_gibibyte_of_zeros_is_refused_quickly_and_in_little_memory() {
    let zeros = std::io::repeat(0).take(1 << 30);
    let bomb = zstd::stream::encode_all(zeros, 1).unwrap();
    assert!(bomb.len() < 200_000, "{}", bomb.len());
    let (before, start) = (peak(), Instant::now());
    let limit = 1 << 20;
    assert_eq!(decompress(&bomb, limit), Err(DecodeError::ZstdTooLarge { limit }));
    assert!(start.elapsed() < Duration::from_secs(1), "{:?}", start.elapsed());
    assert!(peak() - before < 16 << 10, "{} KiB more", peak() - before);
}
