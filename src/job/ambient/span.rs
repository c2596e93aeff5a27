//! The span of a job, and whoever collects such spans where it was spawned.
//!
//! A span is as long as the job's life, from `spawn` until its outcome is decided; the body is called
//! inside. Its fields are listed in the crate's docs, under `tracing`. Where it is filtered out, the body is called inside its spawner's span instead: what it
//! logs belongs there then.
//!
//! Whoever collects spans is user code: called under no lock, its panics caught.

#[cfg(not(feature = "tracing"))]
pub(super) use none::Carried;
#[cfg(feature = "tracing")]
pub(super) use spans::Carried;

#[cfg(not(feature = "tracing"))]
mod none {
    use crate::job::Tally;
    use crate::job::cell::Head;

    pub(crate) struct Carried;

    /// Where there is nothing to enter.
    pub(crate) struct Nowhere;

    impl Carried {
        pub(crate) fn capture(_job: &Head) -> Self {
            Self
        }

        pub(crate) fn current() -> Self {
            Self
        }

        pub(crate) fn note_start(&self, _job: &Head) {}

        pub(crate) fn enter(&self) -> Nowhere {
            Nowhere
        }

        pub(crate) fn leave(&mut self, _job: &Head, _came_of_it: impl FnOnce() -> Tally) -> bool {
            true
        }
    }
}

#[cfg(feature = "tracing")]
mod spans {
    use crate::job::Tally;
    use crate::job::cell::Head;
    use tracing::dispatcher::{self, DefaultGuard, Dispatch};
    use tracing::field::Empty;
    use tracing::span::Entered;
    use tracing::subscriber::NoSubscriber;
    use tracing::{Span, info_span};

    /// The job's span, or its spawner's.
    pub(crate) struct Carried(Option<Collected>);

    struct Collected {
        /// The spawner's, which need not be that of all threads.
        by: Dispatch,
        span: Span,
        is_own: bool,
    }

    /// Left in this order.
    pub(crate) struct Inside<'a> {
        _span: Option<Entered<'a>>,
        _default: Option<DefaultGuard>,
    }

    impl Carried {
        pub(crate) fn capture(job: &Head) -> Self {
            Self(collector().map(|by| {
                let own = own_span(job);
                let is_own = !own.is_disabled();
                Collected { by, span: if is_own { own } else { Span::current() }, is_own }
            }))
        }

        /// The spawner's alone, to spawn a job in later.
        pub(crate) fn current() -> Self {
            let spawners = |by| Collected { by, span: Span::current(), is_own: false };
            Self(collector().map(spawners))
        }

        pub(crate) fn note_start(&self, job: &Head) {
            if let Some(Collected { span, is_own: true, .. }) = &self.0 {
                span.record("queue_wait_ms", job.queue_wait().as_secs_f64() * 1e3);
            }
        }

        pub(crate) fn enter(&self) -> Inside<'_> {
            let Some(Collected { by, span, .. }) = &self.0 else {
                return Inside { _span: None, _default: None };
            };
            let default = dispatcher::set_default(by);
            Inside { _span: Some(span.enter()), _default: Some(default) }
        }

        pub(crate) fn leave(&mut self, job: &Head, came_of_it: impl FnOnce() -> Tally) -> bool {
            let Some(Collected { by, span, is_own }) = self.0.take() else { return true };
            job.catch(|| {
                // A registry lets go of a span's parent at the subscriber of the moment.
                let _default = dispatcher::set_default(&by);
                if is_own {
                    span.record("outcome", came_of_it().word());
                }
                drop(span);
            });
            job.catch(|| drop(by));
            false
        }
    }

    /// Whoever collects spans on this thread, if anybody does.
    fn collector() -> Option<Dispatch> {
        dispatcher::get_default(|by| (!by.is::<NoSubscriber>()).then(|| by.clone()))
    }

    fn own_span(job: &Head) -> Span {
        let name = job.settings.as_ref().and_then(|settings| settings.name.as_deref());
        info_span!(
            target: "punctual",
            "job",
            id = job.id.get(),
            name,
            lane = job.owner.lane().map(|lane| &**lane),
            queue_wait_ms = Empty,
            outcome = Empty,
        )
    }
}
