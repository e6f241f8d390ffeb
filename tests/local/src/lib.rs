//! The local stack: an embedded engine, every function's own router on one port, and stand-ins for
//! what surrounds them on AWS. For an engineer's machine and for tests; nothing of it is deployed.

mod clock;
mod demo;
mod dev;
mod eventbridge;
mod pattern;
mod payments;
mod relaying;
mod rules;
mod story;
mod token;

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use axum::{Router, middleware};
use engine::Engine;
use jiff::civil::{Date, date};
use purchase::PurchaseState;
use shared::domain::Error;
use shared::domain::time::Time;
use shared::http::serve;
use shared::lambda::App;
use shared::lambda::configuration::{InvalidLimits, purchase_limits};
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::{Instant, interval_at, timeout};

pub use clock::StackClock;
pub use demo::first_steps;
pub use eventbridge::EventBridge;
pub use payments::{DECLINED, NEEDS_A_STEP, purchase_state};
use relaying::Relaying;
pub use story::story;
pub use token::{AUDIENCE, Claims, ISSUER, SECRET, authorize, sign};

/// How long requests that are being answered may still take when the stack stops.
const LAST_REQUESTS: Duration = Duration::from_secs(2);

/// How often the schedule runs by itself, as in `template.yaml`.
const SCHEDULE: Duration = Duration::from_hours(1);

/// How the stack is to run.
#[derive(Clone, Debug, Default, clap::Parser)]
#[command(version, about = "The credits service on one machine")]
pub struct Options {
    /// Port of the HTTP API; 0 picks one that is free
    #[arg(long, default_value_t = 3000)]
    pub port: u16,
    /// Port of the DynamoDB engine; 0 picks one that is free
    #[arg(long, default_value_t = 0)]
    pub dynamodb_port: u16,
    /// Port of the stand-in for EventBridge; 0 picks one that is free
    #[arg(long, default_value_t = 0)]
    pub eventbridge_port: u16,
    /// Directory to keep the database in; without it all is in memory
    #[arg(long, value_name = "DIR")]
    pub data: Option<PathBuf>,
    /// Start the stack's clock at this time, such as 2026-01-31 or 2026-01-31T00:00:00Z
    #[arg(long, value_name = "TIME", value_parser = time_or_day)]
    pub now: Option<Time>,
    /// Let the stack's clock stand still until it is moved
    #[arg(long)]
    pub frozen: bool,
    /// What to do instead of waiting for requests
    #[command(subcommand)]
    pub instead: Option<Instead>,
}

/// What the stack can do besides answering requests.
#[derive(Clone, Copy, Debug, clap::Subcommand)]
pub enum Instead {
    /// Tell a year of the demo team, day by day
    Story,
}

/// A time, or the beginning of a day in UTC.
fn time_or_day(text: &str) -> Result<Time, String> {
    let day = || text.parse::<Date>().map(Time::start_of);
    let neither = |_| "must be a day such as 2026-01-31 or a time such as 2026-01-31T00:00:00Z";
    let time = text.parse().or_else(|_| day()).map_err(|error| neither(error).to_owned())?;
    // Cycles after the last year of the calendar would never end.
    if time < Time::start_of(date(9000, 1, 1)) {
        Ok(time)
    } else {
        Err("must be before the year 9000".to_owned())
    }
}

/// Why the stack did not start.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// The engine did not.
    #[error(transparent)]
    Engine(#[from] engine::Failure),
    /// A port cannot be used.
    #[error(
        "port {port} cannot be used: {source}. Name another one, or 0 for one that is free: {option} 0"
    )]
    Port {
        /// The port.
        port: u16,
        /// The option that names it.
        option: &'static str,
        /// Why not.
        source: io::Error,
    },
    /// The limits of purchases are not as they must be.
    #[error(transparent)]
    Limits(#[from] InvalidLimits),
    /// The demo team could not be set up.
    #[error("the demo team: {0}")]
    Demo(#[from] Error),
}

/// A running stack. It stops when it is dropped.
#[derive(Debug)]
pub struct Stack {
    url: String,
    app: App,
    engine: Engine,
    eventbridge: EventBridge,
    stop: oneshot::Sender<()>,
    serving: JoinHandle<()>,
    background: JoinSet<()>,
}

impl Stack {
    /// Starts everything; when this returns, the API answers.
    ///
    /// # Errors
    /// [`Failure`].
    pub async fn start(options: &Options) -> Result<Self, Failure> {
        let engine = Engine::start(options.data.as_deref(), options.dynamodb_port).await;
        let engine = engine.map_err(|error| {
            let (port, option) = (options.dynamodb_port, "--dynamodb-port");
            if let engine::Failure::Listen(source) = error {
                Failure::Port { port, option, source }
            } else {
                error.into()
            }
        })?;
        let clock = StackClock::new(options.now, options.frozen);
        let app = App::new(engine.store(), clock.clone().into());
        demo::open(&app).await?;
        let eventbridge = EventBridge::start(options.eventbridge_port).await?;
        let state = purchase_state(app.clone(), purchase_limits()?);
        let functions = functions(&state);
        let relaying = Arc::new(Relaying::new(state, engine.records()?, &eventbridge)?);
        let dev = dev::routes(
            dev::Bench {
                app: app.clone(),
                clock,
                relaying: Arc::clone(&relaying),
                delivered: eventbridge.delivered(),
            },
            engine.endpoint(),
        );
        let router =
            serve::with_middleware(functions.merge(dev)).layer(middleware::from_fn(authorize));

        let port = |source| Failure::Port { port: options.port, option: "--port", source };
        let listener = TcpListener::bind(("127.0.0.1", options.port)).await.map_err(port)?;
        let url = format!("http://{}", listener.local_addr().map_err(port)?);
        let (stop, stopped) = oneshot::channel::<()>();
        let serving = axum::serve(listener, router).with_graceful_shutdown(async move {
            // An error means that the stack was dropped, which stops it as well.
            let _ = stopped.await;
        });
        let serving = tokio::spawn(async move {
            // An accepting listener does not fail.
            let _ = serving.await;
        });
        let mut background = JoinSet::new();
        background.spawn(run_schedule(app.clone()));
        background.spawn(relaying::run(relaying));
        Ok(Self { url, app, engine, eventbridge, stop, serving, background })
    }

    /// Where the API answers.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The table and the time of the stack.
    #[must_use]
    pub const fn app(&self) -> &App {
        &self.app
    }

    /// The engine.
    #[must_use]
    pub const fn engine(&self) -> &Engine {
        &self.engine
    }

    /// The stand-in for EventBridge.
    #[must_use]
    pub const fn eventbridge(&self) -> &EventBridge {
        &self.eventbridge
    }

    /// Lets running requests finish, within reason, and stops.
    pub async fn stop(self) {
        drop(self.background);
        drop(self.stop);
        // Who has sent half a request may never send the rest; a panic has been printed already.
        let _ = timeout(LAST_REQUESTS, self.serving).await;
    }
}

/// All functions' routes, as the API has them.
pub fn functions(state: &PurchaseState) -> Router {
    let PurchaseState { app, limits, .. } = state;
    charge::routes(app.clone())
        .merge(purchase::routes(state.clone()))
        .merge(balance::routes(app.clone(), limits.clone()))
        .merge(hold::routes(app.clone()))
        .merge(team::routes(app.clone(), limits.clone()))
}

async fn run_schedule(app: App) {
    let start = Instant::now().checked_add(SCHEDULE).unwrap_or_else(Instant::now);
    let mut ticks = interval_at(start, SCHEDULE);
    loop {
        ticks.tick().await;
        let summary = refill::run(&app, None).await;
        lambda_http::tracing::info!(?summary, "the schedule");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_clock_starts_at_a_time_or_a_day() {
        let time = |text| time_or_day(text).ok().map(|time| time.to_string());
        let midnight = Some("2026-01-31T00:00:00.000Z".to_owned());
        assert_eq!(time("2026-01-31"), midnight);
        assert_eq!(time("2026-01-31T00:00:00Z"), midnight);
        assert_eq!(time("31 January"), None);
    }
}
