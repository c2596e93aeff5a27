//! A request's time, a client that hangs up, more than the lanes take: and SQLite stops working.

use crate::client::{read, request, send};
use crate::server::{ENDLESS, Server};

#[test]
fn at_its_deadline_a_request_has_its_504_and_sqlite_has_stopped() {
    let server = Server::start(&[]);
    let client = send(server.address, &request("GET", ENDLESS, "Request-Timeout: 2\r\n"));
    server.until("/sqlite/statements", 1);
    let reply = read(client);
    assert_eq!(reply.status, 504, "{}", reply.body);
    server.until_all(&[("/sqlite/statements", 0), ("/jobs/running", 0)]);
    let before = server.number("/sqlite/instructions");
    assert_eq!(server.number("/jobs/timed_out/1"), 1, "while it ran");
    assert_eq!(server.number("/sqlite/instructions"), before, "it goes on");
}

#[test]
fn each_way_to_say_how_long_is_heard() {
    for fields in ["Request-Timeout: 0.1\r\n", "grpc-timeout: 100m\r\n", ""] {
        let server = Server::start(&["--timeout", "100ms"]);
        assert_eq!(server.get_with(ENDLESS, fields).status, 504, "{fields}");
        server.until("/sqlite/statements", 0);
    }
}

#[test]
fn a_time_beyond_the_limit_is_cut_to_it() {
    let server = Server::start(&["--limit", "100ms"]);
    assert_eq!(server.get_with(ENDLESS, "Request-Timeout: 1000\r\n").status, 504);
}

#[test]
fn a_client_that_hangs_up_ends_its_query() {
    let server = Server::start(&["--timeout", "30s"]);
    let client = send(server.address, &request("GET", ENDLESS, ""));
    server.until("/sqlite/statements", 1);
    drop(client);
    server.until_all(&[("/sqlite/statements", 0), ("/jobs/cancelled/1", 1)]);
}

#[test]
fn more_than_the_lane_takes_is_refused_at_once_and_lookups_go_on() {
    let server = Server::start(&["--reports", "1", "--waiting", "1"]);
    assert_eq!(server.post("/slow?n=1").json()["started"], 1);
    server.until("/sqlite/statements", 1);
    let slow = server.post("/slow?n=3").json();
    assert_eq!((&slow["started"], &slow["refused"]), (&1.into(), &2.into()));
    let refused = server.get_with("/report", "Request-Timeout: 20\r\n");
    assert_eq!(refused.status, 503, "{}", refused.body);
    assert!(refused.header("retry-after").unwrap().parse::<u64>().unwrap() >= 1);
    assert_eq!(server.get("/lookup?name=lib.rs").status, 200);
    let cancelled = server.post("/cancel").json();
    assert_eq!((&cancelled["queued"], &cancelled["running"]), (&1.into(), &1.into()));
    server.until_all(&[("/sqlite/statements", 0), ("/jobs/running", 0)]);
    assert_eq!(server.get("/report?files=10").status, 200);
}

#[test]
fn what_hears_no_stop_is_shown_as_overdue() {
    let server = Server::start(&["--reports", "1"]);
    assert_eq!(server.post("/slow?deaf=1").json()["started"], 1);
    server.until("/jobs/overdue", 1);
    if let Some(job) = server.get("/state").json()["overdue"].get(0) {
        // or it has ended meanwhile
        assert_eq!(job["name"], "deaf");
        assert!(job["place"].as_str().unwrap().contains("examples/service/"), "{job}");
        assert!(job["thread"].as_str().unwrap().starts_with("service-"), "{job}");
    }
}

#[test]
fn a_bad_time_is_refused_with_the_reason() {
    for args in [&[][..], &["--with-tokio"]] {
        let server = Server::start(args);
        for (time, why) in [
            ("-1", "is negative"),
            ("NaN", "is not a number"),
            ("inf", "is not a number"),
            ("1e3", "is not a number"),
            ("soon", "is not a number"),
            ("0x10", "is not a number"),
            ("1.", "is not a number"),
            ("", "is empty"),
            ("999999999999", "is too large"),
            ("0.000000000000000000000000000000001", "is too long"),
            ("1\r\nRequest-Timeout: 2", "more than once"),
        ] {
            let reply = server.get_with("/report", &format!("Request-Timeout: {time}\r\n"));
            assert_eq!(reply.status, 400, "{time}: {}", reply.body);
            assert!(
                reply.body.contains("request-timeout") && reply.body.contains(why),
                "{}",
                reply.body
            );
        }
        assert_eq!(server.number("/jobs/running"), 0);
    }
}

/// Which is the point of the comparison.
#[test]
fn on_plain_tokio_the_client_has_its_504_and_sqlite_goes_on() {
    let server = Server::start(&["--with-tokio"]);
    assert_eq!(server.get_with(ENDLESS, "Request-Timeout: 0.1\r\n").status, 504);
    let client = send(server.address, &request("GET", ENDLESS, "Request-Timeout: 20\r\n"));
    server.until("/sqlite/statements", 2);
    drop(client);
    server.until("/jobs/overdue", 2);
    assert_eq!(server.number("/sqlite/statements"), 2);
    assert_eq!(server.post("/slow?n=1").json()["started"], 1);
    server.until("/sqlite/statements", 3);
    assert_eq!(server.post("/cancel").json()["running"], 1);
    assert_eq!(server.number("/sqlite/statements"), 3, "nobody can stop them");
}
