//! The end of the service: what runs is finished, within a limit, and it says what became of it.

use crate::client::{read, request, send};
use crate::server::{ENDLESS, Server};
use std::time::{Duration, Instant};

#[test]
fn it_ends_at_once_where_there_is_nothing_to_do() {
    for signal in ["-TERM", "-INT"] {
        let server = Server::start(&[]);
        assert_eq!(server.get("/lookup?name=lib.rs").status, 200);
        let page = send(server.address, &request("GET", "/events", ""));
        server.signal(signal);
        let events = std::io::read_to_string(page).unwrap();
        assert!(events.ends_with("\r\n0\r\n\r\n"), "it is cut off: {events}");
        let (said, status) = server.last_words();
        assert_eq!(status, Some(0), "{said}");
        assert!(said.ends_with(" jobs finished, 0 never started, 0 still running\n"), "{said}");
    }
}

#[test]
fn who_has_not_said_all_does_not_hold_it_up() {
    let server = Server::start(&["--patience", "60s", "--grace", "60s"]);
    let _half = send(server.address, "GET /report HTTP/1.1\r\nHost: serv");
    assert_eq!(server.get("/lookup?name=lib.rs").status, 200); // so that one is being read
    let start = Instant::now();
    server.signal("-TERM");
    let (said, status) = server.last_words();
    assert_eq!(status, Some(0), "{said}");
    assert!(start.elapsed() < Duration::from_secs(30), "it has waited for it");
}

#[test]
fn what_runs_is_finished_and_its_client_has_its_answer() {
    let server = Server::start(&["--timeout", "30s", "--grace", "30s"]);
    let slow = send(server.address, &request("GET", "/report?files=200&times=40", ""));
    server.until("/jobs/accepted", 1);
    server.signal("-TERM");
    assert_eq!(read(slow).status, 200);
    let (said, status) = server.last_words();
    assert_eq!(status, Some(0), "{said}");
    assert!(said.ends_with(" 0 never started, 0 still running\n"), "{said}");
}

#[test]
fn what_does_not_end_within_the_grace_time_is_named() {
    let server = Server::start(&["--reports", "1", "--grace", "200ms"]);
    assert_eq!(server.post("/slow?n=1").json()["started"], 1);
    server.until("/sqlite/statements", 1);
    let waiting = send(server.address, &request("GET", ENDLESS, "Request-Timeout: 29\r\n"));
    server.until("/jobs/queued", 1);
    server.signal("-TERM");
    assert_eq!(read(waiting).status, 503);
    let (said, status) = server.last_words();
    assert_eq!(status, Some(0), "{said}");
    assert!(said.contains(" 1 never started, 1 still running\n"), "{said}");
    assert!(said.contains("job `slow`") && said.contains("job `report`"), "{said}");
}

#[test]
fn plain_tokio_leaves_behind_what_it_can_not_stop() {
    let server = Server::start(&["--with-tokio", "--grace", "200ms"]);
    assert_eq!(server.get_with(ENDLESS, "Request-Timeout: 0.05\r\n").status, 504);
    server.signal("-TERM");
    let (said, status) = server.last_words();
    assert_eq!(status, Some(0), "{said}");
    assert!(said.ends_with("1 accepted, 1 left behind\n"), "{said}");
}
