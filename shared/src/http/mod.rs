//! The HTTP edge: who is calling, what they sent, and how a refusal looks.

pub mod allowance;
pub mod answer;
pub mod app;
pub mod extract;
pub mod identity;
pub mod permission;
pub mod problem;
pub mod serve;

pub use allowance::Allowance;
pub use app::{App, Clock};
pub use extract::{Body, NoQuery, Path, Query, idempotency_key};
pub use identity::{Caller, ClaimNames};
pub use permission::Permitted;
pub use problem::Problem;
