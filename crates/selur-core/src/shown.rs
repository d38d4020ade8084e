//! What streams show, and the list of it by which a bridge that is closed ends them all, read or not.

use futures_util::stream::BoxStream;
use selur_runtime::RuntimeError;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError, Weak};

/// Items as the runtime gives them, until they have ended.
pub(crate) type Items<T> = Option<BoxStream<'static, Result<T, RuntimeError>>>;

/// What a stream shows.
pub(crate) struct Shown<T> {
    items: Mutex<Items<T>>,
    list: Arc<List>,
    number: u64,
}

/// The streams of a bridge that have not gone.
#[derive(Default)]
pub(crate) struct List(Mutex<Listed>);

#[derive(Default)]
struct Listed {
    last: u64,
    streams: HashMap<u64, Weak<dyn Ends>>,
}

trait Ends: Send + Sync {
    /// Ends it, unless somebody is looking at it at this moment, who sees that its bridge closes.
    fn try_end(&self);
}

impl<T: 'static> Shown<T> {
    pub(crate) fn new(items: BoxStream<'static, Result<T, RuntimeError>>, list: &Arc<List>) -> Arc<Shown<T>> {
        let mut listed = list.lock();
        listed.last += 1;
        let number = listed.last;
        let shown = Arc::new(Shown {
            items: Mutex::new(Some(items)),
            list: list.clone(),
            number,
        });
        let weak = Arc::downgrade(&shown);
        listed.streams.insert(number, weak);
        shown
    }
}

impl<T> Shown<T> {
    /// The items, to be looked at. Never waits but for who looks at them, which does not wait.
    pub(crate) fn lock(&self) -> MutexGuard<'_, Items<T>> {
        self.items.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T> Ends for Shown<T> {
    fn try_end(&self) {
        let items = match self.items.try_lock() {
            Ok(mut items) => items.take(),
            Err(TryLockError::Poisoned(items)) => items.into_inner().take(),
            Err(TryLockError::WouldBlock) => None,
        };
        drop(items);
    }
}

impl<T> Drop for Shown<T> {
    fn drop(&mut self) {
        self.list.lock().streams.remove(&self.number);
    }
}

impl List {
    /// Ends every stream. What streams are made of may want to know their threads when it goes.
    pub(crate) fn end_all(&self) {
        let all: Vec<_> = self.lock().streams.values().filter_map(Weak::upgrade).collect();
        for shown in all {
            shown.try_end();
        }
    }

    fn lock(&self) -> MutexGuard<'_, Listed> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
