//! Where commands print: standard output, which ends quietly when its reader has read enough (`| head`), or a file, which
//! has its name only once it is whole.

use std::fs::File;
use std::io::{self, BufWriter, ErrorKind, Write};
use std::path::{Path, PathBuf};

use crate::failure::Failure;

/// Where a command prints.
pub struct Output {
    writer: Box<dyn Write + Send>,
    gone: bool,
    file: Option<Unfinished>,
}

/// A file that is written under another name until it is whole.
struct Unfinished {
    path: PathBuf,
    part: PathBuf,
    is_whole: bool,
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        if !self.is_whole {
            let _ = std::fs::remove_file(&self.part);
        }
    }
}

impl Output {
    /// Standard output, buffered.
    pub fn stdout() -> Output {
        Output {
            writer: Box::new(BufWriter::with_capacity(1 << 16, io::stdout())),
            gone: false,
            file: None,
        }
    }

    /// A file, which replaces one that is there when [`Output::finish`] is called, and leaves nothing behind otherwise.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn file(path: &Path) -> Result<Output, Failure> {
        let failed = |error: io::Error| Failure::file("--output", path, &error);
        let name = path.file_name().filter(|_| !path.is_dir());
        let mut part = name.ok_or_else(|| failed(ErrorKind::IsADirectory.into()))?.to_owned();
        part.push(".part");
        let part = path.with_file_name(part);
        let file = File::create(&part).map_err(failed)?;
        Ok(Output {
            writer: Box::new(BufWriter::with_capacity(1 << 16, file)),
            gone: false,
            file: Some(Unfinished {
                path: path.to_owned(),
                part,
                is_whole: false,
            }),
        })
    }

    /// Anything else, for tests.
    #[cfg(test)]
    pub fn to(writer: impl Write + Send + 'static) -> Output {
        Output {
            writer: Box::new(writer),
            gone: false,
            file: None,
        }
    }

    /// The reader has gone: nothing more needs to be made.
    pub fn is_gone(&self) -> bool {
        self.gone
    }

    fn take(&mut self, result: io::Result<()>) -> Result<(), Failure> {
        match (result, &self.file) {
            (Ok(()), _) => Ok(()),
            (Err(error), Some(file)) => Err(Failure::file("--output", &file.path, &error)),
            (Err(error), None) if error.kind() == ErrorKind::BrokenPipe => {
                self.gone = true;
                Ok(())
            }
            (Err(error), None) => Err(Failure::running(format!("standard output: {error}"))),
        }
    }

    /// What a writer of whole answers was told, as a command tells it: a reader that is gone has read enough.
    ///
    /// # Errors
    /// When anything else went wrong.
    pub fn told(&mut self, result: io::Result<()>) -> Result<(), Failure> {
        self.take(result)
    }

    /// Prints octets as they are.
    ///
    /// # Errors
    /// When they cannot be written, other than for want of a reader.
    pub fn bytes(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        if self.gone {
            return Ok(());
        }
        let result = self.writer.write_all(bytes);
        self.take(result)
    }

    /// Prints a line.
    ///
    /// # Errors
    /// As [`Output::bytes`].
    pub fn line(&mut self, text: &str) -> Result<(), Failure> {
        self.bytes(text.as_bytes())?;
        self.bytes(b"\n")
    }

    /// Prints a JSON value as one line.
    ///
    /// # Errors
    /// As [`Output::bytes`].
    pub fn json(&mut self, value: &impl serde::Serialize) -> Result<(), Failure> {
        let text = serde_json::to_vec(value).map_err(|error| Failure::running(format!("JSON: {error}")))?;
        self.bytes(&text)?;
        self.bytes(b"\n")
    }

    /// Hands on what is buffered.
    ///
    /// # Errors
    /// As [`Output::bytes`].
    pub fn finish(&mut self) -> Result<(), Failure> {
        if self.gone {
            return Ok(());
        }
        let mut result = self.writer.flush();
        if let (Ok(()), Some(file)) = (&result, &mut self.file) {
            result = std::fs::rename(&file.part, &file.path);
            file.is_whole = result.is_ok();
        }
        self.take(result)
    }
}

impl Write for Output {
    fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
        self.writer.write(octets)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.writer.flush()
    }
}
