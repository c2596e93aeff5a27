//! The last step of a job's settings: all but its body is made, and offered to the pool; with the body
//! it is submitted.

use crate::error::Rejection;
use crate::job::ambient::Ambient;
use crate::job::{Body, Head, JobContext, JobHandle, Tally, Task, new_job};
use crate::share::{Admission, Share};
use crate::submit::{Job, TrySpawnError};
use std::convert::Infallible;
use std::fmt;
use std::panic::Location;
use std::sync::Arc;

/// The settings of a job with a function for a late value; see [`Job::on_late`].
///
/// # Examples
///
/// ```
/// # use punctual::LateJob;
/// # let pool = punctual::Pool::new();
/// let settings: LateJob<u32> = pool.job().on_late(|value| println!("{value}, too late"));
/// assert_eq!(settings.spawn_blocking(|| 7).wait().unwrap(), 7); // in time: nothing is printed
/// ```
#[must_use = "settings do nothing until a body is spawned with them"]
pub struct LateJob<T> {
    job: Job,
    on_late: Option<LateHook<T>>,
}

type LateHook<T> = Box<dyn FnOnce(T) + Send>;

impl<T> LateJob<T> {
    pub(super) fn new(job: Job, on_late: Option<LateHook<T>>) -> Self {
        Self { job, on_late }
    }
}

impl<T: Send + 'static> LateJob<T> {
    /// Spawns a body that is given its [context](JobContext) and may fail; see
    /// [`Pool::spawn`](crate::Pool::spawn).
    ///
    /// ```
    /// # use punctual::Checked;
    /// # use std::time::Duration;
    /// # let pool = punctual::Pool::new();
    /// let (late, values) = std::sync::mpsc::channel();
    /// let short = pool.job().run_timeout(Duration::from_millis(5));
    /// let job = short.on_late(move |value| late.send(value).unwrap()).spawn(|cx| -> Checked<_> {
    ///     cx.sleep(Duration::MAX).ok();
    ///     Ok(7)
    /// });
    /// let value = job.wait().ok().or_else(|| values.recv().ok());
    /// assert_eq!(value, Some(7)); // in time or late
    /// ```
    #[track_caller]
    pub fn spawn<F, E>(self, body: F) -> JobHandle<T, E>
    where
        F: FnOnce(&JobContext) -> Result<T, E> + Send + 'static,
        E: Send + 'static,
    {
        self.spawn_at(Location::caller(), body)
    }

    /// As [`spawn`](Self::spawn), but gives the body back if the job is refused at once.
    ///
    /// # Errors
    /// Why the job was refused, and its body. The function for a late value is dropped.
    ///
    /// ```
    /// # let pool = punctual::Pool::new();
    /// let settings = pool.job().on_late(|value| println!("{value}, too late"));
    /// let job = settings.try_spawn(|_| "42".parse::<u32>()).unwrap();
    /// assert_eq!(job.wait().unwrap(), 42);
    /// ```
    #[track_caller]
    pub fn try_spawn<F, E>(self, body: F) -> Result<JobHandle<T, E>, TrySpawnError<F>>
    where
        F: FnOnce(&JobContext) -> Result<T, E> + Send + 'static,
        E: Send + 'static,
    {
        self.try_spawn_at(Location::caller(), body, |body| body)
    }

    /// As [`spawn_blocking`](Self::spawn_blocking), but gives the closure back if the job is refused at
    /// once.
    ///
    /// # Errors
    /// Why the job was refused, and the closure. The function for a late value is dropped.
    ///
    /// ```
    /// # let pool = punctual::Pool::new();
    /// let settings = pool.job().on_late(|value| println!("{value}, too late"));
    /// assert_eq!(settings.try_spawn_blocking(|| 6 * 7).unwrap().wait().unwrap(), 42);
    /// ```
    #[track_caller]
    pub fn try_spawn_blocking<F>(self, body: F) -> Result<JobHandle<T>, TrySpawnError<F>>
    where
        F: FnOnce() -> T + Send + 'static,
    {
        self.try_spawn_at(Location::caller(), body, |body| move |_: &JobContext| Ok(body()))
    }

    /// `kept` is what a refusal gives back, and of which `to_body` makes the body if there is none.
    fn try_spawn_at<K, F, E>(
        self,
        location: &'static Location<'static>,
        kept: K,
        to_body: impl FnOnce(K) -> F,
    ) -> Result<JobHandle<T, E>, TrySpawnError<K>>
    where
        F: FnOnce(&JobContext) -> Result<T, E> + Send + 'static,
        E: Send + 'static,
    {
        let (offer, on_late) = self.offer(location);
        match offer.admission {
            Ok(_) => Ok(offer.make(to_body(kept), on_late)),
            Err(why) => {
                offer.head.catch(|| drop(on_late));
                offer.refuse(why);
                Err(TrySpawnError::new(why, kept))
            }
        }
    }

    /// As [`spawn`](Self::spawn), for who spawns on behalf of `location`.
    pub(super) fn spawn_at<F, E>(
        self,
        location: &'static Location<'static>,
        body: F,
    ) -> JobHandle<T, E>
    where
        F: FnOnce(&JobContext) -> Result<T, E> + Send + 'static,
        E: Send + 'static,
    {
        let (offer, on_late) = self.offer(location);
        offer.make(body, on_late)
    }

    /// Asks the share to take a job with these settings.
    fn offer(self, location: &'static Location<'static>) -> (Offer, Option<LateHook<T>>) {
        let Self { mut job, on_late } = self;
        let submitted = job.share.core.clock().now();
        let settings = job.settle(submitted);
        let Job { share, owner, place, parent, priority, .. } = job;
        let owner = owner.unwrap_or_else(|| Arc::clone(&share) as _);
        let mut head = Head::new(owner, settings, priority, submitted, location);
        let ambient = Ambient::capture(&head); // may be user code: before the job is counted
        let admission = share.admit(place, &head);
        head.has_place = admission == Ok(Admission::Queued { has_place: true });
        (Offer { head, share, parent, ambient, admission }, on_late)
    }

    /// Spawns a plain closure; see [`Pool::spawn_blocking`](crate::Pool::spawn_blocking).
    ///
    /// ```
    /// # use std::time::Duration;
    /// # let pool = punctual::Pool::new();
    /// let (late, values) = std::sync::mpsc::channel();
    /// let (go, gate) = std::sync::mpsc::channel::<()>();
    /// let short = pool.job().run_timeout(Duration::from_millis(5));
    /// let job = short.on_late(move |value| late.send(value).unwrap());
    /// let job = job.spawn_blocking(move || gate.recv().is_err());
    /// assert!(job.wait().unwrap_err().is_timed_out());
    /// drop(go); // only now it goes on
    /// assert!(values.recv().unwrap());
    /// ```
    #[track_caller]
    pub fn spawn_blocking<F>(self, body: F) -> JobHandle<T>
    where
        F: FnOnce() -> T + Send + 'static,
    {
        self.spawn(move |_: &JobContext| Ok::<T, Infallible>(body()))
    }
}

/// A job that has been admitted, or not, and still has no body.
struct Offer {
    head: Head,
    share: Arc<Share>,
    parent: Option<Task>,
    ambient: Ambient,
    admission: Result<Admission, Rejection>,
}

impl Offer {
    fn make<F, T, E>(self, call: F, on_late: Option<LateHook<T>>) -> JobHandle<T, E>
    where
        F: FnOnce(&JobContext) -> Result<T, E> + Send + 'static,
        T: Send + 'static,
        E: Send + 'static,
    {
        let Self { head, share, parent, ambient, admission } = self;
        let (task, handle) = new_job(head, Body { call, on_late, ambient });
        match admission {
            Ok(admission) => share.submit(&task, parent.as_ref(), admission),
            Err(why) => task.turn_away(why),
        }
        handle
    }

    /// Its body never comes.
    fn refuse(self, why: Rejection) {
        let Self { head, share, mut ambient, .. } = self;
        ambient.leave(&head, || Tally::Rejected(why));
        share.reject(&head, why);
    }
}

impl<T> fmt::Debug for LateJob<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LateJob").field("job", &self.job).finish_non_exhaustive()
    }
}
