//! Teams and requests.

use engine::{catalogue, prices};
use shared::domain::Credits;
use shared::domain::catalogue::action_code::ActionCode;
use shared::domain::catalogue::price_list::PriceList;
use shared::domain::catalogue::prices::Price;
use shared::domain::charge::ChargeRequest;
use shared::domain::hold::HoldRequest;
use shared::domain::ids::{AccountId, CallerKey, Id, TeamId};
use shared::domain::ledger::entry::{Details, Entry};
use shared::domain::purchase::{GiftRequest, Purchase};
use shared::domain::settings::{AutoTopUp, Settings};
use shared::domain::subscription::SubscriptionRequest;
use shared::domain::time::Time;
use shared::store::Store;
use shared::store::history::Selection;

use super::operations::{Charge, Size, TopUp};

pub fn now() -> Time {
    "2027-01-10T12:00:00Z".parse().unwrap()
}

/// A team with 400 free and `purchased` purchased credits.
pub async fn team_with(store: &Store, name: &str, purchased: u64) -> TeamId {
    let team: TeamId = name.parse().unwrap();
    store.pool_open(&team).await.unwrap();
    let request = serde_json::from_str(r#"{"plan":"multichannel_expert"}"#).unwrap();
    store
        .terms_change(&team, now(), |pool| pool.subscribe(&request, &catalogue(), now()))
        .await
        .unwrap();
    if purchased > 0 {
        let gift = GiftRequest { credits: Credits::new(purchased), reference: None };
        let gift = gift.entry(&team, key_named("the gift"), "u".parse().unwrap(), now()).unwrap();
        store.gift_add(gift).await.unwrap();
    }
    team
}

pub fn charge(team: &TeamId, key: &str, action: &str, outcome: &str) -> Entry {
    charge_of(team, key_named(key), action, outcome)
}

pub fn charge_of(team: &TeamId, key: CallerKey, action: &str, outcome: &str) -> Entry {
    charge_at(prices(), team, key, action, outcome)
}

pub fn charge_at(
    list: &PriceList,
    team: &TeamId,
    key: CallerKey,
    action: &str,
    outcome: &str,
) -> Entry {
    let body = format!(r#"{{"action":"{action}","outcome":"{outcome}"}}"#);
    let request: ChargeRequest = serde_json::from_str(&body).unwrap();
    let entry = request.price(team, key, None, list, now()).unwrap();
    Entry { names_no_user: false, ..entry }
}

/// A charge of each action of a catalogue with as many actions as there can be.
pub fn charges_of_40_actions(team: &TeamId, key: &str) -> Vec<Entry> {
    let mut list = prices().clone();
    let first = list.actions[0].clone();
    for letter in (b'a'..=b'z').map(char::from).take(40 - list.actions.len()) {
        let (name, code) = (format!("action_{letter}"), ActionCode::of(&format!("z{letter}")));
        list.actions.push(Price { name, code: code.unwrap(), ..first.clone() });
    }
    assert_eq!(list.actions.len(), 40);
    let charge = |price: &Price| {
        let key = key_named(&format!("{key} {}", price.name));
        charge_at(&list, team, key, &price.name, &price.charged[0])
    };
    list.actions.iter().map(charge).collect()
}

/// An entry as it is read.
pub fn stored(entry: &Entry) -> Entry {
    Entry { metering: None, ..entry.clone() }
}

/// The same charge of another quantity.
pub fn with_quantity(mut charge: Entry, quantity: u64) -> Entry {
    let charged = charge.charged_mut().unwrap();
    charged.quantity = quantity;
    let price = prices().price(&charged.action).unwrap();
    Entry { metering: Some(price.metering(quantity)), ..charge }
}

/// The same charge as a capture from a hold.
pub fn capture(charge: Entry, hold: &Id) -> Entry {
    let (hold, charged) = (hold.clone(), charge.charged().unwrap().clone());
    let details = Details::Capture { hold, charged };
    Entry { held: charge.credits, details, ..charge }
}

pub async fn all_entries(store: &Store, team: &TeamId) -> Vec<Entry> {
    store.history_list(team, &Selection::default(), None, 100_000).await.unwrap().entries
}

/// The key of a machine client.
pub fn key_named(text: &str) -> CallerKey {
    CallerKey::of_machine(text.parse().unwrap())
}

/// An order of credits.
pub fn order(team: &TeamId, key: CallerKey, credits: u64, now: Time) -> Purchase {
    let offer = prices().offer(Credits::new(credits)).unwrap();
    Purchase::new(team, key, "u".parse().unwrap(), offer, now)
}

/// The key of a machine client or of one of two persons, all with the same texts.
pub fn key(number: u16) -> CallerKey {
    let key = format!("k{}", number / 3).parse().unwrap();
    match number % 3 {
        0 => CallerKey::of_machine(key),
        1 => CallerKey::of_person(key, "ann".parse().unwrap()),
        _ => CallerKey::of_person(key, "ben".parse().unwrap()),
    }
}

pub fn hold_id(team: &TeamId, number: u16) -> Id {
    Id::of("h", team, &key(number).source())
}

pub fn priced(charge: &Charge, team: &TeamId, now: Time) -> Entry {
    let request = ChargeRequest {
        team: None,
        key: None,
        action: charge.action.to_owned(),
        quantity: charge.quantity.into(),
        outcome: Some(charge.outcome.to_owned()),
        user: None,
        reference: None,
        own_key: false,
        hold: charge.hold.map(|hold| hold_id(team, hold)),
    };
    request.price(team, key(charge.key), None, prices(), now).unwrap()
}

pub fn hold_entry(team: &TeamId, number: u16, size: Size, days: u8, now: Time) -> Entry {
    let (credits, leads, actions) = match size {
        Size::Credits(credits) => (Some(Credits::new(credits.into())), None, None),
        Size::Leads { leads, phones } => {
            let phones = phones.then(|| "phone_finder".to_owned());
            let actions = std::iter::once("email_finder".to_owned()).chain(phones).collect();
            (None, Some(leads.into()), Some(actions))
        }
    };
    let request = HoldRequest {
        credits,
        leads,
        actions,
        expires_in: u32::from(days) * 24 * 60 * 60,
        reference: None,
    };
    let entry = request.entry(team, key(number), "u".parse().unwrap(), now).unwrap();
    entry.sized(prices()).unwrap()
}

pub fn subscription(plan: &str, seats: u8, restart: bool, now: Time) -> SubscriptionRequest {
    let started_at = if restart { format!(r#","started_at":"{now}""#) } else { String::new() };
    serde_json::from_str(&format!(r#"{{"plan":"{plan}","seats":{seats}{started_at}}}"#)).unwrap()
}

pub fn account_id(number: u8) -> AccountId {
    format!("a{number}").parse().unwrap()
}

pub fn settings(low: u16, top_up: Option<TopUp>) -> Settings {
    let credits = |credits: u16| Credits::new(credits.into());
    let auto_top_up = top_up.map(|top_up| AutoTopUp {
        below: credits(top_up.below),
        credits: credits(top_up.credits),
        monthly_limit: credits(top_up.limit),
    });
    Settings { low_balance_threshold: credits(low), auto_top_up }
}
