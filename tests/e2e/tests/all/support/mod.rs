//! Helpers of the tests.

pub mod api;
