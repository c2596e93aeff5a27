//! How much time a client asks for: the headers `grpc-timeout` and `request-timeout`.
//!
//! # The grammar
//! ```text
//! grpc-timeout    = 1*8DIGIT ( "H" / "M" / "S" / "m" / "u" / "n" )
//! request-timeout = 1*8DIGIT [ "." 1*DIGIT ]          ; seconds, 32 characters at most
//! ```
//! The first is that of "gRPC over HTTP2", with zero allowed: hours, minutes, seconds, milli-, micro- and
//! nanoseconds. In the second, what is finer than a nanosecond is cut off. So what is well-formed is at the
//! most 11 407 years in the one, and 3 years in the other; all else is refused, and none of it is guessed
//! at: a client that gets its timeout wrong had better hear of it than wait without one.

use http::header::{HeaderMap, HeaderName};
use std::fmt;
use std::time::Duration;

const GRPC: HeaderName = HeaderName::from_static("grpc-timeout");
const SECONDS: HeaderName = HeaderName::from_static("request-timeout");

/// So many digits a whole number may have.
const DIGITS: usize = 8;
/// So many characters what is well-formed may have.
const LONGEST: usize = 32;

/// Which header is wrong, and how.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Malformed {
    header: &'static str,
    /// What is right.
    wanted: &'static str,
    why: Why,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Why {
    Repeated,
    Empty,
    NotText,
    Negative,
    TooLong,
    TooLarge,
    NoUnit,
    NoNumber,
}

/// The time that the client gives; the lesser one, if it names two.
pub(super) fn asked(headers: &HeaderMap) -> Result<Option<Duration>, Malformed> {
    let grpc = read(headers, &GRPC, grpc).map_err(|why| Malformed {
        header: "grpc-timeout",
        wanted: "up to 8 digits and one of H M S m u n, such as 250m",
        why,
    })?;
    let seconds = read(headers, &SECONDS, seconds).map_err(|why| Malformed {
        header: "request-timeout",
        wanted: "seconds, up to 8 digits before the point, such as 0.25",
        why,
    })?;
    Ok(grpc.into_iter().chain(seconds).min())
}

/// The value of a header that is there once, or not at all.
fn read(
    headers: &HeaderMap,
    name: &HeaderName,
    parse: fn(&str) -> Result<Duration, Why>,
) -> Result<Option<Duration>, Why> {
    let mut values = headers.get_all(name).iter();
    let Some(value) = values.next() else { return Ok(None) };
    if values.next().is_some() {
        return Err(Why::Repeated);
    }
    let text = value.to_str().map_err(|_| Why::NotText)?;
    match text.len() {
        0 => Err(Why::Empty),
        1..=LONGEST if text.starts_with('-') => Err(Why::Negative),
        1..=LONGEST => parse(text).map(Some),
        _ => Err(Why::TooLong),
    }
}

fn grpc(text: &str) -> Result<Duration, Why> {
    let in_unit: fn(u64) -> Duration = match text.as_bytes().last() {
        Some(b'H') => |n| Duration::from_secs(n * 3600),
        Some(b'M') => |n| Duration::from_secs(n * 60),
        Some(b'S') => Duration::from_secs,
        Some(b'm') => Duration::from_millis,
        Some(b'u') => Duration::from_micros,
        Some(b'n') => Duration::from_nanos,
        _ => return Err(Why::NoUnit),
    };
    whole(&text[..text.len() - 1]).map(in_unit)
}

fn seconds(text: &str) -> Result<Duration, Why> {
    let Some((before, after)) = text.split_once('.') else {
        return whole(text).map(Duration::from_secs);
    };
    if !is_number(after) {
        return Err(Why::NoNumber);
    }
    let digits = after.bytes().chain(std::iter::repeat(b'0')).take(9);
    let nanos = digits.fold(0, |nanos, digit| nanos * 10 + u64::from(digit - b'0'));
    Ok(Duration::from_secs(whole(before)?) + Duration::from_nanos(nanos))
}

/// A number of so few digits that it can be counted in any unit.
fn whole(text: &str) -> Result<u64, Why> {
    if !is_number(text) {
        return Err(Why::NoNumber);
    }
    if text.len() > DIGITS {
        return Err(Why::TooLarge);
    }
    text.parse().map_err(|_| Why::NoNumber)
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// For the client. What it sent is not repeated: it may be anything.
impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let why = match self.why {
            Why::Repeated => "is there more than once",
            Why::Empty => "is empty",
            Why::NotText => "is not ASCII text",
            Why::Negative => "is negative",
            Why::TooLong => "is too long",
            Why::TooLarge => "is too large",
            Why::NoUnit => "has no unit",
            Why::NoNumber => "is not a number",
        };
        write!(f, "the header {} {why}: it takes {}", self.header, self.wanted)
    }
}
