//! Looking up names: a call that nobody can end, in a job of its own.
//!
//! `getaddrinfo` knows no timeout and hears no stop. So who asks does not call it, but waits for a job
//! that does, as long as it has time. That job goes on then, and whoever asks for the same name meanwhile
//! waits for it, too: a resolver that does not answer holds one thread for each name, not for each call.

use crate::deadline::Deadline;
use crate::error::JobError;
use crate::job::{Absence, JobContext};
use crate::share::{Core, Share, Terms};
use crate::submit::Job;
use crate::sync::{Condvar, Mutex};
use crate::worker::Crew;
use std::borrow::Cow;
use std::collections::HashMap;
use std::convert::Infallible;
use std::io::{self, ErrorKind};
use std::net::{SocketAddr, ToSocketAddrs};
use std::sync::{Arc, OnceLock, Weak};

/// So many names are looked up at once for a pool, on threads that it makes for that. More of them wait.
const AT_ONCE: usize = 32;
const WAITING: usize = 1024;

impl JobContext {
    /// Looks up `host:port`: where there is such a host, or an error if the job is asked to stop before
    /// that is known.
    ///
    /// The system's call for that (`getaddrinfo`) can not be ended. It is made in a job named `resolve`
    /// of this job's pool, beside its lanes and its threads, which are made for that, 32 at the most. If it
    /// takes longer than this job has, that one goes on, and ends when the system does; it shows in
    /// [`metrics`](crate::Pool::metrics), and a shutdown names it among those that are still running. Who
    /// asks for the same name meanwhile waits for the same answer. Nothing is kept once it is there.
    ///
    /// An address, such as `127.0.0.1:80`, is given at once.
    ///
    /// # Errors
    /// The system's, also for what is no `host:port`; why the pool took no job for it, as when it shuts
    /// down; and if the job is asked to stop, as with [`io`](Self::io).
    ///
    /// # Examples
    ///
    /// ```
    /// let pool = punctual::Pool::new();
    /// let job = pool.spawn(|cx| cx.resolve("localhost:5432"));
    /// assert!(job.wait().unwrap().iter().all(|at| at.ip().is_loopback() && at.port() == 5432));
    /// ```
    pub fn resolve(&self, host: &str) -> io::Result<Vec<SocketAddr>> {
        self.check()?;
        if let Ok(address) = host.parse() {
            return Ok(vec![address]);
        }
        self.resolve_by(host, |host| host.to_socket_addrs().map(Iterator::collect))
    }

    fn resolve_by(
        &self,
        host: &str,
        ask: impl FnOnce(&str) -> io::Result<Vec<SocketAddr>> + Send + 'static,
    ) -> io::Result<Vec<SocketAddr>> {
        let Some(own) = Share::of(self.task()) else {
            unreachable!("every job's owner is a share of a pool");
        };
        let (lookup, is_new) = Lookup::of(&own.core, host);
        if is_new {
            lookup.begin(lane(&own.core), host, ask);
        }
        let _waiting = Waiting::begin(&own.core.crew, self);
        lookup.answer(self)
    }
}

/// What was found; an error in a form that many can be given.
type Found = Result<Vec<SocketAddr>, (ErrorKind, Arc<str>)>;

/// One that is under way, or just over.
#[derive(Default)]
struct Lookup {
    found: Mutex<Option<Found>>,
    /// Notified when it is there, and when somebody who waits for it is stopped.
    told: Condvar,
}

/// Those of all pools, each known by the address of its core, while anybody has them.
#[derive(Default)]
struct Directory {
    lookups: HashMap<(usize, String), Weak<Lookup>>,
    lanes: HashMap<usize, Weak<Share>>,
}

fn directory() -> &'static Mutex<Directory> {
    static DIRECTORY: OnceLock<Mutex<Directory>> = OnceLock::new();
    DIRECTORY.get_or_init(Mutex::default)
}

fn address(core: &Arc<Core>) -> usize {
    Arc::as_ptr(core).addr()
}

/// The lane that a pool's names are looked up in. It is within no other: who waits for a name holds a
/// permit of its own lane, and must not wait for one more of that.
fn lane(core: &Arc<Core>) -> Arc<Share> {
    let mut directory = directory().lock();
    if let Some(lane) = directory.lanes.get(&address(core)).and_then(Weak::upgrade) {
        return lane; // it has the core, so that is the one that is at this address
    }
    let terms = Terms {
        name: Some(Cow::Borrowed("resolve")),
        limit: Some(AT_ONCE),
        queue_limit: Some(WAITING),
        is_elastic: true,
        ..Terms::default()
    };
    let lane = Share::new(Arc::clone(core), None, terms);
    directory.lanes.retain(|_, lane| lane.strong_count() > 0);
    directory.lanes.insert(address(core), Arc::downgrade(&lane));
    lane
}

impl Lookup {
    /// The one that is under way for this name, or a new one, to be begun by who has it.
    fn of(core: &Arc<Core>, host: &str) -> (Arc<Self>, bool) {
        let mut directory = directory().lock();
        let key = (address(core), host.to_owned());
        let known = directory.lookups.get(&key).and_then(Weak::upgrade);
        if let Some(known) = known.filter(|known| known.found.lock().is_none()) {
            return (known, false);
        }
        let new = Arc::new(Self::default());
        directory.lookups.retain(|_, lookup| lookup.strong_count() > 0);
        directory.lookups.insert(key, Arc::downgrade(&new));
        (new, true)
    }

    fn begin(
        self: &Arc<Self>,
        lane: Arc<Share>,
        host: &str,
        ask: impl FnOnce(&str) -> io::Result<Vec<SocketAddr>> + Send + 'static,
    ) {
        let (question, host) = (Question(Arc::clone(self)), host.to_owned());
        let body = move || {
            let found = ask(&host).map_err(|error| (error.kind(), error.to_string().into()));
            question.0.tell(found);
        };
        if let Err(refused) = Job::new(lane).name("resolve").try_spawn_blocking(body) {
            let error = io::Error::from(JobError::<Infallible>::Rejected(refused.why()));
            self.tell(Err((error.kind(), error.to_string().into())));
        }
    }

    /// The first counts.
    fn tell(&self, found: Found) {
        self.found.lock().get_or_insert(found);
        self.told.notify_all();
    }

    /// Waits for it as long as the job may.
    fn answer(self: &Arc<Self>, cx: &JobContext) -> io::Result<Vec<SocketAddr>> {
        let waiting = Arc::clone(self);
        let _guard = cx.on_stop(move |_| {
            drop(waiting.found.lock()); // who looked before the stop is in its wait now
            waiting.told.notify_all();
        });
        let mut found = self.found.lock();
        loop {
            if let Some(found) = &*found {
                return found.clone().map_err(|(kind, text)| io::Error::new(kind, &*text));
            }
            cx.check()?;
            found = self.told.wait(found);
        }
    }
}

/// While it lives, this worker comes for no job. If all wait like this and there is no thread to be had that
/// the name could be looked up on, the pool refuses that job, rather than leave it to nobody.
struct Waiting<'a>(&'a Crew, Absence);

impl<'a> Waiting<'a> {
    fn begin(crew: &'a Arc<Crew>, cx: &JobContext) -> Self {
        let for_ever = cx.deadline() == Deadline::NEVER;
        let is_here = crew.is_here();
        Self(crew, if is_here { crew.one_waits(false, for_ever) } else { Absence::default() })
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.one_goes_on(self.1);
    }
}

/// What the job has that is to answer: if it is dropped without, it says so.
struct Question(Arc<Lookup>);

impl Drop for Question {
    fn drop(&mut self) {
        self.0.tell(Err((ErrorKind::Other, "the name was not looked up".into())));
    }
}

#[cfg(all(test, not(any(punctual_loom, punctual_shuttle))))]
mod tests {
    use super::*;
    use crate::job::JobHandle;
    use crate::pool::Pool;
    use std::sync::mpsc::{self, Receiver, Sender};
    use std::time::Duration;

    /// A resolver that answers when it is told to, and says that it was asked.
    fn silent(
        asked: &Sender<Sender<()>>,
    ) -> impl FnOnce(&str) -> io::Result<Vec<SocketAddr>> + use<> {
        let asked = asked.clone();
        move |host| {
            let (go, gate) = mpsc::channel();
            asked.send(go).expect("the test listens");
            let _ = gate.recv();
            host.to_socket_addrs().map(Iterator::collect)
        }
    }

    /// After so long a test counts as hung. (Shorter where many are meant to hang: `.ci/defects`.)
    const PATIENCE: Duration =
        Duration::from_secs(if option_env!("PUNCTUAL_IMPATIENT").is_some() { 5 } else { 30 });

    fn next<T>(news: &Receiver<T>) -> T {
        news.recv_timeout(PATIENCE).expect("it comes")
    }

    fn outcome<T, E>(mut job: JobHandle<T, E>) -> Result<T, JobError<E>> {
        job.wait_timeout(PATIENCE).expect("the handle resolves")
    }

    #[test]
    fn one_that_does_not_answer_holds_one_thread_for_a_name_and_no_caller() {
        let pool = Pool::builder().threads(1..=4).build().expect("threads");
        let (asked, asks) = mpsc::channel();
        let ask = |host: &'static str| {
            let asked = asked.clone();
            let settings = pool.job().run_timeout(Duration::from_millis(20));
            settings.spawn(move |cx| cx.resolve_by(host, silent(&asked)))
        };
        let callers: Vec<_> =
            (0..8).map(|_| ask("localhost:1")).chain([ask("localhost:2")]).collect();
        for caller in callers {
            assert!(outcome(caller).expect_err("nobody answers").is_timed_out());
        }
        let gates = [next(&asks), next(&asks)];
        assert!(asks.try_recv().is_err(), "one for each name");
        assert!(pool.metrics().threads <= 4 + 2);
        // It waits for the one that is under way; or comes when that is over, and asks anew.
        let patient = pool.spawn(move |cx| {
            cx.resolve_by("localhost:1", |host| host.to_socket_addrs().map(Iterator::collect))
        });
        drop(gates);
        assert!(!outcome(patient).expect("it is answered at last").is_empty());
        pool.shutdown().wait();
    }

    #[test]
    fn a_pool_whose_threads_all_ask_finds_others_for_that() {
        let pool = Pool::builder().threads(1..=1).build().expect("a thread");
        let lane = pool.lane("one at a time").limit(1);
        let found = lane.spawn(|cx| {
            cx.resolve_by("localhost:3", |host| host.to_socket_addrs().map(Iterator::collect))
        });
        assert!(!outcome(found).expect("it is answered").is_empty());
    }

    #[test]
    fn lookups_are_counted_as_the_jobs_of_every_lane() {
        let pool = Pool::builder().threads(1..=1).build().expect("a thread");
        let (asked, asks) = mpsc::channel();
        let job = pool.spawn(move |cx| cx.resolve_by("localhost:4", silent(&asked)));
        let gate = next(&asks);
        let [lane] = &pool.lanes()[..] else { panic!("there is one") };
        assert_eq!((lane.name.as_str(), lane.accepted, lane.running), ("resolve", 1, 1));
        drop(gate);
        outcome(job).expect("it is answered");
    }

    #[test]
    fn an_answer_is_not_kept_and_an_error_is_everybodys() {
        let pool = Pool::new();
        let fail = |_: &str| Err(io::Error::new(ErrorKind::NotFound, "no such host"));
        for _ in 0..2 {
            let job = pool.spawn(move |cx| -> Result<_, std::convert::Infallible> {
                let error = cx.resolve_by("nowhere:1", fail).expect_err("it fails");
                Ok((error.kind(), error.to_string()))
            });
            let error = outcome(job).expect("it returned Ok");
            assert_eq!(error, (ErrorKind::NotFound, "no such host".to_owned()));
        }
        let job = pool.spawn(|cx| cx.resolve_by("nowhere:1", |_| Ok(Vec::new())));
        assert!(outcome(job).expect("it is asked anew").is_empty());
    }

    #[test]
    fn one_that_panics_or_is_refused_leaves_nobody_waiting() {
        let pool = Pool::builder().on_unseen_panic(|_| ()).build().expect("threads");
        let job = pool.spawn(|cx| {
            cx.resolve_by("panics:1", |_| std::panic::resume_unwind(Box::new("on purpose")))
        });
        assert!(outcome(job).is_err());
        let (go, gate) = mpsc::channel::<()>();
        let job = pool.spawn(move |cx| {
            let _ = gate.recv();
            cx.resolve_by("refused:1", |_| Ok(Vec::new()))
        });
        while pool.metrics().queued > 0 {
            std::thread::yield_now();
        }
        let end = pool.drain(); // it refuses what is new
        drop(go);
        let error = outcome(job).expect_err("its pool takes no job for that");
        assert!(error.to_string().contains("shut"), "{error}");
        end.wait();
    }
}
