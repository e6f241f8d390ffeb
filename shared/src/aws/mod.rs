//! The parts that all calls to AWS share: the configuration of clients, the meaning of SDK errors, and
//! retries.

pub mod connect;
pub mod failure;
pub mod retry;
