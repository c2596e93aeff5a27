//! Waiting for a message as well as for a stop.
//!
//! A stop leaves no message lost: what was taken out of a channel is given, stop or not.

#[cfg(feature = "crossbeam-channel")]
mod crossbeam;
mod std_mpsc;

use crate::error::Stopped;
use crate::job::JobContext;

impl JobContext {
    /// The next message of a channel, or `None` if there will be none: all senders are gone.
    ///
    /// It takes std's [`Receiver`](std::sync::mpsc::Receiver), and with the feature `crossbeam-channel`
    /// that crate's. A message that is there costs what a bare `recv` does. One that comes is given at
    /// once. A stop ends the wait at once for crossbeam's, and within about a millisecond for std's,
    /// which nothing but a message can wake: a job that waits there looks for a stop a thousand times a
    /// second.
    ///
    /// # Errors
    /// If the job is asked to stop, or was before: a message that is there stays in the channel then, so
    /// that a loop ends, too, that messages come to faster than it takes them.
    ///
    /// # Examples
    ///
    /// ```
    /// use punctual::Checked;
    /// use std::sync::mpsc;
    ///
    /// let pool = punctual::Pool::new();
    /// let (numbers, receive) = mpsc::channel();
    /// let job = pool.spawn(move |cx| -> Checked<u32> {
    ///     let mut sum = 0;
    ///     while let Some(number) = cx.recv(&receive)? {
    ///         sum += number;
    ///     }
    ///     Ok(sum)
    /// });
    /// for number in 1..=4 {
    ///     numbers.send(number).unwrap();
    /// }
    /// drop(numbers);
    /// assert_eq!(job.wait().unwrap(), 10);
    /// ```
    pub fn recv<R: Receive>(&self, receiver: &R) -> Result<Option<R::Message>, Stopped> {
        loop {
            self.check()?;
            let taken = match receiver.try_take() {
                Taken::Nothing => receiver.wait(self),
                at_once => at_once,
            };
            match taken {
                Taken::Message(message) => return Ok(Some(message)),
                Taken::Over => return Ok(None),
                Taken::Nothing => {} // stopped, perhaps
            }
        }
    }
}

/// What [`recv`](JobContext::recv) can receive from: the receivers of the channels of `std`, and of
/// `crossbeam-channel` with the feature of that name. Nobody else can implement it.
///
/// ```
/// use punctual::{Checked, JobContext, Receive};
///
/// fn all<R: Receive>(cx: &JobContext, from: &R) -> Checked<Vec<R::Message>> {
///     std::iter::from_fn(|| cx.recv(from).transpose()).collect()
/// }
///
/// # let pool = punctual::Pool::new();
/// let (send, receive) = std::sync::mpsc::sync_channel(3);
/// (1..=3).for_each(|n| send.send(n).unwrap());
/// drop(send);
/// assert_eq!(pool.spawn(move |cx| all(cx, &receive)).wait().unwrap(), [1, 2, 3]);
/// ```
pub trait Receive: Sealed {
    /// What comes through the channel.
    type Message;

    /// A message that is there.
    #[doc(hidden)]
    fn try_take(&self) -> Taken<Self::Message>;

    /// Waits for a message, and no longer than until the job is stopped, or till it looks for that.
    #[doc(hidden)]
    fn wait(&self, cx: &JobContext) -> Taken<Self::Message>;
}

/// What came of looking into a channel.
#[derive(Debug)]
pub enum Taken<T> {
    /// This.
    Message(T),
    /// Nothing by now.
    Nothing,
    /// Nothing, and nothing will: all senders are gone.
    Over,
}

/// Its name can not be reached from outside.
pub trait Sealed {}
