//! Random operations and their results.

mod domain;
mod history;
mod lanes;
mod store;
mod versions;
mod year;
