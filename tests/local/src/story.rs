//! `cargo run -- story`: a year of the demo team on the real functions. Each cause is printed with the
//! events that it led to, then the statements.

use std::fmt::Write as _;
use std::io::Write;

use console::style;
use engine::Engine;
use jiff::ToSpan;
use jiff::civil::Date;
use serde_json::{Value, json};
use shared::domain::catalogue::Catalogue;
use shared::domain::catalogue::price_list::PriceList;
use shared::domain::catalogue::prices::Price;
use shared::domain::hold::HoldRequest;
use shared::domain::ids::{CallerKey, TeamId, UserId};
use shared::domain::purchase::{GiftRequest, Purchase};
use shared::domain::settings::{AutoTopUp, Settings};
use shared::domain::statement::Statement;
use shared::domain::time::Time;
use shared::domain::{Credits, Error};
use shared::lambda::App;

use crate::catalogue::sample;
use crate::clock::StackClock;
use crate::eventbridge::{Delivered, EventBridge};
use crate::payments::purchase_state;
use crate::relaying::Relaying;
use crate::{Failure, demo};

const DAYS: i64 = 365;

/// The number of actions that are charged once a week.
const WEEKLY_ACTIONS: usize = 4;

const HEADING: &str = "A year of the team demo";

const LEGEND: &str = "\
Causes start in the second column; the events that they lead to are indented.
change: credits gained or lapsed. left: credits that the team can spend.
";

const COLUMNS: &str = "day         cause / event             change   left  details";

const STATEMENT_COLUMNS: &str =
    "cycle                      granted   spent  of free  bought  gifted  lapsed";

struct Year<'a> {
    app: App,
    clock: StackClock,
    relaying: Relaying,
    delivered: Delivered,
    events_read: usize,
    team: TeamId,
    out: &'a mut dyn Write,
}

/// Runs a year of the demo team from `begin` on, and writes it line by line.
///
/// # Errors
/// [`Failure`]; [`Failure::Output`] ends the story at once.
pub async fn story(begin: Date, catalogue: Catalogue, out: &mut dyn Write) -> Result<(), Failure> {
    let engine = Engine::start(None, 0).await?;
    let clock = StackClock::new(Some(Time::start_of(begin)), true);
    let app = App::new(engine.store(), clock.clone().into(), catalogue);
    let eventbridge = EventBridge::start(0).await?;
    let purchase = purchase_state(app.clone());
    let relaying = Relaying::new(purchase, engine.records()?, &eventbridge)?;
    let (delivered, team) = (eventbridge.delivered(), demo::team()?);
    let mut year = Year { app, clock, relaying, delivered, events_read: 0, team, out };
    let heading = format!("{HEADING}, from {begin}");
    writeln!(year.out, "{}\n{LEGEND}\n{COLUMNS}", style(heading).bold())?;
    for number in 0..DAYS {
        let day = begin.saturating_add(number.days());
        year.clock.advance(Time::start_of(day))?;
        Box::pin(year.live(number, day)).await?;
    }
    year.statements().await
}

impl Year<'_> {
    /// Runs the schedule of a day, then its decision, its charges, and the answer to a refusal.
    async fn live(&mut self, number: i64, day: Date) -> Result<(), Failure> {
        refill::run(&self.app, None).await;
        let events = self.new_events().await?;
        if let Some(cause) = cause_of_schedule(&events) {
            self.write(cause, &events)?;
        }
        if let Some(decision) = self.decide(number).await? {
            self.report(&decision).await?;
        }
        let catalogue = self.app.catalogue.clone();
        let (charges, all_paid) = self.charges(catalogue.at(day), number, day).await?;
        let events = self.new_events().await?;
        if !events.is_empty() {
            self.write(&charges, &events)?;
        }
        if !all_paid {
            let now = self.app.clock.now();
            self.buy(500, day, now).await?;
            self.report("ada buys 500 credits").await?;
            match self.app.store.enrichment_restart(&self.team, catalogue.at(day), now).await {
                Ok(_) => self.report("ada restarts enrichment").await?,
                // Only actions that do not pause were refused.
                Err(Error::NothingToRestart) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    /// Charges the first action each day and the next ones once a week. Returns the charges in words, and
    /// whether all were accepted.
    async fn charges(
        &self,
        list: &PriceList,
        number: i64,
        day: Date,
    ) -> Result<(String, bool), Error> {
        let first = sample::action(list)?;
        let units = number.rem_euclid(5).unsigned_abs().saturating_add(1);
        let mut all_paid = self.charge(first, sample::outcome(first), units, day).await?;
        if let Some(free) = first.free.first() {
            all_paid &= self.charge(first, free, 2, day).await?;
        }
        let mut charges = format!("max charges {} ({units})", first.name);
        let weekly = sample::actions(list).filter(|price| price.name != first.name);
        for price in weekly.take(WEEKLY_ACTIONS).filter(|_| number.rem_euclid(7) == 3) {
            let quantity =
                price.rounding.as_ref().map_or(1, |it| it.per_unit.get().saturating_mul(5) / 2);
            all_paid &= self.charge(price, sample::outcome(price), quantity, day).await?;
            let _ = write!(charges, ", {} ({quantity})", price.name);
        }
        Ok((charges, all_paid))
    }

    /// Makes the decision of a day, and returns it in words.
    async fn decide(&mut self, number: i64) -> Result<Option<String>, Error> {
        let now = self.app.clock.now();
        let list = self.app.prices(now);
        let plan = &sample::plan(list)?.name;
        Ok(Some(match number {
            0 => {
                demo::open(&self.app).await?;
                format!("billing starts the plan {plan} with 1 seat")
            }
            10 => {
                let Some(month) = list.month() else { return Ok(None) };
                let account = parsed("globex")?;
                self.app.store.monitored_account_add(&self.team, &account, list, now).await?;
                format!(
                    "ada has the account globex monitored, for {} credits a month",
                    month.credits
                )
            }
            45 => {
                self.gift(100, now).await?;
                "support gives 100 credits".to_owned()
            }
            60 => {
                self.hold(50, now).await?;
                "the pipeline holds 50 credits for two days, and stops".to_owned()
            }
            100 => {
                self.billing("changed", json!({ "plan": plan, "seats": 2, "version": 2 })).await?;
                "billing adds a seat, now 2".to_owned()
            }
            200 => {
                self.billing("cancelled", json!({ "version": 3 })).await?;
                "billing cancels the plan; its free credits lapse at the end of the cycle"
                    .to_owned()
            }
            240 => {
                let again = json!({ "plan": plan, "seats": 1, "version": 4, "started_at": now });
                self.billing("changed", again).await?;
                "billing starts the plan again with 1 seat".to_owned()
            }
            250 => {
                self.set_auto_top_up(now).await?;
                "ada turns automatic top-ups on: 300 below 100, at most 600 a month".to_owned()
            }
            _ => return Ok(None),
        }))
    }

    /// Returns whether a charge was accepted.
    async fn charge(
        &self,
        price: &Price,
        outcome: &str,
        quantity: u64,
        day: Date,
    ) -> Result<bool, Error> {
        let action = &price.name;
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
        let offer = self.app.prices(now).offer(Credits::new(credits))?;
        let order = Purchase::new(&self.team, key, user, offer, now);
        let (begun, _) = self.app.store.purchase_begin(&order).await?;
        self.app.store.purchase_settle(&begun, now).await.map(drop)
    }

    async fn set_auto_top_up(&self, now: Time) -> Result<(), Error> {
        let [below, credits, monthly_limit] = [100, 300, 600].map(Credits::new);
        let auto_top_up = Some(AutoTopUp { below, credits, monthly_limit });
        let settings = Settings { auto_top_up, ..Settings::default() };
        self.app.store.settings_change(&self.team, &settings.into(), now).await.map(drop)
    }

    async fn gift(&self, credits: u64, now: Time) -> Result<(), Error> {
        let gift = GiftRequest { credits: Credits::new(credits), reference: None };
        let gift = gift.entry(&self.team, machine_key("ticket 7")?, parsed("support")?, now)?;
        self.app.store.gift_add(gift).await.map(drop)
    }

    /// Takes a hold that is never released, so it expires.
    async fn hold(&self, credits: u64, now: Time) -> Result<(), Error> {
        let hold = json!({ "credits": credits, "expires_in": 2 * 24 * 60 * 60 });
        let hold: HoldRequest = serde_json::from_value(hold).map_err(Error::internal)?;
        let (key, user) = (machine_key("job 9")?, parsed("pipeline")?);
        let entry = hold.entry(&self.team, key, user, now)?.sized(self.app.prices(now))?;
        self.app.store.hold_take(entry, now).await.map(drop)
    }

    /// Sends a message of billing, `subscription.changed` or `subscription.cancelled`.
    async fn billing(&self, kind: &str, fields: Value) -> Result<(), Error> {
        let mut detail = json!({ "team": self.team });
        if let (Some(detail), Value::Object(fields)) = (detail.as_object_mut(), fields) {
            detail.extend(fields);
        }
        let message = json!({ "detail-type": format!("subscription.{kind}"), "detail": detail });
        let message = message.to_string();
        let applied = team::apply_message(&self.app, message.as_bytes());
        Box::pin(applied).await.map(drop)
    }

    /// Writes a cause and the events since the last one.
    async fn report(&mut self, cause: &str) -> Result<(), Failure> {
        let events = self.new_events().await?;
        self.write(cause, &events)
    }

    fn write(&mut self, cause: &str, events: &[Value]) -> Result<(), Failure> {
        writeln!(self.out, "{}  {}", self.clock.now().day(), style(cause).bold())?;
        events.iter().try_for_each(|event| writeln!(self.out, "{}", event_line(event)))?;
        Ok(())
    }

    /// Returns the events that were not read before, without the single charges.
    async fn new_events(&mut self) -> Result<Vec<Value>, Failure> {
        self.relaying.catch_up().await?;
        let mut events = self.delivered.events_after(self.events_read);
        self.events_read = self.events_read.saturating_add(events.len());
        events.retain(|event| kind(event) != "credits.charged");
        Ok(events)
    }

    /// Writes the statements and the balance at the end of the year.
    async fn statements(&mut self) -> Result<(), Failure> {
        writeln!(self.out, "\n{}\n\n{STATEMENT_COLUMNS}", style("Statements, in credits").bold())?;
        let statements = self.app.store.statement_list(&self.team, None).await?;
        statements.iter().try_for_each(|it| writeln!(self.out, "{}", statement_line(it)))?;
        let pool = self.app.store.projection_read(&self.team, self.app.clock.now()).await?.pool;
        let (free, purchased) = (pool.balance.free(), pool.balance.purchased());
        writeln!(self.out, "\nleft: {free} free and {purchased} purchased credits")?;
        Ok(())
    }
}

/// Returns why the schedule has caused these events; `None` without an event.
fn cause_of_schedule(events: &[Value]) -> Option<&'static str> {
    Some(match kind(events.first()?) {
        "hold.expired" => "a hold expires and is returned",
        "credits.refilled" | "credits.expired" => "a cycle ends",
        _ => "the month of a monitored account is charged",
    })
}

fn kind(event: &Value) -> &str {
    text(event, "/detail-type")
}

fn statement_line(statement: &Statement) -> String {
    let Statement { start, end, credits, .. } = statement;
    let lapsed = credits.expired.unwrap_or_default();
    format!(
        "{start} to {end}  {:>8}{:>8}{:>9}{:>8}{:>8}{lapsed:>8}",
        credits.granted, credits.spent, credits.free_spent, credits.purchased, credits.gifted
    )
}

/// Returns an event as a line: its day, its kind, its credits as a change or as the rest, its details.
fn event_line(event: &Value) -> String {
    let day = text(event, "/detail/at");
    let (day, kind) = (day.get(..10).unwrap_or_default(), kind(event));
    let credits = event.pointer("/detail/credits").map(Value::to_string).unwrap_or_default();
    let (change, left) = match kind {
        "credits.refilled" | "credits.purchased" | "credits.gifted" | "hold.expired" => {
            (format!("+{credits}"), String::new())
        }
        "credits.expired" => (format!("-{credits}"), String::new()),
        _ => (String::new(), credits),
    };
    let padded = style(format!("{kind:<22}"));
    let kind = match kind {
        "credits.refused" | "credits.depleted" | "enrichment.paused" => padded.red(),
        "credits.low" | "credits.expired" | "top-up.due" | "hold.expired" => padded.yellow(),
        _ => padded.green(),
    };
    let line = format!("{day}    {kind} {change:>7} {left:>6}  {}", details(event).join(", "));
    line.trim_end().to_owned()
}

/// Returns the fields of an event that explain it, such as `threshold 100`.
fn details(event: &Value) -> Vec<String> {
    let names = ["threshold", "required", "below", "top_up", "action", "plan", "account", "reason"];
    let detail = |name: &str| match event.pointer(&format!("/detail/{name}"))? {
        Value::Null | Value::Bool(false) => None,
        Value::Bool(true) => Some(name.to_owned()),
        Value::String(text) => Some(format!("{name} {text}")),
        value @ (Value::Number(_) | Value::Array(_) | Value::Object(_)) => {
            Some(format!("{name} {value}"))
        }
    };
    names.into_iter().filter_map(detail).collect()
}

fn text<'a>(event: &'a Value, pointer: &str) -> &'a str {
    event.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
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
