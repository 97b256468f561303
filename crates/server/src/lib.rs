//! Serves federations over HTTP.
