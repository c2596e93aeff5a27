//! Jobs that borrow from the stack: a scope that does not end before they have.
//!
//! As `std::thread::scope`, on a pool. A scoped job is a plain one, whose body is a [`Ticket`]. That
//! owns nothing but its half of a [`Packet`], in which the user's body waits and its result is left.
//! So the pool, its queue and its timekeeper know only jobs that may live for ever; what borrows is
//! in one place.
//!
//! # Rules
//! 1. A packet's body is taken out by its ticket alone, to be called or dropped. Its result is put
//!    there by the ticket and taken by the handle; the later one of a result and of the handle's
//!    drop drops the result.
//! 2. A job counts as alive from before its ticket is made until that has let go of the packet.
//! 3. A job is [listed](Members) before it is queued, under the lock under which the scope is
//!    stopped. So a stop reaches it, or it sees the stop: none that had not started starts after.
//! 4. The outcome of a job whose handle is dropped unwaited is the scope's to look at: a panic in it
//!    goes on where the scope ends. What nobody could have waited for (the panic of a destructor, or
//!    after a deadline) goes to the pool's hook, as ever.
//!
//! # Why this is correct
//! [`Scope::lend`] erases the lifetime of a packet for its ticket. Nothing borrowed is used, or
//! dropped, after its lifetime is over, because
//! 1. borrowed values are in packets only: to the pool, the job's value is `()`, its error is
//!    [`Kept`], and a panic's payload is `Any`, thus `'static`;
//! 2. a packet has two holders. One is the handle, which has the lifetime in its type. A forgotten one
//!    leaks the packet, result and all: no code is run;
//! 3. the other is the ticket, which the job's body owns. The job's cell, whoever keeps it (queue,
//!    worker, timekeeper, contexts, abort handles), calls that body or drops it. Either consumes the
//!    ticket, by return or by unwinding, and then, in this order, what is left of the user's body is
//!    dropped, the packet is let go of, and the job is no longer [`Alive`]. If neither happens, the
//!    job stays alive;
//! 4. [`run`] neither returns nor unwinds while a job is alive: [`UntilNoneLives`] is on its stack and
//!    can not be forgotten, and its last step, a wait, calls nobody;
//! 5. none comes alive later. Who spawns has a reference to the scope, of the same lifetime: that is
//!    `f`, which is over, or what a live job's packet holds. (Or what was leaked, and is not run.)
//!
//! Nothing here hangs on what the rest of the crate does, but for what memory safety needs anyway.

mod handle;
mod job;
mod members;
#[cfg(doctest)]
mod misuse;
mod open;
mod packet;

pub use handle::ScopedHandle;
pub use job::ScopedJob;
pub use open::ScopePolicy;

use crate::job::{JobContext, Leftover, Owner, Task, current};
use crate::scope::members::{Member, Members};
use crate::scope::packet::{Alive, Erased, Left, Living, Packet, Ticket};
use crate::submit::Job;
use crate::unwind::{self, Payload};
use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;

#[cfg(doc)]
use crate::pool::Pool;
#[cfg(doc)]
use crate::scope::packet::Kept;

/// Runs `f` with a scope whose jobs have these settings, and waits for them all.
fn run<'env, F, R>(job: Job, policy: ScopePolicy, f: F) -> R
where
    F: for<'scope> FnOnce(&'scope Scope<'scope, 'env>) -> R,
{
    let scope = Scope::new(job, policy);
    let result = {
        let _barrier = UntilNoneLives { living: &scope.living, members: &scope.members };
        let result = unwind::catch(|| f(&scope));
        if result.is_err() {
            scope.cancel();
        }
        result
    };
    end(&scope.members, result)
}

/// Gives what `f` gave, or goes on with its panic, or else with that of a job.
fn end<R>(members: &Members, result: Result<R, Payload>) -> R {
    match (result, members.close()) {
        (Ok(value), None) => value,
        (Ok(value), Some(unseen)) => {
            unseen.job().head.catch(|| drop(value));
            unseen.resume()
        }
        (Err(payload), unseen) => {
            if let Some(unseen) = unseen {
                unseen.tell();
            }
            std::panic::resume_unwind(payload)
        }
    }
}

/// Spawns jobs that may borrow for `'scope`, which ends when all of them have; see [`Pool::scope`].
///
/// `'env` is the lifetime of what is borrowed from outside. The bodies may borrow the scope itself,
/// too, and spawn more jobs through it.
///
/// # Examples
///
/// ```
/// use punctual::{JobError, Pool, Scope};
/// use std::sync::atomic::{AtomicU32, Ordering};
///
/// enum Tree {
///     Leaf(u32),
///     Fork(Box<[Tree; 2]>),
/// }
///
/// fn add<'scope>(
///     s: &'scope Scope<'scope, '_>,
///     tree: &'scope Tree,
///     sum: &'scope AtomicU32,
/// ) -> Result<(), JobError> {
///     match tree {
///         Tree::Leaf(n) => drop(sum.fetch_add(*n, Ordering::Relaxed)),
///         Tree::Fork(two) => {
///             let both = two.each_ref().map(|tree| s.spawn_blocking(move || add(s, tree, sum)));
///             for one in both {
///                 one.wait()??; // in a job, it runs right here if it still waits
///             }
///         }
///     }
///     Ok(())
/// }
///
/// let fork = |left, right| Tree::Fork(Box::new([left, right]));
/// let tree = fork(Tree::Leaf(1), fork(Tree::Leaf(2), Tree::Leaf(3)));
/// let sum = AtomicU32::new(0);
/// Pool::new().scope(|s| add(s, &tree, &sum)).unwrap();
/// assert_eq!(sum.into_inner(), 6);
/// ```
pub struct Scope<'scope, 'env: 'scope> {
    /// The settings of its own jobs. Who opened it keeps their pool open.
    job: Job,
    living: Arc<Living>,
    members: Arc<Members>,
    /// Whom the jobs on the scope's own pool, or lane, belong to.
    owner: Arc<dyn Owner>,
    /// The job in whose body the scope is.
    parent: Option<Task>,
    /// As in std's: a longer lifetime is no shorter one, and the other way round.
    scope: PhantomData<&'scope mut &'scope ()>,
    env: PhantomData<&'env mut &'env ()>,
}

impl<'scope, 'env> Scope<'scope, 'env> {
    fn new(job: Job, policy: ScopePolicy) -> Self {
        let members = Arc::new(Members::new(policy));
        Self {
            living: Arc::default(),
            owner: Member::of(&job.share, &members),
            job,
            members,
            parent: current().map(|cx| Arc::clone(cx.task())),
            scope: PhantomData,
            env: PhantomData,
        }
    }

    /// Spawns a body that is given its [context](JobContext) and may fail. It may borrow. (std's
    /// `s.spawn(|| …)` is [`spawn_blocking`](Self::spawn_blocking) here.)
    ///
    /// If the pool does not take the job, only the handle says so:
    /// [`JobError::Rejected`](crate::JobError::Rejected).
    ///
    /// # Examples
    ///
    /// ```
    /// let pool = punctual::Pool::new();
    /// let text = String::from("4 2");
    /// let sum = pool.scope(|s| {
    ///     let parse = |word: &'static str| s.spawn(move |_| word.parse::<u32>());
    ///     let borrowed = s.spawn(|_| text[..1].parse::<u32>());
    ///     Ok::<_, punctual::JobError<_>>(borrowed.wait()? + parse("2").wait()?)
    /// });
    /// assert_eq!(sum.unwrap(), 6);
    /// ```
    #[track_caller]
    pub fn spawn<F, T, E>(&'scope self, body: F) -> ScopedHandle<'scope, T, E>
    where
        F: FnOnce(&JobContext) -> Result<T, E> + Send + 'scope,
        T: Send + 'scope,
        E: Send + 'scope,
    {
        self.with(self.job.again()).spawn(body)
    }

    /// Spawns a plain closure. It may borrow. If the pool does not take the job, only the handle says so.
    ///
    /// # Examples
    ///
    /// ```
    /// let pool = punctual::Pool::new();
    /// let words = ["a", "bc"];
    /// let first = pool.scope(|s| s.spawn_blocking(|| words.first()).wait());
    /// assert_eq!(first.unwrap(), Some(&"a"));
    /// ```
    #[track_caller]
    pub fn spawn_blocking<F, T>(&'scope self, body: F) -> ScopedHandle<'scope, T>
    where
        F: FnOnce() -> T + Send + 'scope,
        T: Send + 'scope,
    {
        self.with(self.job.again()).spawn_blocking(body)
    }

    /// Spawns with these settings: those of a [`Pool`], a [`Lane`](crate::Lane), a
    /// [`Permit`](crate::Permit) or a [`JobContext`].
    ///
    /// If they are of another pool, the job runs there; the scope waits for it all the same. A child of
    /// a context stays that job's child.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// let pool = punctual::Pool::builder().queue_limit(10).build().unwrap();
    /// let text = String::from("42");
    /// pool.scope(|s| {
    ///     let short = pool.job().name("parse").timeout(Duration::from_secs(5));
    ///     assert_eq!(s.with(short).spawn(|_| text.parse::<u32>()).wait().unwrap(), 42);
    ///     let permit = pool.blocking_reserve().unwrap(); // waits for a place in the queue
    ///     assert_eq!(s.with(permit.job()).spawn_blocking(|| text.len()).wait().unwrap(), 2);
    /// });
    /// ```
    pub fn with(&'scope self, job: Job) -> ScopedJob<'scope, 'env> {
        let owner = match Arc::ptr_eq(&job.share, &self.job.share) {
            true => Arc::clone(&self.owner),
            false => Member::of(&job.share, &self.members),
        };
        ScopedJob { scope: self, job: job.owned_by(owner, self.parent.as_ref()) }
    }

    /// Asks all jobs of the scope to stop, with [`Cause::Scope`](crate::Cause::Scope).
    ///
    /// Those that wait end here and now; so do those that are spawned later. Those that run are told.
    /// `f` goes on, and the scope still waits for them at its end. Calling it again changes nothing.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// let pool = punctual::Pool::new();
    /// pool.scope(|s| {
    ///     let job = s.spawn(|cx| cx.sleep(Duration::MAX));
    ///     s.cancel();
    ///     assert!(job.wait().unwrap_err().is_cancelled());
    ///     assert!(s.spawn_blocking(|| ()).wait().is_err()); // too late
    /// });
    /// ```
    pub fn cancel(&self) {
        self.members.stop().into_iter().for_each(Leftover::finish);
    }

    /// The two halves of a packet with this body: the job's and the handle's.
    fn lend<F, T, E>(&'scope self, body: F) -> (Ticket, Arc<dyn Left<T, E> + 'scope>)
    where
        F: FnOnce(&JobContext) -> Result<T, E> + Send + 'scope,
        T: Send + 'scope,
        E: Send + 'scope,
    {
        let alive = Alive::new(&self.living);
        let packet = Arc::new(Packet::new(body));
        let borrows: Arc<dyn Erased + 'scope> = Arc::clone(&packet) as _;
        // SAFETY: only the lifetime changes. The ticket uses nothing borrowed after it is over: see
        // "Why this is correct" above.
        let erased: Arc<dyn Erased + 'static> = unsafe { std::mem::transmute(borrows) };
        (Ticket::new(erased, alive), packet)
    }
}

/// On the stack of who opened a scope: while this is there, its jobs may borrow.
struct UntilNoneLives<'a> {
    living: &'a Living,
    members: &'a Members,
}

impl Drop for UntilNoneLives<'_> {
    fn drop(&mut self) {
        // Until each has ended, as anybody who looks at the pool sees it.
        let ended = unwind::catch(|| self.members.wait());
        // What that says is not relied on: step 4 above.
        self.living.wait();
        unwind::drop_quietly(ended);
    }
}

impl fmt::Debug for Scope<'_, '_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Scope").field("alive", &self.living).finish_non_exhaustive()
    }
}
