//! Points at which a process can be told to die as if by SIGKILL, to show that it may at any of them.
//!
//! `DURE_KILL=NAME:N` ends the process the Nth time that it comes to the point called NAME. Nothing is caught, flushed or
//! handed over. Every step that changes something outside of the process has a point before it and one after:
//! `rename.before`, `rename.after`; [`STEPS`] lists them. Whoever may set a process's environment may end it anyway.

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
    step: &'static str,
    when: &'static str,
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

/// The steps of a server and an agent that change something.
pub const STEPS: &[&str] = &[
    // A disk's.
    "make-folder",
    "close-folder",
    "lock",
    "create",
    "write",
    "write-rest",
    "sync",
    "rename",
    "sync-folder",
    "remove",
    "keep-file",
    // A server's: its database's, and its writer's.
    "open-database",
    "migrate",
    "append",
    "add_invitation",
    "remove_invitation",
    "put_secret",
    "forget_secret",
    "put_seen",
    "set_operator",
    "add_session",
    "remove_session",
    "remove_sessions",
    "end_sessions",
    "try_to_write",
    "publish",
    "acknowledge",
    // An agent's.
    "labour",
    "call",
];

/// Reads `DURE_KILL`; says what is wrong with it. Without this call nobody dies.
pub fn prepare() -> Result<(), String> {
    let Ok(text) = env::var("DURE_KILL") else { return Ok(()) };
    let plan = Plan::parse(&text)?;
    drop(PLAN.set(plan));
    Ok(())
}

static PLAN: OnceLock<Plan> = OnceLock::new();

/// A point: the process may die here.
fn point(step: &str, when: &str) {
    debug_assert!(STEPS.contains(&step), "{step}");
    if let Some(plan) = PLAN.get().filter(|plan| plan.is_at(step, when)) {
        eprintln!("killed at {step}.{when}:{}", plan.nth);
        die();
    }
}

impl Plan {
    /// `rename.before:3`.
    fn parse(text: &str) -> Result<Self, String> {
        let parts = || {
            let (point, nth) = text.split_once(':')?;
            let (step, when) = point.split_once('.')?;
            let step = STEPS.iter().find(|known| **known == step)?;
            let when = ["before", "after"].into_iter().find(|known| *known == when)?;
            Some((step, when, nth.parse().ok().filter(|nth| *nth > 0)?))
        };
        let (step, when, nth) = parts().ok_or_else(|| {
            let steps = STEPS.join(", ");
            format!("DURE_KILL={text} is not like rename.before:1 or rename.after:3; the steps are {steps}")
        })?;
        Ok(Self { step, when, nth, passed: AtomicU64::new(0) })
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
        for bad in [
            "",
            "rename",
            "rename.before",
            "rename:1",
            "rename.before:x",
            "rename.before:0",
            "rename.on:1",
            "nap.after:1",
        ] {
            let refused = Plan::parse(bad).unwrap_err();
            assert!(refused.starts_with(&format!("DURE_KILL={bad} is not like rename.before:1")), "{refused}");
        }
    }
}
