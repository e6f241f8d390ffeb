//! Random operations.

use std::collections::HashSet;

use proptest::prelude::*;
use proptest::test_runner::TestRunner;
use shared::store::batch::CHARGES_PER_WRITE_MAX;

use super::operations::{Charge, Operation, Size, Told, TopUp};
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
        Charge { key, action, outcome, quantity, hold }
    })
}

/// Runs 32 times `factor` random lives; `PROPTEST_CASES` asks for more or fewer than its 256.
pub fn runner(factor: u32) -> TestRunner {
    runs(ProptestConfig::default().cases * factor / 8)
}

/// Runs a tenth as many lives, which are ten times as long.
pub fn long_runner(factor: u32) -> TestRunner {
    runs(ProptestConfig::default().cases * factor / 80)
}

pub fn runs(cases: u32) -> TestRunner {
    let default = ProptestConfig::default();
    // A failure is cut down to something readable, but not for longer than it takes to find it.
    let max_shrink_iters = 300;
    TestRunner::new(ProptestConfig {
        cases,
        max_shrink_iters,
        failure_persistence: None,
        ..default
    })
}

/// A life: mostly charges, in a plan that is there from the start more often than not.
pub fn life() -> impl Strategy<Value = Vec<Operation>> {
    prop::collection::vec(operation(), 1..60).prop_map(numbered)
}

/// The most seats of a team in a long life.
pub const SEATS_MAX: u8 = 250;

/// The most epochs with a hold of their own in a long life. A pool tells 100 apart.
pub const EPOCHS_WITH_A_HOLD_MAX: u8 = 80;

/// The keys of the holds in a long life.
pub const LONG_HOLDS: std::ops::Range<u16> = 1_000..1_400;

/// A part of a long life.
#[derive(Clone, Debug)]
pub enum Chapter {
    /// Seats are added one by one. Before each, charges bring the pool below the mark; after some, a
    /// hold is taken.
    Seats(Vec<(u16, Option<Operation>)>),
    Other(Vec<Operation>),
}

/// A life with long series of seats that are added below the mark, and with hundreds of open holds.
pub fn long_life() -> impl Strategy<Value = Vec<Operation>> {
    let seat = (0..120_u16, prop::option::weighted(0.3, long_hold()));
    let capture = (charge(), LONG_HOLDS).prop_map(|(charge, hold)| Charge {
        quantity: 1,
        hold: Some(hold),
        ..charge
    });
    let release =
        (5_000..6_000_u16, LONG_HOLDS).prop_map(|(key, hold)| Operation::Release { key, hold });
    let chapter = prop_oneof![
        2 => prop::collection::vec(seat, 5..60).prop_map(Chapter::Seats),
        2 => prop::collection::vec(long_hold(), 20..200).prop_map(Chapter::Other),
        1 => prop::collection::vec(capture, 20..99)
            .prop_map(|captures| Chapter::Other(vec![Operation::Charge(captures)])),
        1 => prop::collection::vec(release, 5..50).prop_map(Chapter::Other),
        3 => prop::collection::vec(operation(), 1..8).prop_map(Chapter::Other),
    ];
    prop::collection::vec(chapter, 3..9).prop_map(|chapters| numbered(told(chapters)))
}

pub fn long_hold() -> impl Strategy<Value = Operation> {
    let size = prop_oneof![
        (1..60_u16).prop_map(Size::Credits),
        (1..4_u16, any::<bool>()).prop_map(|(leads, phones)| Size::Leads { leads, phones }),
    ];
    (LONG_HOLDS, size, 1..46_u8).prop_map(|(key, size, days)| Operation::Hold { key, size, days })
}

pub fn told(chapters: Vec<Chapter>) -> Vec<Operation> {
    let mut life = vec![subscribed(1), Operation::Purchase { key: 999, credits: u16::MAX }];
    let (mut seats, mut holds, mut keys) = (1, 0, 2_000..);
    for chapter in chapters {
        match chapter {
            Chapter::Other(operations) => life.extend(operations),
            Chapter::Seats(added) => {
                for (quantity, hold) in added {
                    if seats == SEATS_MAX {
                        break;
                    }
                    seats += 1;
                    life.extend(keys.next().filter(|_| quantity > 0).map(|key| {
                        let (action, outcome) = ("sms", "sent");
                        let charge = Charge { key, action, outcome, quantity, hold: None };
                        Operation::Charge(vec![charge])
                    }));
                    life.push(subscribed(seats));
                    if let Some(hold) = hold.filter(|_| holds < EPOCHS_WITH_A_HOLD_MAX) {
                        holds += 1;
                        life.push(hold);
                    }
                }
            }
        }
    }
    life
}

pub fn subscribed(seats: u8) -> Operation {
    Operation::Subscribe { plan: "multichannel_expert", seats, restart: false }
}

/// A year of a team, day by day.
#[derive(Clone, Debug)]
pub struct Year {
    pub begin: Day,
    /// Whether the schedule runs whenever time has passed. Where it hardly ever does, holds that have
    /// expired may be given back after something else is charged: so credits may seem low that are not.
    pub is_diligent: bool,
    pub life: Vec<Operation>,
}

pub fn year() -> impl Strategy<Value = Year> {
    let begin = vec![(2027, 1, 29), (2027, 8, 31), (2027, 12, 30), (2028, 1, 31), (2028, 2, 29)];
    let days = prop::collection::vec((0..8_u8, operation()), 140..160);
    (prop::sample::select(begin), any::<bool>(), days).prop_map(|(begin, is_diligent, days)| {
        let steps =
            days.into_iter().flat_map(|(days, operation)| [Operation::Wait(days), operation]);
        let mut life = Vec::new();
        let mut passed = 0;
        for step in steps {
            if passed >= 366 {
                break;
            }
            let days = if let Operation::Wait(days) = step { days } else { 0 };
            passed += u32::from(days);
            life.push(match step {
                Operation::Choose { low, .. } if !is_diligent => {
                    Operation::Choose { low, top_up: None }
                }
                Operation::Charge(charges) => Operation::Charge(in_one_write(charges)),
                step => step,
            });
            life.extend((is_diligent && days > 0).then_some(Operation::Refill));
        }
        Year { begin, is_diligent, life: numbered(life) }
    })
}

/// The charges of a batch that the store makes in one write for each payer. A process that dies between
/// two writes leaves a part of the batch to the next process, which meets another balance.
pub fn in_one_write(mut charges: Vec<Charge>) -> Vec<Charge> {
    let mut keys = HashSet::new();
    charges.retain(|charge| keys.insert(charge.key));
    charges.truncate(CHARGES_PER_WRITE_MAX);
    charges
}

/// Messages have versions in the order in which they were sent, and come a few places earlier or
/// later.
pub fn numbered(mut life: Vec<Operation>) -> Vec<Operation> {
    for (place, operation) in life.iter_mut().enumerate() {
        if let Operation::Tell { version, .. } = operation {
            *version += place as u64;
        }
    }
    life
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
    let told = prop_oneof![
        4 => subscribe.clone()
            .prop_map(|(plan, seats, restart)| Told::Changed { plan, seats, restart }),
        1 => Just(Told::Cancelled),
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
        3 => (0..12_u64, told).prop_map(|(version, told)| Operation::Tell { version, told }),
        3 => (0..500_u16, prop::option::weighted(0.8, top_up))
            .prop_map(|(low, top_up)| Operation::Choose { low, top_up }),
        5 => (1..50_u8).prop_map(Operation::Wait),
        2 => Just(Operation::Refill),
        1 => prop::bool::weighted(0.1).prop_map(|close| if close { Operation::Close } else { Operation::Wait(90) }),
    ]
}
