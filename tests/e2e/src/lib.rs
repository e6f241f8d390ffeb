//! Tests of the whole over HTTP, in `tests/`.
