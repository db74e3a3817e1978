//! Finds and opens capture files: folders, standard input, and compression told by its first octets.

use std::fs::File;
use std::io::{self, Chain, Cursor, Read};
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use flate2::read::MultiGzDecoder;

use crate::capture::{CaptureError, PcapDecoder, PcapngDecoder};
use crate::io::patience::Stop;
use crate::io::readable;
use crate::limits;

const GZIP: [u8; 2] = [0x1f, 0x8b];
const ZSTD: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];

type Whole = Chain<Cursor<Vec<u8>>, Box<dyn Read + Send>>;

/// A capture's octets, decompressed where need be.
pub(super) enum Input {
    Plain(Whole),
    Gzip(Box<MultiGzDecoder<Whole>>),
    Zstd(Box<zstd::stream::read::Decoder<'static, io::BufReader<Whole>>>),
}

impl Input {
    /// Opens a file or standard input. Reading a pipe ends with an error when `stop` is requested.
    pub fn open(path: &Path, stop: Option<&Arc<Stop>>) -> Result<Input, CaptureError> {
        let fault = |error: io::Error| unreadable(path, &error);
        let mut source = source(path, stop).map_err(fault)?;
        let mut first = Vec::with_capacity(4);
        source.by_ref().take(4).read_to_end(&mut first).map_err(fault)?;
        let (gzip, zstd) = (first.starts_with(&GZIP), first.starts_with(&ZSTD));
        let whole = Cursor::new(first).chain(source);
        Ok(match (gzip, zstd) {
            (true, _) => Input::Gzip(Box::new(MultiGzDecoder::new(whole))),
            (_, true) => Input::Zstd(Box::new(zstd::stream::read::Decoder::new(whole).map_err(fault)?)),
            _ => Input::Plain(whole),
        })
    }

    /// What offsets in it are offsets of, for people.
    pub fn after(&self) -> &'static str {
        match self {
            Input::Plain(_) => "",
            Input::Gzip(_) | Input::Zstd(_) => " after decompression",
        }
    }
}

impl Read for Input {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Input::Plain(input) => input.read(buffer),
            Input::Gzip(input) => input.read(buffer),
            Input::Zstd(input) => input.read(buffer),
        }
    }
}

/// How long a quiet pipe waits before it looks whether to stop.
const QUIET_MS: i32 = 100;

/// A pipe or device: whoever writes to it may be quiet for ever, and a signal must end the wait all the same.
struct Pipe {
    file: File,
    stop: Option<Arc<Stop>>,
}

impl Read for Pipe {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            while !readable::wait(self.file.as_raw_fd(), QUIET_MS) {
                if self.stop.as_ref().is_some_and(|stop| stop.is_requested()) {
                    return Err(io::Error::other("stopped"));
                }
            }
            match self.file.read(buffer) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                result => return result,
            }
        }
    }
}

/// The octets as they lie there.
fn source(path: &Path, stop: Option<&Arc<Stop>>) -> io::Result<Box<dyn Read + Send>> {
    let file = if is_standard_input(path) {
        File::from(io::stdin().as_fd().try_clone_to_owned()?)
    } else {
        // A named pipe without a writer would hold up even the opening; regular files know no waiting.
        std::fs::OpenOptions::new()
            .read(true)
            .custom_flags(libc::O_NONBLOCK)
            .open(path)?
    };
    if file.metadata()?.is_file() {
        return Ok(Box::new(file));
    }
    Ok(Box::new(Pipe {
        file,
        stop: stop.cloned(),
    }))
}

pub(super) fn is_standard_input(path: &Path) -> bool {
    path.as_os_str() == "-"
}

/// Replaces folders by the captures in them, sorted by name.
pub(super) fn expand(paths: &[PathBuf]) -> Result<Vec<PathBuf>, CaptureError> {
    let mut files = Vec::new();
    for path in paths {
        if is_standard_input(path) {
            files.push(path.clone());
            continue;
        }
        let metadata = std::fs::metadata(path).map_err(|error| unreadable(path, &error))?;
        if metadata.is_dir() {
            files.extend(captures_in(path)?);
        } else {
            files.push(path.clone());
        }
        if files.len() > limits::MAX_CAPTURE_FILES {
            return Err(CaptureError(format!(
                "{}: more than {} captures; name fewer at a time",
                path.display(),
                limits::MAX_CAPTURE_FILES
            )));
        }
    }
    Ok(files)
}

fn captures_in(folder: &Path) -> Result<Vec<PathBuf>, CaptureError> {
    let fault = |error: io::Error| unreadable(folder, &error);
    let mut captures = Vec::new();
    for entry in std::fs::read_dir(folder)
        .map_err(fault)?
        .take(limits::MAX_CAPTURE_FILES + 1)
    {
        let path = entry.map_err(fault)?.path();
        if path.is_file() && begins_as_capture(&path) {
            captures.push(path);
        }
    }
    captures.sort();
    if captures.is_empty() {
        return Err(CaptureError(format!(
            "{}: no pcap or pcapng file in this folder",
            folder.display()
        )));
    }
    Ok(captures)
}

/// Names tell little (tcpdump numbers its files behind the suffix), so the first octets decide.
fn begins_as_capture(path: &Path) -> bool {
    let mut magic = [0; 4];
    let read = Input::open(path, None)
        .ok()
        .and_then(|mut input| input.read_exact(&mut magic).ok());
    let magic = u32::from_be_bytes(magic);
    read.is_some() && (PcapDecoder::is_magic(magic) || PcapngDecoder::is_magic(magic))
}

fn unreadable(path: &Path, error: &io::Error) -> CaptureError {
    let advice = match error.kind() {
        io::ErrorKind::NotFound => "no such file; check the path after --read",
        io::ErrorKind::PermissionDenied => "no permission to read it",
        _ => return CaptureError(format!("{}: cannot read: {error}", path.display())),
    };
    CaptureError(format!("{}: {advice}", path.display()))
}
