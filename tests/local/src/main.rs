//! `cargo run`: the local stack until Ctrl-C.

use clap::Parser;
use lambda_http::tracing;
use local::{Options, Stack, first_steps};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    tracing::init_default_subscriber();
    let stack = Stack::start(&Options::parse()).await?;
    println!("ready {}", stack.url());
    println!("{}", first_steps(stack.app(), stack.url()).await?);
    let (engine, bus) = (stack.engine().endpoint(), stack.eventbridge().endpoint());
    println!("# Stop with Ctrl-C. The engine is at {engine}, the event bus at {bus}.");
    tokio::signal::ctrl_c().await?;
    stack.stop().await;
    Ok(())
}
