//! `/api/v1/live`: flows as they are committed, as server-sent events.
//!
//! Once a second the newest commit is asked for what arrived since the last one: a reader costs one short query a second,
//! and indexing never waits for a reader.

use std::collections::HashSet;
use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::extract::State;
use axum::response::sse::{Event, KeepAlive, KeepAliveStream, Sse};
use serde_json::Value;
use tokio::sync::mpsc;

use super::Api;
use super::parameters::Parameters;
use super::problem::Problem;
use super::render::rows_json;
use crate::limits::{LIVE_READERS, LIVE_ROWS_PER_SECOND};
use crate::query::{self, FlowsRequest, filter, time};
use crate::run::now_ns;

const INTERVAL: Duration = Duration::from_secs(1);
/// Clocks of arrival are kept in whole milliseconds.
const MILLISECOND_NS: i64 = 1_000_000;

/// Events of one reader; ends when the collector stops.
pub struct LiveEvents {
    events: mpsc::Receiver<Event>,
    readers: Arc<AtomicUsize>,
}

impl futures_core::Stream for LiveEvents {
    type Item = Result<Event, Infallible>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.events.poll_recv(context).map(|event| event.map(Ok))
    }
}

impl Drop for LiveEvents {
    fn drop(&mut self) {
        self.readers.fetch_sub(1, Ordering::AcqRel);
    }
}

/// New flows that match the filter.
pub async fn live(State(api): State<Api>, parameters: Parameters) -> Result<Sse<KeepAliveStream<LiveEvents>>, Problem> {
    parameters.only(&["filter"])?;
    let filter = parameters.text("filter").unwrap_or_default().to_owned();
    api.query(move |shared, _| parameters.filter(&shared.store.snapshot()))
        .await?;
    if api.live_readers.fetch_add(1, Ordering::AcqRel) >= LIVE_READERS {
        api.live_readers.fetch_sub(1, Ordering::AcqRel);
        return Err(Problem::busy());
    }
    let (sender, events) = mpsc::channel(LIVE_ROWS_PER_SECOND);
    let readers = Arc::clone(&api.live_readers);
    // Taken before the answer begins: what arrives from then on is the reader's, however late the task gets its turn.
    let since_ns = now_ns() / MILLISECOND_NS * MILLISECOND_NS;
    tokio::spawn(follow(api, filter, since_ns, sender));
    Ok(Sse::new(LiveEvents { events, readers }).keep_alive(KeepAlive::default()))
}

/// Rows with their id and arrival, and the cursor for the rest.
type Arrived = (Vec<(String, i64, Value)>, Option<String>);

async fn follow(mut api: Api, filter: String, mut since_ns: i64, sender: mpsc::Sender<Event>) {
    let mut seen: HashSet<String> = HashSet::new();
    let mut committed = None;
    // Where the last answer was cut, with the time it began at: more rows than one answer holds can have arrived in one
    // millisecond, and a cursor is of one question.
    let mut cut: Option<(i64, String)> = None;
    loop {
        tokio::select! {
            () = tokio::time::sleep(INTERVAL) => {}
            _ = api.stopped.wait_for(|stop| *stop) => return,
            () = sender.closed() => return,
        }
        // Rows beyond one answer's limit come with the next one, so a commit is done with when an answer is not full.
        let now_committed = Some(api.shared.store.counters().commits);
        if committed == now_committed {
            continue;
        }
        let (from_ns, cursor) = match cut.take() {
            Some((from_ns, cursor)) => (from_ns, Some(cursor)),
            None => (since_ns, None),
        };
        // Should it be refused, or take too long, the next question is without the cursor: what was told is not told again.
        let Ok((rows, next)) = arrived_since(&api, &filter, from_ns, cursor).await else {
            continue;
        };
        if next.is_none() {
            committed = now_committed;
        }
        cut = next.map(|cursor| (from_ns, cursor));
        for (id, received_ns, row) in rows {
            if received_ns > since_ns {
                since_ns = received_ns;
                seen.clear();
            }
            if seen.insert(id.clone())
                && sender
                    .send(Event::default().event("flow").id(id).data(row.to_string()))
                    .await
                    .is_err()
            {
                return;
            }
        }
    }
}

/// Rows that arrived at `since_ns` or later and behind `cursor`, oldest first, each with its id and arrival; and the cursor
/// for the rest when there is one.
async fn arrived_since(
    api: &Api,
    filter_text: &str,
    since_ns: i64,
    cursor: Option<String>,
) -> Result<Arrived, Problem> {
    let arrival = format!("received >= \"{}\"", time::format_time(since_ns));
    let text = if filter_text.is_empty() {
        arrival
    } else {
        format!("({filter_text}) and {arrival}")
    };
    let table = api
        .query(move |shared, limits| {
            let snapshot = shared.store.snapshot();
            let order = Some("received".to_owned());
            let request = FlowsRequest {
                filter: filter::parse_over(&text, now_ns(), &snapshot)?,
                // Words like `now` mean something else each time, and the question is the same.
                asked: Some(text),
                order,
                cursor,
                limit: LIVE_ROWS_PER_SECOND,
                limits,
                ..FlowsRequest::default()
            };
            query::flows(&snapshot, &request).map_err(Problem::from)
        })
        .await?;
    let rows = rows_json(&table).filter_map(|row| {
        let id = row.get("_id")?.as_str()?.to_owned();
        let received_ns = time::parse_time(row.get("received")?.as_str()?, 0).ok()?;
        Some((id, received_ns, Value::Object(row)))
    });
    Ok((rows.collect(), table.next.clone()))
}
