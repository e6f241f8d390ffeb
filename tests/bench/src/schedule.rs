//! The cost of the schedule on tables of different sizes.

use std::time::{Duration, Instant};

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::{PutRequest, WriteRequest};
use engine::{Engine, Meter, Reading, TABLE, catalogue};
use futures_util::{StreamExt, stream};
use refill::Summary;
use shared::domain::monitored_account::MonitoredAccount;
use shared::domain::pool::Pool;
use shared::domain::time::Time;
use shared::lambda::{App, Clock};
use shared::store::keys;

/// The number of items per batch write.
const BATCH: usize = 25;

/// The result and the cost of one run.
#[derive(Clone, Copy, Debug)]
pub struct Figures {
    /// The summary of the run.
    pub summary: Summary,
    /// The requests and units of the run.
    pub reading: Reading,
    /// The duration of the run.
    pub time: Duration,
}

/// Runs the schedule once on a table of `teams` teams of which `due` are due. A team has a pool
/// with a plan and one monitored account. A due team has a finished cycle and an unpaid month.
pub async fn measure(teams: usize, due: usize) -> Figures {
    let engine = Engine::in_memory().await.unwrap();
    seed(&engine.client(), teams, due).await;
    let meter = Meter::default();
    let now = time("2027-02-10T00:30:00Z");
    let app = App::new(engine.store_with(&meter), Clock::new(move || now), catalogue());
    let start = Instant::now();
    let summary = refill::run(&app, None).await;
    Figures { summary, reading: meter.take(), time: start.elapsed() }
}

fn time(text: &str) -> Time {
    text.parse().unwrap()
}

/// Writes the items of the teams directly.
async fn seed(client: &Client, teams: usize, due: usize) {
    let items = |number: usize| {
        let began = if number < due { "2027-01-10T12:00:00Z" } else { "2027-02-05T12:00:00Z" };
        team(&format!("team-{number:06}"), time(began))
    };
    let items = stream::iter((0..teams).flat_map(items)).chunks(BATCH);
    let batches = items.map(async |batch| {
        let puts = batch.into_iter().map(|item| {
            let put = PutRequest::builder().set_item(Some(item)).build().unwrap();
            WriteRequest::builder().put_request(put).build()
        });
        let write = client.batch_write_item().request_items(TABLE, puts.collect());
        let left = write.send().await.unwrap().unprocessed_items.unwrap_or_default();
        assert!(left.is_empty());
    });
    batches.buffer_unordered(4).collect::<Vec<()>>().await;
}

/// The items of a team whose subscription and account began at a time.
fn team(name: &str, began: Time) -> [keys::Item; 2] {
    let mut pool = Pool::open(name.parse().unwrap());
    let request = serde_json::from_str(r#"{"plan":"multichannel_expert"}"#).unwrap();
    let asked = pool.subscribe(&request, &catalogue(), began).unwrap().unwrap();
    pool.apply(&asked).unwrap();
    let granted = pool.due_change(began).unwrap().unwrap();
    pool.apply(&granted).unwrap();
    let mut item: keys::Item = serde_dynamo::to_item(&pool).unwrap();
    item.extend(keys::pool(&pool.team));
    item.insert("due".to_owned(), keys::text(keys::due_shard_of(&pool.team)));
    item.insert("due_at".to_owned(), keys::text(pool.due_at().unwrap().to_string()));

    let today = began.day();
    let account = MonitoredAccount::new(pool.team, "acme".parse().unwrap(), today);
    let paid = account.paid(&account.first_bill(today).unwrap());
    let account = MonitoredAccount { version: 1, ..paid };
    let mut of_account: keys::Item = serde_dynamo::to_item(&account).unwrap();
    of_account.extend(keys::account_with_due(&account));
    [item, of_account]
}
