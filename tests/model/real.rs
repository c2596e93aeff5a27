//! A real pool that takes the steps of a program. Its bodies do what they are told.

use crate::body::{Capture, Handle, Marks, Order, Reply, Value, obey};
use crate::program::{Act, Asked, By, FAR, Outcome, Said, Settings, Step, TOKENS, Time};
use punctual::testing::ManualClock;
use punctual::{
    AbortHandle, Cause, JobContext, JobError, JobHandle, Permit, Phase, Pool, Rejection, Shutdown,
    ShutdownReport,
};
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{self, Receiver, Sender};
use std::task::{Context, Poll, Wake, Waker};
use std::time::{Duration, Instant};
use tokio_util::sync::CancellationToken;

/// After so long a pool counts as hung.
pub(crate) const PATIENCE: Duration =
    Duration::from_secs(if option_env!("PUNCTUAL_IMPATIENT").is_some() { 5 } else { 30 });

pub(crate) struct Real {
    pub(crate) pool: Option<Pool>,
    pub(crate) jobs: Vec<Job>,
    pub(crate) ends: Vec<End>,
    /// How many panics the pool was told that nobody saw.
    pub(crate) unseen: Arc<AtomicUsize>,
    /// Says which bodies were called.
    pub(crate) starts: Receiver<(usize, JobContext)>,
    /// Moment zero.
    pub(crate) birth: Instant,
    start: Sender<(usize, JobContext)>,
    clock: ManualClock,
    tokens: Vec<CancellationToken>,
    pub(crate) permits: Vec<Permit>,
    /// Who waits for a place, in the order they came.
    pub(crate) waiting: Vec<Waiting>,
}

pub(crate) struct Job {
    pub(crate) handle: Option<Handle>,
    pub(crate) stopper: AbortHandle,
    pub(crate) marks: Arc<Marks>,
    /// Some once it has started.
    pub(crate) cx: Option<JobContext>,
    name: Option<String>,
    orders: Sender<Order>,
    replies: Receiver<Reply>,
}

/// Who waits for the end of the pool.
pub(crate) struct End {
    pub(crate) report: Option<ShutdownReport>,
    shutdown: Option<Woken<Shutdown>>,
}

/// Who waits for a place.
pub(crate) type Waiting = Woken<dyn Future<Output = Result<Permit, Rejection>>>;

/// A future that is polled only when it was woken.
pub(crate) struct Woken<F: ?Sized> {
    flag: Arc<Flag>,
    future: Pin<Box<F>>,
}

struct Flag(AtomicBool);

impl Wake for Flag {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::SeqCst);
    }
}

impl Real {
    pub(crate) fn new(settings: &Settings) -> Self {
        let (clock, unseen) = (ManualClock::new(), Arc::new(AtomicUsize::new(0)));
        let count = Arc::clone(&unseen);
        let min = if settings.ready { settings.workers } else { 0 };
        let mut builder = Pool::builder().threads(min..=settings.workers).clock(&clock);
        builder = builder.order(punctual::Order::Fifo); // so it is specified
        builder = builder.on_unseen_panic(move |_| {
            count.fetch_add(1, Ordering::SeqCst);
        });
        builder = set(builder, settings.limit, punctual::Builder::queue_limit);
        builder = set(builder, settings.timeout.map(ms), punctual::Builder::default_timeout);
        builder = set(builder, settings.grace.map(ms), punctual::Builder::default_grace);
        let (start, starts) = mpsc::channel();
        Self {
            pool: Some(builder.build().expect("threads")),
            jobs: Vec::new(),
            ends: Vec::new(),
            unseen,
            starts,
            birth: clock.now(),
            start,
            clock,
            tokens: (0..TOKENS).map(|_| CancellationToken::new()).collect(),
            permits: Vec::new(),
            waiting: Vec::new(),
        }
    }

    pub(crate) fn step(&mut self, step: &Step) -> Said {
        match *step {
            Step::Submit(by, ref asked) => self.submit(by, asked),
            Step::Act(job, act) => return self.act(job, act),
            Step::Cancel(job) => return Said::Hit(self.jobs[job].cancel()),
            Step::CancelToken(token) => self.tokens[token].cancel(),
            Step::CancelOwnToken(job) => self.cx(job).token().cancel(),
            Step::Advance(time) => self.clock.advance(ms(time)),
            Step::Take(job) => return Said::Gave(self.jobs[job].take()),
            Step::DropHandle(job) => self.jobs[job].handle = None,
            Step::CancelByDrop(job) => {
                drop(self.jobs[job].handle.take().map(JobHandle::cancel_on_drop));
            }
            Step::Reserve => {
                let permit = self.pool().try_reserve();
                return Said::Reserved(permit.map(|permit| self.permits.push(permit)));
            }
            Step::Await => self.await_place(),
            Step::GiveUp(at) => drop(self.waiting.remove(at)),
            Step::DropPermit => drop(self.permits.remove(0)),
            Step::Drain(within) => self.await_end(self.pool().drain(), within),
            Step::Shutdown(within) => self.await_end(self.pool().shutdown(), within),
            Step::DropPool => self.pool = None,
        }
        Said::Nothing
    }

    /// The job whose body is called next.
    #[track_caller]
    pub(crate) fn next_start(&mut self) -> usize {
        let (job, cx) = self.starts.recv_timeout(PATIENCE).expect("a body is called");
        assert!(self.jobs[job].cx.replace(cx).is_none(), "{job} is called once");
        job
    }

    fn submit(&mut self, by: By, asked: &Asked) {
        let number = self.jobs.len();
        let name = asked.named.then(|| format!("n{number}"));
        let (orders, told) = mpsc::channel();
        let (reply, replies) = mpsc::channel();
        let marks = Arc::new(Marks::default());
        let (capture, start) = (Capture(Arc::clone(&marks)), self.start.clone());
        let body = move |cx: &JobContext| {
            let marks = &capture.0;
            start.send((number, cx.clone())).expect("the test listens");
            obey(cx, &told, &reply, marks).map(|()| Value(Arc::clone(marks)))
        };
        let (asked, given, late) = (asked.clone(), name.clone(), Arc::clone(&marks));
        let token = asked.token.map(|token| self.tokens[token].clone());
        let deadline = asked.deadline.map(|time| self.after(time));
        let launch = move |job: punctual::Job| {
            let job = set(job.priority(asked.priority), given, punctual::Job::name);
            let job = set(job, asked.timeout.map(ms), punctual::Job::timeout);
            let job = set(job, deadline, punctual::Job::deadline);
            let job = set(job, asked.queue.map(ms), punctual::Job::queue_timeout);
            let job = set(job, asked.run.map(ms), punctual::Job::run_timeout);
            let job = set(job, asked.grace.map(ms), punctual::Job::grace);
            let job = set(job, token.as_ref(), punctual::Job::token);
            if !asked.on_late {
                return job.spawn(body);
            }
            job.on_late(move |value| {
                late.values_late.fetch_add(1, Ordering::SeqCst);
                drop::<Value>(value);
            })
            .spawn(body)
        };
        let handle = match by {
            By::Pool => launch(self.pool().job()),
            By::Permit => launch(self.permits.remove(0).job()),
            By::Context(job) => launch(self.cx(job).job()),
            By::Body(job) => match self.jobs[job].order(Order::Spawn(Box::new(launch))) {
                Some(Reply::Spawned(handle)) => handle,
                _ => panic!("the body spawns a job"),
            },
        };
        let stopper = handle.abort_handle();
        assert_eq!(stopper.id(), handle.id());
        let handle = Some(handle);
        self.jobs.push(Job { handle, stopper, marks, cx: None, name, orders, replies });
    }

    fn act(&self, job: usize, act: Act) -> Said {
        match self.jobs[job].order(Order::Act(act)) {
            Some(Reply::GoesOn(cause)) => Said::Checked(cause),
            Some(Reply::Spawned(_)) => panic!("it was not asked to"),
            None => Said::Ended,
        }
    }

    fn await_end(&mut self, shutdown: Shutdown, within: Option<Time>) {
        let shutdown = set(shutdown, within.map(ms), Shutdown::within);
        let shutdown = Some(Woken::new(Box::pin(shutdown)));
        self.ends.push(End { report: None, shutdown });
    }

    fn await_place(&mut self) {
        let pool = self.pool().clone();
        self.waiting.push(Woken::new(Box::pin(async move { pool.reserve().await })));
    }

    /// Those who are told first are those who came first.
    pub(crate) fn look_at_waiting(&mut self) {
        let given: Vec<_> = self.waiting.iter_mut().map(Woken::poll).collect();
        let told = given.iter().take_while(|place| place.is_some()).count();
        for place in given.into_iter().flatten() {
            match place {
                Ok(permit) => self.permits.push(permit),
                Err(why) => assert_eq!(why, Rejection::ShutDown),
            }
        }
        self.waiting.drain(..told);
    }

    fn pool(&self) -> &Pool {
        self.pool.as_ref().expect("it is held")
    }

    fn cx(&self, job: usize) -> &JobContext {
        self.jobs[job].cx.as_ref().expect("it has started")
    }

    fn after(&self, time: Time) -> punctual::Deadline {
        match self.clock.now() {
            _ if time >= FAR => punctual::Deadline::NEVER,
            now if time < 0 => punctual::Deadline::at(now - ms(-time)),
            now => punctual::Deadline::at(now + ms(time)),
        }
    }
}

impl Job {
    fn cancel(&self) -> Option<Phase> {
        match &self.handle {
            Some(handle) => handle.cancel(),
            None => self.stopper.cancel(),
        }
    }

    fn take(&mut self) -> Option<Outcome> {
        let outcome = self.handle.as_mut()?.wait_timeout(Duration::ZERO)?;
        Some(match outcome {
            Ok(_) => Outcome::Returned,
            Err(error) => self.outcome(&error),
        })
    }

    fn outcome(&self, error: &JobError<&'static str>) -> Outcome {
        assert!(error.id().is_none_or(|id| id == self.stopper.id()), "{error}");
        match error {
            JobError::Failed(failed) => assert_eq!(*failed, "failed"),
            JobError::Panicked(panic) => {
                assert_eq!((panic.message(), panic.name()), ("panicked", self.name.as_deref()));
            }
            JobError::Cancelled(stop) | JobError::TimedOut(stop) => {
                assert_eq!((stop.id(), stop.name()), (self.stopper.id(), self.name.as_deref()));
                assert_eq!(error.is_timed_out(), stop.cause() == Cause::Deadline);
                assert_eq!(error.is_cancelled(), stop.cause() != Cause::Deadline);
            }
            _ => {}
        }
        match error {
            JobError::Failed(_) => Outcome::Failed,
            JobError::Panicked(_) => Outcome::Panicked,
            JobError::Rejected(why) => Outcome::Refused(*why),
            JobError::Cancelled(stop) | JobError::TimedOut(stop) => {
                let (queued_for, ran_for) = (time(stop.queued_for()), time(stop.ran_for()));
                let (cause, kept) = (stop.cause(), stop.error() == Some(&"failed"));
                match stop.phase() {
                    Phase::Queued if ran_for == 0 && !kept => Outcome::Never(cause, queued_for),
                    _ => Outcome::Cut { cause, kept, queued_for, ran_for },
                }
            }
            other => panic!("{other}"),
        }
    }

    /// Has the running body do something; `None` if it ends with that.
    fn order(&self, order: Order) -> Option<Reply> {
        self.orders.send(order).expect("the body listens");
        match self.replies.recv_timeout(PATIENCE) {
            Ok(reply) => Some(reply),
            Err(mpsc::RecvTimeoutError::Disconnected) => None,
            Err(mpsc::RecvTimeoutError::Timeout) => panic!("the body hangs"),
        }
    }
}

impl End {
    /// Looks again if it was woken; whether the report is there.
    pub(crate) fn look(&mut self) -> bool {
        if let Some(report) = self.shutdown.as_mut().and_then(Woken::poll) {
            (self.report, self.shutdown) = (Some(report), None);
        }
        self.report.is_some()
    }
}

impl<F: Future + ?Sized> Woken<F> {
    fn new(future: Pin<Box<F>>) -> Self {
        Self { flag: Arc::new(Flag(AtomicBool::new(true))), future }
    }

    fn poll(&mut self) -> Option<F::Output> {
        if !self.flag.0.swap(false, Ordering::SeqCst) {
            return None;
        }
        let waker = Waker::from(Arc::clone(&self.flag));
        match self.future.as_mut().poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(output) => Some(output),
            Poll::Pending => None,
        }
    }
}

/// A setting, if it is asked for.
fn set<B, V>(builder: B, value: Option<V>, setter: impl FnOnce(B, V) -> B) -> B {
    match value {
        Some(value) => setter(builder, value),
        None => builder,
    }
}

pub(crate) fn ms(time: Time) -> Duration {
    match u64::try_from(time).expect("not negative") {
        _ if time >= FAR => Duration::MAX,
        time => Duration::from_millis(time),
    }
}

pub(crate) fn time(of: Duration) -> Time {
    Time::try_from(of.as_millis()).expect("not long")
}
