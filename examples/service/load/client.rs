//! A client: one request after the other on a connection that it keeps, of HTTP as much as that takes.

use anyhow::{Context, bail};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// An alarm, no part of what is measured.
const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) struct Client {
    address: SocketAddr,
    connection: Option<BufReader<TcpStream>>,
}

impl Client {
    pub(crate) fn new(address: SocketAddr) -> Self {
        Self { address, connection: None }
    }

    /// Asks for a path; gives the status and the body. A connection that the server has closed meanwhile
    /// is replaced, once.
    pub(crate) fn get(
        &mut self,
        path: &str,
        timeout: Option<u64>,
    ) -> anyhow::Result<(u16, String)> {
        let limit = timeout.map(|seconds| format!("Request-Timeout: {seconds}\r\n"));
        let limit = limit.unwrap_or_default();
        let request = format!("GET {path} HTTP/1.1\r\nHost: service\r\n{limit}\r\n");
        if let Some(kept) = self.connection.take() {
            if let Ok(answer) = self.ask(kept, &request) {
                return Ok(answer);
            }
        }
        let stream = TcpStream::connect(self.address)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        self.ask(BufReader::new(stream), &request)
    }

    fn ask(
        &mut self,
        mut connection: BufReader<TcpStream>,
        request: &str,
    ) -> anyhow::Result<(u16, String)> {
        connection.get_mut().write_all(request.as_bytes())?;
        let status = line(&mut connection)?;
        let status = status.split(' ').nth(1).and_then(|status| status.parse().ok());
        let mut length = None;
        loop {
            let field = line(&mut connection)?.to_ascii_lowercase();
            if field.is_empty() {
                break;
            }
            length = field.strip_prefix("content-length: ").map(str::parse).or(length);
        }
        let mut body = vec![0; length.context("no length")??];
        connection.read_exact(&mut body)?;
        self.connection = Some(connection);
        Ok((status.context("no status")?, String::from_utf8(body)?))
    }
}

fn line(connection: &mut impl BufRead) -> anyhow::Result<String> {
    let mut line = String::new();
    if connection.read_line(&mut line)? == 0 {
        bail!("the server has closed the connection");
    }
    Ok(line.trim_end().to_owned())
}
