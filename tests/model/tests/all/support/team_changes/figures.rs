//! The figures of a run and its faults.

use std::collections::{BTreeMap, HashMap};
use std::ops::RangeInclusive;
use std::time::Duration;

use shared::domain::Error;
use shared::domain::ledger::entry::{Entry, Kind};
use shared::domain::pool::{Account, Pool};
use tokio::time::Instant;

use super::Scenario;
use super::load::TAIL;

/// The minimum of accepted charges per second.
const FEWEST: usize = 20;

/// The minimum while lanes stay closed: under the mark of a stopped process, or with more than
/// [`WRITERS_WITHOUT_LANES`] writers.
const FEWEST_WITHOUT_LANES: usize = 1;

/// The maximum duration of a charge.
const CHARGE_TIME: Duration = Duration::from_secs(5);

/// Without lanes, the pool answers this many writers within their retry time. Beyond, some charges are
/// answered as busy while lanes are closed.
const WRITERS_WITHOUT_LANES: u32 = 128;

/// A change and its result.
#[derive(Clone, Debug)]
pub struct Change {
    #[expect(dead_code, reason = "a failed test prints it")]
    pub name: &'static str,
    pub time: Duration,
    /// The maximum of `time`.
    pub time_max: Duration,
    pub error: Option<Error>,
}

/// A charge and its result.
pub struct Charge {
    pub key: String,
    pub credits: u64,
    pub sent: Instant,
    pub answered: Instant,
    pub refused: Option<Error>,
}

/// The record of a run.
pub struct Run {
    pub scenario: Scenario,
    pub writers: u32,
    pub seed: u64,
    /// The seats before the changes.
    pub seats: u8,
    pub changes: Vec<Change>,
    /// The time of the request of the first change.
    pub begun: Instant,
    /// The time of the answer to the last change.
    pub finished: Instant,
    pub charges: Vec<Charge>,
    /// The pool after the run.
    pub pool: Pool,
    pub ledger: Vec<Entry>,
}

/// The figures of a run.
#[derive(Debug)]
#[expect(dead_code, reason = "a failed test prints them")]
pub struct Figures {
    writers: u32,
    seed: u64,
    changes: Vec<Change>,
    charged: usize,
    charged_each_second: Vec<usize>,
    longest_charge: Duration,
    refused_before: BTreeMap<String, usize>,
    refused_since: BTreeMap<String, usize>,
    pub faults: Vec<&'static str>,
}

/// The credits spent before, during and after the changes.
struct Spent {
    before: u64,
    during: u64,
    after: u64,
}

impl Run {
    pub fn figures(&self) -> Figures {
        Figures {
            writers: self.writers,
            seed: self.seed,
            changes: self.changes.clone(),
            charged: self.charged().count(),
            charged_each_second: self.charged_each_second(),
            longest_charge: self.longest_charge(),
            refused_before: self.refused(|charge| charge.answered < self.begun),
            refused_since: self.refused(|charge| charge.answered >= self.begun),
            faults: self.faults(),
        }
    }

    fn faults(&self) -> Vec<&'static str> {
        let fewest = if self.may_lack_lanes() { FEWEST_WITHOUT_LANES } else { FEWEST };
        let is_made = self.changes.iter().all(|change| change.error.is_none());
        let mut requirements = vec![
            ("a change failed", is_made),
            ("a change is slow", self.changes.iter().all(|change| change.time <= change.time_max)),
            ("a charge is slow", self.longest_charge() <= CHARGE_TIME),
            ("a charge has a wrong answer", self.charges.iter().all(|it| self.is_right(it))),
            ("many charges are busy", self.busy() * 20 <= self.charged().count()),
            (
                "charges stand still",
                self.charged_each_second().iter().all(|charged| *charged >= fewest),
            ),
            ("a key is not charged once", self.is_charged_once()),
            ("the ledger is not the balance", self.is_balanced()),
        ];
        if is_made {
            let granted = self.left_of_first(0) + self.granted();
            requirements.extend([
                ("the account is not as asked for", self.is_closed() == self.scenario.closes),
                ("a grant is wrong", self.sum_of(&Kind::Grant) == granted),
                ("an expiry is wrong", self.lapsed().contains(&self.sum_of(&Kind::Expiry))),
                (
                    "free credits are not first",
                    self.free().contains(&self.pool.balance.free().get()),
                ),
            ]);
        }
        requirements.into_iter().filter(|(_, holds)| !holds).map(|(fault, _)| fault).collect()
    }

    fn charged(&self) -> impl Iterator<Item = &Charge> {
        self.charges.iter().filter(|charge| charge.refused.is_none())
    }

    /// The accepted charges in each full second of the changes and of the load after them.
    fn charged_each_second(&self) -> Vec<usize> {
        let tail = if self.is_closed() { Duration::ZERO } else { TAIL };
        let seconds = (self.finished - self.begun + tail).as_secs();
        let since_begun = |charge: &Charge| charge.answered.checked_duration_since(self.begun);
        let times: Vec<Duration> = self.charged().filter_map(since_begun).collect();
        let in_second = |second| times.iter().filter(|time| time.as_secs() == second).count();
        (0..seconds).map(in_second).collect()
    }

    /// The longest duration of a charge, counted from the beginning of the changes.
    fn longest_charge(&self) -> Duration {
        let times = self.charges.iter().map(|it| it.answered - it.sent.max(self.begun));
        times.max().unwrap_or_default()
    }

    /// The number of refusals by kind.
    fn refused(&self, is_part: impl Fn(&Charge) -> bool) -> BTreeMap<String, usize> {
        let mut refused = BTreeMap::new();
        let charges = self.charges.iter().filter(|charge| is_part(charge));
        for error in charges.filter_map(|charge| charge.refused.as_ref()) {
            let error = format!("{error:?}");
            let kind = error.split([' ', '(']).next().unwrap_or_default();
            *refused.entry(kind.to_owned()).or_default() += 1;
        }
        refused
    }

    fn is_closed(&self) -> bool {
        self.pool.terms.account == Account::Closed
    }

    /// Whether a charge was accepted or, once the account is closed, refused as closed.
    fn is_right(&self, charge: &Charge) -> bool {
        match charge.refused {
            None => !self.is_closed() || charge.sent < self.finished,
            Some(Error::AccountClosed) => self.is_closed() && charge.answered >= self.begun,
            Some(Error::Busy) => self.scenario.is_stopped || self.writers > WRITERS_WITHOUT_LANES,
            Some(_) => false,
        }
    }

    /// Whether lanes may stay closed until writers have used up their retry time.
    fn may_lack_lanes(&self) -> bool {
        self.scenario.is_stopped || self.writers > WRITERS_WITHOUT_LANES
    }

    fn busy(&self) -> usize {
        self.charges.iter().filter(|charge| matches!(charge.refused, Some(Error::Busy))).count()
    }

    /// Whether the ledger contains each accepted charge once and no refused charge.
    fn is_charged_once(&self) -> bool {
        let mut times: HashMap<&str, u32> = HashMap::new();
        for entry in self.ledger.iter().filter(|entry| entry.kind() == Kind::Charge) {
            *times.entry(entry.key.as_ref().unwrap().as_str()).or_default() += 1;
        }
        self.charges.iter().all(|charge| {
            let times = times.get(charge.key.as_str()).copied().unwrap_or_default();
            match charge.refused {
                None => times == 1,
                Some(Error::Busy) => times <= 1,
                Some(_) => times == 0,
            }
        })
    }

    fn is_balanced(&self) -> bool {
        let entries = self.ledger.iter().map(|entry| entry.credits - entry.held);
        entries.sum::<i64>() == self.pool.balance.credits.gained()
    }

    fn sum_of(&self, kind: &Kind) -> u64 {
        let entries = self.ledger.iter().filter(|entry| entry.kind() == *kind);
        entries.map(|entry| entry.credits.unsigned_abs()).sum()
    }

    /// The free credits of the first grant after `spent` credits were spent.
    fn left_of_first(&self, spent: u64) -> u64 {
        (400 * u64::from(self.seats)).saturating_sub(spent)
    }

    fn granted(&self) -> u64 {
        (self.scenario.granted)(self.seats)
    }

    fn spent(&self) -> Spent {
        let (mut before, mut during, mut after) = (0, self.pool.held.get(), 0);
        for charge in self.charged() {
            let part = if charge.answered < self.begun {
                &mut before
            } else if charge.sent < self.finished {
                &mut during
            } else {
                &mut after
            };
            *part += charge.credits;
        }
        Spent { before, during, after }
    }

    /// The range of free credits after the run, if free credits are spent first. The minimum
    /// applies if all credits spent during the changes were spent after the grant, the maximum if
    /// before.
    fn free(&self) -> RangeInclusive<u64> {
        let Spent { before, during, after } = self.spent();
        let kept = |spent| if self.scenario.lapses { 0 } else { self.left_of_first(spent) };
        let least = (kept(before) + self.granted()).saturating_sub(during + after);
        let most = (kept(before + during) + self.granted()).saturating_sub(after);
        least..=most
    }

    /// The range of free credits that expire, if free credits are spent first.
    fn lapsed(&self) -> RangeInclusive<u64> {
        let Spent { before, during, .. } = self.spent();
        if !self.scenario.lapses {
            return 0..=0;
        }
        self.left_of_first(before + during)..=self.left_of_first(before)
    }
}
