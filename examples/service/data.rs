//! The data: what is in the files of this machine, a row for each of their first pieces.
//!
//! A file's first four KiB give a row for each KiB: where it is, how it begins, and its digest. The
//! database is written beside its place and then put there, so it is whole or not there at all.

use crate::args::Args;
use anyhow::{Context, bail, ensure};
use indicatif::{ProgressBar, ProgressStyle};
use punctual::{JobContext, Pool};
use rusqlite::{Connection, OpenFlags, Row, params};
use sha2::{Digest, Sha256};
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use tokio_util::sync::CancellationToken;
use walkdir::WalkDir;

const PIECE: usize = 1024;
const PIECES: usize = 4;
/// No more characters of a piece's beginning are kept.
const TEXT: usize = 80;
/// Files that are out at a time, read or waiting to be written to the database.
const IN_FLIGHT: usize = 256;
/// Kept in the database's head, so that no other is taken for one of ours: `punc`.
const APPLICATION: i64 = 0x7075_6e63;
const FORMAT: i64 = 1;

const TABLE: &str = "
    CREATE TABLE pieces (
        id INTEGER PRIMARY KEY,
        name TEXT NOT NULL,     -- of the file
        folder TEXT NOT NULL,
        size INTEGER NOT NULL,  -- of the file, in bytes
        at INTEGER NOT NULL,    -- where in the file the piece begins
        digest TEXT NOT NULL,   -- of the piece: the first eight bytes of its SHA-256
        text TEXT NOT NULL      -- how the piece begins
    )";
const INSERT: &str = "
    INSERT INTO pieces (name, folder, size, at, digest, text) VALUES (?1, ?2, ?3, ?4, ?5, ?6)";

/// How much there is.
#[derive(Clone, Copy)]
pub(crate) struct Size {
    pub(crate) rows: u32,
    pub(crate) files: u32,
}

/// Sees to it that there is a database.
pub(crate) async fn ready(args: &Args, stop: &CancellationToken) -> anyhow::Result<Size> {
    let pool = Pool::builder().name("fill").build()?; // its jobs are not the service's
    let path = args.database();
    if !path.exists() {
        let (args, path) = (args.clone(), path.clone());
        let fill = pool.job().name("fill").token(stop);
        fill.spawn(move |cx| fill_it(cx, &args, &path)).await?;
    }
    let shown = path.display().to_string();
    let size = pool.spawn(move |_| count(&path)).await;
    size.with_context(|| format!("{shown} is no database of this example, or not whole"))
}

fn count(path: &Path) -> rusqlite::Result<Size> {
    let connection = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
    let sql = "SELECT max(id), sum(at = 0) FROM pieces, pragma_application_id, pragma_user_version
        WHERE application_id = ?1 AND user_version = ?2";
    let size = |row: &Row<'_>| Ok(Size { rows: row.get(0)?, files: row.get(1)? });
    connection.query_row(sql, [APPLICATION, FORMAT], size)
}

/// Runs as a job.
fn fill_it(cx: &JobContext, args: &Args, path: &Path) -> anyhow::Result<()> {
    let roots = roots(args)?;
    eprintln!("filling {} from {}", path.display(), shown(&roots));
    let draft = Draft::beside(path);
    let mut connection = Connection::open(&draft.0)?;
    connection.pragma_update(None, "journal_mode", "OFF")?; // a draft that fails is thrown away
    connection.pragma_update(None, "synchronous", "OFF")?;
    let whole = connection.transaction()?;
    whole.execute(TABLE, [])?;
    let rows = insert_all(cx, &whole, &roots, args.rows.get())?;
    ensure!(rows > 0, "there is nothing to read in {}", shown(&roots));
    whole.execute("CREATE INDEX pieces_by_name ON pieces (name)", [])?;
    whole.pragma_update(None, "application_id", APPLICATION)?;
    whole.pragma_update(None, "user_version", FORMAT)?;
    whole.commit()?;
    connection.close().map_err(|(_, error)| error)?;
    draft.publish(path)
}

/// Each file is read in a job of its own, which ends with this one. Gives the number of rows.
fn insert_all(
    cx: &JobContext,
    database: &Connection,
    roots: &[PathBuf],
    most: usize,
) -> anyhow::Result<usize> {
    let progress = ProgressBar::new(most as u64).with_style(style());
    let walk = roots.iter().flat_map(|root| WalkDir::new(root).sort_by_file_name());
    let files = walk.filter_map(Result::ok).filter(|entry| entry.file_type().is_file());
    let paths = files.map(walkdir::DirEntry::into_path);
    let mut insert = database.prepare(INSERT)?;
    let mut rows = 0;
    for read in cx.job().name("read").map(paths, |_, path| pieces(path)).in_flight(IN_FLIGHT) {
        cx.check()?;
        let Ok((path, size, pieces)) = read else { continue }; // what may not be read is left out
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let folder = path.parent().unwrap_or(Path::new("")).to_string_lossy();
        for piece in pieces.into_iter().take(most - rows) {
            insert.execute(params![name, folder, size, piece.at, piece.digest, piece.text])?;
            rows += 1;
        }
        progress.set_position(rows as u64);
        if rows == most {
            break;
        }
    }
    progress.finish_and_clear();
    Ok(rows)
}

fn style() -> ProgressStyle {
    let template = "{bar:40} {human_pos} of {human_len} rows, {per_sec}";
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
}

struct Piece {
    at: i64,
    digest: String,
    text: String,
}

/// The body of a job: a file's first pieces.
fn pieces(path: PathBuf) -> io::Result<(PathBuf, i64, Vec<Piece>)> {
    let mut file = File::open(&path)?;
    let mut bytes = Vec::with_capacity(PIECE * PIECES);
    file.by_ref().take((PIECE * PIECES) as u64).read_to_end(&mut bytes)?;
    let size = i64::try_from(file.metadata()?.len()).unwrap_or(i64::MAX);
    let pieces = bytes.chunks(PIECE).enumerate().map(|(n, bytes)| Piece {
        at: (n * PIECE) as i64,
        digest: Sha256::digest(bytes)[..8].iter().map(|byte| format!("{byte:02x}")).collect(),
        text: beginning(bytes),
    });
    let pieces = pieces.collect();
    Ok((path, size, pieces))
}

/// The first characters that can be shown.
fn beginning(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    let words = text.split(|c: char| c.is_control() || c.is_whitespace() || c == '\u{fffd}');
    let words: Vec<_> = words.filter(|word| !word.is_empty()).take(TEXT).collect();
    words.join(" ").chars().take(TEXT).collect()
}

/// A database that is being written: gone if it does not get ready.
struct Draft(PathBuf);

impl Draft {
    fn beside(path: &Path) -> Self {
        let mut name = path.as_os_str().to_owned();
        name.push(format!(".filling-{}", std::process::id()));
        let draft = Self(name.into());
        draft.remove(); // that of one that was killed, and had this number
        draft
    }

    fn publish(self, path: &Path) -> anyhow::Result<()> {
        File::open(&self.0)?.sync_all()?;
        fs::rename(&self.0, path).with_context(|| path.display().to_string())
    }

    fn remove(&self) {
        let _ = fs::remove_file(&self.0); // if it is there
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        self.remove(); // there is none if it was published
    }
}

fn roots(args: &Args) -> anyhow::Result<Vec<PathBuf>> {
    if let Some(missing) = args.files.iter().find(|path| !path.is_dir()) {
        bail!("there is no folder {}", missing.display());
    }
    if !args.files.is_empty() {
        return Ok(args.files.clone());
    }
    let home = |name| std::env::var_os(name).filter(|home| !home.is_empty()).map(PathBuf::from);
    let cargo = home("CARGO_HOME").or_else(|| home("HOME").map(|home| home.join(".cargo")));
    let sources = cargo.map(|cargo| cargo.join("registry/src"));
    let all = sources.into_iter().chain([PathBuf::from("/usr/share")]);
    Ok(all.filter(|path| path.is_dir()).collect())
}

fn shown(roots: &[PathBuf]) -> String {
    let roots: Vec<_> = roots.iter().map(|root| root.display().to_string()).collect();
    if roots.is_empty() { "nowhere".to_owned() } else { roots.join(", ") }
}
