//! Libraries that change a process's clocks, if it loads them before any other.

use std::{path::Path, process::Command};

use crate::harness::said;

/// Moves the wall clock.
pub fn off_by(dir: &Path, seconds: i64) -> String {
    let body = format!(
        "int clock_gettime(clockid_t id, struct timespec *at) {{\n\
         int failed = syscall(SYS_clock_gettime, id, at); if (!failed && id == CLOCK_REALTIME) at->tv_sec += {seconds}; return failed; }}\n"
    );
    library(dir, &format!("off-by-{seconds}"), &body)
}

/// Lets a minute pass in so many seconds less: time that goes on runs so many times as fast, and whoever waits for something
/// until then waits for less.
pub fn times(dir: &Path, factor: u32) -> String {
    let body = format!(
        "static long long first = 0;\n\
         int clock_gettime(clockid_t id, struct timespec *at) {{\n\
         int failed = syscall(SYS_clock_gettime, id, at); if (failed || id != CLOCK_MONOTONIC) return failed;\n\
         long long now = at->tv_sec * 1000000000LL + at->tv_nsec; if (!first) first = now;\n\
         now = first + (now - first) * {factor}; at->tv_sec = now / 1000000000LL; at->tv_nsec = now % 1000000000LL; return 0; }}\n\
         int epoll_wait(int fd, struct epoll_event *events, int most, int wait) {{\n\
         return epoll_pwait(fd, events, most, wait > 0 ? (wait + {factor} - 1) / {factor} : wait, NULL); }}\n"
    );
    library(dir, &format!("times-{factor}"), &body)
}

/// Makes a library of C code, for LD_PRELOAD.
pub fn library(dir: &Path, name: &str, body: &str) -> String {
    let (source, library) = (dir.join(format!("{name}.c")), dir.join(format!("{name}.so")));
    let code = format!(
        "#define _GNU_SOURCE\n#include <time.h>\n#include <unistd.h>\n#include <sys/epoll.h>\n#include <sys/syscall.h>\n{body}"
    );
    std::fs::write(&source, code).unwrap();
    said(Command::new("cc").args(["-shared", "-fPIC", "-o"]).arg(&library).arg(&source));
    library.to_str().unwrap().to_owned()
}
