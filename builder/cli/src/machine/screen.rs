//! Pictures of a machine's screen, which QEMU draws where no window does.
//!
//! In: the socket of QEMU's monitor. Out: a PNG of what a person at the machine would see, drawn anew every few seconds.
//! Protocol: QEMU Machine Protocol, `docs/interop/qmp-spec.rst` in QEMU's sources; `screendump` writes PNG since 7.1.

use std::fs;
use std::io::{self, BufRead as _, BufReader, Write as _};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};

/// Between two pictures, and between two tries to reach a QEMU that has just started.
const PAUSE: Duration = Duration::from_secs(2);

/// The screen of a machine.
#[derive(Debug, Clone)]
pub struct Screen {
    /// The socket of QEMU's monitor, made by QEMU.
    pub monitor: PathBuf,
    /// The file that gets the picture. An absolute path.
    pub picture: PathBuf,
}

impl Screen {
    /// Draws it until QEMU ends.
    ///
    /// # Errors
    /// What kept it from being drawn; [`io::ErrorKind::UnexpectedEof`] is the end of QEMU.
    pub fn watch(&self) -> io::Result<()> {
        let mut monitor = Monitor::open(&self.monitor)?;
        loop {
            monitor.draw(&self.picture)?;
            thread::sleep(PAUSE);
        }
    }
}

/// A connection to QEMU's monitor.
struct Monitor {
    answers: BufReader<UnixStream>,
}

impl Monitor {
    /// Waits for the socket, which QEMU makes before the machine starts.
    fn open(socket: &Path) -> io::Result<Self> {
        let mut tries = 0;
        let stream = loop {
            match UnixStream::connect(socket) {
                Ok(stream) => break stream,
                Err(error) if tries == 15 => return Err(error),
                Err(_) => thread::sleep(PAUSE),
            }
            tries += 1;
        };
        let mut monitor = Self { answers: BufReader::new(stream) };
        monitor.answer("QMP")?;
        monitor.run(&json!({ "execute": "qmp_capabilities" }))?;
        Ok(monitor)
    }

    /// One picture. It has its name only when it is whole.
    fn draw(&mut self, picture: &Path) -> io::Result<()> {
        let unfinished = picture.with_extension("png.new");
        self.run(&json!({
            "execute": "screendump",
            "arguments": { "filename": unfinished, "format": "png" }
        }))?;
        fs::rename(unfinished, picture)
    }

    fn run(&mut self, command: &Value) -> io::Result<()> {
        writeln!(self.answers.get_mut(), "{command}")?;
        self.answer("return").map(|_| ())
    }

    /// The next answer; events that come before it are passed over.
    fn answer(&mut self, wanted: &str) -> io::Result<Value> {
        loop {
            let mut line = String::new();
            if self.answers.read_line(&mut line)? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            let mut message: Value = serde_json::from_str(&line)?;
            if let Some(answer) = message.get_mut(wanted) {
                return Ok(answer.take());
            }
            if let Some(error) = message.get("error") {
                return Err(io::Error::other(
                    error["desc"].as_str().unwrap_or("refused").to_owned(),
                ));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixListener;

    use super::*;

    /// QEMU says events whenever they happen, and ends whenever it likes.
    #[test]
    fn pictures_are_drawn_until_qemu_ends() {
        let folder = tempfile::tempdir().unwrap();
        let (socket, picture) = (folder.path().join("monitor"), folder.path().join("screen.png"));
        let listener = UnixListener::bind(&socket).unwrap();
        let qemu = thread::spawn(move || {
            let mut stream = listener.accept().unwrap().0;
            writeln!(stream, r#"{{"QMP": {{"version": {{}}}}}}"#).unwrap();
            let mut lines = BufReader::new(stream.try_clone().unwrap()).lines();
            assert!(lines.next().unwrap().unwrap().contains("qmp_capabilities"));
            writeln!(stream, r#"{{"return": {{}}}}"#).unwrap();
            let asked: Value = serde_json::from_str(&lines.next().unwrap().unwrap()).unwrap();
            assert_eq!(asked["execute"], "screendump");
            fs::write(asked["arguments"]["filename"].as_str().unwrap(), "a picture").unwrap();
            writeln!(stream, r#"{{"event": "RTC_CHANGE"}}"#).unwrap();
            writeln!(stream, r#"{{"return": {{}}}}"#).unwrap();
            assert!(lines.next().unwrap().unwrap().contains("screendump"));
        });
        let screen = Screen { monitor: socket, picture };
        let ended = screen.watch();
        qemu.join().unwrap();
        assert_eq!(ended.unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
        assert_eq!(fs::read_to_string(&screen.picture).unwrap(), "a picture");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2, "the socket and the picture");
    }
}
