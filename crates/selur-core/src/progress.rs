//! Pulls and pushes as streams: progress as far as the reader keeps up, then what came of it.

use crate::hosted;
use futures_util::stream::{self, BoxStream, StreamExt};
use selur_protocol::Reason;
use selur_runtime::{Image, ProgressSink, PullProgress, Pushed, Runtime, RuntimeError};
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;
use tokio::sync::Notify;
use tokio::time::timeout_at;
use tokio_util::sync::{CancellationToken, DropGuard};

/// An item of a pull or a push. The last one is [`TransferItem::Pulled`] or [`TransferItem::Pushed`], or an error.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TransferItem {
    /// How far it is.
    Progress(PullProgress),
    /// The image is in the store.
    Pulled(Image),
    /// The registry has the image.
    Pushed(Pushed),
}

/// What a pull or a push ended with.
#[derive(Serialize)]
#[serde(untagged)]
pub(crate) enum Transferred {
    Pulled(Image),
    Pushed(Pushed),
}

/// A pull or a push that is to be done.
pub(crate) struct Transfer {
    pub(crate) runtime: Arc<dyn Runtime>,
    pub(crate) reference: String,
    pub(crate) is_push: bool,
}

impl Transfer {
    /// Does it to its end.
    pub(crate) async fn run(
        &self,
        progress: ProgressSink<'_>,
        abort: CancellationToken,
    ) -> Result<Transferred, RuntimeError> {
        let images = hosted::images(self.runtime.as_ref())
            .map_err(|error| RuntimeError::new(error.status(), error.message()))?;
        Ok(match self.is_push {
            true => Transferred::Pushed(images.push(&self.reference, progress, abort).await?),
            false => Transferred::Pulled(images.pull(&self.reference, progress, abort).await?),
        })
    }

    /// Begins it on the bridge's threads. Dropping the stream ends it early.
    pub(crate) fn stream(self) -> BoxStream<'static, Result<TransferItem, RuntimeError>> {
        let board = Arc::new(Board::default());
        let abort = CancellationToken::new();
        let writer = board.clone();
        let stop = abort.clone();
        let backend = self.runtime.name();
        tokio::spawn(async move {
            let sink = |progress| writer.put(Ok(TransferItem::Progress(progress)));
            let work = async { self.run(&sink, stop).await.map_err(crate::Error::from) };
            let ended = match crate::effect::guarded(backend, work).await {
                Ok(Transferred::Pulled(image)) => Ok(TransferItem::Pulled(image)),
                Ok(Transferred::Pushed(pushed)) => Ok(TransferItem::Pushed(pushed)),
                Err(error) => Err(RuntimeError::new(error.status(), error.message())),
            };
            writer.put(ended);
        });
        let reader = Reader {
            board,
            _stop: abort.drop_guard(),
            has_ended: false,
        };
        stream::unfold(reader, Reader::next).boxed()
    }
}

/// The same, but given up by whoever reads it when the time is over: the last item is then `timeout`.
pub(crate) fn limited(items: BoxStream<'static, Item>, until: Instant) -> BoxStream<'static, Item> {
    let until = tokio::time::Instant::from_std(until);
    stream::unfold(Some(items), move |items| async move {
        let mut items = items?;
        match timeout_at(until, items.next()).await {
            Ok(item) => Some((item?, Some(items))),
            Err(_) => {
                let reason = Reason::DeadlinePassed;
                Some((Err(RuntimeError::new(reason.status(), reason.message())), None))
            }
        }
    })
    .boxed()
}

type Item = Result<TransferItem, RuntimeError>;

/// What the reader has not taken yet: for each layer the newest number of bytes only, so that it stays small.
#[derive(Default)]
struct Board {
    items: Mutex<VecDeque<Item>>,
    news: Notify,
}

struct Reader {
    board: Arc<Board>,
    _stop: DropGuard,
    has_ended: bool,
}

impl Board {
    fn put(&self, item: Item) {
        let mut items = self.lock();
        match (
            bytes_of(&item),
            items.iter_mut().rev().find(|older| is_same_layer(older, &item)),
        ) {
            (Some(_), Some(older)) => *older = item,
            _ => items.push_back(item),
        }
        drop(items);
        self.news.notify_one();
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<Item>> {
        self.items.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Reader {
    async fn next(mut self) -> Option<(Item, Reader)> {
        if self.has_ended {
            return None;
        }
        loop {
            let item = self.board.lock().pop_front();
            if let Some(item) = item {
                self.has_ended = !matches!(item, Ok(TransferItem::Progress(_)));
                return Some((item, self));
            }
            self.board.news.notified().await;
        }
    }
}

/// The layer of which an item says nothing but how many bytes are there.
fn bytes_of(item: &Item) -> Option<&str> {
    match item {
        Ok(TransferItem::Progress(PullProgress::Transferred { layer, .. })) => Some(layer),
        _ => None,
    }
}

fn is_same_layer(older: &Item, newer: &Item) -> bool {
    bytes_of(older).is_some() && bytes_of(older) == bytes_of(newer)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a failed unwrap fails the test")]
mod tests {
    use super::*;

    #[test]
    fn a_slow_reader_sees_the_newest_bytes_of_each_layer_in_order() {
        let board = Board::default();
        let bytes = |layer: &str, bytes| {
            Ok(TransferItem::Progress(PullProgress::Transferred {
                layer: layer.into(),
                bytes,
            }))
        };
        let done = |layer: &str| {
            Ok(TransferItem::Progress(PullProgress::LayerDone {
                layer: layer.into(),
            }))
        };
        for item in [
            bytes("a", 1),
            bytes("b", 1),
            bytes("a", 2),
            done("a"),
            bytes("b", 2),
        ] {
            board.put(item);
        }
        let seen: Vec<_> = board.lock().drain(..).map(Result::unwrap).collect();
        let expected = [bytes("a", 2), bytes("b", 2), done("a")].map(Result::unwrap);
        assert_eq!(seen, expected);
    }
}
