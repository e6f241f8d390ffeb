//! End-to-end tests of the API over HTTP, in `tests/`.
