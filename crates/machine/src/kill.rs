//! Points at which a process can be told to die as if by SIGKILL, to show that it may at any of them.
//!
//! `DURE_KILL=NAME:N` ends the process the Nth time that it comes to the point called NAME. Nothing is caught, flushed or
//! handed over. Every step that changes something outside of the process has a point before it and one after:
//! `rename.before`, `rename.after`. Whoever may set a process's environment may end it anyway.

use std::{
    env,
    future::Future,
    sync::{
        OnceLock,
        atomic::{AtomicU64, Ordering},
    },
};

/// Where this process is to die.
#[derive(Debug)]
struct Plan {
    step: String,
    when: String,
    nth: u64,
    passed: AtomicU64,
}

/// Takes a step that changes something, between two points.
pub fn around<T>(step: &str, take: impl FnOnce() -> T) -> T {
    point(step, "before");
    let taken = take();
    point(step, "after");
    taken
}

/// As [`around`], for a step that is waited for.
pub async fn around_async<T>(step: &str, take: impl Future<Output = T>) -> T {
    point(step, "before");
    let taken = take.await;
    point(step, "after");
    taken
}

/// A point: the process may die here.
pub fn point(step: &str, when: &str) {
    static PLAN: OnceLock<Option<Plan>> = OnceLock::new();
    let plan = PLAN.get_or_init(|| Plan::parse(&env::var("DURE_KILL").ok()?));
    if let Some(plan) = plan.as_ref().filter(|plan| plan.is_at(step, when)) {
        eprintln!("killed at {step}.{when}:{}", plan.nth);
        die();
    }
}

impl Plan {
    /// `rename.before:3`. Anything else is no plan, and is said.
    fn parse(text: &str) -> Option<Self> {
        let parts = || {
            let (point, nth) = text.split_once(':')?;
            let (step, when) = point.split_once('.')?;
            Some((step.to_owned(), when.to_owned(), nth.parse().ok()?))
        };
        let Some((step, when, nth)) = parts() else {
            eprintln!("DURE_KILL={text} is not like rename.before:3; nothing is killed");
            return None;
        };
        Some(Self { step, when, nth, passed: AtomicU64::new(0) })
    }

    /// Whether a passage is the one.
    fn is_at(&self, step: &str, when: &str) -> bool {
        self.step == step && self.when == when && self.passed.fetch_add(1, Ordering::Relaxed) + 1 == self.nth
    }
}

#[cfg(unix)]
fn die() -> ! {
    use rustix::process::{Signal, getpid, kill_process};
    let _ = kill_process(getpid(), Signal::KILL);
    std::process::abort()
}

#[cfg(not(unix))]
fn die() -> ! {
    std::process::abort()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plan_names_a_point_and_a_passage() {
        let plan = Plan::parse("rename.before:2").unwrap();
        let passages = [("rename", "after"), ("rename", "before"), ("sync", "before"), ("rename", "before")];
        assert_eq!(passages.map(|(step, when)| plan.is_at(step, when)), [false, false, false, true]);
        assert!(!plan.is_at("rename", "before"));
        for bad in ["", "rename", "rename.before", "rename:1", "rename.before:x"] {
            assert!(Plan::parse(bad).is_none(), "{bad}");
        }
    }
}
