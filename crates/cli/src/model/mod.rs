//! `dure model`

mod fetch;
mod file;
mod versions;

use crate::{
    args::{self, ModelCommand},
    fail::Fail,
};

/// Shows, fetches and names a federation's model versions; predicts and evaluates with a file of one.
pub fn run(args: &args::Model) -> Result<String, Fail> {
    match &args.command {
        ModelCommand::List { remote, json } => versions::list(remote, *json),
        ModelCommand::Show { version, remote, json } => versions::show(version.as_deref(), remote, *json),
        ModelCommand::Get { version, out, remote } => fetch::get(version.as_deref(), remote, out),
        ModelCommand::Promote { version, alias, json, remote } => versions::promote(*version, alias, remote, *json),
        ModelCommand::Rollback { alias, json, remote } => versions::rollback(alias, remote, *json),
        ModelCommand::Predict { model, out } => file::predict(model, out.as_deref()),
        ModelCommand::Evaluate { model, json } => file::evaluate(model, *json),
    }
}
