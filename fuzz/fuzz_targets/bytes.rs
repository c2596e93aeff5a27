//! Makes a program of any bytes. A byte means the same wherever it stands, as far as that can be, so
//! that one program's pieces are of use in another.

use crate::program::{Act, Asked, By, FAR, Settings, Step, TOKENS, Time};
use libfuzzer_sys::arbitrary::{Arbitrary, Result, Unstructured};
use punctual::Priority;

/// Enough for anything that a person would still read.
const LONGEST: usize = 60;

#[derive(Debug)]
pub(crate) struct Program {
    pub(crate) settings: Settings,
    pub(crate) steps: Vec<Step>,
}

impl<'a> Arbitrary<'a> for Program {
    fn arbitrary(u: &mut Unstructured<'a>) -> Result<Self> {
        let settings = settings(u)?;
        let mut steps = Vec::new();
        while !u.is_empty() && steps.len() < LONGEST {
            steps.push(step(u)?);
        }
        Ok(Self { settings, steps })
    }
}

fn settings(u: &mut Unstructured<'_>) -> Result<Settings> {
    Ok(Settings {
        workers: [1, 1, 1, 1, 2, 3][pick(u, 6)?],
        ready: u.arbitrary()?,
        limit: [None, Some(1), Some(2), Some(3), Some(4)][pick(u, 5)?],
        timeout: time(u)?,
        grace: time(u)?,
    })
}

fn step(u: &mut Unstructured<'_>) -> Result<Step> {
    Ok(match pick(u, 32)? {
        0..9 => Step::Submit(by(u)?, asked(u)?),
        9..17 => Step::Act(pick(u, 4)?, act(u)?),
        17..21 => Step::Advance(pick(u, 12)? as Time),
        21 | 22 => Step::Cancel(pick(u, 16)?),
        23 => Step::CancelToken(pick(u, TOKENS)?),
        24 => Step::CancelOwnToken(pick(u, 16)?),
        25 => Step::Take(pick(u, 16)?),
        26 => Step::DropHandle(pick(u, 16)?),
        27 => Step::CancelByDrop(pick(u, 16)?),
        28 => match pick(u, 4)? {
            0 => Step::Reserve,
            1 => Step::Await,
            2 => Step::GiveUp(pick(u, 4)?),
            _ => Step::DropPermit,
        },
        29 => Step::Drain(time(u)?),
        30 => Step::Shutdown(time(u)?),
        _ => Step::DropPool,
    })
}

fn by(u: &mut Unstructured<'_>) -> Result<By> {
    Ok(match pick(u, 8)? {
        0 => By::Permit,
        1 => By::Context(pick(u, 8)?),
        2 => By::Body(pick(u, 4)?),
        _ => By::Pool,
    })
}

/// The bits of two bytes say what is asked for at all.
fn asked(u: &mut Unstructured<'_>) -> Result<Asked> {
    let bits: u16 = u.arbitrary()?;
    let wants = |bit: u16| bits >> bit & 1 == 1;
    let mut time = |bit| if wants(bit) { some_time(u).map(Some) } else { Ok(None) };
    let (timeout, deadline, queue) = (time(0)?, time(1)?, time(2)?);
    let (run, grace) = (time(3)?, time(4)?);
    Ok(Asked {
        named: wants(5),
        priority: match bits >> 6 & 3 {
            0 => Priority::Low,
            1 => Priority::High,
            _ => Priority::Normal,
        },
        timeout,
        deadline: deadline.map(|time| if time < FAR { time - 2 } else { time }),
        queue,
        run,
        grace,
        token: wants(8).then_some(usize::from(wants(9))),
        on_late: wants(10),
    })
}

fn act(u: &mut Unstructured<'_>) -> Result<Act> {
    Ok(match pick(u, 16)? {
        0..5 => Act::Return,
        5 | 6 => Act::Fail,
        7 | 8 => Act::Panic,
        9 | 10 => Act::Checkpoint,
        11 => Act::Check,
        12 => Act::Token,
        13 => Act::Unlisten,
        n => Act::Listen { panics: n == 14 },
    })
}

fn time(u: &mut Unstructured<'_>) -> Result<Option<Time>> {
    Ok(if u.arbitrary()? { Some(some_time(u)?) } else { None })
}

fn some_time(u: &mut Unstructured<'_>) -> Result<Time> {
    Ok(match pick(u, 16)? {
        15 => FAR,
        time => time as Time,
    })
}

fn pick(u: &mut Unstructured<'_>, of: usize) -> Result<usize> {
    Ok(usize::from(u.arbitrary::<u8>()?) % of)
}
