//! Clients that mean no good, or do not know better: each is told or cut off, and nothing of it stays.

use crate::client::{connect, read, request, send};
use crate::server::{ENDLESS, Server};
use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::time::Duration;

/// Reads until the server has closed the connection.
#[track_caller]
fn is_closed(mut stream: TcpStream) {
    let mut rest = Vec::new();
    match stream.read_to_end(&mut rest) {
        Ok(_) => {}
        Err(error) => assert_eq!(error.kind(), ErrorKind::ConnectionReset, "{error}"),
    }
}

#[test]
fn who_says_nothing_or_not_all_is_cut_off() {
    let server = Server::start(&["--patience", "200ms"]);
    is_closed(connect(server.address));
    is_closed(send(server.address, "GET /report HTTP/1.1\r\nHost: serv"));
}

#[test]
fn who_sends_a_byte_now_and_then_is_cut_off() {
    let server = Server::start(&["--patience", "300ms"]);
    let mut slow = connect(server.address);
    slow.set_read_timeout(Some(Duration::from_millis(20))).unwrap();
    let endless = request("GET", "/report", "").into_bytes().into_iter().cycle();
    for byte in b"GET /".iter().copied().chain(endless.filter(u8::is_ascii_alphanumeric)) {
        // Waits a little for what will not come, before the next byte.
        let closed = match slow.read(&mut [0; 1]) {
            Ok(read) => read == 0,
            Err(error) => error.kind() != ErrorKind::WouldBlock,
        };
        if closed || slow.write_all(&[byte]).is_err() {
            return;
        }
    }
}

/// As if it had hung up.
#[test]
fn who_closes_its_half_is_let_go() {
    let server = Server::start(&["--timeout", "30s"]);
    let half = send(server.address, &request("GET", ENDLESS, ""));
    server.until("/sqlite/statements", 1);
    half.shutdown(Shutdown::Write).unwrap();
    is_closed(half);
    server.until("/sqlite/statements", 0);
}

#[test]
fn too_long_a_request_is_refused() {
    let server = Server::start(&[]);
    let fields = format!("X: {}\r\n", "x".repeat(100_000));
    let mut long = connect(server.address);
    let _ = long.write_all(request("GET", "/report", &fields).as_bytes()); // it may stop reading
    let reply = read(long);
    assert_eq!(reply.status, 431, "{}", reply.body);
}

#[test]
fn a_body_is_refused_before_it_is_sent() {
    let server = Server::start(&[]);
    for length in ["Content-Length: 10000000000\r\n", "Transfer-Encoding: chunked\r\n"] {
        for (method, path) in [("POST", "/slow"), ("GET", "/report")] {
            let reply = read(send(server.address, &request(method, path, length)));
            assert_eq!(
                (reply.status, &*reply.body),
                (413, "a request has no body here\n"),
                "{path}"
            );
        }
    }
    assert_eq!(server.get("/lookup?name=lib.rs").status, 200);
}

#[test]
fn what_is_no_request_is_refused() {
    let server = Server::start(&[]);
    for nonsense in ["\u{1}\u{2}\u{3}\r\n\r\n", "GET\r\n\r\n", "GET / HTTP/9.9\r\n\r\n"] {
        let reply = read(send(server.address, nonsense));
        assert_eq!(reply.status, 400, "{nonsense:?}");
    }
}

/// Everything above once more, and the descriptors are as many as before.
#[cfg(target_os = "linux")]
#[test]
fn nothing_of_them_stays() {
    let server = Server::start(&["--patience", "200ms", "--timeout", "30s"]);
    assert_eq!(server.get("/lookup?name=lib.rs").status, 200);
    assert_eq!(server.get("/report?files=10").status, 200);
    server.until("/jobs/running", 0);
    let before = server.descriptors();
    for _ in 0..10 {
        let strangers = [
            connect(server.address),
            send(server.address, "GET /"),
            send(server.address, &request("GET", ENDLESS, "")),
            send(server.address, &request("GET", "/events", "")),
            send(server.address, &request("POST", "/slow", "Content-Length: 5\r\n")),
            send(server.address, "nonsense\r\n\r\n"),
        ];
        drop(strangers);
    }
    server.until_all(&[("/jobs/running", 0), ("/sqlite/statements", 0)]);
    let start = std::time::Instant::now();
    // Those that read a report keep a connection to the database each.
    while server.descriptors() > before + 8 {
        assert!(start.elapsed() < crate::server::PATIENCE, "{} > {before}", server.descriptors());
        std::thread::yield_now();
    }
    assert_eq!(server.get("/lookup?name=lib.rs").status, 200);
}
