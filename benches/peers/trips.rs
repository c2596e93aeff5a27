//! Round trips: a job is submitted and awaited before the next, from three kinds of places.

use crate::contenders::Contender;
use crate::measure::{
    Figures, Goal, Line, Shown, Workload, cpu_time, nanoseconds, pools, quantile,
};
use std::future::Future;
use std::time::{Duration, Instant};
use tokio::runtime::Builder;

const WARM_UP: u64 = 200;
/// Never passes here.
const FAR: Duration = Duration::from_secs(3600);

/// Where jobs are submitted and awaited.
#[derive(Clone, Copy)]
enum Place {
    /// On a worker of a multi-thread runtime.
    Multi,
    /// On the one thread of a current-thread runtime.
    Current,
    /// On a thread that has no runtime.
    Plain,
}

pub(crate) fn workloads(quick: bool) -> Vec<Workload> {
    let (rounds, trips) = if quick { (3, 500) } else { (11, 2_000) };
    let of = |title: &str, runs, goal| Workload {
        title: format!("round trip, {title}"),
        rounds,
        lines: ["p50", "CPU time"].map(|name| Line { name, shown: Shown::TimesTokio, goal }).into(),
        runs,
    };
    let (plain, ahead) = (Place::Plain, Goal::Ahead(1.5));
    vec![
        of("multi-thread runtime", pools!(round_trips(Place::Multi, 2, trips)), ahead),
        of("current-thread runtime", pools!(round_trips(Place::Current, 2, trips)), ahead),
        of("plain thread", pools!(round_trips(plain, 2, trips)), ahead),
        of("plain thread, 8 threads", pools!(round_trips(plain, 8, trips)), ahead),
        of("deadline, multi-thread", pools!(timed_trips(Place::Multi, 2, trips)), Goal::None),
        of("deadline, current-thread", pools!(timed_trips(Place::Current, 2, trips)), Goal::None),
    ]
}

/// The median time of a trip, and its CPU time, both in nanoseconds.
fn round_trips<C: Contender>(place: Place, threads: usize, trips: u64) -> Figures {
    let pool = C::new(threads);
    place.run(async move {
        let trip = |n| pool.spawn(move || n);
        time(&trip, WARM_UP).await;
        measure(&trip, trips).await
    })
}

/// The same, where each has a deadline that is far.
fn timed_trips<C: Contender>(place: Place, threads: usize, trips: u64) -> Figures {
    let pool = C::new(threads);
    place.run(async move {
        let trip = |n| {
            let job = pool.spawn_within(FAR, move || n);
            async { job.await.expect("it is in time") }
        };
        time(&trip, WARM_UP).await;
        measure(&trip, trips).await
    })
}

async fn measure<F: Future<Output = u64>>(trip: impl Fn(u64) -> F, trips: u64) -> Figures {
    let before = cpu_time();
    let mut times = time(trip, trips).await;
    let cpu = cpu_time() - before;
    vec![quantile(&mut times, 0.5), nanoseconds(cpu) / trips as f64]
}

async fn time<F: Future<Output = u64>>(trip: impl Fn(u64) -> F, trips: u64) -> Vec<f64> {
    let mut times = Vec::with_capacity(trips as usize);
    let mut sum = 0;
    for n in 0..trips {
        let begin = Instant::now();
        sum += trip(n).await;
        times.push(nanoseconds(begin.elapsed()));
    }
    assert_eq!(sum, trips * (trips - 1) / 2);
    times
}

impl Place {
    fn run<T: Send + 'static>(self, work: impl Future<Output = T> + Send + 'static) -> T {
        match self {
            Self::Multi => {
                let runtime = Builder::new_multi_thread().worker_threads(2).enable_time().build();
                let runtime = runtime.expect("the system has threads");
                runtime.block_on(runtime.spawn(work)).expect("it does not panic")
            }
            Self::Current => {
                let runtime = Builder::new_current_thread().enable_time().build();
                runtime.expect("it needs no thread").block_on(work)
            }
            Self::Plain => futures_lite::future::block_on(work),
        }
    }
}
