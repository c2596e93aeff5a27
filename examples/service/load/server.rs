//! A server under test: this program once more, as a child.

use super::client::Client;
use crate::args::Args;
use anyhow::Context;
use rustix::process::{Pid, Signal, kill_process};
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::process::{Child, ChildStdout, Command, Stdio};

pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    child: Ended,
    said: BufReader<ChildStdout>,
}

/// A child that does not outlive this.
struct Ended(Child);

impl Drop for Ended {
    fn drop(&mut self) {
        let _ = self.0.kill(); // if it has not ended
        let _ = self.0.wait();
    }
}

impl Server {
    pub(crate) fn start(args: &Args, name: &str) -> anyhow::Result<Self> {
        let mut command = Command::new(std::env::current_exe()?);
        command.arg("--database").arg(args.database()).args(["--port", "0"]);
        command.arg("--rows").arg(args.rows.to_string());
        command.arg("--reports").arg(args.reports().to_string());
        command.arg("--waiting").arg(args.waiting.to_string());
        command.arg("--timeout").arg(humantime::format_duration(args.timeout).to_string());
        command.arg("--limit").arg(humantime::format_duration(args.limit).to_string());
        for folder in &args.files {
            command.arg("--files").arg(folder);
        }
        command.args((name == "tokio").then_some("--with-tokio"));
        let mut child = Ended(command.stdout(Stdio::piped()).spawn()?);
        let mut said = BufReader::new(child.0.stdout.take().context("its output")?);
        let mut line = String::new();
        said.read_line(&mut line)?;
        let address = line.trim().rsplit_once("http://").context("it did not start")?.1;
        Ok(Self { address: address.parse()?, child, said })
    }

    /// How many statements SQLite is at.
    pub(crate) fn statements(&self) -> anyhow::Result<u64> {
        let (_, state) = Client::new(self.address).get("/state", None)?;
        let state: serde_json::Value = serde_json::from_str(&state)?;
        state["sqlite"]["statements"].as_u64().context("no number")
    }

    /// Tells it to end; gives its last words.
    pub(crate) fn end(mut self) -> anyhow::Result<String> {
        kill_process(Pid::from_child(&self.child.0), Signal::TERM)?;
        let mut line = String::new();
        self.said.read_line(&mut line)?;
        self.child.0.wait()?;
        Ok(line.trim().to_owned())
    }
}
