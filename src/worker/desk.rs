//! What others see of one worker, and what its own thread knows.

use crate::job::Task;
use crate::queue::Local;
use crate::sync::{AtomicBool, Mutex, Ordering, thread, thread_local};
use crate::worker::Crew;
use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::{Arc, OnceLock};

/// What others see of one worker.
pub(super) struct Desk {
    pub(super) name: String,
    /// The jobs it is at: more than one when a job waits for another right there.
    pub(super) jobs: Mutex<Jobs>,
    /// Set by who takes it off the idle stack.
    pub(super) called: AtomicBool,
    /// Set by the worker itself, before it first parks.
    pub(super) thread: OnceLock<thread::Thread>,
    /// Set when the thread has dropped its thread-locals.
    left: AtomicBool,
}

impl Desk {
    pub(super) fn new(name: String) -> Arc<Self> {
        Arc::new(Self {
            name,
            jobs: Mutex::default(),
            called: AtomicBool::new(false),
            thread: OnceLock::new(),
            left: AtomicBool::new(false),
        })
    }

    /// Whether its thread is this one.
    pub(super) fn is_own(&self) -> bool {
        self.thread.get().is_some_and(|thread| thread.id() == thread::current().id())
    }

    /// Whether its thread has exited, thread-locals and all.
    pub(super) fn is_left(&self) -> bool {
        // ORDERING: Acquire pairs with the Release in `Exit`'s drop.
        self.left.load(Ordering::Acquire)
    }
}

/// The jobs at a desk, and those that have been there.
#[derive(Default)]
pub(super) struct Jobs {
    pub(super) now: Vec<Task>,
    /// How many that have left the desk had been started.
    started: u64,
}

impl Jobs {
    /// Clears the last job away.
    pub(super) fn clear_last(&mut self, started: bool) -> Option<Task> {
        self.started += u64::from(started);
        self.now.pop()
    }

    /// How many have been started here.
    pub(super) fn started(&self) -> u64 {
        self.started + self.running() as u64
    }

    /// How many of those that are here have been started.
    pub(super) fn running(&self) -> usize {
        self.now.iter().filter(|job| job.head.state.is_running()).count()
    }
}

/// A worker as the idle stack names it.
#[derive(Clone)]
pub(super) struct Colleague(pub(super) Arc<Desk>);

impl PartialEq for Colleague {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Colleague {
    pub(super) fn unpark(&self) {
        // ORDERING: Release pairs with the Acquire swap in `park`, so that who is called sees what
        // for. A swap, though a store would do: loom, which is to check this, would otherwise take
        // the worker's own swap to come after it.
        self.0.called.swap(true, Ordering::Release);
        if let Some(thread) = self.0.thread.get() {
            thread.unpark();
        }
    }
}

/// What a worker's own thread knows: whose it is, and its deque.
pub(super) struct Here {
    pub(super) crew: Arc<Crew>,
    pub(super) desk: Arc<Desk>,
    /// None once the worker has made up its mind to leave.
    pub(super) local: RefCell<Option<Rc<Local>>>,
    /// Whether it counts as one that waits (rule 7 of idle).
    pub(super) waits: Cell<bool>,
    /// What it knew before: a job of another crew's may be run by a worker of this.
    pub(super) outer: Option<Box<Here>>,
}

/// A worker's first thread-local. Where they are dropped in the reverse order, as by glibc, it is the
/// last; elsewhere `wait` may not wait for those that are dropped after it.
pub(super) struct Exit(pub(super) Arc<Desk>);

impl Drop for Exit {
    fn drop(&mut self) {
        // ORDERING: Release pairs with the Acquire in `is_left`.
        self.0.left.store(true, Ordering::Release);
    }
}

/// On the stack of a thread that ends a job that never ran: any thread may, not only a worker.
pub(super) struct Ending;

impl Ending {
    pub(super) fn begin(crew: &Crew) -> Self {
        let _ = ENDING.try_with(|crews| crews.borrow_mut().push(address(crew)));
        Self
    }

    /// How many jobs of this crew the thread is ending.
    pub(super) fn here(crew: &Crew) -> usize {
        let count = |crews: &RefCell<Vec<usize>>| {
            crews.borrow().iter().filter(|ending| **ending == address(crew)).count()
        };
        ENDING.try_with(count).unwrap_or(0)
    }
}

impl Drop for Ending {
    fn drop(&mut self) {
        let _ = ENDING.try_with(|crews| crews.borrow_mut().pop());
    }
}

fn address(crew: &Crew) -> usize {
    std::ptr::from_ref(crew).addr()
}

thread_local! {
    /// By their addresses: each is there as long as its job is.
    static ENDING: RefCell<Vec<usize>> = const { RefCell::new(Vec::new()) };
    static EXIT: RefCell<Option<Exit>> = const { RefCell::new(None) };
    static HERE: RefCell<Option<Here>> = const { RefCell::new(None) };
}

impl Here {
    /// Makes this thread a worker, or no longer one.
    pub(super) fn set(here: Option<Self>) {
        if let Some(here) = &here {
            EXIT.with(|exit| exit.replace(Some(Exit(Arc::clone(&here.desk)))));
        }
        HERE.with(|place| place.replace(here));
    }

    /// Makes this thread a worker's for as long as `work` takes.
    pub(super) fn during(mut here: Self, work: impl FnOnce()) {
        let _ = HERE.try_with(|place| {
            here.outer = place.borrow_mut().take().map(Box::new);
            place.replace(Some(here));
        });
        work(); // does not unwind: it catches all
        let inner = HERE.try_with(|place| {
            let mut place = place.borrow_mut();
            let mut inner = place.take();
            *place = inner.as_mut().and_then(|here| here.outer.take()).map(|here| *here);
            inner
        });
        drop(inner);
    }

    /// Looks at what this thread knows of this crew, if it is at a job of it.
    pub(super) fn of<R>(crew: &Crew, look: impl FnOnce(&Self) -> R) -> Option<R> {
        let find = |place: &RefCell<Option<Self>>| {
            let place = place.borrow();
            let mut here = place.as_ref();
            while let Some(other) = here.filter(|here| !std::ptr::eq(&*here.crew, crew)) {
                here = other.outer.as_deref();
            }
            here.map(look)
        };
        HERE.try_with(find).ok().flatten()
    }
}
