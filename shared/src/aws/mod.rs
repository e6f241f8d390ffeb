//! What every call to AWS has in common: how a client is made, what a failure means, and for how
//! long it is tried again.

pub mod connect;
pub mod failure;
pub mod retry;
