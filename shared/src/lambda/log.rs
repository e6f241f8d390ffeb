//! The log of a function.

use std::env;

use lambda_http::tracing::level_filters::LevelFilter;
use lambda_http::tracing::subscriber::fmt;

/// Writes the log to standard output in the format and from the level that the function's logging configuration sets:
/// JSON or text, from `info` on by default. Filters by module are not read: they need regular expressions, which
/// nothing else in a function links.
pub fn init() {
    let level = env::var("AWS_LAMBDA_LOG_LEVEL").or_else(|_| env::var("RUST_LOG"));
    let level = level.ok().and_then(|level| level.parse().ok()).unwrap_or(LevelFilter::INFO);
    let log = fmt().with_target(false).without_time().with_max_level(level);
    match env::var("AWS_LAMBDA_LOG_FORMAT") {
        Ok(format) if format.eq_ignore_ascii_case("json") => log.json().init(),
        Ok(_) | Err(_) => log.init(),
    }
}
