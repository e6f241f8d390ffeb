//! The HTTP edge: who is calling, what they sent, and how a refusal looks.

pub mod answer;
pub mod extract;
mod gateway;
pub mod identity;
mod middleware;
pub mod permission;
pub mod problem;
pub mod serve;

pub use extract::{Body, NoQuery, Path, Query, idempotency_key};
pub use identity::Caller;
pub use permission::Permitted;
pub use problem::Problem;
