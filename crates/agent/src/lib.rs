//! Joins federations.
