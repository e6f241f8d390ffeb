//! The binary `credits`, which `cargo run` starts: the local stack, a year of the demo team, requests to
//! copy, or the catalogue.

use std::io::{self, ErrorKind, Write};
use std::path::Path;
use std::process::ExitCode;

use clap::Parser;
use futures_util::future::try_join;
use jiff::civil::date;
use lambda_http::tracing::subscriber::{EnvFilter, fmt};
use local::catalogue::{self, check, table};
use local::{CatalogueMode, Failure, Mode, Options, Stack, first_steps, requests, story};
use shared::domain::catalogue::Catalogue;
use shared::domain::time::Time;

/// The filter of the log if `RUST_LOG` is not set. The engine warns of every cancelled transaction, and
/// replays and refusals are such.
const LOG_FILTER: &str = "warn,dynoxide=error";

#[tokio::main]
async fn main() -> ExitCode {
    match run(Options::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        // The reader of the output has closed it, as `head` does.
        Err(Failure::Output(error)) if error.kind() == ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("credits: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run(options: Options) -> Result<(), Failure> {
    if let Some(Mode::Catalogue { mode: Some(CatalogueMode::Check { file }), .. }) = &options.mode {
        return check_file(file);
    }
    let catalogue = catalogue::load(options.catalogue.as_deref())?;
    let today = options.now.unwrap_or_else(|| jiff::Timestamp::now().into()).day();
    match options.mode {
        Some(Mode::Story) => {
            let begin = options.now.map_or(date(2027, 1, 31), Time::day);
            story(begin, catalogue, &mut io::stdout()).await
        }
        Some(Mode::Requests) => print(&requests(catalogue.at(today))?),
        Some(Mode::Catalogue { at, .. }) => print(&table(&catalogue, at.unwrap_or(today))),
        None => serve(Options { log_requests: true, ..options }, catalogue).await,
    }
}

fn print(text: &str) -> Result<(), Failure> {
    Ok(io::stdout().write_all(text.as_bytes())?)
}

/// Prints every mistake in a catalogue file with its line and column, or that there is none.
fn check_file(path: &Path) -> Result<(), Failure> {
    let mistakes = check(&catalogue::read(path)?);
    if mistakes.is_empty() {
        return print(&format!("{}: no mistakes\n", path.display()));
    }
    let lines: Vec<String> =
        mistakes.iter().map(|mistake| format!("{}:{mistake}\n", path.display())).collect();
    print(&lines.concat())?;
    Err(Failure::Mistakes { path: path.to_owned(), count: mistakes.len() })
}

/// Runs the stack until Ctrl-C. Standard output has the first steps only, standard error the requests
/// and the log.
async fn serve(options: Options, catalogue: Catalogue) -> Result<(), Failure> {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(LOG_FILTER));
    fmt().without_time().with_env_filter(filter).with_writer(io::stderr).init();
    let stack = Stack::start(&options, catalogue).await?;
    let text = format!("ready {}\n{}", stack.url(), first_steps(&stack, &options)?);
    // The handler of Ctrl-C is set before the text is printed.
    let interrupted = async { tokio::signal::ctrl_c().await.map_err(Failure::Signal) };
    let printed = async { io::stdout().write_all(text.as_bytes()).map_err(Failure::from) };
    try_join(interrupted, printed).await?;
    // The reader of standard error may have ended at the same Ctrl-C.
    let _ = writeln!(io::stderr(), "\nstopping: waiting for open requests");
    stack.stop().await;
    let _ = writeln!(io::stderr(), "stopped");
    Ok(())
}
