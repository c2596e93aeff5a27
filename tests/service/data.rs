//! The database: filled once and whole, and what is said when something happens to it.

use crate::server::{Folder, Server, bare_service, service};
use std::fs::{self, File};
use std::path::Path;
use std::process::Command;
use std::sync::Arc;

fn names(folder: &Path) -> Vec<String> {
    let names = fs::read_dir(folder).unwrap();
    names.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

#[test]
fn it_is_filled_at_the_first_start_and_then_taken_as_it_is() {
    let first = Server::start(&["--rows", "50"]);
    assert_eq!(first.number("/rows"), 50);
    assert_eq!(names(first.folder.path()), ["files.db"], "and nothing else is left");
    let again = Server::start_in(Arc::clone(&first.folder), &["--files", "/nowhere"]);
    assert_eq!(again.number("/rows"), 50);
}

/// As where one that was killed is started anew, and has the number that it had: in a container.
#[test]
fn what_a_killed_one_left_is_not_gone_on_with() {
    let folder = Folder::new();
    let service = service(&folder, &["--rows", "50"]);
    let mut command = Command::new("sh");
    command.args(["-c", "echo half > \"$0.filling-$$\" && exec \"$@\""]).arg(folder.database());
    command.arg(service.get_program()).args(service.get_args());
    let server = Server::spawn(Arc::clone(&folder), command);
    assert_eq!(server.number("/rows"), 50);
    assert_eq!(names(folder.path()), ["files.db"]);
}

#[test]
fn what_can_not_be_filled_leaves_nothing_behind() {
    let folder = Folder::new();
    let empty = folder.path().join("empty");
    fs::create_dir(&empty).unwrap();
    let output = bare_service(&folder).arg("--files").arg(&empty).output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(said.contains("there is nothing to read in"), "{said}");
    assert_eq!(names(folder.path()), ["empty"]);
}

#[test]
fn what_is_no_database_of_ours_is_refused() {
    let folder = Folder::new();
    for content in ["", "no database", &"x".repeat(10_000)] {
        fs::write(folder.database(), content).unwrap();
        let output = service(&folder, &[]).output().unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{said}");
        assert!(said.contains("is no database of this example, or not whole"), "{said}");
        assert_eq!(fs::read_to_string(folder.database()).unwrap(), content, "it is left as it was");
    }
}

#[test]
fn a_database_that_is_cut_off_under_the_service_is_a_clear_error() {
    for args in [&[][..], &["--with-tokio"]] {
        let server = Server::start(args);
        assert_eq!(server.get("/scan?text=fn").status, 200);
        let whole = fs::read(server.folder.database()).unwrap();
        for length in [whole.len() as u64 / 2, 100, 0] {
            File::options()
                .write(true)
                .open(server.folder.database())
                .unwrap()
                .set_len(length)
                .unwrap();
            for path in ["/scan?text=fn", "/lookup?name=lib.rs", "/report"] {
                let reply = server.get(path);
                assert_eq!(reply.status, 500, "{path} of {length}: {}", reply.body);
                assert!(reply.body.starts_with("the database failed: "), "{}", reply.body);
            }
        }
        server.until_all(&[("/sqlite/statements", 0), ("/jobs/running", 0)]);
        fs::write(server.folder.database(), &whole).unwrap();
        assert_eq!(server.get("/scan?text=fn").status, 200, "it is back");
    }
}

#[test]
fn a_database_that_is_removed_under_the_service_is_a_clear_error() {
    let server = Server::start(&[]);
    assert_eq!(server.get("/lookup?name=lib.rs").status, 200);
    let away = server.folder.path().join("away");
    fs::rename(server.folder.database(), &away).unwrap();
    for path in ["/lookup?name=lib.rs", "/scan?text=fn", "/report"] {
        let reply = server.get(path);
        assert_eq!(reply.status, 503, "{path}: {}", reply.body);
        assert!(reply.body.starts_with("the database can not be opened: "), "{}", reply.body);
    }
    fs::rename(&away, server.folder.database()).unwrap();
    assert_eq!(server.get("/lookup?name=lib.rs").status, 200, "it is back");
}
