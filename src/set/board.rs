//! Where the jobs of a set are noted as their outcomes become ready: rules 2 and 3 of set.

use crate::info::JobId;
use crate::sync::Mutex;
use crate::unwind;
use std::collections::VecDeque;
use std::sync::Arc;
use std::task::{Wake, Waker};

/// Where the numbers of jobs are noted whose outcome is ready.
#[derive(Default)]
pub(super) struct Board(Mutex<Noted>);

#[derive(Default)]
struct Noted {
    ready: VecDeque<JobId>,
    /// Of who waits for the next one.
    waker: Option<Waker>,
}

impl Board {
    /// A waker that notes the number.
    pub(super) fn waker(board: &Arc<Self>, id: JobId) -> Waker {
        Waker::from(Arc::new(Note { id, board: Arc::clone(board) }))
    }

    fn note(&self, id: JobId) {
        let mut noted = self.0.lock();
        noted.ready.push_back(id);
        let waker = noted.waker.take();
        drop(noted);
        if let Some(waker) = waker {
            waker.wake(); // whoever woke the job's waker catches its panic
        }
    }

    pub(super) fn take(&self) -> Option<JobId> {
        self.0.lock().ready.pop_front()
    }

    /// Leaves a waker for the next note; `false` if there is one to be taken.
    pub(super) fn watch(&self, waker: &Waker) -> bool {
        let waker = waker.clone();
        let mut noted = self.0.lock();
        let nothing = noted.ready.is_empty();
        let unused = if nothing { noted.waker.replace(waker) } else { Some(waker) };
        drop(noted);
        unwind::drop_quietly(unused);
        nothing
    }

    /// Strikes out the numbers of jobs that have left the set.
    pub(super) fn clear(&self) {
        self.0.lock().ready.clear();
    }

    pub(super) fn forget_waker(&self) {
        let waker = self.0.lock().waker.take();
        unwind::drop_quietly(waker);
    }
}

/// The waker of one job of a set.
struct Note {
    id: JobId,
    board: Arc<Board>,
}

impl Wake for Note {
    fn wake(self: Arc<Self>) {
        self.board.note(self.id);
    }
}
