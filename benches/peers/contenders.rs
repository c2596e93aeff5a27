//! Who takes part: punctual, and the pools that users would pick instead, behind one trait.
//!
//! Where a pool gives no result to await, its jobs send one through tokio's oneshot channel, as its users
//! do. Each is made anew for each round, with so many threads at the most, and is else as it is by default.

pub(crate) use crate::baselines::{Handoff, Simple};
use futures_lite::future;
use std::future::Future;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::Duration;
use tokio::sync::oneshot;

/// The columns of the table.
pub(crate) const NAMES: [&str; 9] = [
    Punctual::NAME,
    Tokio::NAME,
    Blocking::NAME,
    Rayon::NAME,
    Affinity::NAME,
    Threadpool::NAME,
    Rusty::NAME,
    Simple::NAME,
    Handoff::NAME,
];

/// A pool of threads. Clones are one pool, which ends with the last.
pub(crate) trait Contender: Clone + Send + Sync + 'static {
    const NAME: &'static str;

    /// A pool of at most so many threads.
    fn new(threads: usize) -> Self;

    /// Submits a job. The future gives its result, and panics if the job did.
    fn spawn(
        &self,
        body: impl FnOnce() -> u64 + Send + 'static,
    ) -> impl Future<Output = u64> + Send + 'static;

    /// Submits a job that nobody waits for.
    fn detach(&self, body: impl FnOnce() + Send + 'static) {
        drop(self.spawn(|| {
            body();
            0
        }));
    }

    /// Submits a job whose future gives `None` after that time: by a timeout of tokio's, which stops
    /// nothing, unless the pool has deadlines. Called within a runtime that has a timer.
    fn spawn_within(
        &self,
        time: Duration,
        body: impl FnOnce() -> u64 + Send + 'static,
    ) -> impl Future<Output = Option<u64>> + Send + 'static {
        let job = tokio::time::timeout(time, self.spawn(body));
        async { job.await.ok() }
    }

    /// How many threads it says that it has; none if it does not say.
    fn threads(&self) -> usize {
        0
    }

    /// Waits for all jobs of a pool whose futures give nothing; gives the sum of what they returned.
    fn settle(&self) -> u64 {
        0
    }
}

#[derive(Clone)]
pub(crate) struct Punctual(pub(crate) punctual::Pool);

impl Contender for Punctual {
    const NAME: &'static str = "punctual";

    fn new(threads: usize) -> Self {
        Self(punctual::Pool::builder().threads(0..=threads).build().expect("no thread is started"))
    }

    fn spawn(
        &self,
        body: impl FnOnce() -> u64 + Send + 'static,
    ) -> impl Future<Output = u64> + Send + 'static {
        let job = self.0.spawn_blocking(body);
        async { job.await.expect("nothing ends it early") }
    }

    fn spawn_within(
        &self,
        time: Duration,
        body: impl FnOnce() -> u64 + Send + 'static,
    ) -> impl Future<Output = Option<u64>> + Send + 'static {
        let job = self.0.job().timeout(time).spawn_blocking(body);
        async {
            match job.await {
                Ok(value) => Some(value),
                Err(error) if error.is_timed_out() || error.is_rejected() => None,
                Err(error) => panic!("{error}"),
            }
        }
    }

    fn threads(&self) -> usize {
        self.0.metrics().threads
    }
}

/// `tokio::task::spawn_blocking`, with a runtime for it alone, as tokio is by default: its sharded queue
/// is an unstable setting.
///
/// With tokio's feature `test-util`, which this crate's tests need and its users do not, each blocking job
/// of a current-thread runtime takes the lock of a clock twice. So this one is multi-thread, wherever it is
/// spawned from; its one worker has nothing to do.
#[derive(Clone)]
pub(crate) struct Tokio(Arc<Background>);

/// Dropped anywhere, it waits for nothing.
struct Background(Option<tokio::runtime::Runtime>);

impl Drop for Background {
    fn drop(&mut self) {
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}

impl Tokio {
    /// Tokio's own handle, which has `abort`.
    pub(crate) fn task(
        &self,
        body: impl FnOnce() -> u64 + Send + 'static,
    ) -> tokio::task::JoinHandle<u64> {
        self.0.0.as_ref().expect("it is there until it is dropped").spawn_blocking(body)
    }
}

impl Contender for Tokio {
    const NAME: &'static str = "tokio";

    fn new(threads: usize) -> Self {
        let mut runtime = tokio::runtime::Builder::new_multi_thread();
        let runtime = runtime.worker_threads(1).max_blocking_threads(threads).build();
        let runtime = runtime.expect("the system has a thread");
        Self(Arc::new(Background(Some(runtime))))
    }

    fn spawn(
        &self,
        body: impl FnOnce() -> u64 + Send + 'static,
    ) -> impl Future<Output = u64> + Send + 'static {
        let job = self.task(body);
        async { job.await.expect("nothing aborts it") }
    }
}

/// `blocking::unblock`, which has one pool for the process.
#[derive(Clone)]
pub(crate) struct Blocking;

/// After that time `blocking` lets go of idle threads of which there are too many.
const BLOCKING_IDLE: Duration = Duration::from_millis(600);

impl Contender for Blocking {
    const NAME: &'static str = "blocking";

    fn new(threads: usize) -> Self {
        static LAST: AtomicUsize = AtomicUsize::new(0);
        blocking::set_max_blocking_threads(NonZeroUsize::new(threads).expect("not zero"));
        // Relaxed: one thread makes them all.
        if LAST.swap(threads, Relaxed) > threads {
            std::thread::sleep(BLOCKING_IDLE);
        }
        Self
    }

    fn spawn(
        &self,
        body: impl FnOnce() -> u64 + Send + 'static,
    ) -> impl Future<Output = u64> + Send + 'static {
        blocking::unblock(body)
    }

    fn detach(&self, body: impl FnOnce() + Send + 'static) {
        blocking::unblock(body).detach();
    }
}

/// `rayon::spawn`, and a oneshot channel.
#[derive(Clone)]
pub(crate) struct Rayon(Arc<rayon::ThreadPool>);

impl Contender for Rayon {
    const NAME: &'static str = "rayon";

    fn new(threads: usize) -> Self {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build();
        Self(Arc::new(pool.expect("the system has threads")))
    }

    fn spawn(
        &self,
        body: impl FnOnce() -> u64 + Send + 'static,
    ) -> impl Future<Output = u64> + Send + 'static {
        let (job, result) = sent(body);
        self.0.spawn(job);
        result
    }

    fn detach(&self, body: impl FnOnce() + Send + 'static) {
        self.0.spawn(body);
    }
}

/// `affinitypool`. Its threads are joined by who drops the last clone, which no body may have.
#[derive(Clone)]
pub(crate) struct Affinity(Arc<affinitypool::Threadpool>);

impl Contender for Affinity {
    const NAME: &'static str = "affinity";

    fn new(threads: usize) -> Self {
        Self(Arc::new(affinitypool::Threadpool::new(threads)))
    }

    fn spawn(
        &self,
        body: impl FnOnce() -> u64 + Send + 'static,
    ) -> impl Future<Output = u64> + Send + 'static {
        self.0.spawn(body)
    }

    /// It has no other way: a future that is dropped takes its job with it. So this leaks the job, and
    /// spares the pool the freeing.
    fn detach(&self, body: impl FnOnce() + Send + 'static) {
        std::mem::forget(self.0.spawn(body));
    }
}

/// `threadpool`, and a oneshot channel.
#[derive(Clone)]
pub(crate) struct Threadpool(threadpool::ThreadPool);

impl Contender for Threadpool {
    const NAME: &'static str = "threadpool";

    fn new(threads: usize) -> Self {
        Self(threadpool::ThreadPool::new(threads))
    }

    fn spawn(
        &self,
        body: impl FnOnce() -> u64 + Send + 'static,
    ) -> impl Future<Output = u64> + Send + 'static {
        let (job, result) = sent(body);
        self.0.execute(job);
        result
    }

    fn detach(&self, body: impl FnOnce() + Send + 'static) {
        self.0.execute(body);
    }
}

/// `rusty_pool`, which brings a oneshot channel of its own.
#[derive(Clone)]
pub(crate) struct Rusty(rusty_pool::ThreadPool);

impl Contender for Rusty {
    const NAME: &'static str = "rusty_pool";

    fn new(threads: usize) -> Self {
        Self(rusty_pool::ThreadPool::new(threads, threads, Duration::from_secs(10)))
    }

    fn spawn(
        &self,
        body: impl FnOnce() -> u64 + Send + 'static,
    ) -> impl Future<Output = u64> + Send + 'static {
        let job = self.0.evaluate(body).receiver;
        async { job.await.expect("it was run") }
    }

    fn detach(&self, body: impl FnOnce() + Send + 'static) {
        self.0.execute(body);
    }
}

/// A job that sends its result through a oneshot channel, and the future of it.
pub(crate) fn sent(
    body: impl FnOnce() -> u64 + Send + 'static,
) -> (impl FnOnce() + Send + 'static, impl Future<Output = u64> + Send + 'static) {
    let (send, receive) = oneshot::channel();
    (move || _ = send.send(body()), async { receive.await.expect("it was run") })
}

/// The results of jobs, awaited one after the other; their sum.
pub(crate) fn await_all(jobs: impl IntoIterator<Item = impl Future<Output = u64>>) -> u64 {
    future::block_on(async {
        let mut sum = 0;
        for job in jobs {
            sum += job.await;
        }
        sum
    })
}
