//! The settings of a pool.

mod flow;

use crate::clock::Clock;
use crate::error::{BuildError, Panic};
use crate::idle::MAX_THREADS;
use crate::job::Bell;
use crate::observer::{Observer, Watch, print_unseen};
use crate::pool::Pool;
use crate::queue::Order;
use crate::share::{Core, Share, Terms, UnseenPanicHook, WhenFull, payload_hook};
use crate::spawner::Spawner;
use crate::timekeeper::Timekeeper;
use crate::worker::{Crew, ThreadHook, Threads};
use std::fmt;
use std::ops::{Bound, RangeBounds};
use std::sync::Arc;
use std::time::Duration;

/// As many as tokio's blocking pool has.
pub(crate) const DEFAULT_POOL_THREADS: usize = 512;
/// Set for blocking work, which mostly waits.
const THREADS_PER_CORE: usize = 16;
const KEEP_ALIVE: Duration = Duration::from_secs(10);
/// With less, a worker of a debug build can overflow its stack without any help by the user.
const LEAST_STACK: usize = 128 << 10;

/// The settings of a new pool; [`build`](Self::build) makes it.
///
/// | setting | default |
/// |---|---|
/// | `name` | `punctual` |
/// | `threads` | 0 to 16 for each core, at least 64 and at most 512 |
/// | `keep_alive` | 10 s |
/// | `thread_stack_size` | the standard library's |
/// | `spare_threads` | none |
/// | `queue_limit`, `when_full` | none, `Reject` |
/// | `order` | `EarliestDeadline` |
/// | `default_timeout`, `default_grace` | none |
/// | `on_unseen_panic` | a line to stderr, or to `tracing` |
/// | `observer` | none |
///
/// # Examples
///
/// ```
/// use punctual::Pool;
/// use std::time::Duration;
///
/// let pool = Pool::builder()
///     .name("db")
///     .threads(2..=64)
///     .queue_limit(10_000)
///     .default_timeout(Duration::from_secs(30))
///     .build()
///     .unwrap();
/// assert_eq!(pool.spawn_blocking(|| 1).wait().unwrap(), 1);
/// ```
#[must_use = "`build` makes the pool"]
pub struct Builder {
    name: String,
    min: usize,
    max: usize,
    spares: usize,
    order: Order,
    when_full: WhenFull,
    keep_alive: Duration,
    stack_size: Option<usize>,
    queue_limit: Option<usize>,
    default_timeout: Option<Duration>,
    default_grace: Option<Duration>,
    on_start: Option<ThreadHook>,
    on_stop: Option<ThreadHook>,
    on_unseen_panic: UnseenPanicHook,
    observer: Option<Arc<dyn Observer>>,
    pub(crate) clock: Clock,
    pub(crate) spawner: Spawner,
}

impl Pool {
    /// A pool with the [builder](Self::builder)'s defaults. Starts no thread yet.
    ///
    /// ```
    /// let pool = punctual::Pool::new();
    /// assert_eq!(pool.metrics().threads, 0);
    /// ```
    #[must_use]
    pub fn new() -> Self {
        Self::of(Builder::new().into_share())
    }

    /// Settings for a new pool.
    ///
    /// ```
    /// let pool = punctual::Pool::builder().name("images").threads(1..=2).build().unwrap();
    /// assert_eq!(pool.metrics().threads, 1);
    /// ```
    pub fn builder() -> Builder {
        Builder::new()
    }
}

impl Default for Pool {
    fn default() -> Self {
        Self::new()
    }
}

impl Builder {
    pub(crate) fn new() -> Self {
        Self {
            name: "punctual".to_owned(),
            min: 0,
            max: default_max(),
            spares: 0,
            order: Order::default(),
            when_full: WhenFull::default(),
            keep_alive: KEEP_ALIVE,
            stack_size: None,
            queue_limit: None,
            default_timeout: None,
            default_grace: None,
            on_start: None,
            on_stop: None,
            on_unseen_panic: Arc::new(print_unseen),
            observer: None,
            clock: Clock::System,
            spawner: Spawner::default(),
        }
    }

    /// What the threads are named by: `name-1`, `name-2` … and `name-timer`.
    ///
    /// ```
    /// let pool = punctual::Pool::builder().name("db").build().unwrap();
    /// let name = pool.spawn_blocking(|| std::thread::current().name().map(str::to_owned));
    /// assert_eq!(name.wait().unwrap().as_deref(), Some("db-1"));
    /// ```
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = name.into();
        self
    }

    /// The fewest and the most threads: `2..=64`, `..=8`, `4..`.
    ///
    /// The fewest are started by `build` and always there. Without an end, the default's is taken,
    /// or the beginning if that is more.
    ///
    /// These run jobs. One or two that watch the deadlines come on top, and for a moment one that has
    /// run its last job, and is in its stop hook or drops its thread-locals, while another takes its
    /// place.
    ///
    /// ```
    /// let pool = punctual::Pool::builder().threads(2..=8).build().unwrap();
    /// assert_eq!(pool.metrics().threads, 2);
    /// ```
    pub fn threads(mut self, range: impl RangeBounds<usize>) -> Self {
        self.min = match range.start_bound() {
            Bound::Included(min) => *min,
            Bound::Excluded(below) => below.saturating_add(1),
            Bound::Unbounded => 0,
        };
        self.max = match range.end_bound() {
            Bound::Included(max) => *max,
            Bound::Excluded(above) => above.saturating_sub(1),
            Bound::Unbounded => default_max().max(self.min),
        };
        self
    }

    /// How long a thread beyond the fewest stays idle before it leaves.
    ///
    /// ```
    /// # use punctual::Pool;
    /// # use std::time::Duration;
    /// let pool = Pool::builder().keep_alive(Duration::ZERO).build().unwrap();
    /// pool.spawn_blocking(|| ()).wait().unwrap();
    /// # while pool.metrics().threads > 0 { std::thread::yield_now(); }
    /// assert_eq!(pool.metrics().threads, 0); // a moment later
    /// ```
    pub fn keep_alive(mut self, time: Duration) -> Self {
        self.keep_alive = time;
        self
    }

    /// The stack size of each thread, in bytes.
    ///
    /// Less than 128 KiB counts as that: so much the pool may need for itself.
    ///
    /// ```
    /// let pool = punctual::Pool::builder().thread_stack_size(32 << 20).build().unwrap();
    /// let large = pool.spawn_blocking(|| std::hint::black_box([0_u8; 4 << 20]).len());
    /// assert_eq!(large.wait().unwrap(), 4 << 20);
    /// ```
    pub fn thread_stack_size(mut self, bytes: usize) -> Self {
        self.stack_size = Some(bytes.max(LEAST_STACK));
        self
    }

    /// The timeout of a job that sets neither a timeout nor a deadline.
    ///
    /// ```
    /// # use punctual::Pool;
    /// # use std::time::Duration;
    /// let pool = Pool::builder().default_timeout(Duration::from_millis(5)).build().unwrap();
    /// let job = pool.spawn(|cx| cx.sleep(Duration::MAX));
    /// assert!(job.wait().unwrap_err().is_timed_out());
    /// ```
    pub fn default_timeout(mut self, time: Duration) -> Self {
        self.default_timeout = Some(time);
        self
    }

    /// The grace time of a job that sets none; see [`Job::grace`](crate::Job::grace).
    ///
    /// ```
    /// # use punctual::{Checked, Pool};
    /// # use std::time::Duration;
    /// let pool = Pool::builder().default_grace(Duration::from_secs(10)).build().unwrap();
    /// let job = pool.job().run_timeout(Duration::from_millis(5)).spawn(|cx| -> Checked<_> {
    ///     cx.sleep(Duration::MAX).ok(); // until its time is up
    ///     Ok("what there is so far")
    /// });
    /// assert_eq!(job.wait().unwrap(), "what there is so far");
    /// ```
    pub fn default_grace(mut self, time: Duration) -> Self {
        self.default_grace = Some(time);
        self
    }

    /// Called by each thread before its first job. A panic is told to `on_unseen_panic`.
    ///
    /// ```
    /// # use punctual::Pool;
    /// # use std::cell::Cell;
    /// thread_local!(static SCALE: Cell<u32> = const { Cell::new(1) });
    ///
    /// let pool = Pool::builder().on_thread_start(|| SCALE.set(7)).build().unwrap();
    /// assert_eq!(pool.spawn_blocking(|| 6 * SCALE.get()).wait().unwrap(), 42);
    /// ```
    pub fn on_thread_start(mut self, hook: impl Fn() + Send + Sync + 'static) -> Self {
        self.on_start = Some(Arc::new(hook));
        self
    }

    /// Called by each thread after its last job. A panic is told to `on_unseen_panic`.
    ///
    /// ```
    /// # use punctual::Pool;
    /// let (send, stopped) = std::sync::mpsc::channel();
    /// let hook = move || send.send(std::thread::current().id()).unwrap();
    /// let pool = Pool::builder().threads(2..=2).on_thread_stop(hook).build().unwrap();
    /// pool.drain().wait();
    /// assert_eq!(stopped.try_iter().count(), 2);
    /// ```
    pub fn on_thread_stop(mut self, hook: impl Fn() + Send + Sync + 'static) -> Self {
        self.on_stop = Some(Arc::new(hook));
        self
    }

    /// Called with each panic that no handle will show: of a job whose handle was dropped, of a
    /// body after its handle resolved, of a destructor, a waker or a hook.
    ///
    /// It may be called on any thread that has to do with the pool. Its own panics are ignored.
    /// By default a line is written to stderr; or, with the feature `tracing` and a subscriber on that
    /// thread, it is an error event.
    ///
    /// ```
    /// # use punctual::{Panic, Pool};
    /// let (send, unseen) = std::sync::mpsc::channel();
    /// let log = move |panic: Panic| send.send(panic.message().to_owned()).unwrap();
    /// let pool = Pool::builder().on_unseen_panic(log).build().unwrap();
    /// drop(pool.spawn_blocking(|| -> u32 { panic!("no sum") })); // nobody will see its outcome
    /// assert_eq!(unseen.recv().unwrap(), "no sum");
    /// ```
    pub fn on_unseen_panic(mut self, hook: impl Fn(Panic) + Send + Sync + 'static) -> Self {
        self.on_unseen_panic = Arc::new(hook);
        self
    }

    /// Who is told what happens in the pool. There is at most one; a second takes the first's place.
    ///
    /// ```
    /// # use punctual::{Observer, Pool};
    /// # use std::sync::mpsc::{self, Sender};
    /// struct Threads(Sender<String>);
    ///
    /// impl Observer for Threads {
    ///     fn thread_started(&self, name: &str) {
    ///         self.0.send(name.to_owned()).unwrap();
    ///     }
    /// }
    ///
    /// let (send, started) = mpsc::channel();
    /// let pool = Pool::builder().name("db").threads(1..=2).observer(Threads(send)).build();
    /// assert_eq!(started.recv().unwrap(), "db-1");
    /// # drop(pool);
    /// ```
    pub fn observer(mut self, observer: impl Observer) -> Self {
        self.observer = Some(Arc::new(observer));
        self
    }

    /// Makes the pool, and starts its fewest threads.
    ///
    /// # Errors
    /// If the settings can not be: see [`BuildError`]. If a thread could not be started; those that
    /// were have been ended.
    ///
    /// # Examples
    ///
    /// ```
    /// # use punctual::Pool;
    /// assert!(Pool::builder().threads(2..=8).build().is_ok());
    /// let error = Pool::builder().threads(8..=2).build().unwrap_err();
    /// assert_eq!(error.to_string(), "the range of threads is empty: 8 is more than 2");
    /// ```
    pub fn build(self) -> Result<Pool, BuildError> {
        self.validate()?;
        let pool = Pool::of(self.into_share());
        if let Err(error) = pool.core().crew.start_min() {
            pool.shutdown().wait();
            return Err(BuildError::Thread(error));
        }
        Ok(pool)
    }

    fn validate(&self) -> Result<(), BuildError> {
        let (min, max) = (self.min, self.max);
        match () {
            () if self.name.contains('\0') => Err(BuildError::Name(self.name.clone())),
            () if min > max => Err(BuildError::EmptyRange { min, max }),
            () if max == 0 => Err(BuildError::NoThreads),
            () if max > MAX_THREADS => {
                Err(BuildError::TooManyThreads { asked: max, most: MAX_THREADS })
            }
            () if self.queue_limit == Some(0) => Err(BuildError::NoQueue),
            () => Ok(()),
        }
    }

    /// The pool's share, with no thread started; for settings that were validated, or are defaults.
    pub(crate) fn into_share(self) -> Arc<Share> {
        let on_panic = payload_hook(&self.on_unseen_panic);
        let watch = Watch { observer: self.observer, on_panic: Arc::clone(&on_panic) };
        let name = format!("{}-timer", self.name);
        let keeper: Arc<Timekeeper<Bell>> = Timekeeper::new(name, self.clock, self.spawner.clone());
        let crew = Crew::new(Threads {
            name: self.name,
            min: self.min,
            max: self.max,
            spares: self.spares,
            order: self.order,
            keep_alive: self.keep_alive,
            stack_size: self.stack_size,
            spawner: self.spawner,
            on_start: watch.before(self.on_start),
            on_stop: watch.after(self.on_stop),
            on_panic,
        });
        let core = Core::new(crew, keeper, self.order, watch, self.on_unseen_panic);
        let terms = Terms {
            queue_limit: self.queue_limit,
            when_full: self.when_full,
            default_timeout: self.default_timeout,
            default_grace: self.default_grace,
            ..Terms::default()
        };
        Share::new(core, None, terms)
    }
}

impl fmt::Debug for Builder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Builder")
            .field("name", &self.name)
            .field("threads", &(self.min..=self.max))
            .field("queue_limit", &self.queue_limit)
            .finish_non_exhaustive()
    }
}

fn default_max() -> usize {
    num_cpus::get().saturating_mul(THREADS_PER_CORE).clamp(64, DEFAULT_POOL_THREADS)
}
