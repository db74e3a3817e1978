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
    parameters.filter(&api.snapshot())?;
    let filter = parameters.text("filter").unwrap_or_default().to_owned();
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

async fn follow(mut api: Api, filter: String, mut since_ns: i64, sender: mpsc::Sender<Event>) {
    let mut seen: HashSet<String> = HashSet::new();
    let mut committed = None;
    // Where the last answer was cut: more rows than one answer holds can have arrived in one millisecond.
    let mut cursor = None;
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
        let Some((rows, next)) = arrived_since(&api, &filter, since_ns, cursor.clone()).await else {
            continue;
        };
        if next.is_none() {
            committed = now_committed;
        }
        cursor = next;
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
) -> Option<(Vec<(String, i64, Value)>, Option<String>)> {
    let arrival = format!("received >= \"{}\"", time::format_time(since_ns));
    let text = if filter_text.is_empty() {
        arrival
    } else {
        format!("({filter_text}) and {arrival}")
    };
    let filter = filter::parse_over(&text, now_ns(), &api.snapshot()).ok()?;
    let table = api
        .query(move |shared, limits| {
            let order = Some("received".to_owned());
            let request = FlowsRequest {
                filter,
                order,
                cursor,
                limit: LIVE_ROWS_PER_SECOND,
                limits,
                ..FlowsRequest::default()
            };
            query::flows(&shared.store.snapshot(), &request)
        })
        .await
        .ok()?;
    let rows = rows_json(&table).filter_map(|row| {
        let id = row.get("_id")?.as_str()?.to_owned();
        let received_ns = time::parse_time(row.get("received")?.as_str()?, 0).ok()?;
        Some((id, received_ns, Value::Object(row)))
    });
    Some((rows.collect(), table.next.clone()))
}
