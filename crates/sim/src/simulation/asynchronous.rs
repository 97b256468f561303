//! Asynchronous jobs in virtual time: one thing happens after another, and whoever is free goes on.

use dure_core::{
    federation::Command,
    name::ClientName,
    round::{Kind, Round, RoundId, TaskId},
    time::Time,
};
use dure_learn::world::Way;

use super::{Driver, LEASE, SimError, milliseconds};
use crate::clients::{Base, Clients, Reply};

/// What will come of a task.
pub struct Coming {
    round: RoundId,
    /// When, and what. What a client answers depends on the version that it was given alone, so it is made at once.
    answer: Option<(Time, Reply)>,
    /// When the client is missed, if it vanishes.
    lost: Option<Time>,
    way: Option<Way>,
}

impl Driver<'_> {
    /// A round begins.
    pub(super) fn begin(&mut self, round: RoundId) {
        let Some(job) = self.federation.job(round.job) else { return };
        match (job.plan.asynchronous(), &self.models) {
            (None, _) => self.updates.clear(),
            (Some(asynchronous), Some(models)) if asynchronous.mixes && round.kind == Kind::Train => {
                self.past.give(job, round, models);
            }
            _ => {}
        }
    }

    /// Whoever has a new task begins, and then the next thing happens: an answer comes, a client is missed, or the deadline passes.
    pub(super) fn go_on_working(&mut self, clients: &mut Clients) -> Result<(), SimError> {
        self.begin_tasks(clients);
        let Some(job) = self.federation.active() else { return Ok(()) };
        let Some(Round::Collecting { deadline, .. }) = self.federation.open_round().map(|open| &open.round) else {
            return Ok(());
        };
        let (seed, deadline) = (job.seed, *deadline);
        let chance = |client: &ClientName, round: RoundId| clients.world().chance(seed, client, round.ordinal);
        let arrival = |(client, coming): (&ClientName, &Coming)| {
            let (at, _) = coming.answer.as_ref()?;
            Some((*at, chance(client, coming.round), client.clone()))
        };
        let next = self.coming.iter().filter_map(arrival).min();
        let lost = self.coming.iter().filter_map(|(client, coming)| Some((coming.lost?, client.clone()))).min();
        let first = next.as_ref().map(|(at, ..)| *at).into_iter().chain(lost.as_ref().map(|(at, _)| *at)).min();
        if first.is_none_or(|first| first > deadline) {
            (self.now, self.waited_for) = (self.now.max(deadline), "silence".into());
            return Ok(());
        }
        match (next, lost) {
            (Some((at, _, client)), lost) if lost.as_ref().is_none_or(|(missed, _)| at <= *missed) => {
                let Some(Coming { round, answer: Some((_, reply)), way, .. }) = self.coming.remove(&client) else {
                    return Ok(());
                };
                self.take(TaskId { round, client }, (at, way), reply)
            }
            (_, Some((at, client))) => {
                self.coming.remove(&client);
                (self.now, self.waited_for) = (self.now.max(at), format!("{client}: drop-out"));
                let epoch = self.federation.members.get(&client).map_or(0, |member| member.epoch);
                self.command(Command::Lose { client, epoch })?;
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// Tasks that were given since this was last called, all of them by the open round.
    fn begin_tasks(&mut self, clients: &mut Clients) {
        let (Some(job), Some(open)) = (self.federation.active(), self.federation.open_round()) else { return };
        self.coming.retain(|client, coming| job.expects(coming.round, client));
        let is_new = |client: &&ClientName| job.expects(open.id, client) && !self.coming.contains_key(*client);
        let fresh: Vec<ClientName> = job.under_way.keys().filter(is_new).cloned().collect();
        let heard = |client: &&ClientName| !clients.is_silent(job, open.id, client);
        let heard: Vec<ClientName> = fresh.iter().filter(heard).cloned().collect();
        let base = self.models.as_ref().map(|models| Base::newest(models, job));
        let down = self.models.as_ref().map_or(0, |models| models.blob().len() as u64);
        let mut replies = clients.answer(job, open.id, base, &heard).into_iter();
        for client in fresh {
            let way = clients.way(job, open.id, &client, down);
            let given = job.under_way.get(&client).map_or(self.now, |task| task.given);
            let at = Time(given.0.saturating_add(way.map_or(0, |way| milliseconds(way.total()))));
            let answer =
                if heard.binary_search(&client).is_ok() { replies.next().map(|reply| (at, reply)) } else { None };
            let lost = clients.vanishes(job, open.id, &client).then(|| given + LEASE);
            self.tasks += 1;
            self.coming.insert(client, Coming { round: open.id, answer, lost, way });
        }
    }
}
