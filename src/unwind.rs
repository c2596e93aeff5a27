//! The edge where user code's panics are caught.
//!
//! Bodies, destructors, wakers and hooks all pass through here (law 14). Catching is not enough:
//! the payload of a panic is a user value too, and dropping it may panic again.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// What a panic carries.
pub(crate) type Payload = Box<dyn Any + Send>;

/// Calls user code; a panic becomes its payload.
pub(crate) fn catch<R>(user: impl FnOnce() -> R) -> Result<R, Payload> {
    catch_unwind(AssertUnwindSafe(user))
}

/// Drops a user's value; a panic of its destructor becomes its payload.
pub(crate) fn drop_caught<T>(value: T) -> Result<(), Payload> {
    catch(move || drop(value))
}

/// Drops a payload nobody will look at.
///
/// A payload whose destructor panics brings a second payload; that one is leaked, since its
/// destructor could do the same for ever.
pub(crate) fn discard(payload: Payload) {
    if let Err(second) = drop_caught(payload) {
        std::mem::forget(second);
    }
}

/// Drops a user's value whose destructor nobody is there to hear of.
pub(crate) fn drop_quietly<T>(value: T) {
    if let Err(payload) = drop_caught(value) {
        discard(payload);
    }
}

/// What a panic says: its payload's text, if it is text.
pub(crate) fn message(payload: &Payload) -> String {
    let text = payload.downcast_ref::<&'static str>().copied();
    let text = text.or_else(|| payload.downcast_ref::<String>().map(String::as_str));
    text.unwrap_or("a value that is not text").to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::panic::panic_any;

    struct Grenade(u32);

    impl Drop for Grenade {
        fn drop(&mut self) {
            if self.0 > 0 {
                panic_any(Grenade(self.0 - 1));
            }
        }
    }

    #[test]
    fn a_payload_that_panics_when_dropped_is_contained() {
        let payload = catch(|| panic_any(Grenade(2))).expect_err("it panics");
        discard(payload);
    }

    #[test]
    fn a_message_is_the_text_of_either_string_type() {
        let of = |f: fn()| message(&catch(f).expect_err("it panics"));
        assert_eq!(of(|| panic!("plain")), "plain");
        assert_eq!(of(|| panic!("made of {}", 2)), "made of 2");
        assert_eq!(of(|| panic_any(7_u8)), "a value that is not text");
    }
}
