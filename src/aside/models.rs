//! Models of user code that is run aside: the real list, cells and timekeeper, by loom.
//!
//! | what against what | model |
//! |---|---|
//! | a destructor that lasts, another | `a_destructor_that_lasts_against_another` |

use super::*;
use crate::clock::Clock;
use crate::job::Owner;
use crate::job::models::Host;
use crate::stop::Cause;
use crate::sync::models::check;

const HOUR: Duration = Duration::from_secs(3600);

#[derive(Default)]
struct Gate {
    open: Mutex<bool>,
    opened: Condvar,
}

/// A capture whose destructor opens the gate, or waits for that.
struct AtGate {
    gate: Arc<Gate>,
    opens: bool,
}

impl Drop for AtGate {
    fn drop(&mut self) {
        let mut open = self.gate.open.lock();
        if self.opens {
            *open = true;
            self.gate.opened.notify_all();
        }
        while !*open {
            open = self.gate.opened.wait(open);
        }
    }
}

/// The one that lasts is taken first, and ends when the other has.
#[test]
fn a_destructor_that_lasts_against_another() {
    check(|| {
        let (host, gate) = (Host::new(Clock::System), Arc::<Gate>::default());
        let mut left = Vec::new();
        for opens in [true, false] {
            let capture = AtGate { gate: Arc::clone(&gate), opens };
            let (task, _job) = host.job(None, move |_| drop(capture));
            left.extend(task.begin_stop(Cause::Shutdown).1);
        }
        run(host.keeper(), left, HOUR);
        assert_eq!((host.decided.get(), host.ended.get()), (2, 2), "all is done");
        host.keeper.close();
    });
}
