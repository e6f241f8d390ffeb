//! Random operations against the reference, and properties of reads.

mod domain;
mod history;
mod lanes;
mod store;
mod versions;
mod year;
