//! Changes to a team under load: the scenario of a run, the load and the figures.

pub mod figures;
pub mod load;

/// The parameters of a run and the requirements on it.
#[derive(Clone, Copy)]
pub struct Scenario {
    /// The start of the simulation. The changes begin [`load::LEAD`] later.
    pub began_at: &'static str,
    /// The purchased credits of the team, by the number of writers.
    pub purchased: fn(u32) -> u64,
    /// The free credits that the changes grant, by the number of seats before them.
    pub granted: fn(u8) -> u64,
    /// Whether the remaining free credits expire.
    pub lapses: bool,
    /// Whether the account is closed.
    pub closes: bool,
    /// Whether the process that makes the change is stopped and another one repeats the change.
    /// Lanes that the first process returned stay closed, so hundreds of writers need seconds until
    /// each has a lane again. Some charges are answered as busy and may have been made.
    pub is_stopped: bool,
}
