//! The tokio runtime in whose context a job was spawned, and its clock.

#[cfg(not(feature = "tokio"))]
pub(super) use none::Runtime;
#[cfg(feature = "tokio")]
pub(super) use tokio_context::Runtime;

#[cfg(not(feature = "tokio"))]
mod none {
    pub(crate) struct Runtime;

    /// Where there is nothing to enter.
    pub(crate) struct Nowhere;

    impl Runtime {
        pub(crate) fn capture(_submitted: crate::moment::Moment) -> Self {
            Self
        }

        pub(crate) fn current() -> Self {
            Self
        }

        pub(crate) fn enter(&self) -> Nowhere {
            Nowhere
        }
    }
}

#[cfg(feature = "tokio")]
mod tokio_context {
    use crate::moment::Moment;
    use std::sync::mpsc;
    use std::time::Instant;
    use tokio::runtime::{EnterGuard, Handle, RuntimeFlavor};

    /// The runtime a job was spawned in, if any.
    pub(crate) struct Runtime {
        runtime: Option<Handle>,
        _clock: Option<HeldClock>,
    }

    /// Keeps a paused tokio clock from running ahead: an outstanding job is work to be done.
    ///
    /// Tokio holds its clock while one of its own blocking tasks is outstanding, and offers no
    /// other way to ask for it. So such a task waits here; only tests pause the clock.
    struct HeldClock {
        _until_dropped: mpsc::Sender<()>,
    }

    impl Runtime {
        pub(crate) fn capture(submitted: Moment) -> Self {
            let runtime = Handle::try_current().ok();
            let paused = runtime.as_ref().filter(|runtime| has_paused_clock(runtime, submitted));
            let clock = paused.map(HeldClock::new);
            Self { runtime, _clock: clock }
        }

        /// The runtime alone: its clock may run ahead.
        pub(crate) fn current() -> Self {
            Self { runtime: Handle::try_current().ok(), _clock: None }
        }

        pub(crate) fn enter(&self) -> Option<EnterGuard<'_>> {
            self.runtime.as_ref().map(Handle::enter)
        }
    }

    impl HeldClock {
        fn new(runtime: &Handle) -> Self {
            let (send, receive) = mpsc::channel::<()>();
            drop(runtime.spawn_blocking(move || receive.recv().is_err()));
            Self { _until_dropped: send }
        }
    }

    /// Whether the runtime's clock stands still. Only a current-thread runtime's can.
    ///
    /// A clock that runs shows a time between two readings of the real one; that settles it with
    /// one reading in all but a test. Otherwise it is looked at until the real clock has moved.
    pub(super) fn has_paused_clock(runtime: &Handle, submitted: Moment) -> bool {
        if runtime.runtime_flavor() != RuntimeFlavor::CurrentThread {
            return false;
        }
        let first = tokio::time::Instant::now();
        let shown = first.into_std();
        if submitted.instant() <= Some(shown) && shown <= Instant::now() {
            return false;
        }
        let real = Instant::now();
        while Instant::now() == real {
            std::hint::spin_loop();
        }
        tokio::time::Instant::now() == first
    }
}

#[cfg(all(test, feature = "tokio", not(punctual_loom)))]
mod tests {
    use super::tokio_context::{self, has_paused_clock};
    use crate::moment::Moment;
    use std::time::{Duration, Instant};
    use tokio::runtime::{Builder, Handle, Runtime};

    fn one_thread() -> Runtime {
        Builder::new_current_thread().enable_time().build().expect("a runtime")
    }

    fn is_paused() -> bool {
        has_paused_clock(&Handle::current(), Moment::of(Instant::now()))
    }

    #[test]
    fn only_a_clock_that_stands_still_is_paused_wherever_it_was_moved_to() {
        one_thread().block_on(async {
            assert!(!is_paused(), "it runs");
            tokio::time::pause();
            assert!(is_paused(), "it shows the past");
            tokio::time::advance(Duration::from_secs(3600)).await;
            assert!(is_paused(), "it shows the future");
            tokio::time::resume();
            assert!(!is_paused(), "it runs again");
        });
        let many = Builder::new_multi_thread().worker_threads(1).enable_time().build();
        many.expect("a runtime").block_on(async { assert!(!is_paused(), "it can not be paused") });
    }

    #[test]
    fn the_runtime_of_the_spawner_is_entered_elsewhere() {
        let runtime = one_thread();
        let inside =
            runtime.block_on(async { tokio_context::Runtime::capture(Moment::of(Instant::now())) });
        let outside = tokio_context::Runtime::capture(Moment::of(Instant::now()));
        assert!(outside.enter().is_none() && Handle::try_current().is_err());
        let entered = inside.enter();
        assert!(entered.is_some() && Handle::try_current().is_ok());
        drop(entered);
        assert!(Handle::try_current().is_err());
    }
}
