//! An example pipeline: it enriches the leads of a CSV and charges the team for the results.

mod charge;
mod failure;
mod journal;
mod leads;
mod problem;
mod providers;
mod run;
mod service;
mod summary;

use std::process::ExitCode;

use clap::Parser;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    match run::run(&run::Options::parse()).await {
        Ok(summary) => {
            println!("{summary}");
            ExitCode::SUCCESS
        }
        Err(failure) => {
            eprintln!("{failure}");
            ExitCode::FAILURE
        }
    }
}
