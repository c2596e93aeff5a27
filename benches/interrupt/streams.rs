//! What `cx.io` costs: as much through it and through the bare stream.

use crate::rounds::Size;
use punctual::{JobContext, Pool};
use std::convert::Infallible;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

const PIECE: usize = 64 << 10;
const BALL: usize = 64;
/// So much of the bare stream's speed there must be.
const GOAL: f64 = 0.95;

/// Gives the speeds of each round: of the bare stream, and through `cx.io`.
type Measure = fn(&JobContext, &Size) -> Vec<[f64; 2]>;

/// How many missed their goals.
pub(crate) fn print(size: &Size, is_wanted: impl Fn(&str) -> bool) -> usize {
    println!(
        "\nThrough cx.io and through the bare TcpStream, over loopback; medians of {}",
        size.streams
    );
    println!("interleaved rounds, and quartiles of the ratios:");
    println!("{:36} {:>11} {:>11}   ratio", "", "bare", "cx.io");
    let rows: [(&str, &str, Measure); 3] = [
        ("read, pieces of 64 KiB", "MB/s", reads),
        ("write, pieces of 64 KiB", "MB/s", writes),
        ("ping-pong of 64 B", "trips/ms", ping_pong),
    ];
    let mut missed = 0;
    for (name, unit, measure) in rows.into_iter().filter(|(name, ..)| is_wanted(name)) {
        let amount = Size { ..*size };
        let job = Pool::new().spawn(move |cx| Ok::<_, Infallible>(measure(cx, &amount)));
        let speeds = job.wait().expect("nobody stops it");
        missed += usize::from(!print_one(name, unit, &speeds));
    }
    missed
}

fn print_one(name: &str, unit: &str, speeds: &[[f64; 2]]) -> bool {
    let [bare, ours] = [0, 1].map(|way| quartiles(speeds.iter().map(|round| round[way]))[1]);
    let [low, ratio, high] = quartiles(speeds.iter().map(|[bare, ours]| ours / bare));
    let is_met = ratio >= GOAL;
    let said = if is_met { "ok" } else { "NOT" };
    println!(
        "{name:36} {bare:>11.0} {ours:>11.0} {unit:9} {ratio:.3} ({low:.3}–{high:.3}) >= {GOAL} {said}"
    );
    is_met
}

/// The speed of either way, round by round. Who is first in one is second in the next.
fn compare(
    size: &Size,
    amount: f64,
    mut bare: impl FnMut(),
    mut ours: impl FnMut(),
) -> Vec<[f64; 2]> {
    let mut round = |number: usize| {
        if number % 2 == 0 {
            let bare = time_of(&mut bare);
            [bare, time_of(&mut ours)]
        } else {
            let ours = time_of(&mut ours);
            [time_of(&mut bare), ours]
        }
    };
    round(0);
    (0..size.streams).map(|n| round(n).map(|time| amount / time.as_secs_f64())).collect()
}

fn time_of(work: &mut impl FnMut()) -> Duration {
    let begin = Instant::now();
    work();
    begin.elapsed()
}

/// A stream, and what is done at its other end until it is closed.
fn against(peer: impl FnOnce(TcpStream) + Send + 'static) -> TcpStream {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let here = TcpStream::connect(listener.local_addr().expect("it is bound")).expect("it listens");
    let there = listener.accept().expect("somebody connects").0;
    for end in [&here, &there] {
        end.set_nodelay(true).expect("it is open");
    }
    thread::spawn(move || peer(there));
    here
}

fn reads(cx: &JobContext, size: &Size) -> Vec<[f64; 2]> {
    let stream = against(|mut peer| while peer.write_all(&[1; PIECE]).is_ok() {});
    let read = |from: &mut dyn Read, piece: &mut [u8]| {
        let mut left = size.bytes;
        while left > 0 {
            left = left.saturating_sub(from.read(piece).expect("it is open"));
        }
    };
    let (mut one, mut other) = (vec![0; PIECE], vec![0; PIECE]);
    let (mut bare, mut ours) = (&stream, cx.io(&stream));
    let megabytes = size.bytes as f64 / 1e6;
    compare(size, megabytes, || read(&mut bare, &mut one), || read(&mut ours, &mut other))
}

fn writes(cx: &JobContext, size: &Size) -> Vec<[f64; 2]> {
    let stream = against(|mut peer| {
        let mut piece = vec![0; PIECE];
        while peer.read(&mut piece).is_ok_and(|read| read > 0) {}
    });
    let piece = vec![1; PIECE];
    let write = |to: &mut dyn Write| {
        (0..size.bytes / PIECE).for_each(|_| to.write_all(&piece).expect("it is open"));
    };
    let (mut bare, mut ours) = (&stream, cx.io(&stream));
    compare(size, size.bytes as f64 / 1e6, || write(&mut bare), || write(&mut ours))
}

fn ping_pong(cx: &JobContext, size: &Size) -> Vec<[f64; 2]> {
    let stream = against(|mut peer| {
        let mut ball = [0; BALL];
        while peer.read_exact(&mut ball).and_then(|()| peer.write_all(&ball)).is_ok() {}
    });
    let play = |trip: &mut dyn FnMut(&mut [u8; BALL])| {
        (0..size.trips).for_each(|_| trip(&mut [7; BALL]));
    };
    let (mut bare, mut ours) = (&stream, cx.io(&stream));
    let mut by_bare = |ball: &mut [u8; BALL]| {
        bare.write_all(ball).expect("it is open");
        bare.read_exact(ball).expect("it is open");
    };
    let mut by_ours = |ball: &mut [u8; BALL]| {
        ours.write_all(ball).expect("it is open");
        ours.read_exact(ball).expect("it is open");
    };
    compare(size, size.trips as f64 / 1e3, || play(&mut by_bare), || play(&mut by_ours))
}

fn quartiles(values: impl Iterator<Item = f64>) -> [f64; 3] {
    let mut values: Vec<_> = values.collect();
    values.sort_by(f64::total_cmp);
    [1, 2, 3].map(|quarter| values[(values.len() - 1) * quarter / 4])
}
