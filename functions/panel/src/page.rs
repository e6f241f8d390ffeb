//! The reference page of the API.

use std::sync::LazyLock;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest, Sha256};

/// The page, generated from the document by the tests of this package.
pub const PAGE: &str = include_str!("page.html");

/// The style that the page contains.
const STYLE: &str = include_str!("page.css");

/// The content policy of the page: no script, no request, and no style but the page's own.
pub static POLICY: LazyLock<String> = LazyLock::new(|| {
    let style = STANDARD.encode(Sha256::digest(STYLE));
    format!(
        "default-src 'none'; style-src 'sha256-{style}'; base-uri 'none'; form-action 'none'; \
         frame-ancestors 'none'"
    )
});

/// Whether the page has a section for a type of problems.
pub fn has_problem(kind: &str) -> bool {
    let is_name = kind.chars().all(|c| c.is_ascii_lowercase() || c == '-');
    is_name && PAGE.contains(&format!("<section id=problem-{kind}>"))
}
