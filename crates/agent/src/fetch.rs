//! What a task needs: its job, and the model that it names. Both are fetched once for all clients of a process.

use std::sync::Arc;

use dure_core::{digest::Digest, model::Params, round::Kind};
use dure_wire::{DecodeError, api::TaskView, decode_control, decode_model};

use crate::{
    calls,
    client::{Client, Halt},
    http::Call,
    policy::Asked,
    prepare::Job,
    work::Grounds,
};

impl Client {
    /// The job of a task and, unless it measures, on what it is done; if the site's policy allows the task.
    pub(crate) async fn fetch(&mut self, task: &TaskView) -> Result<(Arc<Job>, Grounds), Halt> {
        let job = self.job(task.job, task.kind != Kind::Measure).await?;
        let (plan, work) = (&job.plan, &job.work);
        self.show(|status| status.rounds = Some(job.rounds));
        let asked = Asked { task: &task.task, cohort: task.cohort, plan, work };
        self.site.policy.check(&asked).map_err(Halt::Decline)?;
        let rows = self.rows.behind(task.kind, &job).map_err(Halt::Decline)?;
        self.site.policy.check_rows(rows).map_err(Halt::Decline)?;
        self.site.policy.check_passes(work, rows).map_err(Halt::Decline)?;
        if let Some(why) = self.site.unready.borrow().clone() {
            return Err(Halt::Decline(why));
        }
        let Some((version, sha256)) = task.version.zip(task.base).filter(|_| task.kind != Kind::Measure) else {
            return Ok((job, Grounds::default()));
        };
        let base = Some(self.model(&job, task, version, sha256).await?);
        let control = match task.control {
            Some(control) => Some(self.control(&job, task, (version, sha256), control).await?),
            None => None,
        };
        let own = self.own(&job, task).await?;
        Ok((job, Grounds { base, control, own }))
    }

    /// What this client keeps for a task: from its last round of the job, or what everybody begins with.
    async fn own(&self, job: &Job, task: &TaskView) -> Result<Arc<Vec<f32>>, Halt> {
        let mine = self.memory.state.own.filter(|own| own.is_for(task.task.round, job.digest));
        let Some((layout, own)) = job.own_layout.clone().zip(mine) else { return Ok(Arc::clone(&job.beginning)) };
        let (home, memory) = (self.home.clone(), self.memory.clone());
        let read = self.site.on_disk(move || home.own(&memory)).await.map_err(Halt::Decline)?;
        let file = read.map_err(|error| {
            tracing::error!(client = %self.name, "what {} keeps cannot be read: {error}", self.name);
            Halt::Decline(format!("the site cannot read what it keeps: {}", error.words()))
        })?;
        let file = file.unwrap_or_default();
        let params = decode_model(&file, Some(&layout), file.len(), Some(own.sha256));
        let unfit = |why: DecodeError| Halt::Decline(format!("what the site keeps is not the job's: {why}"));
        params.map(|(params, _)| Arc::new(params.values().to_vec())).map_err(unfit)
    }

    /// A job. It is asked for once before its columns are `measured` and once after.
    pub(crate) async fn job(&mut self, id: u32, measured: bool) -> Result<Arc<Job>, Halt> {
        let site = Arc::clone(&self.site);
        let cell = site.jobs.cell((id, measured));
        let fetch = async {
            let view = self.call(&calls::job(id)).await?.map_err(|problem| Halt::Decline(problem.detail))?;
            Job::of(view, &site.schema, (site.most_rows, site.threads_each)).map(Arc::new).map_err(Halt::Decline)
        };
        cell.get_or_try_init(|| fetch).await.cloned()
    }

    /// What comes with a model version, for all clients of the process.
    async fn control(
        &mut self,
        job: &Job,
        task: &TaskView,
        (version, base): (u32, Digest),
        sha256: Digest,
    ) -> Result<Arc<Params>, Halt> {
        let (call, layout) = (calls::control(version, job.max_model_bytes()), Arc::clone(&job.layout));
        let cell = self.site.controls.cell((task.job, sha256));
        let read = move |file: &[u8]| decode_control(file, sha256, &layout, base);
        let fetch = self.fetched(call, format!("the control variate of model version {version}"), read);
        cell.get_or_try_init(|| fetch).await.cloned()
    }

    /// A model version, for all clients of the process.
    async fn model(&mut self, job: &Job, task: &TaskView, version: u32, sha256: Digest) -> Result<Arc<Params>, Halt> {
        let (limit, layout) = (job.max_model_bytes(), Arc::clone(&job.layout));
        let cell = self.site.models.cell((task.job, sha256));
        let read = move |file: &[u8]| decode_model(file, Some(&layout), limit, Some(sha256)).map(|(params, _)| params);
        let fetch = self.fetched(calls::weights(version, limit), format!("the file of model version {version}"), read);
        cell.get_or_try_init(|| fetch).await.cloned()
    }

    /// A file of the server's, read away from this thread: a large one takes a while, and this thread has others to serve.
    async fn fetched(
        &mut self,
        call: Call<Vec<u8>>,
        what: String,
        read: impl FnOnce(&[u8]) -> Result<Params, DecodeError> + Send + 'static,
    ) -> Result<Arc<Params>, Halt> {
        let file = self.call(&call).await?.map_err(|problem| Halt::Decline(problem.detail))?;
        let read = self.site.machine.work(move || read(&file)).await;
        let read = read.map_err(|error| error.to_string()).and_then(|read| read.map_err(|error| error.to_string()));
        read.map(Arc::new).map_err(|why| Halt::Decline(format!("{what} is not as expected: {why}")))
    }
}
