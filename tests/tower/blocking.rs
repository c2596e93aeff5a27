//! A service whose handler blocks: what it sheds, what it answers, and what it stops.

use crate::support::{Busy, Drops, News, ms, news, outcome, pool_of, quiet_panic, until};
use crate::{get, pool_by, run, told};
use bytes::Bytes;
use http::{Request, Response, StatusCode};
use punctual::testing::ManualClock;
use punctual::tower::{Blocking, DeadlineLayer, Limits, grpc_reply, grpc_status, reply};
use punctual::{
    Cause, JobContext, JobError, JobHandle, JobInfo, Observer, Pool, Rejection, Stopped,
};
use std::convert::Infallible;
use std::fmt::Debug;
use std::future::Future;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::mpsc::Sender;
use std::task::{Context, Waker};
use std::time::Duration;
use tower::{Layer, Service};

const EVER: Duration = Duration::MAX;
const LATE: &str = "the deadline passed before there was an answer";

type Answer = Result<Response<String>, Stopped>;

fn answers(_: &JobContext, request: Request<String>) -> Answer {
    Ok(Response::new(request.into_body()))
}

fn never(_: &JobContext, _: Request<String>) -> Answer {
    unreachable!("it is called")
}

/// A handler that says that it runs, sleeps, and says what stopped it.
fn reports() -> (impl Fn(&JobContext, Request<String>) -> Answer, News<Option<Cause>>) {
    let (send, news) = news();
    let handler = move |cx: &JobContext, _: Request<String>| {
        send.send(None).expect("the test listens");
        let slept = cx.sleep(EVER);
        send.send(cx.cause()).expect("the test listens");
        slept.map(|()| Response::default())
    };
    (handler, news)
}

fn grpc() -> Request<String> {
    get(&[("content-type", "application/grpc-web+proto")])
}

/// The status, `Retry-After` and the text of an answer.
#[track_caller]
fn answer<B, E: Debug>(
    response: impl Future<Output = Result<Response<B>, E>>,
) -> (u16, String, String)
where
    B: http_body::Body<Data = Bytes, Error: Debug>,
{
    run(async { told(response.await.expect("it can not fail"), "retry-after").await })
}

fn busy(seconds: &str) -> (u16, String, String) {
    (503, seconds.to_owned(), "the server is busy".to_owned())
}

fn late() -> (u16, String, String) {
    (504, String::new(), LATE.to_owned())
}

#[test]
fn a_handler_answers_on_a_thread_of_the_pool_with_or_without_a_layer() {
    let lane = pool_of(1).lane("answers");
    let handler = |cx: &JobContext, request: Request<String>| {
        let limits = Limits::of(request.extensions());
        assert_eq!(limits.deadline(), cx.deadline());
        let name = std::thread::current().name().map(str::to_owned);
        Ok::<_, Infallible>(Response::new(format!("{name:?} {:?}", cx.name())))
    };
    let mut service = Blocking::new(lane.clone(), handler);
    let (status, _, text) = answer(service.call(get(&[])));
    assert!(status == 200 && text.contains("punctual") && text.ends_with("None"), "{text}");
    let layer = DeadlineLayer::new().limit(Duration::from_secs(60));
    let mut service = layer.layer(service.name("answer"));
    let (status, _, text) = answer(service.call(get(&[])));
    assert!(status == 200 && text.ends_with(r#"Some("answer")"#), "{text}");
    assert_eq!(lane.metrics().returned, 2);
}

#[test]
fn a_request_that_finds_the_queue_full_is_shed() {
    let pool = pool_of(1);
    let lane = pool.lane("short").queue_limit(1);
    let busy_worker = Busy::all(&pool, 1);
    let mut service = Blocking::new(lane.clone(), answers);
    let queued = service.call(get(&[]));
    assert_eq!(answer(service.call(get(&[]))), busy("1"));
    let refused = run(service.call(grpc())).expect("it can not fail");
    assert_eq!(
        (&refused.headers()["grpc-status"], refused.status().as_u16()),
        (&"8".parse().expect("a value"), 200)
    );
    drop(busy_worker);
    assert_eq!(answer(queued).0, 200);
    let metrics = lane.metrics();
    assert_eq!((metrics.accepted, metrics.returned, metrics.rejected), (1, 1, 2));
}

/// Tells of each job that is rejected.
struct Rejected(Sender<(JobInfo, Rejection)>);

impl Observer for Rejected {
    fn rejected(&self, job: &JobInfo, why: Rejection) {
        self.0.send((job.clone(), why)).expect("the test listens");
    }
}

#[test]
fn a_request_is_shed_if_the_lane_would_not_come_to_it_in_time() {
    let clock = ManualClock::new();
    let (send, rejected) = news();
    let pool = Pool::builder().threads(2..=2).clock(&clock).observer(Rejected(send));
    let pool = pool.build().expect("threads are to be had");
    let lane = pool.lane("reports").limit(1).queue_limit(100).default_timeout(ms(9_000));
    let (started, starts) = news();
    let long = lane.job().timeout(EVER).spawn(move |cx| {
        started.send(()).expect("the test listens");
        cx.sleep(EVER)
    });
    starts.next();
    clock.advance(ms(9_500)); // so the next waits for 9.5 s, as far as can be known
    assert_eq!(lane.load().predicted_wait, ms(9_500));

    let limit = |time| DeadlineLayer::new().clock(&clock).limit(ms(time));
    let service = Blocking::new(lane.clone(), never).name("report");
    let place = line!() - 1;
    assert_eq!(answer(limit(9_499).layer(service.clone()).call(get(&[]))), busy("10"));
    let (job, why) = rejected.next();
    assert_eq!(
        (job.name(), job.lane(), why),
        (Some("report"), Some("reports"), Rejection::TooLate)
    );
    assert_eq!((job.location().file(), job.location().line()), (file!(), place));
    let refused = limit(9_499).layer(service.clone()).call(grpc());
    assert_eq!(run(refused).expect("it can not fail").headers()["grpc-status"], "8");
    // Where nothing is asked for, the lane's own timeout is what a request has.
    assert_eq!(answer(service.clone().call(get(&[]))), busy("10"));

    // One that has the time is let in; and one whose time is over is late, and not shed.
    let patient = limit(9_500).layer(Blocking::new(lane.clone(), answers)).call(get(&[]));
    assert_eq!(lane.load().queued, 1);
    assert_eq!(answer(limit(0).layer(service).call(get(&[]))), late());
    long.cancel();
    assert_eq!(answer(patient).0, 200);
    let metrics = lane.metrics();
    assert_eq!((metrics.rejected, metrics.rejected_queued, metrics.returned), (3, 0, 1));
}

#[test]
fn an_answer_that_was_given_is_not_given_again() {
    let clock = ManualClock::new();
    let pool = pool_by(&clock);
    let lane = pool.lane("reports").limit(1).default_timeout(ms(10));
    let (started, starts) = news();
    let long = lane.job().timeout(EVER).spawn(move |cx| {
        started.send(()).expect("the test listens");
        cx.sleep(EVER)
    });
    starts.next();
    clock.advance(ms(11));
    let shed = Blocking::new(lane, never).call(get(&[]));
    let answered = Blocking::new(Pool::new().lane("answers"), answers).call(get(&[]));
    for (mut response, status) in [(shed, 503), (answered, 200)] {
        assert_eq!(run(&mut response).expect("it can not fail").status().as_u16(), status);
        let mut cx = Context::from_waker(Waker::noop());
        let again = AssertUnwindSafe(|| Pin::new(&mut response).poll(&mut cx).is_ready());
        let panic = catch_unwind(again).expect_err("it panics");
        let said = panic.downcast_ref::<&str>().expect("it says why");
        assert_eq!(*said, "a `BlockingFuture` was polled after it was ready");
    }
    long.cancel();
}

#[test]
fn a_request_ends_at_its_deadline_queued_or_running() {
    let clock = ManualClock::new();
    let pool = pool_by(&clock);
    let (handler, told) = reports();
    let layer = DeadlineLayer::new().clock(&clock).limit(ms(1_000));
    let running = layer.layer(Blocking::new(pool.lane("running"), handler)).call(get(&[]));
    assert_eq!(told.next(), None);
    let mut queue = layer.layer(Blocking::new(pool.lane("queued"), never));
    let [queued, by_grpc] = [queue.call(get(&[])), queue.call(grpc())];
    clock.advance(ms(999));
    assert!(told.so_far().is_empty());
    clock.advance(ms(1));
    assert_eq!((answer(queued), answer(running)), (late(), late()));
    assert_eq!(told.next(), Some(Cause::Deadline));
    let by_grpc = run(by_grpc).expect("it can not fail");
    assert_eq!(by_grpc.headers()["grpc-status"], "4");
    assert_eq!(by_grpc.headers()["grpc-message"], LATE);
    assert_eq!(by_grpc.headers()["content-type"], "application/grpc-web+proto");
}

#[test]
fn a_client_that_hangs_up_stops_its_job_queued_or_running() {
    let pool = pool_of(1);
    let (handler, told) = reports();
    let mut running = Box::pin(Blocking::new(pool.lane("running"), handler).call(get(&[])));
    assert_eq!(told.next(), None);
    let lane = pool.lane("queued");
    let drops = Drops::default();
    let captured = drops.value();
    let mut request = get(&[]);
    request.extensions_mut().insert(std::sync::Arc::new(captured));
    let mut queued = Box::pin(Blocking::new(lane.clone(), never).call(request));
    let mut cx = Context::from_waker(Waker::noop());
    assert!(running.as_mut().poll(&mut cx).is_pending());
    assert!(queued.as_mut().poll(&mut cx).is_pending());
    assert_eq!((lane.load().queued, drops.count()), (1, 0));
    drop(queued);
    until("it has left the queue", || lane.load().queued == 0 && drops.count() == 1);
    assert_eq!(told.so_far(), [], "the other one goes on");
    drop(running);
    assert_eq!(told.next(), Some(Cause::Dropped));
}

/// A lane whose pool tells of panics that nobody sees.
fn lane_of_witness() -> (punctual::Lane, News<String>) {
    let (send, unseen) = news();
    let hook = move |panic: punctual::Panic| send.send(panic.message().to_owned()).expect("heard");
    let pool = Pool::builder().threads(1..=1).on_unseen_panic(hook).build().expect("a thread");
    (pool.lane("answers"), unseen)
}

#[test]
fn a_failure_says_nothing_of_itself() {
    let (lane, unseen) = lane_of_witness();
    let internal = (500, String::new(), "internal error".to_owned());
    let fails = |_: &JobContext, _: Request<String>| -> Result<Response<String>, _> {
        Err(io::Error::other("the password is 12345"))
    };
    let mut failing = Blocking::new(lane.clone(), fails);
    assert_eq!(answer(failing.call(get(&[]))), internal);
    let by_grpc = run(failing.call(grpc())).expect("it can not fail");
    assert_eq!(by_grpc.headers()["grpc-status"], "13");
    assert_eq!(by_grpc.headers()["grpc-message"], "internal error");
    assert!(unseen.so_far().is_empty());

    let panics = |_: &JobContext, _: Request<String>| -> Answer { quiet_panic("on purpose") };
    let mut panicking = Blocking::new(lane.clone(), panics);
    assert_eq!(answer(panicking.call(get(&[]))), internal);
    assert_eq!(unseen.next(), "on purpose", "nobody else saw it");
    assert_eq!(answer(Blocking::new(lane, answers).call(get(&[]))).0, 200, "and all goes on");
}

#[test]
fn who_looks_at_errors_can_answer_in_another_way() {
    let (lane, unseen) = lane_of_witness();
    let handler = |_: &JobContext, request: Request<String>| match request.body().as_str() {
        "panics" => quiet_panic("on purpose"),
        "fails" => Err(io::Error::other("no such row")),
        _ => Ok(Response::new(String::new())),
    };
    let (send, seen) = news();
    let mut service = Blocking::new(lane, handler).on_error(move |error| {
        send.send(error.to_string()).expect("the test listens");
        let JobError::Failed(error) = error else { return None };
        let mut response = Response::new(error.to_string());
        *response.status_mut() = StatusCode::NOT_FOUND;
        Some(response)
    });
    let ask = |text: &str| get(&[]).map(|_| text.to_owned());
    assert_eq!(answer(service.call(ask("fails"))), (404, String::new(), "no such row".to_owned()));
    assert_eq!(seen.next(), "job failed: no such row");
    assert_eq!(answer(service.call(ask("panics"))).0, 500);
    assert!(seen.next().contains("on purpose"));
    assert_eq!(answer(service.call(ask(""))).0, 200);
    assert!(seen.so_far().is_empty() && unseen.so_far().is_empty(), "it was seen");
}

#[test]
fn a_look_at_an_error_that_panics_changes_nothing_and_is_told_of() {
    let (lane, unseen) = lane_of_witness();
    let fails = |_: &JobContext, _: Request<String>| -> Result<Response<String>, _> {
        Err(io::Error::other("it fails"))
    };
    let mut service = Blocking::new(lane, fails).on_error(|_| quiet_panic("a hook panics"));
    assert_eq!(answer(service.call(get(&[]))).0, 500);
    assert_eq!(unseen.next(), "a hook panics");
    let (lane, unseen) = lane_of_witness();
    let panics = |_: &JobContext, _: Request<String>| -> Result<Response<String>, io::Error> {
        quiet_panic("the handler panics")
    };
    let mut service = Blocking::new(lane, panics).on_error(|_| quiet_panic("a hook panics"));
    assert_eq!(answer(service.call(get(&[]))).0, 500);
    assert_eq!([unseen.next(), unseen.next()], ["a hook panics", "the handler panics"]);
}

#[test]
fn a_pool_that_is_shut_down_sends_requests_elsewhere() {
    let pool = pool_of(1);
    let (handler, told) = reports();
    let mut service = Blocking::new(pool.lane("answers"), handler);
    let running = service.call(get(&[]));
    assert_eq!(told.next(), None);
    pool.shutdown().wait();
    let gone = (503, "1".to_owned(), "the server shuts down".to_owned());
    assert_eq!((answer(running), answer(service.call(get(&[])))), (gone.clone(), gone));
    assert_eq!(run(service.call(grpc())).expect("it can not fail").headers()["grpc-status"], "14");
}

/// An error of each kind.
fn errors() -> Vec<(JobError<io::Error>, u16, i32)> {
    let pool = Pool::builder().threads(1..=1).queue_limit(1).build().expect("a thread");
    let error = |job: JobHandle<(), io::Error>| outcome(job).expect_err("it gives no value");
    let sleep = |cx: &JobContext| cx.sleep(EVER).map_err(io::Error::from);
    let cancelled = pool.spawn(sleep);
    cancelled.cancel();
    let cancelled = error(cancelled);
    let failed = error(pool.spawn(|_| Err(io::Error::other("it fails"))));
    let panicked = error(pool.spawn(|_| quiet_panic("on purpose")));
    let late = error(pool.job().timeout(Duration::ZERO).spawn(sleep));
    let place = pool.try_reserve().expect("the only place");
    let refused = error(pool.spawn(sleep));
    drop(place);
    let (held, holds) = news::<()>();
    let stuck = pool.job().key("mount").run_timeout(ms(1)).spawn_blocking(move || holds.next());
    assert!(outcome(stuck).is_err());
    let overdue = error(pool.job().key("mount").spawn(sleep));
    let _ = held.send(());
    pool.shutdown().wait();
    let shut_down = error(pool.spawn(sleep));
    vec![
        (failed, 500, 13),
        (panicked, 500, 13),
        (late, 504, 4),
        (cancelled, 503, 1),
        (refused, 503, 8),
        (overdue, 503, 14),
        (shut_down, 503, 14),
    ]
}

#[test]
fn each_error_has_its_answer() {
    for (error, status, code) in errors() {
        let response = reply(&error, ms(1_001));
        let retry = response.headers().get("retry-after").map(http::HeaderValue::as_bytes);
        assert_eq!(response.status().as_u16(), status, "{error}");
        assert_eq!(retry, (status == 503).then_some(b"2".as_slice()), "{error}");
        assert_eq!(grpc_status(&error), (code, response.body().as_str()), "{error}");
        let response = grpc_reply(&error);
        assert_eq!(response.headers()["grpc-status"], code.to_string(), "{error}");
    }
    let full = JobError::<io::Error>::Rejected(Rejection::QueueFull);
    for (wait, seconds) in
        [(ms(0), "1"), (ms(1), "1"), (ms(1_000), "1"), (ms(3_600_001), "3600"), (EVER, "3600")]
    {
        assert_eq!(reply(&full, wait).headers()["retry-after"], seconds);
    }
}
