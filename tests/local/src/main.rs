//! The binary `credits`, which `cargo run` starts: the local stack, a year of the demo team, or
//! requests to copy.

use std::io::{self, ErrorKind, Write};
use std::process::ExitCode;

use clap::Parser;
use jiff::civil::date;
use lambda_http::tracing::subscriber::{EnvFilter, fmt};
use local::{Failure, Mode, Options, REQUESTS, Stack, first_steps, story};
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
    match options.mode {
        Some(Mode::Story) => {
            let begin = options.now.map_or(date(2027, 1, 31), Time::day);
            story(begin, &mut io::stdout()).await
        }
        Some(Mode::Requests) => Ok(io::stdout().write_all(REQUESTS.as_bytes())?),
        None => serve(Options { log_requests: true, ..options }).await,
    }
}

/// Runs the stack until Ctrl-C. Standard output has the first steps only, standard error the requests
/// and the log.
async fn serve(options: Options) -> Result<(), Failure> {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(LOG_FILTER));
    fmt().without_time().with_env_filter(filter).with_writer(io::stderr).init();
    let stack = Stack::start(&options).await?;
    let text = format!("ready {}\n{}", stack.url(), first_steps(&stack, &options)?);
    io::stdout().write_all(text.as_bytes())?;
    tokio::signal::ctrl_c().await.map_err(Failure::Signal)?;
    // The reader of standard error may have ended at the same Ctrl-C.
    let _ = writeln!(io::stderr(), "\nstopping: waiting for open requests");
    stack.stop().await;
    let _ = writeln!(io::stderr(), "stopped");
    Ok(())
}
