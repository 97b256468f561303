//! A machine's life: it goes on step by step, dies at one of them, and is started again.

use std::{
    io,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use serde::{Deserialize, Serialize};
use tokio::sync::watch;

/// How a machine is to die.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fuse {
    /// At which of its next steps; at once if 0.
    pub steps: u32,
    /// Whether that step is still taken.
    pub taken: bool,
    /// Whether what was not synced is lost as well.
    pub power: bool,
}

/// A machine's life. Whoever holds a [`Breath`] of an earlier one can do nothing any more.
pub struct Life {
    state: Mutex<State>,
    /// How often it has died.
    deaths: watch::Sender<u64>,
}

#[derive(Default)]
struct State {
    fuse: Option<Fuse>,
    /// How it died last.
    power: bool,
    power_losses: u64,
}

/// One run of a machine, from a start to a death.
#[derive(Clone)]
pub struct Breath {
    life: Arc<Life>,
    number: u64,
}

impl Life {
    /// Alive.
    pub fn new() -> Arc<Self> {
        Arc::new(Self { state: Mutex::default(), deaths: watch::Sender::new(0) })
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The run that begins now.
    pub fn breath(self: &Arc<Self>) -> Breath {
        Breath { life: self.clone(), number: *self.deaths.borrow() }
    }

    /// Lets the machine die, now or at a step to come.
    pub fn light(&self, fuse: Fuse) {
        if fuse.steps == 0 {
            self.die(fuse.power);
        } else {
            self.lock().fuse = Some(fuse);
        }
    }

    /// It is not to die after all.
    pub fn spare(&self) {
        self.lock().fuse = None;
    }

    fn die(&self, power: bool) {
        let mut state = self.lock();
        let power_losses = state.power_losses + u64::from(power);
        *state = State { fuse: None, power, power_losses };
        drop(state);
        self.deaths.send_modify(|deaths| *deaths += 1);
    }

    /// Whether it lost its power when it died last.
    pub fn lost_power(&self) -> bool {
        self.lock().power
    }

    /// How often it has lost its power.
    pub fn power_losses(&self) -> u64 {
        self.lock().power_losses
    }

    /// How often it has died.
    pub fn deaths(&self) -> u64 {
        *self.deaths.borrow()
    }
}

impl Breath {
    /// Whether the machine has not died since.
    pub fn alive(&self) -> bool {
        *self.life.deaths.borrow() == self.number
    }

    /// Returns when the machine dies.
    pub async fn end(&self) {
        let number = self.number;
        // The sender is in `life`, which lives as long as this does.
        let _ = self.life.deaths.subscribe().wait_for(|deaths| *deaths != number).await;
    }

    /// Takes a step, unless the machine is dead or dies of it.
    pub fn step<T>(&self, take: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
        self.check()?;
        let fuse = {
            let mut state = self.life.lock();
            let lit = state.fuse.as_mut().map(|fuse| {
                fuse.steps -= 1;
                *fuse
            });
            lit.filter(|fuse| fuse.steps == 0)
        };
        let Some(fuse) = fuse else { return take() };
        if fuse.taken {
            drop(take());
        }
        self.life.die(fuse.power);
        Err(dead())
    }

    /// Fails if the machine is dead.
    pub fn check(&self) -> io::Result<()> {
        if self.alive() { Ok(()) } else { Err(dead()) }
    }
}

fn dead() -> io::Error {
    io::Error::other("the machine is dead")
}
