//! The local stack: an embedded engine, the router of every function on one port, and stand-ins for
//! the AWS services around them. It is for development and for tests, and is never deployed.

pub mod catalogue;
mod clock;
mod cors;
mod demo;
mod dev;
mod eventbridge;
mod messages;
mod pages;
mod pattern;
mod payments;
mod relaying;
mod request_log;
mod rules;
mod schedules;
mod story;
mod token;

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use axum::http::HeaderValue;
use axum::{Router, middleware};
use engine::Engine;
use jiff::civil::{Date, date};
use purchase::PurchaseState;
use shared::domain::Error;
use shared::domain::catalogue::Catalogue;
use shared::domain::time::Time;
use shared::http::serve;
use shared::lambda::configuration::{InvalidLimits, with_purchase_limits};
use shared::lambda::{App, Clock};
use stripe::Simulated;
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::timeout;

pub use clock::StackClock;
pub use demo::{first_steps, requests};
pub use eventbridge::EventBridge;
use messages::{Messages, deliver_in_background};
use payments::stack_purchase_state;
pub use payments::{DECLINED, NEEDS_A_STEP, account, purchase_state, purchase_state_with};
use relaying::Relaying;
pub use story::story;
pub use token::{AUDIENCE, Claims, ISSUER, SECRET, authorize, sign};

/// The time that open requests have to finish when the stack stops.
const OPEN_REQUESTS_STOP_AFTER: Duration = Duration::from_secs(2);

/// The end of the text of `--help`.
const EXAMPLES: &str = "\
Examples:
  cargo run                                  Start the stack on port 3000
  cargo run -- --port 0 --data target/stack  Use a free port, keep the database on disk
  cargo run -- --now 2027-01-31 --frozen     Start at a date, with a clock that stands still
  cargo run -- requests                      Print requests to copy
  cargo run -- story                         Print a year of the demo team
  cargo run -- --now 2028-02-29 story        Print another year
  cargo run -- catalogue                     Print prices and plans
  cargo run -- catalogue check my.json       Report every mistake in a catalogue file
  cargo run -- --catalogue my.json           Start the stack with another catalogue
  cargo run -- --stripe-key sk_test_123      Take payments with Stripe in test mode";

/// The options of the binary `credits`.
#[derive(Clone, Debug, Default, clap::Parser)]
#[command(name = "credits", version, about = "The credits service on one machine")]
#[command(after_help = EXAMPLES)]
pub struct Options {
    /// Port of the HTTP API; 0 picks a free one
    #[arg(long, default_value_t = 3000)]
    pub port: u16,
    /// Port of the DynamoDB engine; 0 picks a free one
    #[arg(long, value_name = "PORT", default_value_t = 0)]
    pub dynamodb_port: u16,
    /// Port of the stand-in for EventBridge; 0 picks a free one
    #[arg(long, value_name = "PORT", default_value_t = 0)]
    pub eventbridge_port: u16,
    /// Directory of the database; without it the database is in memory
    #[arg(long, value_name = "DIR")]
    pub data: Option<PathBuf>,
    /// Start the stack's clock at this time, such as 2026-01-31 or 2026-01-31T00:00:00Z
    #[arg(long, value_name = "TIME", value_parser = time_or_day)]
    pub now: Option<Time>,
    /// Let the stack's clock stand still until it is moved
    #[arg(long)]
    pub frozen: bool,
    /// Key of a real Stripe account in test mode; without it Stripe is simulated
    #[arg(long, value_name = "KEY", value_parser = test_key)]
    pub stripe_key: Option<String>,
    /// Secret of the webhook of that account, such as `stripe listen` prints; without it messages are refused
    #[arg(long, value_name = "SECRET", requires = "stripe_key")]
    pub stripe_webhook_secret: Option<String>,
    /// Origin whose pages may call the API, can be repeated; without it all may
    #[arg(long, value_name = "ORIGIN")]
    pub cors_origin: Vec<HeaderValue>,
    /// Catalogue of prices and plans; without it the built-in one
    #[arg(long, value_name = "FILE")]
    pub catalogue: Option<PathBuf>,
    /// Whether a line per request is written to standard error.
    #[arg(skip)]
    pub log_requests: bool,
    /// The mode of the binary; without one it runs the stack.
    #[command(subcommand)]
    pub mode: Option<Mode>,
}

/// The modes of the binary that start no API.
#[derive(Clone, Debug, clap::Subcommand)]
pub enum Mode {
    /// Print requests to copy: a replay, refusals, a purchase, the next month
    Requests,
    /// Print a year of the demo team: causes, events and statements
    Story,
    /// Print prices and plans and their changes to come, or check a file
    Catalogue {
        /// Day of the prices and plans [default: today]
        #[arg(long, value_name = "DATE")]
        at: Option<Date>,
        /// The mode; without one it prints the catalogue.
        #[command(subcommand)]
        mode: Option<CatalogueMode>,
    },
}

/// The modes of `credits catalogue`.
#[derive(Clone, Debug, clap::Subcommand)]
pub enum CatalogueMode {
    /// Report every mistake in a catalogue file with its line and column
    Check {
        /// The catalogue file
        file: PathBuf,
    },
}

/// Parses a time, or a day as its first instant in UTC.
fn time_or_day(text: &str) -> Result<Time, String> {
    let day = || text.parse::<Date>().map(Time::start_of);
    let neither = |_| "must be a day such as 2026-01-31 or a time such as 2026-01-31T00:00:00Z";
    let time = text.parse().or_else(|_| day()).map_err(|error| neither(error).to_owned())?;
    // A cycle that reaches beyond the last year of the calendar has no end.
    if time < Time::start_of(date(9000, 1, 1)) {
        Ok(time)
    } else {
        Err("must be before the year 9000".to_owned())
    }
}

/// Parses a key of Stripe's test mode. The local stack takes no real money.
fn test_key(text: &str) -> Result<String, &'static str> {
    if ["sk_test_", "rk_test_"].iter().any(|prefix| text.starts_with(prefix)) {
        Ok(text.to_owned())
    } else {
        Err("must be a key of the test mode: sk_test_… or rk_test_…")
    }
}

/// The error of the stack or of a mode.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// The engine did not start.
    #[error(transparent)]
    Engine(#[from] engine::Failure),
    /// A port cannot be used.
    #[error("port {port} cannot be used: {source}. {option} 0 picks a free port")]
    Port {
        /// The port.
        port: u16,
        /// The option that names it.
        option: &'static str,
        /// The error of the operating system.
        source: io::Error,
    },
    /// The limits of purchases in the environment are invalid.
    #[error(transparent)]
    Limits(#[from] InvalidLimits),
    /// A catalogue file is not accepted.
    #[error(transparent)]
    Catalogue(#[from] catalogue::InvalidFile),
    /// A catalogue file that was checked has mistakes.
    #[error("mistakes in {}: {count}", path.display())]
    Mistakes {
        /// The file.
        path: PathBuf,
        /// The number of mistakes.
        count: usize,
    },
    /// A request for the demo team failed.
    #[error("the demo team: {0}")]
    Demo(#[from] Error),
    /// Standard output is closed or cannot be written.
    #[error("standard output cannot be written: {0}")]
    Output(#[from] io::Error),
    /// The process cannot wait for Ctrl-C.
    #[error("the process cannot wait for Ctrl-C: {0}")]
    Signal(#[source] io::Error),
}

/// A running stack. It stops when it is dropped.
#[derive(Debug)]
pub struct Stack {
    url: String,
    app: App,
    engine: Engine,
    eventbridge: EventBridge,
    account: Simulated,
    stop: oneshot::Sender<()>,
    serving: JoinHandle<()>,
    background: JoinSet<()>,
}

impl Stack {
    /// Starts all parts with a catalogue. When this returns, the API answers.
    ///
    /// # Errors
    /// [`Failure`].
    pub async fn start(options: &Options, catalogue: Catalogue) -> Result<Self, Failure> {
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
        let app_clock: Clock = clock.clone().into();
        let catalogue = with_purchase_limits(catalogue, app_clock.now().day())?;
        let app = App::new(engine.store(), app_clock, catalogue);
        demo::open(&app).await?;
        let eventbridge = EventBridge::start(options.eventbridge_port).await?;
        let port = |source| Failure::Port { port: options.port, option: "--port", source };
        let listener = TcpListener::bind(("127.0.0.1", options.port)).await.map_err(port)?;
        let url = format!("http://{}", listener.local_addr().map_err(port)?);

        let account = account(&app, &url);
        let state = stack_purchase_state(app.clone(), &account, options, &url);
        let functions = functions(&state);
        let relaying = Arc::new(Relaying::new(state.clone(), engine.records()?, &eventbridge)?);
        let webhook = serve::with_middleware(purchase::routes(state.clone()));
        let messages = Arc::new(Messages::new(account.clone(), webhook, app.clock.clone()));
        let dev = dev::routes(
            dev::DevState {
                purchase: state.clone(),
                clock,
                relaying: Arc::clone(&relaying),
                delivered: eventbridge.delivered(),
                messages: Arc::clone(&messages),
            },
            engine.endpoint(),
        );
        let pages = pages::PagesState {
            app: app.clone(),
            account: account.clone(),
            messages: Arc::clone(&messages),
        };
        let dev = dev.merge(pages::routes(pages));
        let mut router = serve::with_middleware(functions.merge(dev));
        if options.log_requests {
            router = router.layer(middleware::from_fn(request_log::log));
        }
        let router = router.layer(middleware::from_fn(authorize));
        let router = router.layer(cors::layer(&options.cors_origin)?);

        let (stop, stopped) = oneshot::channel::<()>();
        let serving = axum::serve(listener, router).with_graceful_shutdown(async move {
            // The error of a dropped sender stops the server too.
            let _ = stopped.await;
        });
        let serving = tokio::spawn(async move {
            // `axum::serve` never returns an error.
            let _ = serving.await;
        });
        let mut background = JoinSet::new();
        background.spawn(schedules::run_in_background(state));
        background.spawn(relaying::run(relaying));
        background.spawn(deliver_in_background(messages));
        Ok(Self { url, app, engine, eventbridge, account, stop, serving, background })
    }

    /// The URL of the API.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The store and the clock of the stack.
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

    /// The simulated Stripe account.
    #[must_use]
    pub const fn account(&self) -> &Simulated {
        &self.account
    }

    /// Stops; open requests have two seconds to finish.
    pub async fn stop(self) {
        drop(self.background);
        drop(self.stop);
        // A client may never finish its request, so the wait is bounded.
        let _ = timeout(OPEN_REQUESTS_STOP_AFTER, self.serving).await;
    }
}

/// The routes of all functions.
pub fn functions(state: &PurchaseState) -> Router {
    let app = &state.app;
    charge::routes(app.clone())
        .merge(purchase::routes(state.clone()))
        .merge(balance::routes(app.clone()))
        .merge(hold::routes(app.clone()))
        .merge(team::routes(app.clone()))
        .merge(panel::routes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_example_of_the_help_is_accepted() {
        let examples: Vec<&str> =
            EXAMPLES.lines().filter_map(|line| line.trim().strip_prefix("cargo run")).collect();
        assert!(examples.len() > 3);
        for example in examples {
            let options = example.split("  ").next().unwrap().trim().trim_start_matches("--");
            let words = std::iter::once("credits").chain(options.split_whitespace());
            assert!(<Options as clap::Parser>::try_parse_from(words).is_ok(), "{example}");
        }
    }

    #[test]
    fn only_keys_of_the_test_mode_are_accepted() {
        let key = |key: &str| {
            let words = ["credits", "--stripe-key", key];
            <Options as clap::Parser>::try_parse_from(words).map(|options| options.stripe_key)
        };
        for accepted in ["sk_test_123", "rk_test_123"] {
            assert_eq!(key(accepted).unwrap().as_deref(), Some(accepted));
        }
        for refused in ["sk_live_123", "rk_live_123", "pk_test_123", "whsec_123", "xsk_test_1", ""]
        {
            let error = key(refused).unwrap_err().to_string();
            assert!(error.contains("must be a key of the test mode"), "{error}");
        }
        let alone = ["credits", "--stripe-webhook-secret", "whsec_1"];
        assert!(<Options as clap::Parser>::try_parse_from(alone).is_err());
    }

    #[test]
    fn the_clock_starts_at_a_time_or_a_day() {
        let time = |text| time_or_day(text).ok().map(|time| time.to_string());
        let midnight = Some("2026-01-31T00:00:00.000Z".to_owned());
        assert_eq!(time("2026-01-31"), midnight);
        assert_eq!(time("2026-01-31T00:00:00Z"), midnight);
        assert_eq!(time("31 January"), None);
    }
}
