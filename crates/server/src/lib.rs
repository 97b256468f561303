//! Serves federations over HTTP.
//!
//! A federation has one driver, the only writer of its journal. A route extracts, authorises, asks the driver or reads the
//! committed state, and answers. Read the modules in this order:

#![warn(clippy::unwrap_used)]

pub mod config;

mod system;

pub mod store;

mod clock;
mod driver;
mod presence;
mod work;

pub mod app;
mod auth;
mod body;
mod data;
mod problem;
mod secrets;
mod view;

pub mod demo;
mod frames;
mod metrics;
mod openapi;
pub mod page;
pub mod recipes;
mod routes;

mod door;
mod serve;

pub use config::Config;
pub use openapi::openapi_json;
pub use routes::router;
pub use serve::{ServeError, Server};
