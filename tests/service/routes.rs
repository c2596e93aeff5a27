//! Each route, on punctual and on plain tokio.

use crate::client::{request, send};
use crate::server::Server;
use std::io::{BufRead, BufReader};
use std::sync::Arc;

#[test]
fn each_route_answers() {
    let server = Server::start(&[]);
    let found = server.get("/lookup?name=lib.rs").json();
    assert!(found["pieces"][0]["path"].as_str().unwrap().ends_with("/src/lib.rs"), "{found}");
    assert!(
        found["pieces"][0]["text"].as_str().unwrap().starts_with("//! Blocking work"),
        "{found}"
    );
    let found = server.get("/scan?text=blocking%20work%20that%20ends").json();
    assert_eq!(found["count"], found["pieces"].as_array().unwrap().len(), "{found}");
    assert!(found["count"].as_u64().unwrap() >= 1, "{found}");
    assert_eq!(server.get("/scan?text=block%25work").json()["count"], 0, "it stands for itself");
    let report = server.get("/report?files=50").json();
    assert_eq!(report["files"], 50);
    assert_eq!(report, server.get("/report?files=50&times=3").json(), "the same, again");
    assert_eq!(server.number("/jobs/returned"), 5);
}

#[test]
fn the_page_and_the_metrics_are_there() {
    let server = Server::start(&[]);
    let page = server.get("/");
    assert!(page.header("content-type").unwrap().starts_with("text/html"));
    assert!(page.body.contains("EventSource(\"/events\")"));
    assert_eq!(server.get("/lookup?name=pool.rs").status, 200);
    let metrics = server.get("/metrics").body;
    let line = "punctual_jobs_accepted_total{pool=\"service\",lane=\"lookups\"} 1";
    assert!(metrics.lines().any(|shown| shown == line), "{metrics}");
    assert_eq!(server.get("/nothing").status, 404);
    assert_eq!(server.post("/lookup?name=pool.rs").status, 405);
}

#[test]
fn the_events_tell_the_state_again_and_again() {
    let server = Server::start(&[]);
    let events = send(server.address, &request("GET", "/events", ""));
    let lines = BufReader::new(events).lines().map(Result::unwrap);
    let mut states = lines.filter_map(|line| Some(line.strip_prefix("data: ")?.to_owned()));
    let up =
        |state: String| serde_json::from_str::<serde_json::Value>(&state).unwrap()["up_s"].clone();
    let (first, second) = (up(states.next().unwrap()), up(states.next().unwrap()));
    assert!(first.as_f64() < second.as_f64(), "{first}, {second}");
}

#[test]
fn a_question_that_makes_no_sense_is_refused_with_the_reason() {
    for args in [&[][..], &["--with-tokio"]] {
        let server = Server::start(args);
        let too_long = format!("/scan?text={}", "x".repeat(201));
        for (path, why) in [
            ("/lookup", "`name` is missing"),
            ("/scan?text=", "`text` is missing"),
            (&too_long, "`text` is longer than 200 bytes"),
            ("/report?files=many", "\"many\", not a number from 1 to"),
            ("/report?files=0", "not a number from 1 to"),
            ("/report?times=-1", "not a number from 1 to"),
            ("/report?times=99999999999", "not a number from 1 to"),
        ] {
            let reply = server.get(path);
            assert_eq!(reply.status, 400, "{path}: {}", reply.body);
            assert!(reply.body.contains(why), "{path}: {}", reply.body);
            assert_eq!(reply.body.lines().count(), 1);
        }
        assert_eq!(server.post("/slow?n=101").status, 400);
    }
}

#[test]
fn plain_tokio_answers_the_same() {
    let punctual = Server::start(&[]);
    let tokio = Server::start_in(Arc::clone(&punctual.folder), &["--with-tokio"]);
    for path in ["/lookup?name=mod.rs", "/scan?text=unsafe", "/report?files=100"] {
        let [ours, theirs] = [&punctual, &tokio].map(|server| server.get(path));
        assert_eq!((ours.status, theirs.status), (200, 200));
        assert_eq!(ours.json(), theirs.json());
    }
    assert!(tokio.get("/metrics").body.contains("blocking_accepted_total 3"));
}
