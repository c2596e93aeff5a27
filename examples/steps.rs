//! A recipe: a picture decoded row by row, with a look at the job before each row.
//!
//! ```text
//! cargo run --example steps [PICTURE.png]
//! ```
//!
//! Nothing can end a computation from outside; so it looks by itself. A look costs a load, about as much as
//! a few bytes of a picture. At a stop the decoding ends before the next row, with [`Stopped`] as the
//! error, and the job as timed out or cancelled. How long a stop takes is how long a row does: bound
//! that, too, where pictures come from others. A picture of some kilobytes can unfold to many gigabytes; a
//! deadline ends what a limit of the file's size does not.
//!
//! So it is with all that can be done in steps: rows of a result, rounds of a hash, entries of an archive.
//! What is one call to a library and takes long can only be let go: its handle resolves at the deadline
//! all the same, and `Pool::overdue` names it.

use png::{ColorType, Decoder, DecodingError, Encoder};
use punctual::{Cause, JobContext, JobError, Pool, Stopped};
use std::io::{BufRead, BufReader, Cursor, Seek};
use std::time::Duration;

/// Why there is no picture.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error(transparent)]
    Stopped(#[from] Stopped),
    #[error(transparent)]
    Picture(#[from] DecodingError),
}

/// Decodes a PNG, and gives each of its rows to `take`, from top to bottom. (Of an interlaced one, those
/// of each pass.)
///
/// # Errors
/// If the job is asked to stop before the last row, or it is no such picture.
pub(crate) fn decode(
    cx: &JobContext,
    picture: impl BufRead + Seek,
    mut take: impl FnMut(&[u8]),
) -> Result<(), Error> {
    let mut reader = Decoder::new(picture).read_info()?;
    loop {
        cx.check()?;
        match reader.next_row()? {
            Some(row) => take(row.data()),
            None => return Ok(()),
        }
    }
}

/// A black picture: few bytes, many pixels.
pub(crate) fn black(width: u32, height: u32) -> anyhow::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let mut encoder = Encoder::new(&mut bytes, width, height);
    encoder.set_color(ColorType::Grayscale);
    encoder.write_header()?.write_image_data(&vec![0; width as usize * height as usize])?;
    Ok(bytes)
}

pub(crate) fn main() -> anyhow::Result<()> {
    let named = std::env::args().nth(1).filter(|arg| arg.ends_with(".png"));
    let bytes = match named {
        Some(path) => std::fs::read(path)?,
        None => black(4_000, 4_000)?,
    };
    println!("a picture of {} bytes:", bytes.len());
    let pool = Pool::new();
    for time in [Duration::from_millis(2), Duration::from_secs(60)] {
        let bytes = bytes.clone();
        let job = pool.job().name("decode").run_timeout(time);
        let decoded = job.spawn(move |cx| {
            let (mut rows, mut light) = (0_u64, 0_u64);
            let picture = BufReader::new(Cursor::new(bytes));
            let done = decode(cx, picture, |row| {
                rows += 1;
                light += row.iter().map(|byte| u64::from(*byte)).sum::<u64>();
            });
            println!("  {rows} rows in {time:?} at the most");
            done.map(|()| light)
        });
        match decoded.wait() {
            Ok(light) => println!("  all of them; the light in it: {light}"),
            Err(JobError::TimedOut(stop)) if stop.cause() == Cause::Deadline => {
                println!("  {stop}")
            }
            Err(other) => println!("  {other}"),
        }
    }
    Ok(())
}
