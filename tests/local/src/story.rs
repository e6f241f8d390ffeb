//! `cargo run -- story`: a year of the demo team, day by day, on the real functions; and what other
//! systems and the team itself are told of it.

use std::fmt::Write;

use engine::Engine;
use jiff::ToSpan;
use jiff::civil::Date;
use serde_json::{Value, json};
use shared::domain::catalogue::prices::price_list;
use shared::domain::hold::HoldRequest;
use shared::domain::ids::{CallerKey, TeamId, UserId};
use shared::domain::limits::PurchaseLimits;
use shared::domain::purchase::{GiftRequest, Purchase};
use shared::domain::settings::{AutoTopUp, Settings};
use shared::domain::statement::Statement;
use shared::domain::time::Time;
use shared::domain::{Credits, Error};
use shared::lambda::App;

use crate::clock::StackClock;
use crate::eventbridge::{Delivered, EventBridge};
use crate::payments::purchase_state;
use crate::relaying::Relaying;
use crate::{Failure, demo};

/// How many days it takes.
const DAYS: i64 = 365;

struct Year {
    app: App,
    clock: StackClock,
    relaying: Relaying,
    delivered: Delivered,
    told: usize,
    team: TeamId,
}

/// Lives a year from a day on, and tells it line by line.
///
/// # Errors
/// [`Failure`].
pub async fn story(begin: Date, mut tell: impl FnMut(&str)) -> Result<(), Failure> {
    let engine = Engine::start(None, 0).await?;
    let clock = StackClock::new(Some(Time::start_of(begin)), true);
    let app = App::new(engine.store(), clock.clone().into());
    demo::open(&app).await?;
    let eventbridge = EventBridge::start(0).await?;
    let purchase = purchase_state(app.clone(), PurchaseLimits::default());
    let relaying = Relaying::new(purchase, engine.records()?, &eventbridge)?;
    let delivered = eventbridge.delivered();
    let mut year = Year { app, clock, relaying, delivered, told: 0, team: demo::team()? };
    for number in 0..DAYS {
        let day = begin.saturating_add(number.days());
        year.clock.advance(Time::start_of(day))?;
        refill::run(&year.app, None).await;
        Box::pin(year.live(number, day)).await?;
        year.relaying.catch_up().await?;
        for line in year.news() {
            tell(&line);
        }
    }
    for line in year.accounts().await? {
        tell(&line);
    }
    Ok(())
}

impl Year {
    /// What happens on a day; the schedule has run before it.
    async fn live(&mut self, number: i64, day: Date) -> Result<(), Error> {
        let now = self.app.clock.now();
        match number {
            10 => drop(
                self.app.store.monitored_account_add(&self.team, &parsed("globex")?, now).await?,
            ),
            45 => self.gift(100, now).await?,
            60 => self.hold(50, now).await?,
            100 => self.billing("changed", json!({ "seats": 2, "version": 2 })).await?,
            200 => self.billing("cancelled", json!({ "version": 3 })).await?,
            240 => {
                let again = json!({ "seats": 1, "version": 4, "started_at": now });
                self.billing("changed", again).await?;
            }
            250 => self.top_up_by_itself(now).await?,
            _ => {}
        }
        let leads = number.rem_euclid(5).saturating_add(1);
        let mut all_paid = self.charge("email_finder", "deliverable", leads, day).await?;
        all_paid &= self.charge("email_finder", "not_found", 2, day).await?;
        if number.rem_euclid(7) == 3 {
            all_paid &= self.charge("phone_finder", "valid", 1, day).await?;
            all_paid &= self.charge("call", "answered", 150, day).await?;
        }
        if !all_paid {
            self.buy(500, day, now).await?;
            // Nothing is to be restarted where calls only were too much.
            let restarted = self.app.store.enrichment_restart(&self.team, now).await;
            match restarted {
                Ok(_) | Err(Error::NothingToRestart) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Whether a charge was paid.
    async fn charge(
        &self,
        action: &str,
        outcome: &str,
        quantity: i64,
        day: Date,
    ) -> Result<bool, Error> {
        let charge = json!({
            "team": self.team, "key": format!("{action} {outcome} {day}"), "user": "max",
            "action": action, "outcome": outcome, "quantity": quantity,
        });
        let answer = charge::charge_directly(&self.app, charge.to_string().as_bytes()).await?;
        Ok(!matches!(answer, charge::Answer::Refused { .. }))
    }

    async fn buy(&self, credits: u64, day: Date, now: Time) -> Result<(), Error> {
        let user: UserId = parsed("ada")?;
        let key = CallerKey::of_person(parsed(&format!("order {day}"))?, user.clone());
        let order = Purchase::new(&self.team, key, user, Credits::new(credits), now);
        let (begun, _) = self.app.store.purchase_begin(&order).await?;
        self.app.store.purchase_settle(&begun, now).await.map(drop)
    }

    /// From now on more is bought before credits run out.
    async fn top_up_by_itself(&self, now: Time) -> Result<(), Error> {
        let [below, credits, monthly_limit] = [100, 300, 600].map(Credits::new);
        let auto_top_up = Some(AutoTopUp { below, credits, monthly_limit });
        let settings = Settings { auto_top_up, ..Settings::default() };
        self.app.store.settings_put(&self.team, &settings, now).await.map(drop)
    }

    async fn gift(&self, credits: u64, now: Time) -> Result<(), Error> {
        let gift = GiftRequest { credits: Credits::new(credits), reference: None };
        let gift = gift.entry(&self.team, machine_key("ticket 7")?, parsed("support")?, now)?;
        self.app.store.gift_add(gift).await.map(drop)
    }

    /// A job that dies and never comes back for what it has reserved.
    async fn hold(&self, credits: u64, now: Time) -> Result<(), Error> {
        let hold = json!({ "credits": credits, "expires_in": 2 * 24 * 60 * 60 });
        let hold: HoldRequest = serde_json::from_value(hold).map_err(Error::internal)?;
        let (key, user) = (machine_key("job 9")?, parsed("pipeline")?);
        let entry = hold.entry(&self.team, key, user, now)?.sized(price_list(now)?)?;
        self.app.store.hold_take(entry, now).await.map(drop)
    }

    async fn billing(&self, what: &str, more: Value) -> Result<(), Error> {
        let mut detail = json!({ "team": self.team });
        if what == "changed" {
            detail = json!({ "team": self.team, "plan": "multichannel_expert" });
        }
        if let (Some(detail), Value::Object(more)) = (detail.as_object_mut(), more) {
            detail.extend(more);
        }
        let message = json!({ "detail-type": format!("subscription.{what}"), "detail": detail });
        let message = message.to_string();
        let taken_in = team::take_in(&self.app, message.as_bytes());
        Box::pin(taken_in).await.map(drop)
    }

    /// What has gone out to other systems since it was last asked for, but for single charges.
    fn news(&mut self) -> Vec<String> {
        let events = self.delivered.events_after(self.told);
        self.told = self.told.saturating_add(events.len());
        let is_charge = |event: &&Value| {
            event.pointer("/detail-type").and_then(Value::as_str) == Some("credits.charged")
        };
        events.iter().filter(|event| !is_charge(event)).map(line).collect()
    }

    /// The statements, and how the team stands in the end.
    async fn accounts(&self) -> Result<Vec<String>, Error> {
        let mut lines = vec![HEAD.to_owned()];
        let statements = self.app.store.statement_list(&self.team, None).await?;
        lines.extend(statements.iter().map(row));
        let pool = self.app.store.projection_read(&self.team, self.app.clock.now()).await?.pool;
        let (free, purchased) = (pool.balance.free(), pool.balance.purchased());
        lines.push(format!("and {free} free and {purchased} purchased credits are left"));
        Ok(lines)
    }
}

const HEAD: &str = "cycle                      granted   spent  of free  bought  gifted  lapsed";

fn row(statement: &Statement) -> String {
    let Statement { start, end, credits, .. } = statement;
    let lapsed = credits.expired.unwrap_or_default();
    format!(
        "{start} to {end}  {:>8}{:>8}{:>9}{:>8}{:>8}{lapsed:>8}",
        credits.granted, credits.spent, credits.free_spent, credits.purchased, credits.gifted
    )
}

/// An event in a line: the day, the kind, and what it is about.
fn line(event: &Value) -> String {
    let text = |path: &str| event.pointer(path).and_then(Value::as_str).unwrap_or_default();
    let day = text("/detail/at").get(..10).unwrap_or_default();
    let mut line = format!("{day}  {:<22}", text("/detail-type"));
    let about =
        ["credits", "threshold", "required", "below", "top_up", "action", "plan", "account"];
    for name in about {
        match event.pointer(&format!("/detail/{name}")) {
            Some(Value::Null | Value::Bool(false)) | None => {}
            Some(value) => {
                let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
                write!(line, " {name} {value}").ok();
            }
        }
    }
    line
}

fn machine_key(text: &str) -> Result<CallerKey, Error> {
    parsed(text).map(CallerKey::of_machine)
}

fn parsed<T: std::str::FromStr>(text: &str) -> Result<T, Error>
where
    T::Err: std::fmt::Display,
{
    text.parse().map_err(|error| Error::internal(format!("{error}")))
}
