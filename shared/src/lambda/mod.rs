//! The parts of a function that do not depend on how it is invoked: configuration, clock, deadline, and
//! the kinds of invocation with their payloads.

pub mod allowance;
pub mod app;
pub mod clock;
pub mod configuration;
pub mod deadline;
pub mod event_bridge;
pub mod invocation;
pub mod json;
pub mod log;

pub use allowance::Allowance;
pub use app::App;
pub use clock::Clock;
pub use configuration::ClaimNames;
pub use event_bridge::EventBridgeEvent;
pub use invocation::Invocation;
