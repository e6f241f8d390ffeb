//! `cargo run`: the local stack until Ctrl-C. `cargo run -- story`: a year of the demo team.

use std::process::ExitCode;

use clap::Parser;
use jiff::civil::date;
use lambda_http::tracing;
use local::{Instead, Options, Stack, first_steps, story};
use shared::domain::time::Time;

#[tokio::main]
async fn main() -> ExitCode {
    match run(&Options::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("credits: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run(options: &Options) -> Result<(), Box<dyn std::error::Error>> {
    if let Some(Instead::Story) = options.instead {
        let begin = options.now.map_or(date(2027, 1, 31), Time::day);
        return Ok(story(begin, |line| println!("{line}")).await?);
    }
    tracing::init_default_subscriber();
    let stack = Stack::start(options).await?;
    println!("ready {}", stack.url());
    println!("{}", first_steps(stack.app(), stack.url()).await?);
    let (engine, bus) = (stack.engine().endpoint(), stack.eventbridge().endpoint());
    println!("# Stop with Ctrl-C. The engine is at {engine}, the event bus at {bus}.");
    tokio::signal::ctrl_c().await?;
    stack.stop().await;
    Ok(())
}
