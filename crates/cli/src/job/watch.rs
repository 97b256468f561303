//! `dure job watch`: a job from its first event to its end. All that is shown comes from the journal.

use std::ops::ControlFlow;

use anyhow::anyhow;
use indicatif::ProgressBar;

use super::story::{Said, Story};
use crate::{
    fail::Fail,
    output::print,
    remote::{Reader, Remote, follow},
    show,
};

/// Watches a job, and the refit that follows it.
pub fn watch(remote: &Remote, job: u32, json: bool) -> Result<String, Fail> {
    let mut watcher = Watcher { story: Story::of(job), json, live: show::live() };
    let watched = follow(remote, &mut watcher);
    watcher.live.iter().for_each(ProgressBar::finish_and_clear);
    watched?;
    match watcher.story.failure() {
        Some(why) => Err(anyhow!(why).into()),
        None => Ok(String::new()),
    }
}

struct Watcher {
    story: Story,
    json: bool,
    live: Option<ProgressBar>,
}

impl Watcher {
    /// Does `shown` while no line is in the way.
    fn above<T>(&self, shown: impl FnOnce() -> T) -> T {
        match &self.live {
            Some(line) => line.suspend(shown),
            None => shown(),
        }
    }

    fn say(&self, said: Said) -> Result<(), Fail> {
        match said {
            Said::Told(text) if !self.json => Ok(self.above(|| print(&text))?),
            Said::Noted(text) if !self.json => {
                self.above(|| eprintln!("dure: {text}"));
                Ok(())
            }
            Said::Told(_) | Said::Noted(_) => Ok(()),
        }
    }
}

impl Reader for Watcher {
    fn last(&self) -> u64 {
        self.story.last()
    }

    fn take(&mut self, line: &str) -> Result<ControlFlow<()>, Fail> {
        let before = self.last();
        let said = self.story.take(line).map_err(|why| anyhow!("the server's journal: {why}"))?;
        if self.json && self.story.has_begun() && self.last() > before {
            self.above(|| print(&format!("{line}\n")))?;
        }
        said.into_iter().try_for_each(|said| self.say(said))?;
        Ok(if self.story.is_over() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
    }

    fn caught_up(&mut self) {
        if let Some(line) = &self.live {
            line.set_message(self.story.now());
        }
    }

    fn lost(&mut self, why: &str) {
        let last = self.last();
        self.above(|| eprintln!("dure: {why}; asking again for what comes after event {last}"));
    }
}
