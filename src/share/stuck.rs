//! On which keys a body is stuck: overdue, and not back yet.

use crate::sync::{AtomicUsize, Mutex, Ordering};
use std::collections::HashMap;

/// How many overdue bodies there are of each key.
#[derive(Default)]
pub(crate) struct Stuck {
    keys: Mutex<HashMap<String, usize>>,
    /// How many keys there are, for who only looks. Written under the lock.
    len: AtomicUsize,
}

impl Stuck {
    pub(crate) fn add(&self, key: &str) {
        let mut keys = self.keys.lock();
        *keys.entry(key.to_owned()).or_default() += 1;
        self.note(keys.len());
    }

    pub(crate) fn remove(&self, key: &str) {
        let mut keys = self.keys.lock();
        if let Some(count) = keys.get_mut(key) {
            *count -= 1;
            if *count == 0 {
                keys.remove(key);
            }
        }
        self.note(keys.len());
    }

    pub(crate) fn has(&self, key: &str) -> bool {
        // ORDERING: Acquire pairs with the Release in `note`: who has seen that a body is overdue, as
        // by its handle, sees its key.
        self.len.load(Ordering::Acquire) > 0 && self.keys.lock().contains_key(key)
    }

    fn note(&self, len: usize) {
        // ORDERING: Release, see `has`.
        self.len.store(len, Ordering::Release);
    }
}
