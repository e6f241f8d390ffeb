//! The pipeline as a process before the local stack.

pub mod setup;
