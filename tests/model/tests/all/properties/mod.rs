//! Random operations and their results.

pub mod history;
pub mod versions;
