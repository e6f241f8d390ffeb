//! The HTTP API: callers and their permissions, extractors, problems, responses and middleware.

pub mod caller;
pub mod extractors;
mod gateway;
mod middleware;
pub mod pages;
pub mod permission;
pub mod problem;
pub mod responses;
#[cfg(feature = "openapi")]
mod schemas;
pub mod serve;
pub mod views;

pub use caller::Caller;
pub use extractors::{Body, NoBody, NoQuery, Path, Query, day, idempotency_key};
pub use permission::Permitted;
pub use problem::Problem;
