//! The cost of the schedule depends on the due teams only.

use bench::schedule::measure;
use refill::Summary;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn idle_teams_cost_nothing() {
    let (few, many) = tokio::join!(measure(200, 20), measure(2_000, 20));
    assert_eq!(few.summary, Summary { changed: 20, billed: 20, ..Summary::default() });
    assert_eq!(many.summary, few.summary);
    assert_eq!(many.reading, few.reading, "ten times as many teams");
    let none = measure(200, 0).await;
    assert_eq!(none.summary, Summary::default());
    assert_eq!((none.reading.round_trips, none.reading.writes), (16, 0), "empty pages");
}
