//! The server itself, as its operator sees it.

use axum::{Json, extract::State};
use dure_machine::usage;
use dure_wire::api::{LoadView, Problem, SystemView};

use crate::{app::App, auth::Caller, driver::Driver, metrics::Totals, problem::Refused};

/// The server: what it does, what it uses of its machine, and what waits.
#[utoipa::path(get, operation_id = "show_system", path = "/v1/system", tag = "system",
    responses((status = 200, body = SystemView), (status = "4XX", body = Problem, content_type = "application/problem+json")))]
pub async fn show(State(app): State<App>, caller: Caller) -> Result<Json<SystemView>, Refused> {
    caller.operator()?;
    let data_dir = app.data_dir.clone();
    // A disk may be far away, and `/proc` is one of files.
    let read = app.store.machine().work(move || (usage::memory(), usage::space(&data_dir).ok())).await;
    let (memory, space) = read.map_err(|_| Refused::Internal)?;
    let Totals { requests, events, appends, append_s, received_bytes, sent_bytes } = app.metrics.totals();
    Ok(Json(SystemView {
        version: env!("CARGO_PKG_VERSION").into(),
        read_only: app.read_only,
        demo: app.demo.as_ref().map(|demo| demo.agents()),
        uptime_s: app.started.elapsed().as_secs_f64(),
        memory_bytes: memory.map(|memory| memory.resident),
        memory_peak_bytes: memory.map(|memory| memory.peak),
        cpu_s: usage::cpu().map(|time| time.as_secs_f64()),
        cores: app.store.machine().cores(),
        connections: app.max_connections - app.places.available_permits().min(app.max_connections),
        max_connections: app.max_connections,
        requests,
        events,
        appends,
        append_s,
        received_bytes,
        sent_bytes,
        disk_free_bytes: space.map(|space| space.free),
        disk_bytes: space.map(|space| space.total),
        federations: app.drivers().iter().map(load).collect(),
    }))
}

fn load(driver: &Driver) -> LoadView {
    let (queue, max_queue) = driver.queue();
    // Whoever follows the events, and nobody else, waits for the journal's head.
    let followers = driver.shared.head.receiver_count();
    LoadView { federation: driver.shared.name.clone(), queue, max_queue, followers }
}
