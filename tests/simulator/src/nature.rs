//! How long things take and how often they go wrong: the figures of this world.
//!
//! | figure | where it is from |
//! |---|---|
//! | a transaction takes 12 ms and keeps its items for 8 of them; each item beyond two adds 0.2 ms | an assumption on the slow side: writes of one item take single-digit milliseconds (DynamoDB's own description), a transaction prepares and commits, each of them such a write on all items at once (Distributed Transactions at Scale in Amazon DynamoDB, USENIX ATC 2023) |
//! | a consistent read takes 5 ms, a write of one item 6 ms | single-digit milliseconds, the network within a region included |
//! | each time varies by a log-normal factor with sigma 0.25, so one of a hundred is 1.8 times the median; one of 500 is 5 times as long | an assumption |
//! | an item in a transaction refuses others: `TransactionConflict`, and `TransactionConflictException` for a write of one item; reads are let through | Developer Guide, "Transaction conflict handling in DynamoDB" |
//! | 1,000 write units and 3,000 read units in a second for a partition, of the table or of an index; an unused second is saved up | Developer Guide, "Best practices for designing and using partition keys effectively" (the saving is less than "burst capacity" grants) |
//! | a write in a transaction costs two units for each KB, one that fails or is in conflict as well; an index row one unit where it comes and where it goes | Developer Guide, "Capacity management for transactions", "Global secondary indexes: write capacity units" |
//! | an index partition that is full holds back the writes of the table | Developer Guide, "Global secondary indexes: provisioned throughput considerations" |

use std::time::Duration;

use fastrand::Rng;

/// One way through the network.
pub(crate) const NETWORK: Duration = Duration::from_millis(2);

/// What a read takes at the table.
pub(crate) const READ: Duration = Duration::from_millis(1);

/// What a write of one item takes at the table.
pub(crate) const WRITE: Duration = Duration::from_millis(2);

/// How long a transaction keeps its items.
pub(crate) const TRANSACTION: Duration = Duration::from_millis(8);

/// How much longer for each item beyond two.
pub(crate) const EACH_ITEM: Duration = Duration::from_micros(200);

const SIGMA: f64 = 0.25;
const SLOW: f64 = 5.0;
const ONE_IS_SLOW: u32 = 500;

/// How often things go wrong: of a thousand calls, so many.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Nature {
    /// The request does not arrive, or a server fails before anything is done.
    pub turned_away: u32,
    /// The table says that it is too busy.
    pub throttled: u32,
    /// Somebody else writes an item of the transaction just then.
    pub in_conflict: u32,
    /// It is done, and the answer gets lost: the connection breaks, or nothing comes at all.
    pub lost: u32,
}

impl Nature {
    /// Nothing goes wrong by chance.
    pub const CALM: Self = Self { turned_away: 0, throttled: 0, in_conflict: 0, lost: 0 };

    /// A bad day.
    pub const ROUGH: Self = Self { turned_away: 40, throttled: 40, in_conflict: 120, lost: 40 };

    pub(crate) fn fate(self, chance: &mut Rng) -> Fate {
        let mut drawn = chance.u32(0..1_000);
        let fates = [
            (self.turned_away, Fate::TurnedAway),
            (self.throttled, Fate::Throttled),
            (self.in_conflict, Fate::InConflict),
            (self.lost / 2, Fate::Broken),
            (self.lost.div_ceil(2), Fate::Silent),
        ];
        for (of_thousand, fate) in fates {
            match drawn.checked_sub(of_thousand) {
                None => return fate,
                Some(rest) => drawn = rest,
            }
        }
        Fate::Spared
    }
}

/// What becomes of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    TurnedAway,
    Throttled,
    InConflict,
    /// The connection breaks before the answer comes.
    Broken,
    /// No answer comes.
    Silent,
    Spared,
}

/// How long something takes this time, in whole milliseconds, which is as fine as the virtual time
/// is.
#[allow(clippy::float_arithmetic, reason = "a random time")]
pub(crate) fn varied(median: Duration, chance: &mut Rng) -> Duration {
    let factor = if chance.u32(0..ONE_IS_SLOW) == 0 {
        SLOW
    } else {
        // Box and Muller's way to a normally distributed number.
        let radius = (-2.0 * (1.0 - chance.f64()).ln()).sqrt();
        let normal = radius * (std::f64::consts::TAU * chance.f64()).cos();
        (SIGMA * normal).exp()
    };
    Duration::from_secs_f64((median.mul_f64(factor).as_secs_f64() * 1e3).round() / 1e3)
}
