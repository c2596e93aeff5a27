//! As a drop-in for `tokio::task::spawn_blocking`.

use punctual::Pool;
#[cfg(feature = "tokio")]
use std::time::Duration;

#[test]
#[cfg(feature = "tokio")]
fn a_job_runs_in_the_runtime_context_of_its_spawner() {
    let pool = Pool::new();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("built");
    let id = runtime.handle().id();
    let inside = runtime.block_on(async {
        pool.spawn_blocking(|| {
            let handle = tokio::runtime::Handle::current();
            (handle.id(), handle.block_on(async { 7 }))
        })
        .await
    });
    assert_eq!(inside.expect("it returns"), (id, 7));
    let outside = pool.spawn_blocking(|| tokio::runtime::Handle::try_current().is_err()).wait();
    assert!(outside.expect("it returns"), "and in none that was not there");
}

#[test]
#[cfg(not(feature = "tokio"))]
fn without_the_feature_a_job_runs_in_no_runtime_context() {
    let runtime = tokio::runtime::Builder::new_multi_thread().build().expect("built");
    let inside = async {
        assert!(tokio::runtime::Handle::try_current().is_ok());
        Pool::new().spawn_blocking(|| tokio::runtime::Handle::try_current().is_err()).await
    };
    assert!(runtime.block_on(inside).expect("it returns"));
}

#[tokio::test(start_paused = true)]
#[cfg(feature = "tokio")]
async fn an_outstanding_job_holds_a_paused_clock() {
    let pool = Pool::new();
    for round in 0..20 {
        let start = tokio::time::Instant::now();
        let job = pool.spawn(|cx| cx.sleep(Duration::from_millis(5)));
        let waited = tokio::time::timeout(Duration::from_secs(3600), job).await;
        assert!(waited.expect("the clock did not run ahead").is_ok());
        assert_eq!(start.elapsed(), Duration::ZERO, "round {round}");
        tokio::time::sleep(Duration::from_micros(700)).await; // runs ahead: nothing is outstanding
    }
}

#[tokio::test]
async fn a_running_clock_is_left_alone() {
    let job = Pool::new().spawn_blocking(|| 1);
    assert_eq!(job.await.expect("it returns"), 1);
}

#[tokio::test]
async fn a_handle_can_be_selected_over_and_polled_again() {
    let (go, gate) = std::sync::mpsc::channel::<()>();
    let mut job = Pool::new().spawn_blocking(move || gate.recv().is_err());
    for _ in 0..3 {
        tokio::select! {
            biased;
            _ = &mut job => panic!("the gate is shut"),
            () = tokio::task::yield_now() => {}
        }
    }
    drop(go);
    assert!(job.await.expect("it returns"));
}

#[tokio::test]
async fn errors_pass_through_question_marks() -> Result<(), Box<dyn std::error::Error + Send + Sync>>
{
    async fn io() -> std::io::Result<usize> {
        Ok(punctual::spawn_blocking(|| std::fs::read("Cargo.toml")).await??.len())
    }
    async fn one() -> std::io::Result<usize> {
        Ok(punctual::spawn(|_| std::fs::read("Cargo.toml")).await?.len())
    }
    async fn any() -> anyhow::Result<usize> {
        Ok(punctual::spawn(|_| -> anyhow::Result<_> { Ok(std::fs::read("Cargo.toml")?) })
            .await?
            .len())
    }
    assert_eq!(io().await?, one().await?);
    assert_eq!(io().await?, any().await?);
    let missing = punctual::spawn(|_| std::fs::read("no such file")).await;
    let error: std::io::Error = missing.expect_err("there is none").into();
    assert_eq!(error.kind(), std::io::ErrorKind::NotFound);
    Ok(())
}
