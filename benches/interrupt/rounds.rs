//! One call, stopped many times: what is measured, and how it is shown.

use punctual::{JobContext, Pool};
use std::convert::Infallible;
use std::fs;
use std::sync::Arc;
use std::sync::mpsc::channel;
use std::thread;
use std::time::{Duration, Instant};

/// Far more than anything takes that is ended at all.
const PATIENCE: Duration = Duration::from_secs(30);

/// How much is done.
pub(crate) struct Size {
    /// Stops of each call, and how many before that do not count.
    pub(crate) stops: u32,
    pub(crate) warm_up: u32,
    /// Rounds of each comparison of streams, and how much is carried in one.
    pub(crate) streams: usize,
    pub(crate) bytes: usize,
    pub(crate) trips: usize,
}

/// Tells that all is ready, and blocks until its job is stopped: an error then.
type Blocks = dyn Fn(&JobContext, &dyn Fn()) -> anyhow::Result<()> + Send + Sync;

/// A call that blocks until its job is stopped.
pub(crate) struct Call {
    name: &'static str,
    goal: Duration,
    blocks: Arc<Blocks>,
    /// It blocks by computing.
    computes: bool,
    /// It is stopped so long after it has blocked, at the most.
    spread: Duration,
}

impl Call {
    pub(crate) fn new(
        name: &'static str,
        blocks: impl Fn(&JobContext, &dyn Fn()) -> anyhow::Result<()> + Send + Sync + 'static,
    ) -> Self {
        let (goal, spread) = (Duration::from_millis(2), Duration::from_millis(2));
        Self { name, goal, blocks: Arc::new(blocks), computes: false, spread }
    }

    pub(crate) fn computing(self) -> Self {
        Self { computes: true, ..self }
    }

    /// One that waits in steps of up to this.
    pub(crate) fn in_steps(self, spread: Duration) -> Self {
        Self { spread, ..self }
    }

    pub(crate) fn goal(self, goal: Duration) -> Self {
        Self { goal, ..self }
    }

    pub(crate) fn name(&self) -> &'static str {
        self.name
    }

    /// Measures it and prints its line; whether the goal is met.
    pub(crate) fn print(&self, size: &Size) -> bool {
        let pool = Pool::builder().threads(1..=1).build().expect("a thread");
        for round in 0..size.warm_up {
            self.stop(&pool, round);
        }
        let mut times: Vec<_> = (0..size.stops).map(|round| self.stop(&pool, round)).collect();
        times.sort();
        let at = |percent| times[times.len() * percent / 100];
        let (p50, p99, most) = (at(50), at(99), times[times.len() - 1]);
        let is_met = p99 <= self.goal;
        println!(
            "{:36} {} {} {}   <= {:?} {}",
            self.name,
            millis(p50),
            millis(p99),
            millis(most),
            self.goal,
            if is_met { "ok" } else { "NOT" },
        );
        is_met
    }

    /// How long after a cancel the call has returned.
    fn stop(&self, pool: &Pool, round: u32) -> Duration {
        let (ready, is_ready) = channel();
        let (left, has_left) = channel();
        let blocks = Arc::clone(&self.blocks);
        let job = pool.spawn(move |cx| {
            let came_of_it = blocks(cx, &|| ready.send(this_thread()).expect("somebody listens"));
            left.send((Instant::now(), came_of_it)).expect("somebody listens");
            Ok::<_, Infallible>(())
        });
        let thread = is_ready.recv_timeout(PATIENCE).expect("it begins");
        let begin = Instant::now();
        while !self.computes && !sleeps(&thread) && begin.elapsed() < PATIENCE {
            thread::yield_now();
        }
        thread::sleep(self.spread.mul_f64(f64::from(round) * 0.618_034 % 1.0));
        if let Ok((_, came_of_it)) = has_left.try_recv() {
            let came_of_it = came_of_it.map_err(|error| error.to_string());
            panic!("{} does not block: {came_of_it:?}", self.name);
        }
        let asked = Instant::now();
        job.cancel();
        let (left, came_of_it) = has_left.recv_timeout(PATIENCE).expect("it ends");
        assert!(came_of_it.is_err(), "{} says that it was not stopped", self.name);
        job.wait_stopped();
        left - asked
    }
}

fn millis(time: Duration) -> String {
    format!("{:>8.3} ms", time.as_secs_f64() * 1e3)
}

fn this_thread() -> String {
    let link = fs::read_link("/proc/thread-self");
    link.map(|link| link.to_string_lossy().into_owned()).unwrap_or_default()
}

/// Whether a thread sleeps in the system. Where nobody can tell, one pauses, and hopes.
fn sleeps(thread: &str) -> bool {
    match fs::read_to_string(format!("/proc/{thread}/stat")) {
        Ok(stat) => stat.rsplit(") ").next().is_some_and(|rest| rest.starts_with('S')),
        Err(_) => {
            thread::sleep(Duration::from_millis(5));
            true
        }
    }
}
