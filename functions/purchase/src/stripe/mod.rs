//! A client of Stripe's API: the calls that the function makes, with narrow types.

mod calls;
mod objects;
mod request;
mod secret;
mod signature;

pub use calls::{Card, CardDetails, Customer};
pub use objects::{
    CardError, Charge, Expandable, Intent, IntentStatus, Refusal, Returned, Session, SessionStatus,
};
pub use request::{API_VERSION, Reply, Stripe};
pub use secret::{InvalidSecret, Secret, Secrets};
pub use signature::{SIGNATURE_SECONDS_MAX, is_signed};
