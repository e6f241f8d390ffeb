//! A run from the leads to the summary.

use std::collections::{BTreeSet, HashSet};
use std::path::PathBuf;

use clap::Parser;
use futures_util::stream::TryChunksError;
use futures_util::{StreamExt, TryStreamExt, stream};
use indicatif::ProgressBar;

use crate::charge::{Charge, charge};
use crate::failure::Failure;
use crate::journal::{self, Found, Journal};
use crate::leads::{self, Lead};
use crate::providers::{self, Action};
use crate::service::{Estimate, Hold, Service, Work};
use crate::summary::Summary;

/// How many results are looked for at a time.
const AT_ONCE: usize = 8;

/// How many results are charged in one request.
const BATCH: usize = 25;

/// How many requests are on their way at a time.
const BATCHES_AT_ONCE: usize = 2;

/// Enriches the leads of a CSV and charges the team for what was found
#[derive(Debug, Parser)]
#[command(version)]
pub struct Options {
    /// Where the service is
    #[arg(long)]
    pub url: String,
    /// A token with the scope credits:charge, or of a member of the team
    #[arg(long)]
    pub token: String,
    /// The team that pays
    #[arg(long)]
    pub team: String,
    /// CSV of the leads, with the columns id, name and domain
    #[arg(long, value_name = "CSV")]
    pub leads: PathBuf,
    /// Name of the job; one that was interrupted goes on where it stopped
    #[arg(long, value_parser = job)]
    pub job: String,
    /// What to find
    #[arg(long, value_delimiter = ',', default_value = "email_finder,phone_finder")]
    pub actions: Vec<Action>,
    /// CSV for the results; JOB.results.csv beside the leads if it is left out
    #[arg(long, value_name = "CSV")]
    pub out: Option<PathBuf>,
}

/// A job's name is a part of idempotency keys.
fn job(name: &str) -> Result<String, String> {
    let is_allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    if (1..=64).contains(&name.len()) && name.chars().all(is_allowed) {
        Ok(name.to_owned())
    } else {
        Err("must be 1 to 64 letters, digits or . _ -".to_owned())
    }
}

/// Runs a job, or takes it up again where it was interrupted.
///
/// # Errors
/// [`Failure`]. What the job has reserved stays so until it is run again, or the hold expires.
pub async fn run(options: &Options) -> Result<Summary, Failure> {
    let job = &options.job;
    let leads = leads::read(&options.leads)?;
    let actions: BTreeSet<Action> = options.actions.iter().copied().collect();
    let beside = || options.leads.with_file_name(format!("{job}.results.csv"));
    let out = options.out.clone().unwrap_or_else(beside);
    let (mut journal, earlier) = journal::open(&out, job)?;
    let open = open_work(&leads, &actions, &earlier);
    let work = Work { leads: leads.len(), actions };
    if earlier.len().saturating_add(open.len()) != work.leads.saturating_mul(work.actions.len()) {
        return Err(Failure::file(&out, "has results of other leads or actions"));
    }

    let service = Service::new(&options.url, &options.team, &options.token)?;
    let Estimate { maximum, expected, balance } = service.estimate(&work).await?;
    println!("{} leads: at most {maximum} credits, {expected} expected", work.leads);
    println!("the team has {balance}");
    // The hold decides whether that is enough, not the estimate: an earlier run of the same job may
    // have reserved the credits already.
    let hold = service.hold(job, &work).await?;
    let charges = enrich(&service, job, &hold, open, earlier, &mut journal).await?;
    let hold = service.release(job, &hold).await?;
    Summary::new(&work, &charges, hold, service.balance().await?)
}

/// What has no result yet.
fn open_work<'a>(
    leads: &'a [Lead],
    actions: &BTreeSet<Action>,
    earlier: &[Found],
) -> Vec<(&'a Lead, Action)> {
    let done: HashSet<(&str, Action)> =
        earlier.iter().map(|found| (found.lead.as_str(), found.action)).collect();
    let all = leads.iter().flat_map(|lead| actions.iter().map(move |action| (lead, *action)));
    all.filter(|(lead, action)| !done.contains(&(lead.id.as_str(), *action))).collect()
}

/// Finds what is open, and charges it and what earlier runs have found: they may not have come to
/// charge it, and where they have, it is a replay.
async fn enrich(
    service: &Service,
    job: &str,
    hold: &Hold,
    open: Vec<(&Lead, Action)>,
    earlier: Vec<Found>,
    journal: &mut Journal,
) -> Result<Vec<Charge>, Failure> {
    let bar = ProgressBar::new(earlier.len().saturating_add(open.len()) as u64);
    bar.set_position(earlier.len() as u64);
    let found = stream::iter(open)
        .map(|(lead, action)| find(job, lead, action))
        .buffer_unordered(AT_ONCE)
        .map(|found| {
            journal.append(&found)?;
            bar.inc(1);
            Ok(found)
        });
    let charges = stream::iter(earlier)
        .map(Ok)
        .chain(found)
        .try_chunks(BATCH)
        .map_err(|TryChunksError(_, failure)| failure)
        .map_ok(|batch| charge(service, hold, batch))
        .try_buffer_unordered(BATCHES_AT_ONCE)
        .try_concat()
        .await;
    bar.abandon();
    charges
}

async fn find(job: &str, lead: &Lead, action: Action) -> Found {
    let answer = providers::find(action, lead).await;
    Found {
        job: job.to_owned(),
        lead: lead.id.clone(),
        action,
        outcome: answer.outcome.to_owned(),
        provider: answer.provider.to_owned(),
        value: providers::value(action, lead, answer),
    }
}
