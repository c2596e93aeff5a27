//! What can be asked: a quick lookup, a slow scan, a report that takes as long as one likes.

use crate::db::{Database, Trouble};
use axum::extract::Query;
use axum::http::Uri;
use rusqlite::{Connection, Row};
use serde_json::{Value, json};
use std::collections::HashMap;

/// No more rows are shown.
const SHOWN: u32 = 20;
/// The longest text that is looked for.
const LONGEST: usize = 200;
/// A report compares so many files with one another, in about a tenth of a second.
pub(crate) const FILES: u32 = 1500;
/// At most so many, and so often: for as long as anybody likes.
const MOST: u32 = 1_000_000;

/// One that has a route of its own.
#[derive(Clone, Copy)]
pub(crate) struct Question {
    pub(crate) name: &'static str,
    pub(crate) path: &'static str,
    pub(crate) is_quick: bool,
    pub(crate) answer: fn(&Database, &Uri) -> Result<Value, Trouble>,
}

pub(crate) const ALL: [Question; 3] = [
    Question { name: "lookup", path: "/lookup", is_quick: true, answer: lookup },
    Question { name: "scan", path: "/scan", is_quick: false, answer: scan },
    Question { name: "report", path: "/report", is_quick: false, answer: report },
];

/// `?name=lib.rs`: the pieces of the files of that name, by an index.
fn lookup(database: &Database, uri: &Uri) -> Result<Value, Trouble> {
    let name = text(uri, "name")?;
    let sql = "SELECT folder, name, size, at, digest, text FROM pieces WHERE name = ?1 LIMIT ?2";
    let pieces = database.query(|connection| {
        let mut select = connection.prepare_cached(sql)?;
        select.query_map((&name, SHOWN), piece)?.collect::<Result<Vec<_>, _>>()
    })?;
    Ok(json!({ "name": name, "pieces": pieces }))
}

/// `?text=unsafe`: how many pieces begin with words in which that is, and the first of them, by a look
/// at each.
fn scan(database: &Database, uri: &Uri) -> Result<Value, Trouble> {
    let text = text(uri, "text")?;
    let like = format!("%{}%", text.replace('\\', "\\\\").replace('%', "\\%").replace('_', "\\_"));
    let sql = "SELECT folder, name, size, at, digest, text FROM pieces
        WHERE text LIKE ?1 ESCAPE '\\'";
    let (count, pieces) = database.query(|connection| {
        let mut select = connection.prepare_cached(sql)?;
        let (mut count, mut pieces) = (0, Vec::new());
        let mut rows = select.query([&like])?;
        while let Some(row) = rows.next()? {
            count += 1;
            if count <= SHOWN {
                pieces.push(piece(row)?);
            }
        }
        Ok((count, pieces))
    })?;
    Ok(json!({ "text": text, "count": count, "pieces": pieces }))
}

/// `?files=1500`: how many pairs of so many files are of nearly one size, and how many of those begin
/// with the same piece. Each file is compared with each: twice the files, four times the time. With
/// `&times=10` it does so ten times over, for a report that takes as long as one likes.
fn report(database: &Database, uri: &Uri) -> Result<Value, Trouble> {
    let files = number(uri, "files", FILES, MOST)?;
    let times = number(uri, "times", 1, MOST)?;
    database.query(|connection| pairs(connection, files, times))
}

pub(crate) fn pairs(connection: &Connection, files: u32, times: u32) -> rusqlite::Result<Value> {
    let sql = "
        WITH RECURSIVE times (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM times WHERE n < ?2),
        sample AS MATERIALIZED (SELECT id, size, digest FROM pieces WHERE at = 0 LIMIT ?1)
        SELECT count(*) / ?2, coalesce(sum(a.digest = b.digest), 0) / ?2
        FROM times CROSS JOIN sample a CROSS JOIN sample b
        WHERE abs(a.size - b.size) < 16 AND a.id < b.id";
    let mut select = connection.prepare_cached(sql)?;
    let row = |row: &Row<'_>| Ok((row.get(0)?, row.get(1)?));
    let (near, same): (i64, i64) = select.query_row((files, times), row)?;
    Ok(json!({ "files": files, "pairs_of_nearly_one_size": near, "that_begin_alike": same }))
}

fn piece(row: &Row<'_>) -> rusqlite::Result<Value> {
    let (folder, name): (String, String) = (row.get(0)?, row.get(1)?);
    let (size, at): (i64, i64) = (row.get(2)?, row.get(3)?);
    let (digest, text): (String, String) = (row.get(4)?, row.get(5)?);
    Ok(json!({
        "path": format!("{folder}/{name}"), "size": size, "at": at, "digest": digest, "text": text,
    }))
}

/// A parameter that must be there.
fn text(uri: &Uri, name: &str) -> Result<String, Trouble> {
    let text = parameter(uri, name)?.filter(|text| !text.is_empty());
    let text =
        text.ok_or_else(|| Trouble::Question(format!("the parameter `{name}` is missing")))?;
    if text.len() > LONGEST {
        return Err(Trouble::Question(format!("`{name}` is longer than {LONGEST} bytes")));
    }
    Ok(text)
}

/// A parameter that need not be there, from 1 to the most.
pub(crate) fn number(uri: &Uri, name: &str, default: u32, most: u32) -> Result<u32, Trouble> {
    let Some(given) = parameter(uri, name)? else { return Ok(default) };
    match given.parse() {
        Ok(number) if (1..=most).contains(&number) => Ok(number),
        _ => {
            Err(Trouble::Question(format!("`{name}` is {given:?}, not a number from 1 to {most}")))
        }
    }
}

fn parameter(uri: &Uri, name: &str) -> Result<Option<String>, Trouble> {
    let all = Query::<HashMap<String, String>>::try_from_uri(uri);
    let mut all = all.map_err(|error| Trouble::Question(error.to_string()))?;
    Ok(all.remove(name))
}
