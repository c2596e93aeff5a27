//! The headers in which a client says how long it waits: what is well-formed, and all that is not.

use crate::{echo, get, run, told};
use http::{HeaderValue, Request, Response};
use proptest::prelude::*;
use proptest::test_runner::Config;
use punctual::testing::ManualClock;
use punctual::tower::{Body, DeadlineLayer, Limits};
use std::future::Ready;
use std::io;
use std::time::Duration;
use tower::{Layer, ServiceExt, service_fn};

/// What a layer makes of the request: the response, and the time that the service inside had.
fn asked(request: Request<String>) -> Result<Option<Duration>, Box<Response<Body<String>>>> {
    let clock = ManualClock::new();
    let layer = DeadlineLayer::new().margin(Duration::ZERO).clock(&clock);
    let response = futures_lite::future::block_on(layer.layer(echo()).oneshot(request));
    let response = response.expect("it can not fail");
    match response.extensions().get::<Limits>() {
        Some(limits) => Ok(limits.deadline().instant().map(|at| at - clock.now())),
        None => Err(response.into()),
    }
}

fn with(header: &'static str, value: &[u8]) -> Option<Request<String>> {
    let mut request = get(&[]);
    request.headers_mut().insert(header, HeaderValue::from_bytes(value).ok()?);
    Some(request)
}

/// The grammar, once more: in nanoseconds, by what each character may be.
fn specified(header: &str, value: &[u8]) -> Option<u128> {
    let value: Vec<char> = value.iter().map(|byte| char::from(*byte)).collect();
    let number = |digits: &[char]| {
        let step = |sum: u128, digit: &char| Some(sum * 10 + u128::from(digit.to_digit(10)?));
        let is_short = (1..=8).contains(&digits.len());
        is_short.then(|| digits.iter().try_fold(0, step)).flatten()
    };
    if header == "grpc-timeout" {
        let (unit, digits) = value.split_last()?;
        let units = [('H', 3_600_000_000_000), ('M', 60_000_000_000), ('S', 1_000_000_000)];
        let units = units.into_iter().chain([('m', 1_000_000), ('u', 1_000), ('n', 1)]);
        let (_, nanos) = units.into_iter().find(|(known, _)| known == unit)?;
        return Some(number(digits)? * nanos);
    }
    let point = value.iter().position(|c| *c == '.');
    let after = point.map_or(&['0'][..], |point| &value[point + 1..]);
    let is_fraction = !after.is_empty() && after.iter().all(char::is_ascii_digit);
    let nanos = (0..9).map(|n| after.get(n).and_then(|digit| digit.to_digit(10)).unwrap_or(0));
    let nanos = nanos.fold(0, |sum, digit| sum * 10 + u128::from(digit));
    let seconds = number(&value[..point.unwrap_or(value.len())])?;
    (is_fraction && value.len() <= 32).then_some(seconds * 1_000_000_000 + nanos)
}

/// Values that are well-formed, nearly so, and not at all.
fn value() -> impl Strategy<Value = Vec<u8>> {
    const BYTES: &[u8] = b"00123456789999..-+eEnNaAifHMSmuns \t,;%\xC2\xB5\xFF_x";
    let any = prop::collection::vec(prop::sample::select(BYTES), 0..12);
    let digits =
        |most| prop::collection::vec(prop::sample::select(b"0123456789".as_slice()), 0..most);
    let grpc = (digits(11), prop::sample::select(b"HMSmunhsx".as_slice()));
    let grpc = grpc.prop_map(|(mut digits, unit)| {
        digits.push(unit);
        digits
    });
    let decimal = (digits(11), digits(30)).prop_map(|(before, after)| [before, after].join(&b'.'));
    let one_more = (digits(9), digits(10), 0..20_usize, prop::sample::select(BYTES));
    let one_more = one_more.prop_map(|(before, after, at, byte)| {
        let mut value = [before, after].join(&b'.');
        value.insert(at.min(value.len()), byte);
        value
    });
    prop_oneof![any, grpc, digits(11), decimal, one_more]
}

proptest! {
    #![proptest_config(Config { cases: 4_000, failure_persistence: None, ..Config::default() })]

    #[test]
    fn a_time_is_read_as_the_grammar_says(
        header in prop::sample::select(vec!["grpc-timeout", "request-timeout"]),
        value in value(),
    ) {
        let Some(request) = with(header, &value) else { return Ok(()) }; // no header at all
        let read = asked(request).ok().map(|time| time.map(|time| time.as_nanos()));
        prop_assert_eq!(read, specified(header, &value).map(Some), "{:?}", value.escape_ascii());
    }
}

#[test]
fn what_is_well_formed_is_taken_as_it_is() {
    let nanos = Duration::from_nanos;
    for (header, value, time) in [
        ("grpc-timeout", "0n", nanos(0)),
        ("grpc-timeout", "1n", nanos(1)),
        ("grpc-timeout", "250m", nanos(250_000_000)),
        ("grpc-timeout", "00000010u", nanos(10_000)),
        ("grpc-timeout", "3M", Duration::from_secs(180)),
        ("grpc-timeout", "99999999H", Duration::from_secs(359_999_996_400)),
        ("request-timeout", "0", nanos(0)),
        ("request-timeout", "0.25", nanos(250_000_000)),
        ("request-timeout", "7", Duration::from_secs(7)),
        ("request-timeout", "0.0000000019", nanos(1)),
        ("request-timeout", "0.30000000000000004", nanos(300_000_000)),
        ("request-timeout", "99999999.999999999", Duration::new(99_999_999, 999_999_999)),
    ] {
        let read = asked(get(&[(header, value)])).expect("it is taken");
        assert_eq!(read, Some(time), "{header}: {value}");
    }
    assert_eq!(asked(get(&[])).expect("it is taken"), None);
    let both = get(&[("grpc-timeout", "3S"), ("request-timeout", "2.5")]);
    assert_eq!(asked(both).expect("it is taken"), Some(Duration::from_millis(2500)));
    let both = get(&[("grpc-timeout", "2S"), ("request-timeout", "2.5")]);
    assert_eq!(asked(both).expect("it is taken"), Some(Duration::from_secs(2)));
}

#[test]
fn what_is_malformed_is_refused_with_the_reason() {
    let long = "0.".to_owned() + &"1".repeat(31);
    let endless = "9".repeat(5_000);
    for (header, value, why) in [
        ("request-timeout", "", "is empty"),
        ("request-timeout", "-1", "is negative"),
        ("request-timeout", "-0", "is negative"),
        ("request-timeout", "-inf", "is negative"),
        ("request-timeout", "+1", "is not a number"),
        ("request-timeout", "NaN", "is not a number"),
        ("request-timeout", "inf", "is not a number"),
        ("request-timeout", "infinity", "is not a number"),
        ("request-timeout", "1e3", "is not a number"),
        ("request-timeout", "1e308", "is not a number"),
        ("request-timeout", "0x10", "is not a number"),
        ("request-timeout", "1_000", "is not a number"),
        ("request-timeout", "1,5", "is not a number"),
        ("request-timeout", "1 000", "is not a number"),
        ("request-timeout", "5.", "is not a number"),
        ("request-timeout", ".5", "is not a number"),
        ("request-timeout", ".", "is not a number"),
        ("request-timeout", "1.2.3", "is not a number"),
        ("request-timeout", "5s", "is not a number"),
        ("request-timeout", "soon", "is not a number"),
        ("request-timeout", "1\u{0660}", "is not ASCII"),
        ("request-timeout", "100000000", "is too large"),
        ("request-timeout", "99999999999999999999", "is too large"),
        ("request-timeout", &long, "is too long"),
        ("request-timeout", &endless, "is too long"),
        ("grpc-timeout", "", "is empty"),
        ("grpc-timeout", "-1S", "is negative"),
        ("grpc-timeout", "100", "has no unit"),
        ("grpc-timeout", "1s", "has no unit"),
        ("grpc-timeout", "1h", "has no unit"),
        ("grpc-timeout", "S", "is not a number"),
        ("grpc-timeout", "0.5S", "is not a number"),
        ("grpc-timeout", "1 S", "is not a number"),
        ("grpc-timeout", "1S ", "has no unit"),
        ("grpc-timeout", "1SS", "is not a number"),
        ("grpc-timeout", "NaNS", "is not a number"),
        ("grpc-timeout", "123456789m", "is too large"),
        ("grpc-timeout", &endless, "is too long"),
    ] {
        let request = with(header, value.as_bytes()).expect("it can be sent");
        let Err(response) = asked(request) else { panic!("{header}: {value} is taken") };
        let (status, kind, text) = run(told(*response, "content-type"));
        assert_eq!((status, &*kind), (400, "text/plain; charset=utf-8"));
        let start = format!("the header {header} {why}");
        assert!(text.starts_with(&start) && text.contains("such as"), "{value}: {text}");
        assert!(text.len() < 120 && text.is_ascii(), "nothing of the client's is in it: {text}");
    }
}

#[test]
fn a_header_that_is_there_twice_is_refused_even_if_both_say_the_same() {
    for (header, value) in [("request-timeout", "1"), ("grpc-timeout", "1S")] {
        let Err(response) = asked(get(&[(header, value), (header, value)])) else {
            panic!("it is taken")
        };
        let (status, _, text) = run(told(*response, "-"));
        assert!(status == 400 && text.contains("is there more than once"), "{text}");
    }
    // One that is wrong is not made up for by the other.
    assert!(asked(get(&[("request-timeout", "1"), ("grpc-timeout", "1")])).is_err());
}

#[test]
fn a_grpc_request_is_refused_in_the_words_of_grpc() {
    for kind in ["application/grpc", "application/grpc+proto", "Application/GRPC-web; a=b"] {
        let request = get(&[("content-type", kind), ("grpc-timeout", "1 %S")]);
        let Err(response) = asked(request) else { panic!("it is taken") };
        assert_eq!(response.headers()["grpc-status"], "3");
        let message = response.headers()["grpc-message"].to_str().expect("text").to_owned();
        assert!(message.starts_with("the header grpc-timeout is not a number"), "{message}");
        assert_eq!(run(told(*response, "content-type")), (200, kind.to_owned(), String::new()));
    }
    for kind in ["application/grp", "text/plain", ""] {
        let request = get(&[("content-type", kind), ("grpc-timeout", "x")]);
        assert_eq!(asked(request).map_err(|response| response.status().as_u16()), Err(400));
    }
}

#[test]
fn the_service_inside_is_not_called_for_what_is_refused() {
    fn never(_: Request<String>) -> Ready<io::Result<Response<String>>> {
        unreachable!("it is called")
    }
    let request = get(&[("request-timeout", "-1")]);
    let response =
        run(DeadlineLayer::new().layer(service_fn(never)).oneshot(request)).expect("an answer");
    assert_eq!(response.status().as_u16(), 400);
}
