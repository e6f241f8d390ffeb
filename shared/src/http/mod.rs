//! The HTTP edge: who is calling, what they sent, and how a refusal looks.

pub mod answer;
pub mod app;
pub mod extract;
pub mod identity;
pub mod problem;
pub mod serve;

pub use app::{App, Clock};
pub use extract::{Body, Path, Query, idempotency_key};
pub use identity::Caller;
pub use problem::Problem;
