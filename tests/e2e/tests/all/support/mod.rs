//! Helpers of the tests.

pub mod api;
pub mod catalogue;
pub mod contract;
pub mod document;
pub mod gateway;
pub mod payments;
pub mod random_json;
pub mod random_request;
pub mod routes;
pub mod template;
