//! `/openapi.json`.

use std::sync::LazyLock;

use utoipa::{
    Modify, OpenApi,
    openapi::{
        SecurityRequirement,
        security::{ApiKey, ApiKeyValue, Http, HttpAuthScheme, SecurityScheme},
    },
};

use crate::{auth::COOKIE, routes::*};

#[derive(OpenApi)]
#[openapi(
    info(title = "Dure", description = "Federations over HTTP: many sites train one model together, and the data stay where they are."),
    paths(
        federations::list, federations::create, federations::show, federations::report,
        invitations::list, invitations::create, invitations::revoke,
        clients::list, clients::show, clients::join, clients::change, clients::leave, clients::release, data::show,
        tasks::wait, tasks::show, tasks::answer, tasks::decline,
        jobs::list, jobs::create, jobs::show, jobs::act,
        models::list, models::show, models::weights, models::control,
        aliases::list, aliases::set,
        events::stream, events::journal,
        recipes::list, recipes::show, recipes::plan,
        session::begin, session::end,
        system::show, demo::kill,
        health::healthz, health::readyz, health::metrics, health::openapi,
    ),
    components(schemas(dure_wire::api::JobAction, dure_wire::api::Labels)),
    modifiers(&Bearers)
)]
struct Api;

/// Operators, clients and the invited authenticate by a bearer; browsers by a cookie.
struct Bearers;

impl Modify for Bearers {
    fn modify(&self, api: &mut utoipa::openapi::OpenApi) {
        let components = api.components.get_or_insert_with(Default::default);
        let cookie = SecurityScheme::ApiKey(ApiKey::Cookie(ApiKeyValue::new(COOKIE)));
        components.add_security_scheme("bearer", SecurityScheme::Http(Http::new(HttpAuthScheme::Bearer)));
        components.add_security_scheme("session", cookie);
        let no_scopes: [&str; 0] = [];
        let either = ["bearer", "session"].map(|name| SecurityRequirement::new(name, no_scopes));
        api.security = Some(either.into());
    }
}

/// The description of the API, as JSON.
pub fn openapi_json() -> &'static str {
    static JSON: LazyLock<String> = LazyLock::new(|| Api::openapi().to_pretty_json().unwrap_or_default());
    &JSON
}
