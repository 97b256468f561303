//! `dure job`

mod show;
mod story;
mod watch;

use anyhow::anyhow;
use dure_learn::world::World;
use dure_wire::api::{FederationView, JobAction, JobSpec, JobView, Run};
use rand::{TryRng as _, rngs::SysRng};

use crate::{
    args::{self, JobCommand, New, RecipeArgs, RemoteArgs, Start, Which},
    fail::Fail,
    remote::Remote,
    source,
};

/// Makes, starts, watches and ends jobs.
pub fn run(args: &args::Job) -> Result<String, Fail> {
    match &args.command {
        JobCommand::Create(new) => create(new, &args.remote),
        JobCommand::Start(what) => start(what, &args.remote),
        command => {
            let (remote, federation) = Remote::federation(&args.remote)?;
            on_jobs(command, &remote, &federation)
        }
    }
}

fn create(args: &New, remote: &RemoteArgs) -> Result<String, Fail> {
    let spec = spec(&args.recipe, args.seed)?;
    let (remote, _) = Remote::federation(remote)?;
    let view = add(&remote, &spec)?;
    let next = format!("`dure job start {}` starts it\n", view.job);
    Ok(show::told(&view, args.json)? + if args.json { "" } else { &next })
}

fn start(args: &Start, remote: &RemoteArgs) -> Result<String, Fail> {
    let Start { what, overrides, seed, rounds, watch, json } = args;
    let existing = what.parse::<u32>().ok();
    let new = match existing {
        Some(job) if !overrides.is_empty() || seed.is_some() => {
            return Err(Fail::usage(format!("job {job} has its plan and its seed; to change them make another one")));
        }
        Some(_) => None,
        None => Some(spec(
            &RecipeArgs { recipe: what.clone(), overrides: overrides.clone(), smoke: false },
            seed.unwrap_or(0),
        )?),
    };
    let (remote, federation) = Remote::federation(remote)?;
    let (job, told) = match new {
        Some(spec) => begin(&remote, &federation, &spec, *rounds, *json && !watch)?,
        None => {
            let job = which_of(&federation, existing)?;
            (job, act(&remote, job, JobAction::Start, *rounds, *json && !watch)?)
        }
    };
    if *watch { watch::watch(&remote, job, *json) } else { Ok(told) }
}

/// Makes a job and starts it. None is made where another is active.
fn begin(
    remote: &Remote,
    federation: &FederationView,
    spec: &JobSpec,
    rounds: Option<u32>,
    json: bool,
) -> Result<(u32, String), Fail> {
    if let Some(active) = federation.active_job {
        return Err(anyhow!("job {active} is active; wait for its end (`dure job watch`), or abort it").into());
    }
    let job = add(remote, spec)?.job;
    let told = act(remote, job, JobAction::Start, rounds, json);
    Ok((job, told.map_err(|fail| anyhow!("{fail}; job {job} was made and waits: `dure job start {job}`"))?))
}

/// Makes one job, and not two if the first answer is lost.
fn add(remote: &Remote, spec: &JobSpec) -> Result<JobView, Fail> {
    let mut key = [0; 16];
    SysRng.try_fill_bytes(&mut key).map_err(anyhow::Error::new)?;
    Ok(remote.post_once("jobs", spec, &format!("{:032x}", u128::from_be_bytes(key)))?)
}

fn spec(recipe: &RecipeArgs, seed: u64) -> Result<JobSpec, Fail> {
    let (found, plan) = source::planned(recipe)?;
    if found.recipe.world != World::default() {
        eprintln!("dure: [world] is a simulation's; a served job meets the devices and networks that there are");
    }
    Ok(JobSpec { plan: plan.into(), seed: seed.to_string() })
}

fn on_jobs(command: &JobCommand, remote: &Remote, federation: &FederationView) -> Result<String, Fail> {
    let act = |which: &Which, action, rounds| act(remote, which_of(federation, which.job)?, action, rounds, which.json);
    match command {
        JobCommand::Create(_) | JobCommand::Start(_) => Ok(String::new()),
        JobCommand::List { json } => show::list(remote, *json),
        JobCommand::Show { job, json } => {
            show::show(remote, which_of(federation, job.or(Some(federation.jobs)))?, *json)
        }
        JobCommand::Pause(which) => act(which, JobAction::Pause, None),
        JobCommand::Resume { which, rounds } => act(which, JobAction::Resume, *rounds),
        JobCommand::Stop(which) => act(which, JobAction::Stop, None),
        JobCommand::Abort(which) => act(which, JobAction::Abort, None),
        JobCommand::Train(which) => act(which, JobAction::Train, None),
        JobCommand::Aggregate(which) => act(which, JobAction::Aggregate, None),
        JobCommand::Watch { job, json } => match which_of(federation, *job)? {
            job if job > federation.jobs => {
                Err(anyhow!("there is no job {job}; {} has {} of them", federation.name, federation.jobs).into())
            }
            job => watch::watch(remote, job, *json),
        },
    }
}

/// The job that is meant: by its number, else the active one, else the newest.
fn which_of(federation: &FederationView, job: Option<u32>) -> Result<u32, Fail> {
    match job.or(federation.active_job).unwrap_or(federation.jobs) {
        0 => Err(anyhow!("{} has no job yet; `dure job start RECIPE` makes one", federation.name).into()),
        job => Ok(job),
    }
}

fn act(remote: &Remote, job: u32, action: JobAction, rounds: Option<u32>, json: bool) -> Result<String, Fail> {
    let run = rounds.map(|rounds| Run { rounds: Some(rounds) });
    let (_, view): (bool, JobView) = remote.post(&format!("jobs/{job}/{}", action.word()), run.as_ref())?;
    show::told(&view, json)
}
