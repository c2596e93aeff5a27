//! Requests, and the pace at which they are sent.

use super::client::Client;
use super::tally::{Kind, Tally};
use crate::args::Args;
use punctual::Pool;
use rusqlite::{Connection, OpenFlags};
use std::cell::RefCell;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// So many files' names are looked up.
const NAMES: u32 = 1000;
const WORDS: [&str; 6] = ["license", "unsafe", "async", "copyright", "deadline", "zebra"];
/// Clients there are, at the most: what is sent later than it should, for want of one, counts from when it
/// should.
const LOOKUP_CLIENTS: usize = 64;
const SLOW_CLIENTS: usize = 300;
/// The time of a request while the capacity is measured, in seconds: enough.
const ENOUGH: u64 = 30;

thread_local! {
    static CLIENT: RefCell<Option<Client>> = const { RefCell::new(None) };
}

/// What is asked for.
pub(crate) struct Requests {
    lookups: Vec<String>,
    slow: Vec<String>,
}

/// Who is asked, and how often in a second.
pub(crate) struct Target {
    pub(crate) address: SocketAddr,
    pub(crate) lookups: f64,
    pub(crate) slow: f64,
}

impl Requests {
    /// Of what is in the database.
    pub(crate) fn new(args: &Args) -> anyhow::Result<Self> {
        let path = args.database();
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY;
        let connection = Connection::open_with_flags(&path, flags)?;
        let sql = "SELECT DISTINCT name FROM pieces WHERE id % 97 = 0 LIMIT ?1";
        let mut select = connection.prepare(sql)?;
        let names = select.query_map([NAMES], |row| row.get::<_, String>(0))?;
        let lookup = |name: String| format!("/lookup?name={}", escaped(&name));
        let lookups = names.map(|name| name.map(lookup)).collect::<Result<Vec<_>, _>>()?;
        let slow = WORDS.iter().flat_map(|word| [format!("/scan?text={word}"), "/report".into()]);
        Ok(Self { lookups, slow: slow.collect() })
    }
}

fn escaped(name: &str) -> String {
    let plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"-._~".contains(byte);
    let escape = |byte: u8| match plain(&byte) {
        true => char::from(byte).to_string(),
        false => format!("%{byte:02X}"),
    };
    name.bytes().map(escape).collect()
}

/// How many slow requests a second are answered, if each client asks again as soon as it has its answer.
pub(crate) fn closed_loop(
    address: SocketAddr,
    requests: &Requests,
    clients: usize,
    time: Duration,
) -> anyhow::Result<f64> {
    let start = Instant::now();
    let ask = |first: usize| -> anyhow::Result<f64> {
        let mut client = Client::new(address);
        let mut answered = 0.0;
        for path in requests.slow.iter().cycle().skip(first) {
            if start.elapsed() >= time {
                break;
            }
            answered += f64::from(client.get(path, Some(ENOUGH))?.0 == 200);
        }
        Ok(answered / start.elapsed().as_secs_f64())
    };
    std::thread::scope(|s| {
        let asking: Vec<_> = (0..clients).map(|first| s.spawn(move || ask(first))).collect();
        asking.into_iter().map(|asking| asking.join().expect("no panic")).sum()
    })
}

/// Sends requests for so long, each at its time, and waits for the answers.
pub(crate) fn open_loop(
    target: &Target,
    requests: &Requests,
    time: Duration,
) -> anyhow::Result<Tally> {
    let tally = Arc::new(Mutex::new(Tally::new(time)));
    let clients = |name, most| Pool::builder().name(name).threads(..=most).build();
    let (quick, slow) = (clients("lookups", LOOKUP_CLIENTS)?, clients("slow", SLOW_CLIENTS)?);
    let mut random = Random(7);
    let start = Instant::now();
    let mut next = [target.lookups, target.slow].map(|rate| random.pause(rate));
    for turn in 0_usize.. {
        let (kind, pool, all, rate) = match next[0] <= next[1] {
            true => (Kind::Lookup, &quick, &requests.lookups, target.lookups),
            false => (Kind::Slow, &slow, &requests.slow, target.slow),
        };
        let due = next[kind as usize];
        if due >= time {
            break;
        }
        wait_until(start + due);
        let (tally, address) = (Arc::clone(&tally), target.address);
        let path = all[turn % all.len()].clone();
        drop(pool.spawn_blocking(move || {
            let status = ask(address, &path);
            let took = start.elapsed().saturating_sub(due);
            tally.lock().unwrap_or_else(PoisonError::into_inner).count(kind, status, due, took);
        }));
        next[kind as usize] += random.pause(rate);
    }
    quick.drain().wait();
    slow.drain().wait();
    let tally = tally.lock().unwrap_or_else(PoisonError::into_inner).clone();
    Ok(tally)
}

/// By this thread's client; 0 is no answer.
fn ask(address: SocketAddr, path: &str) -> u16 {
    CLIENT.with_borrow_mut(|client| {
        let client = client.get_or_insert_with(|| Client::new(address));
        client.get(path, None).map_or(0, |(status, _)| status)
    })
}

fn wait_until(at: Instant) {
    loop {
        let left = at.saturating_duration_since(Instant::now());
        match left.as_micros() {
            0 => return,
            1..60 => std::hint::spin_loop(),
            _ => std::thread::sleep(left - Duration::from_micros(50)),
        }
    }
}

/// Marsaglia's xorshift: good enough for pauses, and the same each time.
struct Random(u64);

impl Random {
    /// Until the next of so many a second, on average.
    fn pause(&mut self, rate: f64) -> Duration {
        if rate <= 0.0 {
            return Duration::MAX;
        }
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        let unit = ((self.0 >> 11) + 1) as f64 / (1_u64 << 53) as f64;
        Duration::from_secs_f64(-unit.min(1.0).ln() / rate)
    }
}
