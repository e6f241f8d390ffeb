//! The estimate of a run.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::Number;

use crate::domain::Credits;

/// The cost of a run before it starts.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct EstimateView {
    /// The cost if every attempt is charged.
    pub maximum: Credits,
    /// The cost at the team's hit rates of the current and the previous cycle.
    pub expected: Credits,
    /// The hit rate of each action with two decimals. Null for an action without attempts.
    #[cfg_attr(feature = "openapi", schema(value_type = BTreeMap<String, Option<f64>>))]
    pub hit_rates: BTreeMap<String, Option<Number>>,
    /// The credits that can be spent.
    pub balance: Credits,
    /// Whether the balance covers the maximum.
    pub affordable: bool,
    /// The credits that the maximum lacks.
    pub shortfall: Credits,
}
