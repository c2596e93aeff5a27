//! crossbeam's channel: a stop is one more thing to wait for.

use crate::job::JobContext;
use crate::job::recv::{Receive, Sealed, Taken};
use crossbeam_channel::{Receiver, Select, TryRecvError, bounded};

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

    fn wait(&self, cx: &JobContext) -> Taken<T> {
        let (stop, stopped) = bounded(1);
        let tell = stop.clone(); // `stop` stays: a listener that is dropped untold is no stop
        let _guard = cx.on_stop(move |_| {
            let _ = tell.try_send(());
        });
        let mut either = Select::new_biased(); // a message that came with the stop is not passed over
        let messages = either.recv(self);
        either.recv(&stopped);
        let ready = either.select();
        if ready.index() == messages {
            ready.recv(self).map_or(Taken::Over, Taken::Message)
        } else {
            let _ = ready.recv(&stopped);
            Taken::Nothing
        }
    }
}
