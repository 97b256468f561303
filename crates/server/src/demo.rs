//! A demo that has started this server: which agents it has, and which of them somebody wants killed. Whoever started the server
//! does it; a server kills nobody.

use std::sync::{Mutex, PoisonError, mpsc};

use dure_wire::api::DemoAgent;

/// A demo.
#[derive(Debug)]
pub struct Demo {
    agents: Mutex<Vec<DemoAgent>>,
    kills: mpsc::Sender<String>,
}

impl Demo {
    /// One that has no agents yet, and where names of those come out that are to be killed.
    pub fn new() -> (Self, mpsc::Receiver<String>) {
        let (kills, killed) = mpsc::channel();
        (Self { agents: Mutex::default(), kills }, killed)
    }

    /// Says which agents there are.
    pub fn set(&self, agents: Vec<DemoAgent>) {
        *self.agents.lock().unwrap_or_else(PoisonError::into_inner) = agents;
    }

    /// The agents, as they were last said to be.
    pub fn agents(&self) -> Vec<DemoAgent> {
        self.agents.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Asks for the death of an agent; `false` if there is none of this name. One that is dead already stays so.
    pub fn kill(&self, name: &str) -> bool {
        let found = self.agents().into_iter().find(|agent| agent.name == name);
        if found.as_ref().is_some_and(|agent| agent.running) {
            // Nobody hears it where whoever started the server is gone.
            drop(self.kills.send(name.to_owned()));
        }
        found.is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_agent_that_runs_is_killed_and_no_other() {
        let agent = |name: &str, running| DemoAgent { name: name.into(), clients: vec![], running };
        let (demo, killed) = Demo::new();
        assert!(!demo.kill("agent-1"), "there is nobody yet");
        demo.set(vec![agent("agent-1", true), agent("agent-2", false)]);
        let found = ["agent-1", "agent-2", "server"].map(|name| demo.kill(name));
        assert_eq!(found, [true, true, false]);
        assert_eq!(killed.try_iter().collect::<Vec<_>>(), ["agent-1"]);
    }
}
