//! Standard output that ends quietly when its reader has read enough (`| head`).

use std::io::{BufWriter, ErrorKind, StdoutLock, Write};

use crate::failure::Failure;

/// Where a command prints.
pub struct Output {
    writer: Box<dyn Write>,
    gone: bool,
}

impl Output {
    /// Standard output, buffered.
    pub fn stdout() -> Output {
        let stdout: StdoutLock<'static> = std::io::stdout().lock();
        Output {
            writer: Box::new(BufWriter::with_capacity(1 << 16, stdout)),
            gone: false,
        }
    }

    /// Anything else, for tests.
    #[cfg(test)]
    pub fn to(writer: impl Write + 'static) -> Output {
        Output {
            writer: Box::new(writer),
            gone: false,
        }
    }

    /// The reader has gone: nothing more needs to be made.
    pub fn is_gone(&self) -> bool {
        self.gone
    }

    fn take(&mut self, result: std::io::Result<()>) -> Result<(), Failure> {
        match result {
            Ok(()) => Ok(()),
            Err(error) if error.kind() == ErrorKind::BrokenPipe => {
                self.gone = true;
                Ok(())
            }
            Err(error) => Err(Failure::running(format!("standard output: {error}"))),
        }
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
        let result = self.writer.flush();
        self.take(result)
    }
}
