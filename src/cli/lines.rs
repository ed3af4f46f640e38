//! Input line by line, with the place of each line for messages.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Seek};
use std::path::Path;

use anyhow::{Context, anyhow};

use super::files;

/// The longest line that is read, in bytes: what is longer is not a line of records.
const MAX_LINE: u64 = 256 << 20;

/// Lines of a file, one in memory at a time.
pub(super) struct Lines {
    name: String,
    reader: Box<dyn BufRead>,
    number: u64,
    buffer: Vec<u8>,
}

impl Lines {
    /// The lines of a file, or of stdin when it is `-`.
    pub(super) fn open(path: &Path) -> anyhow::Result<Lines> {
        if path == Path::new("-") {
            return Ok(Lines::new("stdin", Box::new(BufReader::new(io::stdin()))));
        }
        let name = path.display().to_string();
        let file = files::open(path).with_context(|| format!("{name} cannot be read"))?;
        Ok(Lines::new(&name, Box::new(BufReader::new(file))))
    }

    /// The lines of a reader; `name` is for messages.
    pub(super) fn new(name: &str, reader: Box<dyn BufRead>) -> Lines {
        Lines { name: name.to_owned(), reader, number: 0, buffer: Vec::new() }
    }

    /// The next line without its end; `None` after the last.
    pub(super) fn next(&mut self) -> anyhow::Result<Option<&str>> {
        self.buffer.clear();
        self.number += 1;
        let read = self.reader.by_ref().take(MAX_LINE).read_until(b'\n', &mut self.buffer);
        let read = read.with_context(|| format!("{} cannot be read", self.place()))?;
        if read as u64 == MAX_LINE && !self.buffer.ends_with(b"\n") {
            return Err(anyhow!("{}: the line is longer than {} MiB", self.place(), MAX_LINE >> 20));
        }
        match std::str::from_utf8(&self.buffer) {
            Ok(_) if read == 0 => Ok(None),
            Ok(line) => Ok(Some(line.trim_end_matches(['\n', '\r']))),
            Err(error) => {
                let place = self.place();
                Err(anyhow!("{place}: the line is not UTF-8 from its byte {} on", error.valid_up_to() + 1))
            }
        }
    }

    /// Where the last line stands: `file:line`.
    pub(super) fn place(&self) -> String {
        format!("{}:{}", self.name, self.number)
    }

    /// What messages call the file.
    pub(super) fn name(&self) -> &str {
        &self.name
    }
}

/// Input that is read twice: a file as it is, stdin by way of a temporary file.
pub(super) struct TwoPasses {
    name: String,
    file: File,
}

impl TwoPasses {
    /// Opens a file, or takes in all of stdin when it is `-`.
    pub(super) fn open(path: &Path) -> anyhow::Result<TwoPasses> {
        if path == Path::new("-") {
            return TwoPasses::spool("stdin", io::stdin().lock());
        }
        let name = path.display().to_string();
        let file = files::open(path).with_context(|| format!("{name} cannot be read"))?;
        if file.metadata().with_context(|| format!("{name} cannot be read"))?.is_file() {
            return Ok(TwoPasses { name, file });
        }
        TwoPasses::spool(&name, file)
    }

    fn spool(name: &str, mut from: impl Read) -> anyhow::Result<TwoPasses> {
        let mut file = tempfile::tempfile().context("a temporary file for the input cannot be made")?;
        io::copy(&mut from, &mut file).with_context(|| format!("{name} cannot be kept in a temporary file"))?;
        Ok(TwoPasses { name: name.to_owned(), file })
    }

    /// The lines from the first on. Not to be used while those of an earlier call are.
    pub(super) fn lines(&mut self) -> anyhow::Result<Lines> {
        let rewound = self.file.rewind().and_then(|()| self.file.try_clone());
        let file = rewound.with_context(|| format!("{} cannot be read from its start", self.name))?;
        Ok(Lines::new(&self.name, Box::new(BufReader::new(file))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(text: &'static [u8]) -> Lines {
        Lines::new("input", Box::new(text))
    }

    #[test]
    fn lines_come_without_their_ends_and_with_their_places() {
        let mut lines = lines(b"one\r\n\nthree");
        assert_eq!(lines.next().unwrap(), Some("one"));
        assert_eq!(lines.next().unwrap(), Some(""));
        assert_eq!(lines.next().unwrap(), Some("three"));
        assert_eq!(lines.place(), "input:3");
        assert_eq!(lines.next().unwrap(), None);
    }

    #[test]
    fn a_line_that_is_not_utf8_is_named() {
        let mut lines = lines(b"one\nt\xffo\n");
        assert!(lines.next().is_ok());
        assert_eq!(lines.next().unwrap_err().to_string(), "input:2: the line is not UTF-8 from its byte 2 on");
    }
}
