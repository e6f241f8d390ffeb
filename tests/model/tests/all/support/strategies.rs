//! Random operations.

use std::collections::HashSet;

use proptest::prelude::*;
use proptest::test_runner::TestRunner;
use shared::store::charge::CHARGES_PER_WRITE_MAX;

use super::operations::{BillingMessage, Charge, Operation, Size, TopUp};
use super::reference::Day;

pub fn charge() -> impl Strategy<Value = Charge> {
    let kinds = prop::sample::select(vec![
        ("email_finder", "deliverable"),
        ("email_finder", "not_found"),
        ("phone_finder", "valid"),
        ("call", "answered"),
        ("call", "unanswered"),
        ("sms", "sent"),
        ("signal_merger", "identified"),
    ]);
    let hold = prop::option::weighted(0.4, 60..70_u16);
    (0..40_u16, kinds, 1..150_u16, hold).prop_map(|(key, (action, outcome), quantity, hold)| {
        Charge { key, action, outcome, quantity, hold: hold.filter(|_| action != NOT_CAPTURED) }
    })
}

/// The action that no hold captures. With the counters of a fifth action a hold moves the others to the pool, which
/// then count in an earlier cycle than the reference computes.
const NOT_CAPTURED: &str = "signal_merger";

/// The number of cases: `PROPTEST_CASES`, or else a number for a fast run.
fn cases() -> u32 {
    let is_set = std::env::var("PROPTEST_CASES").is_ok();
    if is_set { ProptestConfig::default().cases } else { 48 }
}

/// A runner for an eighth of the [`cases`] times `factor`.
pub fn runner(factor: u32) -> TestRunner {
    runs(cases() * factor / 8)
}

/// A runner for a tenth of the cases of [`runner`], for series that are ten times as long.
pub fn long_runner(factor: u32) -> TestRunner {
    runs(cases() * factor / 80)
}

pub fn runs(cases: u32) -> TestRunner {
    let default = ProptestConfig::default();
    // Limits the time for shrinking a failed case.
    let max_shrink_iters = 300;
    TestRunner::new(ProptestConfig {
        cases,
        max_shrink_iters,
        failure_persistence: None,
        ..default
    })
}

/// A series of operations, mostly charges. The team has a plan from the start in most cases.
pub fn operations() -> impl Strategy<Value = Vec<Operation>> {
    prop::collection::vec(operation(), 1..60).prop_map(versioned)
}

/// The maximum number of seats in a long series.
pub const SEATS_MAX: u8 = 250;

/// The maximum number of epochs with a hold of their own in a long series. A pool distinguishes
/// 100.
pub const EPOCHS_WITH_A_HOLD_MAX: u8 = 80;

/// The keys of the holds in a long series.
pub const LONG_HOLDS: std::ops::Range<u16> = 1_000..1_400;

/// A section of a long series.
#[derive(Clone, Debug)]
pub enum Section {
    /// Seats are added one by one. Charges before each bring the pool below the mark; some are
    /// followed by a hold.
    Seats(Vec<(u16, Option<Operation>)>),
    Other(Vec<Operation>),
}

/// A series with many seats added below the mark and with hundreds of open holds.
pub fn long_series() -> impl Strategy<Value = Vec<Operation>> {
    let seat = (0..120_u16, prop::option::weighted(0.3, long_hold()));
    let capture = (charge(), LONG_HOLDS).prop_map(|(charge, hold)| Charge {
        quantity: 1,
        hold: (charge.action != NOT_CAPTURED).then_some(hold),
        ..charge
    });
    let release =
        (5_000..6_000_u16, LONG_HOLDS).prop_map(|(key, hold)| Operation::Release { key, hold });
    let section = prop_oneof![
        2 => prop::collection::vec(seat, 5..60).prop_map(Section::Seats),
        2 => prop::collection::vec(long_hold(), 20..200).prop_map(Section::Other),
        1 => prop::collection::vec(capture, 20..99)
            .prop_map(|captures| Section::Other(vec![Operation::Charge(captures)])),
        1 => prop::collection::vec(release, 5..50).prop_map(Section::Other),
        3 => prop::collection::vec(operation(), 1..8).prop_map(Section::Other),
    ];
    prop::collection::vec(section, 3..9).prop_map(|sections| versioned(joined(sections)))
}

pub fn long_hold() -> impl Strategy<Value = Operation> {
    let size = prop_oneof![
        (1..60_u16).prop_map(Size::Credits),
        (1..4_u16, any::<bool>()).prop_map(|(leads, phones)| Size::Leads { leads, phones }),
    ];
    (LONG_HOLDS, size, 1..46_u8).prop_map(|(key, size, days)| Operation::Hold { key, size, days })
}

fn joined(sections: Vec<Section>) -> Vec<Operation> {
    let mut operations = vec![subscribed(1), Operation::Purchase { key: 999, credits: u16::MAX }];
    let (mut seats, mut holds, mut keys) = (1, 0, 2_000..);
    for section in sections {
        match section {
            Section::Other(more) => operations.extend(more),
            Section::Seats(added) => {
                for (quantity, hold) in added {
                    if seats == SEATS_MAX {
                        break;
                    }
                    seats += 1;
                    operations.extend(keys.next().filter(|_| quantity > 0).map(|key| {
                        let (action, outcome) = ("sms", "sent");
                        let charge = Charge { key, action, outcome, quantity, hold: None };
                        Operation::Charge(vec![charge])
                    }));
                    operations.push(subscribed(seats));
                    if let Some(hold) = hold.filter(|_| holds < EPOCHS_WITH_A_HOLD_MAX) {
                        holds += 1;
                        operations.push(hold);
                    }
                }
            }
        }
    }
    operations
}

pub fn subscribed(seats: u8) -> Operation {
    Operation::Subscribe { plan: "multichannel_expert", seats, restart: false }
}

/// A year of a team, day by day.
#[derive(Clone, Debug)]
pub struct Year {
    pub begin: Day,
    /// Whether the schedule runs whenever time has passed. Otherwise expired holds may be returned
    /// after later charges, so that the balance is temporarily lower.
    pub is_diligent: bool,
    pub operations: Vec<Operation>,
}

pub fn year() -> impl Strategy<Value = Year> {
    let begin = vec![(2027, 1, 29), (2027, 8, 31), (2027, 12, 30), (2028, 1, 31), (2028, 2, 29)];
    let days = prop::collection::vec((0..8_u8, operation()), 140..160);
    (prop::sample::select(begin), any::<bool>(), days).prop_map(|(begin, is_diligent, days)| {
        let steps =
            days.into_iter().flat_map(|(days, operation)| [Operation::Wait(days), operation]);
        let mut operations = Vec::new();
        let mut passed = 0;
        for step in steps {
            if passed >= 366 {
                break;
            }
            let days = if let Operation::Wait(days) = step { days } else { 0 };
            passed += u32::from(days);
            operations.push(match step {
                Operation::PutSettings { low, .. } if !is_diligent => {
                    Operation::PutSettings { low, top_up: None }
                }
                Operation::Charge(charges) => Operation::Charge(in_one_write(charges)),
                step => step,
            });
            operations.extend((is_diligent && days > 0).then_some(Operation::RunSchedule));
        }
        Year { begin, is_diligent, operations: versioned(operations) }
    })
}

/// Keeps the charges that the store makes in one write for each payer. A process that stops between
/// two writes leaves a part of the batch to the next process, at another balance.
pub fn in_one_write(mut charges: Vec<Charge>) -> Vec<Charge> {
    let mut keys = HashSet::new();
    charges.retain(|charge| keys.insert(charge.key));
    charges.truncate(CHARGES_PER_WRITE_MAX);
    charges
}

/// Gives billing messages versions in the order of sending. They arrive a few places earlier or
/// later.
pub fn versioned(mut operations: Vec<Operation>) -> Vec<Operation> {
    for (place, operation) in operations.iter_mut().enumerate() {
        if let Operation::BillingMessage { version, .. } = operation {
            *version += place as u64;
        }
    }
    operations
}

pub fn operation() -> impl Strategy<Value = Operation> {
    let plan = prop::sample::select(vec![
        "free_trial",
        "email",
        "email_pro",
        "multichannel_expert",
        "enterprise",
    ]);
    let subscribe = (plan, 1..5_u8, any::<bool>());
    let message = prop_oneof![
        4 => subscribe.clone()
            .prop_map(|(plan, seats, restart)| BillingMessage::Changed { plan, seats, restart }),
        1 => Just(BillingMessage::Cancelled),
    ];
    let size = prop_oneof![
        3 => (1..400_u16).prop_map(Size::Credits),
        1 => (1..20_u16, any::<bool>()).prop_map(|(leads, phones)| Size::Leads { leads, phones }),
    ];
    let top_up = (1..600_u16, 100..400_u16, 400..1_500_u16)
        .prop_map(|(below, credits, limit)| TopUp { below, credits, limit });
    prop_oneof![
        11 => prop::collection::vec(charge(), 1..2).prop_map(Operation::Charge),
        6 => prop::collection::vec(charge(), 2..120).prop_map(Operation::Charge),
        3 => (0..60_u16, 1..900_u16).prop_map(|(key, credits)| Operation::Purchase { key, credits }),
        2 => (0..60_u16, 1..300_u16).prop_map(|(key, credits)| Operation::Gift { key, credits }),
        4 => subscribe.prop_map(|(plan, seats, restart)| Operation::Subscribe { plan, seats, restart }),
        4 => (60..70_u16, size, 1..40_u8)
            .prop_map(|(key, size, days)| Operation::Hold { key, size, days }),
        3 => (58..80_u16, 60..70_u16).prop_map(|(key, hold)| Operation::Release { key, hold }),
        1 => Just(Operation::Cancel),
        3 => Just(Operation::Restart),
        3 => (0..4_u8).prop_map(Operation::Monitor),
        1 => (0..5_u8).prop_map(Operation::StopMonitoring),
        3 => (0..12_u64, message).prop_map(|(version, message)| Operation::BillingMessage { version, message }),
        3 => (0..500_u16, prop::option::weighted(0.8, top_up))
            .prop_map(|(low, top_up)| Operation::PutSettings { low, top_up }),
        5 => (1..50_u8).prop_map(Operation::Wait),
        2 => Just(Operation::RunSchedule),
        1 => prop::bool::weighted(0.1).prop_map(|close| if close { Operation::Close } else { Operation::Wait(90) }),
    ]
}
