//! std's channel: only a message ends a wait there, so that is cut into short pieces.

use crate::job::JobContext;
use crate::job::recv::{Receive, Sealed, Taken};
use std::sync::mpsc::{Receiver, RecvTimeoutError, TryRecvError};
use std::time::Duration;

/// After so long the job looks whether it was stopped. Shorter ones cost more while nothing comes.
const GLANCE: Duration = Duration::from_millis(1);

impl<T> Sealed for Receiver<T> {}

impl<T> Receive for Receiver<T> {
    type Message = T;

    fn try_take(&self) -> Taken<T> {
        match self.try_recv() {
            Ok(message) => Taken::Message(message),
            Err(TryRecvError::Empty) => Taken::Nothing,
            Err(TryRecvError::Disconnected) => Taken::Over,
        }
    }

    fn wait(&self, _: &JobContext) -> Taken<T> {
        match self.recv_timeout(GLANCE) {
            Ok(message) => Taken::Message(message),
            Err(RecvTimeoutError::Timeout) => Taken::Nothing,
            Err(RecvTimeoutError::Disconnected) => Taken::Over,
        }
    }
}
