//! How a command ends badly: 1 when it failed, 2 when it was asked wrongly.

use std::{fmt, process::ExitCode};

use dure_learn::recipe::RecipeError;

use crate::output::ReaderGone;

/// A command that did not do what was asked.
#[derive(Debug)]
pub enum Fail {
    /// What was asked makes no sense: usage, or a recipe.
    Usage(anyhow::Error),
    /// It was asked well, and failed.
    Failed(anyhow::Error),
}

impl Fail {
    /// The same, with what it happened to.
    pub fn of(self, what: &str) -> Self {
        let said = |error: anyhow::Error| anyhow::anyhow!("{what}: {error:#}");
        match self {
            Self::Usage(error) => Self::Usage(said(error)),
            Self::Failed(error) => Self::Failed(said(error)),
        }
    }

    /// Usage, in these words.
    pub fn usage(why: impl Into<String>) -> Self {
        Self::Usage(anyhow::Error::msg(why.into()))
    }

    /// Whether it is only that nobody reads the output any more.
    pub fn is_reader_gone(&self) -> bool {
        matches!(self, Self::Failed(error) if error.is::<ReaderGone>())
    }

    /// 1 or 2.
    pub fn code(&self) -> ExitCode {
        ExitCode::from(match self {
            Self::Failed(_) => 1,
            Self::Usage(_) => 2,
        })
    }
}

impl fmt::Display for Fail {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Usage(error) | Self::Failed(error) => write!(f, "{error:#}"),
        }
    }
}

impl From<RecipeError> for Fail {
    fn from(error: RecipeError) -> Self {
        Self::Usage(error.into())
    }
}

impl From<anyhow::Error> for Fail {
    fn from(error: anyhow::Error) -> Self {
        Self::Failed(error)
    }
}

/// A failure that is nobody's usage.
macro_rules! failed_by {
    ($($error:ty),*) => {$(
        impl From<$error> for Fail {
            fn from(error: $error) -> Self {
                Self::Failed(error.into())
            }
        }
    )*};
}
failed_by!(
    std::io::Error,
    serde_json::Error,
    dure_learn::data::table::DataError,
    dure_learn::client::TrainError,
    dure_sim::SimError,
    dure_sim::clients::ClientsError,
    dure_sim::replay::ReplayError,
    dure_wire::DecodeError,
    dure_server::ServeError,
    dure_agent::AgentError,
    crate::remote::RemoteError
);
