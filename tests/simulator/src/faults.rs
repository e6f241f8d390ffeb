//! Latencies and fault rates of the simulated AWS.
//!
//! | figure | source |
//! |---|---|
//! | a transaction takes 12 ms and keeps its items for 8 of them; each item beyond two adds 0.2 ms | an assumption on
//! the slow side: writes of one item take single-digit milliseconds (DynamoDB's own description), a transaction
//! prepares and commits, each of them such a write on all items at once (Distributed Transactions at Scale in Amazon
//! DynamoDB, USENIX ATC 2023) |
//! | a consistent read takes 5 ms, a write of one item 6 ms | single-digit milliseconds, the network within a region
//! included |
//! | each time varies by a log-normal factor with sigma 0.25, so one of a hundred is 1.8 times the median; one of 500
//! is 5 times as long | an assumption |
//! | an item in a transaction refuses others: `TransactionConflict`, and `TransactionConflictException` for a write of
//! one item; reads are let through | Developer Guide, "Transaction conflict handling in DynamoDB" |
//! | 1,000 write units and 3,000 read units in a second for a partition, of the table or of an index; an unused second
//! is saved up | Developer Guide, "Best practices for designing and using partition keys effectively" (the saving is
//! less than "burst capacity" grants) |
//! | a write in a transaction costs two units for each KB, one that fails or is in conflict as well; an index row one
//! unit where it comes and where it goes | Developer Guide, "Capacity management for transactions", "Global secondary
//! indexes: write capacity units" |
//! | an index partition that is full holds back the writes of the table | Developer Guide, "Global secondary indexes:
//! provisioned throughput considerations" |

use std::time::Duration;

use fastrand::Rng;

/// The latency of the network in one direction.
pub(crate) const NETWORK: Duration = Duration::from_millis(2);

/// The duration of a read at the table.
pub(crate) const READ: Duration = Duration::from_millis(1);

/// The duration of a write of one item at the table.
pub(crate) const WRITE: Duration = Duration::from_millis(2);

/// The time for which a transaction locks its items.
pub(crate) const TRANSACTION: Duration = Duration::from_millis(8);

/// The additional time for each item beyond two.
pub(crate) const EACH_ITEM: Duration = Duration::from_micros(200);

const SIGMA: f64 = 0.25;
const SLOW: f64 = 5.0;
const ONE_IS_SLOW: u32 = 500;

/// Fault rates per thousand calls.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Faults {
    /// The request does not arrive, or the server fails before it executes the request.
    pub rejected: u32,
    /// The table answers that it is throttled.
    pub throttled: u32,
    /// Another writer holds an item of the transaction.
    pub in_conflict: u32,
    /// The request is executed and the answer is lost: the connection breaks, or no answer arrives.
    pub lost: u32,
}

impl Faults {
    /// No random faults.
    pub const NONE: Self = Self { rejected: 0, throttled: 0, in_conflict: 0, lost: 0 };

    /// Faults in 24 of 100 calls.
    pub const MANY: Self = Self { rejected: 40, throttled: 40, in_conflict: 120, lost: 40 };

    pub(crate) fn draw(self, chance: &mut Rng) -> Fault {
        let mut drawn = chance.u32(0..1_000);
        let faults = [
            (self.rejected, Fault::Rejected),
            (self.throttled, Fault::Throttled),
            (self.in_conflict, Fault::InConflict),
            (self.lost / 2, Fault::Broken),
            (self.lost.div_ceil(2), Fault::Silent),
        ];
        for (of_thousand, fault) in faults {
            match drawn.checked_sub(of_thousand) {
                None => return fault,
                Some(rest) => drawn = rest,
            }
        }
        Fault::Spared
    }
}

/// The fault of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    Rejected,
    Throttled,
    InConflict,
    /// The connection breaks before the answer arrives.
    Broken,
    /// No answer arrives.
    Silent,
    Spared,
}

/// A random duration around `median`, in whole milliseconds, the resolution of the virtual time.
#[allow(clippy::float_arithmetic, reason = "a random time")]
pub(crate) fn varied(median: Duration, chance: &mut Rng) -> Duration {
    let factor = if chance.u32(0..ONE_IS_SLOW) == 0 {
        SLOW
    } else {
        // A normally distributed number by the method of Box and Muller.
        let radius = (-2.0 * (1.0 - chance.f64()).ln()).sqrt();
        let normal = radius * (std::f64::consts::TAU * chance.f64()).cos();
        (SIGMA * normal).exp()
    };
    Duration::from_secs_f64((median.mul_f64(factor).as_secs_f64() * 1e3).round() / 1e3)
}
