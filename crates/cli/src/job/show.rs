//! How jobs stand.

use dure_core::plan::PlanSpec;
use dure_wire::api::{Best, JobStatus, JobView, RoundView};

use crate::{
    fail::Fail,
    remote::Remote,
    show::{self, figure, or_dash},
    words::{count, plain, until, word},
};

/// The jobs that there are.
pub fn list(remote: &Remote, json: bool) -> Result<String, Fail> {
    let views: Vec<JobView> = remote.get("jobs")?;
    if json {
        return Ok(serde_json::to_string_pretty(&views)? + "\n");
    }
    if views.is_empty() {
        return Ok("no job yet; `dure job start RECIPE` makes one\n".into());
    }
    let row = |view: &JobView| {
        let rounds = format!("{}/{}", view.completed, view.rounds);
        let mut cells = vec![view.job.to_string(), recipe(view), plain(&view.seed), word(&view.status), rounds];
        cells.extend([or_dash(view.best.as_ref().map(best)), or_dash(view.version), or_dash(view.refit_of)]);
        cells
    };
    let header = ["job", "recipe", "seed", "status", "rounds", "best", "model", "refit of"];
    Ok(format!("{}\n", show::listing(&header, views.iter().map(row))))
}

fn recipe(view: &JobView) -> String {
    plain(&view.plan.name)
}

fn best(Best { round, metric, value }: &Best) -> String {
    format!("{} {} after round {round}", plain(metric), figure(Some(value)))
}

/// A job.
pub fn show(remote: &Remote, job: u32, json: bool) -> Result<String, Fail> {
    let view: JobView = remote.get(&format!("jobs/{job}"))?;
    if json {
        return told(&view, true);
    }
    let PlanSpec { rounds, strategy, layout, .. } = &view.plan;
    let plan = format!("{rounds} rounds of {}, {} parameters", plain(&strategy.name), layout.parameters());
    let refit = view.refit_of.map(|of| format!("of job {of}, on training and validation rows together"));
    Ok(show::lines(&[
        ("job", Some(format!("{}: {}, seed {}", view.job, recipe(&view), plain(&view.seed)))),
        ("plan", Some(plan)),
        ("refit", refit),
        ("status", Some(status(&view))),
        (if is_over(&view) { "because" } else { "waits for" }, view.waiting.as_deref().map(plain)),
        ("round", view.round.as_ref().map(round)),
        ("best", view.best.as_ref().map(best)),
        ("model", view.version.map(|version| format!("version {version}"))),
    ]))
}

fn status(view: &JobView) -> String {
    let trained = match view.trained {
        Some(reason) if !is_over(view) => format!("; training has ended ({})", word(&reason)),
        _ => String::new(),
    };
    let limit = view.limit.filter(|_| view.status == JobStatus::Running);
    let limit = limit.map_or_else(String::new, |limit| format!("; it pauses after round {limit}"));
    format!("{}, {} of {} rounds{limit}{trained}", word(&view.status), view.completed, view.rounds)
}

fn is_over(view: &JobView) -> bool {
    !matches!(view.status, JobStatus::Created | JobStatus::Running | JobStatus::Paused)
}

fn round(view: &RoundView) -> String {
    let RoundView { round, cohort, quorum, reported, deadline_s, .. } = view;
    let answers = count(reported.len(), "answer");
    format!("{round} has {answers} of {cohort} clients, {quorum} are needed; it {}", until(*deadline_s))
}

/// A line on a job after something was done to it.
pub fn told(view: &JobView, json: bool) -> Result<String, Fail> {
    if json {
        return Ok(serde_json::to_string_pretty(view)? + "\n");
    }
    let waiting = view.waiting.as_deref().map_or_else(String::new, |waiting| format!("; {}", plain(waiting)));
    Ok(format!("job {} of {}: {}{waiting}\n", view.job, recipe(view), status(view)))
}
