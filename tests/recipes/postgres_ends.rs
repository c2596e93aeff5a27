//! Statements that are cancelled at a real server, if `PUNCTUAL_POSTGRES` says where there is one; and
//! servers that say nothing, for which none is needed.

use crate::postgres::{connect, with_job};
use crate::support::{News, error, news, outcome, pool_of, until};
use ::postgres::error::SqlState;
use ::postgres::{Client, Config, Error, NoTls};
use punctual::{JobError, JobHandle, Pool, Stopped};
use std::cell::RefCell;
use std::net::TcpListener;

/// The server, and a name for who asks.
fn server(name: &str) -> Option<Config> {
    let Ok(text) = std::env::var("PUNCTUAL_POSTGRES") else {
        eprintln!("SKIPPED: no PostgreSQL; with one: .ci/postgres cargo test --test recipes");
        return None;
    };
    let mut config: Config = text.parse().expect("PUNCTUAL_POSTGRES says where it is");
    config.application_name(name);
    Some(config)
}

/// Who looks at the server what goes on there.
struct Observer(RefCell<Client>);

impl Observer {
    fn of(server: &Config) -> Self {
        let client = server.clone().application_name("punctual-observer").connect(NoTls);
        Self(RefCell::new(client.expect("it is there")))
    }

    /// How many statements of those who go by that name are under way.
    fn under_way(&self, name: &str) -> i64 {
        let count = "SELECT count(*) FROM pg_stat_activity
            WHERE application_name = $1 AND state = 'active' AND query LIKE '%pg_sleep%'";
        self.0.borrow_mut().query_one(count, &[&name]).expect("it answers").get(0)
    }
}

/// A job that sleeps at the server, and says whether its client may be used again.
fn sleeper(pool: &Pool, config: &Config) -> (JobHandle<(), anyhow::Error>, News<bool>) {
    let (reusable, is_reusable) = news();
    let config = config.clone();
    let job = pool.spawn(move |cx| {
        let client = connect(cx, &config)?;
        let (slept, client) =
            with_job(cx, client, |client| client.execute("SELECT pg_sleep(3600)", &[]));
        reusable.send(client.is_some()).expect("the test listens");
        Ok(slept.map(drop)?)
    });
    (job, is_reusable)
}

#[track_caller]
fn assert_cancelled(job: JobHandle<(), anyhow::Error>) {
    let JobError::Cancelled(stop) = error(job) else { panic!("it was cancelled") };
    let said = stop.error().and_then(|error| error.downcast_ref::<Error>());
    assert_eq!(said.and_then(Error::code), Some(&SqlState::QUERY_CANCELED));
}

#[test]
fn a_server_that_says_nothing_holds_no_job() {
    let server = TcpListener::bind("127.0.0.1:0").expect("a port is free");
    let mut config = Config::new();
    config.host("127.0.0.1").port(server.local_addr().expect("it has one").port()).user("nobody");
    let pool = pool_of(1);
    let job = pool.spawn(move |cx| connect(cx, &config).map(drop));
    let (silent, _) = server.accept().expect("it connects");
    job.cancel();
    let JobError::Cancelled(stop) = error(job) else { panic!("it was cancelled") };
    assert!(stop.error().is_some_and(|error| error.is::<Stopped>()), "{stop:?}");
    assert_eq!(outcome(pool.spawn_blocking(|| 1)).expect("its thread is free"), 1);
    drop(silent);
}

#[test]
fn a_statement_of_postgresql_ends_with_its_job_at_the_server_too() {
    let name = "punctual-ends";
    let Some(config) = server(name) else { return };
    let observer = Observer::of(&config);
    let pool = pool_of(1);
    for _ in 0..10 {
        let (job, is_reusable) = sleeper(&pool, &config);
        until("it is under way", || observer.under_way(name) == 1);
        job.cancel();
        assert_cancelled(job);
        assert!(!is_reusable.next(), "a cancel may be on its way to it");
        until("it is over", || observer.under_way(name) == 0);
    }
}

/// Where the request can not be sent, as it blocks.
#[test]
fn a_task_of_tokios_may_cancel_a_statement_of_postgresql() {
    let name = "punctual-task";
    let Some(config) = server(name) else { return };
    let observer = Observer::of(&config);
    let (pool, runtime) = (pool_of(1), tokio::runtime::Runtime::new().expect("threads"));
    let (job, is_reusable) = sleeper(&pool, &config);
    until("it is under way", || observer.under_way(name) == 1);
    runtime.block_on(async { job.cancel() });
    assert_cancelled(job);
    assert!(!is_reusable.next());
}

#[test]
fn a_client_that_no_cancel_was_sent_for_is_given_back() {
    let Some(config) = server("punctual-back") else { return };
    let job = pool_of(1).spawn(move |cx| {
        let client = connect(cx, &config)?;
        let (one, client) = with_job(cx, client, |client| client.query_one("SELECT 1", &[]));
        let one: i32 = one?.get(0);
        let mut client = client.expect("nobody stops it");
        let two: i32 = client.query_one("SELECT 2", &[])?.get(0);
        Ok::<_, anyhow::Error>((one, two))
    });
    assert_eq!(outcome(job).expect("it answers"), (1, 2));
}
