//! What the server serves: a table without an index, and a small file.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, bail};
use rusqlite::{Connection, OpenFlags};
use serde::Serialize;

/// Bytes in the file behind `/file`.
pub(crate) const FILE_BYTES: usize = 5_000;

/// The queried user owns every tenth row, so that a query both reads the whole table and sorts a
/// part of it.
const USERS: u32 = 10;

/// Where the data is.
#[derive(Clone, Debug)]
pub(crate) struct Data {
    pub(crate) database: PathBuf,
    pub(crate) file: PathBuf,
    rows: u32,
}

#[derive(Debug, Serialize)]
pub(crate) struct Message {
    id: i64,
    body: String,
}

impl Data {
    /// One database per number of rows, so that the short and the long benchmark do not rebuild
    /// each other's.
    pub(crate) fn in_folder(folder: &Path, rows: u32) -> Self {
        Self {
            database: folder.join(format!("messages-{rows}.sqlite")),
            file: folder.join("file.bin"),
            rows,
        }
    }

    /// Makes what is missing. Each file appears under its name only once it is complete.
    pub(crate) fn prepare(&self) -> Result<()> {
        if !self.database.exists() {
            atomically(&self.database, |path| fill(path, self.rows))
                .with_context(|| format!("cannot make {}", self.database.display()))?;
        }
        if !self.file.exists() {
            atomically(&self.file, |path| Ok(fs::write(path, [b'x'; FILE_BYTES])?))
                .with_context(|| format!("cannot make {}", self.file.display()))?;
        }
        Ok(())
    }

    /// What a server can only do without if it wants to answer every request with an error.
    pub(crate) fn check(&self) -> Result<()> {
        for path in [&self.database, &self.file] {
            if !path.exists() {
                bail!(
                    "no data at {}; make it with: cargo run --release -p overload -- --prepare --rows {}",
                    path.display(),
                    self.rows
                );
            }
        }
        Ok(())
    }
}

/// A hundred random messages of one user, the slow way: a new connection, no index, every row read.
pub(crate) fn random_messages(database: &Path) -> rusqlite::Result<Vec<Message>> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    Connection::open_with_flags(database, flags)?
        .prepare("SELECT id, body FROM messages WHERE user_id = 1 ORDER BY RANDOM() LIMIT 100")?
        .query_map([], |row| {
            Ok(Message {
                id: row.get(0)?,
                body: row.get(1)?,
            })
        })?
        .collect()
}

fn fill(path: &Path, rows: u32) -> Result<()> {
    let connection = Connection::open(path)?;
    connection.execute_batch(&format!(
        "PRAGMA journal_mode = OFF;
         PRAGMA synchronous = OFF;
         CREATE TABLE messages (id INTEGER PRIMARY KEY, user_id INTEGER NOT NULL, body TEXT NOT NULL);
         INSERT INTO messages
             WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {rows})
             SELECT i, i % {USERS}, printf('message %d, of which there are far too many to read them all', i) FROM n;"
    ))?;
    Ok(())
}

/// Lets `make` write a temporary file, which gets its name when it is complete, or is removed.
fn atomically(path: &Path, make: impl FnOnce(&Path) -> Result<()>) -> Result<()> {
    let folder = path.parent().unwrap_or(Path::new("."));
    fs::create_dir_all(folder)?;
    let unfinished = tempfile::NamedTempFile::new_in(folder)?.into_temp_path();
    make(&unfinished)?;
    unfinished.persist(path).map_err(io::Error::from)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn data_is_made_once_and_answers_the_query() {
        let folder = tempfile::tempdir().unwrap();
        let data = Data::in_folder(folder.path(), 2_000);
        assert!(data.check().is_err(), "nothing is there yet");
        data.prepare().unwrap();
        let made = fs::metadata(&data.database).unwrap().modified().unwrap();
        data.prepare().unwrap();
        assert_eq!(
            made,
            fs::metadata(&data.database).unwrap().modified().unwrap()
        );
        data.check().unwrap();
        assert_eq!(random_messages(&data.database).unwrap().len(), 100);
        assert_eq!(
            fs::read_dir(folder.path()).unwrap().count(),
            2,
            "no temporary files stay"
        );
    }

    #[test]
    fn a_failed_build_leaves_nothing_behind() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        atomically(&path, |_| bail!("disk full")).unwrap_err();
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    }

    #[test]
    fn a_missing_database_names_the_cure() {
        let folder = tempfile::tempdir().unwrap();
        let error = Data::in_folder(folder.path(), 7)
            .check()
            .unwrap_err()
            .to_string();
        assert!(error.contains("--prepare --rows 7"), "{error}");
    }
}
