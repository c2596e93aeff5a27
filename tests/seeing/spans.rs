//! The feature `tracing`: a span for each job.

use crate::support::{Busy, Gate, error, ms, news, outcome, pool_of, quiet_panic, until};
use punctual::{JobError, Pool};
use std::cell::RefCell;
use std::collections::HashMap;
use std::fmt::Debug;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tracing::dispatcher::{self, DefaultGuard, Dispatch};
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Span, Subscriber, info, info_span};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};
use tracing_subscriber::registry::{LookupSpan, Registry};

/// Notes spans and events.
#[derive(Clone, Default)]
struct Notes(Arc<Mutex<Noted>>);

#[derive(Default)]
struct Noted {
    /// By their ids, in the order in which they were made.
    spans: Vec<(u64, Seen)>,
    /// What was said, and in which span.
    events: Vec<(String, Option<&'static str>)>,
}

#[derive(Clone, Debug, Default)]
struct Seen {
    name: &'static str,
    parent: Option<&'static str>,
    fields: HashMap<&'static str, String>,
    closed: bool,
}

struct Fields<'a>(&'a mut HashMap<&'static str, String>);

impl Visit for Fields<'_> {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.0.insert(field.name(), value.to_owned());
    }

    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.0.insert(field.name(), format!("{value:?}"));
    }
}

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for Notes {
    fn on_new_span(&self, span: &Attributes<'_>, id: &Id, cx: Context<'_, S>) {
        let parent = cx.span(id).and_then(|span| span.parent()).map(|parent| parent.name());
        let name = span.metadata().name();
        let mut seen = Seen { name, parent, ..Seen::default() };
        span.record(&mut Fields(&mut seen.fields));
        self.0.lock().expect("no panic").spans.push((id.into_u64(), seen));
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, _: Context<'_, S>) {
        self.with(id, |seen| values.record(&mut Fields(&mut seen.fields)));
    }

    fn on_event(&self, event: &Event<'_>, cx: Context<'_, S>) {
        let mut fields = HashMap::new();
        event.record(&mut Fields(&mut fields));
        let span = cx.event_span(event).map(|span| span.name());
        let said = fields.remove("message").unwrap_or_default();
        self.0.lock().expect("no panic").events.push((said, span));
    }

    fn on_close(&self, id: Id, _: Context<'_, S>) {
        self.with(&id, |seen| seen.closed = true);
    }
}

impl Notes {
    fn dispatch(&self) -> Dispatch {
        Dispatch::new(Registry::default().with(self.clone()))
    }

    /// The span that has this id now: they are used again.
    fn with(&self, id: &Id, note: impl FnOnce(&mut Seen)) {
        let mut noted = self.0.lock().expect("no panic");
        let found = noted.spans.iter_mut().rev().find(|(known, _)| *known == id.into_u64());
        note(&mut found.expect("it was made").1);
    }

    /// The spans of this name.
    fn spans(&self, name: &str) -> Vec<Seen> {
        let noted = self.0.lock().expect("no panic");
        let spans = noted.spans.iter().map(|(_, seen)| seen.clone());
        spans.filter(|seen| seen.name == name).collect()
    }

    fn events(&self) -> Vec<(String, Option<&'static str>)> {
        self.0.lock().expect("no panic").events.clone()
    }
}

fn said(text: &str, span: Option<&'static str>) -> (String, Option<&'static str>) {
    (text.to_owned(), span)
}

#[test]
fn a_job_has_a_span_within_its_spawners_and_its_body_is_called_inside() {
    let (notes, pool) = (Notes::default(), pool_of(2));
    let id = dispatcher::with_default(&notes.dispatch(), || {
        let _request = info_span!("request").entered();
        let job = pool.job().name("report").spawn(|cx| {
            info!("in the body");
            let child = cx.job().spawn_blocking(|| info!("in a child"));
            child.wait().map_err(|error| error.to_string())
        });
        let id = job.id().get().to_string();
        outcome(job).expect("it returns");
        id
    });
    let [report, child] = &notes.spans("job")[..] else { panic!("there are two jobs") };
    assert_eq!((report.parent, child.parent), (Some("request"), Some("job")));
    assert_eq!((report.fields["name"].as_str(), &report.fields["id"]), ("report", &id));
    assert!(!child.fields.contains_key("name"));
    for job in [report, child] {
        assert!(job.closed, "before its outcome is seen");
        assert_eq!(job.fields["outcome"], "returned");
        assert!(
            job.fields["queue_wait_ms"].parse::<f64>().is_ok_and(|wait| wait >= 0.0),
            "{job:?}"
        );
    }
    assert_eq!(notes.events(), [said("in the body", Some("job")), said("in a child", Some("job"))]);
}

#[test]
fn a_thread_is_left_as_it_was() {
    let (notes, pool) = (Notes::default(), pool_of(1));
    dispatcher::with_default(&notes.dispatch(), || {
        let _request = info_span!("request").entered();
        outcome(pool.spawn_blocking(|| info!("heard"))).expect("it returns");
        outcome(pool.spawn(|_| -> Result<(), _> { Err(1) })).expect_err("it fails");
        error(pool.spawn_blocking(|| quiet_panic("in its span")));
    });
    let next = pool.spawn_blocking(|| {
        info!("not heard");
        Span::current().is_none()
    });
    assert!(outcome(next).expect("it returns"));
    assert_eq!(notes.events(), [said("heard", Some("job"))]);
}

#[test]
fn a_span_says_how_its_job_ended() {
    let (notes, pool) = (Notes::default(), pool_of(1));
    let gate = Gate::default();
    dispatcher::with_default(&notes.dispatch(), || {
        error(pool.job().name("failed").spawn(|_| -> Result<(), _> { Err(1) }));
        error(pool.job().name("panicked").spawn_blocking(|| quiet_panic("in its span")));
        let soon = pool.job().name("timed_out").run_timeout(ms(2));
        error(soon.spawn(|cx| cx.sleep(Duration::MAX)));
        let deaf = gate.clone();
        let overdue = pool.job().name("timed_out").run_timeout(ms(2));
        error(overdue.spawn_blocking(move || deaf.pass()));
        let queued = pool.job().name("cancelled").spawn_blocking(|| ());
        queued.cancel();
        error(queued);
        gate.open();
        let pool =
            Pool::builder().threads(0..=1).queue_limit(1).build().expect("no thread is needed");
        let _place = pool.try_reserve().expect("a place");
        error(pool.job().name("rejected").spawn_blocking(|| ()));
    });
    until("the overdue one returns", || notes.spans("job").iter().all(|job| job.closed));
    let jobs = notes.spans("job");
    assert_eq!(jobs.len(), 6);
    for job in jobs {
        let started = !["cancelled", "rejected"].contains(&job.fields["name"].as_str());
        assert_eq!(job.fields["outcome"], job.fields["name"]);
        assert_eq!(job.fields.contains_key("queue_wait_ms"), started, "{job:?}");
    }
}

/// Lets no span of jobs through.
struct NoJobs;

impl<S: Subscriber> Layer<S> for NoJobs {
    fn enabled(&self, meta: &tracing::Metadata<'_>, _: Context<'_, S>) -> bool {
        meta.target() != "punctual"
    }
}

#[test]
fn where_the_jobs_span_is_filtered_out_the_body_is_in_its_spawners() {
    let (notes, pool) = (Notes::default(), pool_of(1));
    let dispatch = Dispatch::new(Registry::default().with(notes.clone()).with(NoJobs));
    dispatcher::with_default(&dispatch, || {
        let _request = info_span!("request", outcome = "its own").entered();
        outcome(pool.spawn_blocking(|| info!("in the body"))).expect("it returns");
    });
    assert_eq!(notes.events(), [said("in the body", Some("request"))]);
    assert_eq!(notes.spans("request")[0].fields["outcome"], "its own");
    assert!(notes.spans("job").is_empty());
}

/// Panics when a job says how it ended.
struct Grumpy;

impl<S: Subscriber> Layer<S> for Grumpy {
    fn on_record(&self, _: &Id, values: &Record<'_>, _: Context<'_, S>) {
        let mut fields = HashMap::new();
        values.record(&mut Fields(&mut fields));
        if fields.contains_key("outcome") {
            quiet_panic("a subscriber panics");
        }
    }
}

#[test]
fn a_subscriber_that_panics_harms_no_job() {
    let (send, unseen) = news();
    let hook = move |panic: punctual::Panic| send.send(panic.message().to_owned()).expect("heard");
    let pool = Pool::builder().threads(1..=1).on_unseen_panic(hook).build().expect("a thread");
    let busy = Busy::all(&pool, 1);
    let dispatch = Dispatch::new(Registry::default().with(Grumpy));
    let (runs, queued) = dispatcher::with_default(&dispatch, || {
        (pool.spawn_blocking(|| 7), pool.spawn_blocking(|| 8))
    });
    queued.cancel();
    assert!(error(queued).is_cancelled());
    drop(busy);
    assert_eq!(outcome(runs).expect("it returns"), 7);
    assert_eq!([unseen.next(), unseen.next()], ["a subscriber panics"; 2]);
}

/// Panics when a job's span is made.
struct Refuses;

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for Refuses {
    fn on_new_span(&self, _: &Attributes<'_>, _: &Id, _: Context<'_, S>) {
        quiet_panic("no spans here")
    }
}

/// Law 10: what panics in `spawn` was never accepted, and no shutdown waits for it.
#[test]
fn a_subscriber_that_panics_in_spawn_leaves_nothing_behind() {
    let pool = Pool::builder().threads(1..=1).queue_limit(1).build().expect("a thread");
    let lane = pool.lane("one").limit(1);
    let dispatch = Dispatch::new(Registry::default().with(Refuses));
    dispatcher::with_default(&dispatch, || {
        let spawn = || drop(lane.spawn_blocking(|| ()));
        assert!(catch_unwind(AssertUnwindSafe(spawn)).is_err());
    });
    let metrics = pool.metrics();
    assert_eq!((metrics.accepted, metrics.queued, metrics.rejected), (0, 0, 0));
    assert_eq!(outcome(lane.spawn_blocking(|| 1)).ok(), Some(1), "its place is free");
    assert_eq!(pool.drain().within(Duration::from_secs(60)).wait().finished, 1);
}

#[test]
fn a_job_that_gives_its_body_back_has_a_span_that_says_so() {
    let notes = Notes::default();
    let pool = Pool::builder().threads(1..=1).queue_limit(1).build().expect("a thread");
    let permit = pool.try_reserve().expect("a place");
    let refused = dispatcher::with_default(&notes.dispatch(), || {
        pool.job().name("report").try_spawn(|_| Ok::<_, ()>(7))
    });
    let [span] = &notes.spans("job")[..] else { panic!("there is one job") };
    assert!(span.closed && span.fields["outcome"] == "rejected" && span.fields["name"] == "report");
    assert_eq!(outcome(permit.spawn(refused.expect_err("no place").into_body())).ok(), Some(7));
}

#[test]
fn a_second_try_is_made_in_the_span_of_who_asked_for_both() {
    let (notes, pool) = (Notes::default(), pool_of(1));
    let mut hedge = dispatcher::with_default(&notes.dispatch(), || {
        let _request = info_span!("request").entered();
        let failing = |_: &punctual::JobContext| -> Result<(), u32> { Err(1) };
        Some(pool.job().hedge(Duration::from_secs(60), failing))
    });
    let hedge = hedge.take().expect("it was made");
    assert!(hedge.wait().is_err()); // the first fails, and so this thread starts the second
    let spans = notes.spans("job");
    let seen: Vec<_> = spans.iter().map(|span| (span.parent, &*span.fields["outcome"])).collect();
    assert_eq!(seen, [(Some("request"), "failed"); 2]);
}

#[test]
fn a_panic_that_nobody_sees_is_an_error_event() {
    thread_local!(static HEARD: RefCell<Option<DefaultGuard>> = const { RefCell::new(None) });
    let notes = Notes::default();
    let dispatch = notes.dispatch();
    let listen = move || drop(HEARD.replace(Some(dispatcher::set_default(&dispatch))));
    let pool = Pool::builder().threads(1..=1).on_thread_start(listen);
    let pool = pool.build().expect("a thread");
    let gate = Gate::default();
    let held = gate.clone();
    let lost = pool.job().name("lost").spawn_blocking(move || {
        held.pass(); // until nobody will see it
        resume_unwind(Box::new("no sum"))
    });
    drop::<punctual::JobHandle<()>>(lost);
    gate.open();
    until("it is told", || !notes.events().is_empty());
    let (said, span) = notes.events().remove(0);
    assert!(said.starts_with("job `lost` (#") && said.contains("no sum"), "{said}");
    assert_eq!(span, None);
    assert!(matches!(error(pool.spawn_blocking(|| quiet_panic("seen"))), JobError::Panicked(_)));
    assert_eq!(notes.events().len(), 1);
}

#[test]
fn a_span_names_the_jobs_lane() {
    let (notes, pool) = (Notes::default(), pool_of(1));
    let lane = pool.lane("reports").limit(1);
    dispatcher::with_default(&notes.dispatch(), || {
        outcome(lane.spawn_blocking(|| ())).expect("it returns");
        pool.scope(|s| drop(s.with(lane.job()).spawn_blocking(|| ())));
        outcome(pool.spawn_blocking(|| ())).expect("it returns");
    });
    let lanes: Vec<_> =
        notes.spans("job").iter().map(|job| job.fields.get("lane").cloned()).collect();
    assert_eq!(lanes, [Some("reports".to_owned()), Some("reports".to_owned()), None]);
}
