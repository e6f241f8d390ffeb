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

/// Concurrent enrichments.
const ENRICHMENTS_MAX: usize = 8;

/// Charges in one request.
const BATCH_MAX: usize = 25;

/// Concurrent requests.
const BATCHES_MAX: usize = 2;

/// Enriches the leads of a CSV and charges the team for the results
#[derive(Debug, Parser)]
#[command(version)]
pub struct Options {
    /// URL of the service
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
    /// Name of the job; the same name continues an interrupted job
    #[arg(long, value_parser = job)]
    pub job: String,
    /// Actions for each lead
    #[arg(long, value_delimiter = ',', default_values_t = Action::all())]
    pub actions: Vec<Action>,
    /// CSV of the results [default: JOB.results.csv in the directory of the leads]
    #[arg(long, value_name = "CSV")]
    pub out: Option<PathBuf>,
}

/// Parses the name of a job, which becomes a part of idempotency keys.
fn job(name: &str) -> Result<String, String> {
    let is_allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    if (1..=64).contains(&name.len()) && name.chars().all(is_allowed) {
        Ok(name.to_owned())
    } else {
        Err("must be 1 to 64 letters, digits or . _ -".to_owned())
    }
}

/// Runs a job, or continues an interrupted one.
///
/// # Errors
/// [`Failure`]. The hold stays open until the job is run again or the hold expires.
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
    let Estimate { maximum, expected, balance, .. } = service.estimate(&work).await?;
    println!("{} leads: at most {maximum} credits, {expected} expected", work.leads);
    println!("the team has {balance} credits");
    // The hold decides whether the balance suffices: an earlier run of the job may hold the credits.
    let hold = service.hold(job, &work).await?;
    println!("results: {}", out.display());
    let work_left = OpenWork { service: &service, job, hold: &hold, open, earlier };
    let charges = work_left.enrich(&mut journal).await?;
    let hold = service.release(job, &hold).await?;
    Summary::new(&work, &charges, hold, service.balance().await?)
}

/// Returns the leads and actions without a result.
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

/// The results of a job that may not be charged yet.
struct OpenWork<'a> {
    service: &'a Service,
    job: &'a str,
    hold: &'a Hold,
    /// The leads and actions without a result.
    open: Vec<(&'a Lead, Action)>,
    /// The results of earlier runs.
    earlier: Vec<Found>,
}

impl OpenWork<'_> {
    /// Finds the open results, and charges them and the results of earlier runs. A result that an earlier
    /// run has charged is a replay.
    async fn enrich(self, journal: &mut Journal) -> Result<Vec<Charge>, Failure> {
        let Self { service, job, hold, open, earlier } = self;
        let bar = ProgressBar::new(earlier.len().saturating_add(open.len()) as u64);
        bar.set_position(earlier.len() as u64);
        let found = stream::iter(open)
            .map(|(lead, action)| find(job, lead, action))
            .buffer_unordered(ENRICHMENTS_MAX)
            .map(|found| {
                journal.append(&found)?;
                bar.inc(1);
                Ok(found)
            });
        let charges = stream::iter(earlier)
            .map(Ok)
            .chain(found)
            .try_chunks(BATCH_MAX)
            .map_err(|TryChunksError(_, failure)| failure)
            .map_ok(|batch| charge(service, hold, batch))
            .try_buffer_unordered(BATCHES_MAX)
            .try_concat()
            .await;
        bar.abandon();
        charges
    }
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
