//! An appliance under QEMU.
//!
//! In: an image and what the machine around it should be. Out: a running QEMU whose guest ports answer on loopback.

mod accelerator;
mod emulator;
mod firmware;
mod guest;
mod parts;
mod screen;

use std::ffi::OsString;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use mailkiln_bytes_at::FileSource;
use mailkiln_format::Format;
use mailkiln_pin::Arch;

use emulator::Emulator;

pub use accelerator::Accelerator;
pub use firmware::Firmware;
pub use guest::{BoardFiles, Guest};
pub use parts::{Attachment, Card};
pub use screen::Screen;

/// The credential with which the appliance shows first passwords also on a console that clouds record:
/// systemd.system-credentials(7), docs/first-boot.md.
const SHOW_PASSWORDS: &str = "name=opt/io.systemd.credentials/mailkiln.show-passwords,string=yes";

/// Guest TCP ports that are reachable from the host.
pub const PORTS: [u16; 10] = [22, 25, 80, 143, 443, 465, 587, 993, 995, 4190];

/// What the machine around the image is.
#[derive(Debug, Clone)]
pub struct Machine {
    /// Which processor it has.
    pub arch: Arch,
    /// The board that stands for the usual machine of that processor. It has its own memory,
    /// processors and firmware.
    pub board: Option<BoardFiles>,
    /// The image, of a format that QEMU boots from; never written to.
    pub image: PathBuf,
    /// The overlay that takes all writes; made when it does not exist.
    pub disk: PathBuf,
    /// Size of a new overlay, in qemu-img's notation (`4G`).
    pub disk_size: String,
    /// The firmware that starts the image.
    pub firmware: Firmware,
    /// What its disk hangs on. A board has its own card slot.
    pub attachment: Attachment,
    /// Its network card. A board has its own.
    pub card: Card,
    /// Guest memory in MiB.
    pub memory: u32,
    /// Guest processors.
    pub processors: u32,
    /// Guest port N answers at 127.0.0.1, port N + `port_offset`.
    pub port_offset: u16,
    /// File that gets the serial console; `None` is the terminal.
    pub console: Option<PathBuf>,
    /// Its screen, where it has one.
    pub screen: Option<Screen>,
}

/// QEMU could not be started.
#[derive(Debug, thiserror::Error)]
pub enum MachineError {
    /// A program is not installed.
    #[error("`{program}` is not installed; on Debian: apt-get install {package}")]
    Missing {
        /// Its name.
        program: &'static str,
        /// Debian's package.
        package: &'static str,
    },
    /// A program could not be run.
    #[error("`{program}` could not be started: {source}")]
    Start {
        /// Its name.
        program: &'static str,
        /// Why.
        source: std::io::Error,
    },
    /// qemu-img refused.
    #[error("qemu-img could not make {disk}: {message}")]
    Disk {
        /// The overlay.
        disk: PathBuf,
        /// What qemu-img said.
        message: String,
    },
    /// The image is of a format that QEMU can't boot.
    #[error(
        "{path} can't be booted as it is: it is an {format}; `mailkiln convert {path} --format qcow2` makes \
         an image that can"
    )]
    Format {
        /// The image.
        path: PathBuf,
        /// What it is.
        format: Format,
    },
    /// The image is none of ours.
    #[error("{} can't be booted: {why}; `mailkiln build` makes images", image.display())]
    NoRoot {
        /// The image.
        image: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// No firmware file was found.
    #[error("no {firmware} for {arch} is installed; on Debian: apt-get install {package}")]
    NoFirmware {
        /// The processor.
        arch: Arch,
        /// What was looked for.
        firmware: &'static str,
        /// Debian's package.
        package: &'static str,
    },
    /// The processor's machines have other firmware.
    #[error("{arch} machines have no {firmware}; leave --firmware out")]
    OtherFirmware {
        /// The processor.
        arch: Arch,
        /// What was asked for.
        firmware: &'static str,
    },
    /// A forwarded port would be above 65535.
    #[error("--port-offset {0} moves port 4190 beyond 65535; use 61345 or less")]
    Offset(u16),
    /// A file could not be prepared.
    #[error("{path}: {source}")]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
}

impl Machine {
    /// Makes the overlay if it is missing and starts QEMU.
    ///
    /// # Errors
    /// [`MachineError`] when a program or firmware is missing or refuses.
    pub fn start(&self, accelerator: Accelerator) -> Result<Child, MachineError> {
        let arguments = self.arguments(accelerator)?;
        self.make_disk()?;
        let Emulator { program, package, .. } = *Emulator::of(self.arch);
        Command::new(program)
            .arg("--version")
            .output()
            .map_err(|source| started(program, package, source))?;
        // QEMU must not outlive this program; setpriv (util-linux) asks the kernel for that and becomes QEMU.
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig", "TERM", program]).args(arguments);
        if self.console.is_some() {
            command.stdin(Stdio::null());
        }
        command.stdout(if self.console.is_some() { Stdio::null() } else { Stdio::inherit() });
        command.spawn().map_err(|source| started("setpriv", "util-linux", source))
    }

    /// QEMU's arguments. Paths with commas are doubled, as QEMU's option parser wants.
    fn arguments(&self, accelerator: Accelerator) -> Result<Vec<OsString>, MachineError> {
        if PORTS.iter().any(|port| port.checked_add(self.port_offset).is_none()) {
            return Err(MachineError::Offset(self.port_offset));
        }
        let forwards: String = PORTS
            .iter()
            .map(|port| format!(",hostfwd=tcp:127.0.0.1:{}-:{port}", port + self.port_offset))
            .collect();
        let console = match &self.console {
            Some(path) => format!("file,id=console,path={}", escaped(path)),
            None => "stdio,id=console,signal=on".to_owned(),
        };
        let mut arguments: Vec<OsString> = Vec::new();
        let mut add = |option: &str, value: String| {
            arguments.push(option.into());
            arguments.push(value.into());
        };
        add("-accel", accelerator.option().to_owned());
        add("-display", "none".to_owned());
        add("-chardev", console);
        if let Some(screen) = &self.screen {
            add("-qmp", format!("unix:{},server=on,wait=off", escaped(&screen.monitor)));
        }
        let network = format!("user,id=net{forwards}");
        match &self.board {
            Some(board) => self.board_arguments(board, network, &mut add),
            None => self.usual_arguments(accelerator, network, &mut add)?,
        }
        arguments.push("-nodefaults".into());
        Ok(arguments)
    }

    /// The usual machine of a processor, all of virtio.
    fn usual_arguments(
        &self,
        accelerator: Accelerator,
        network: String,
        add: &mut impl FnMut(&str, String),
    ) -> Result<(), MachineError> {
        let emulator = Emulator::of(self.arch);
        add("-machine", emulator.machine.to_owned());
        add("-cpu", accelerator.processor(emulator).to_owned());
        add("-smp", self.processors.to_string());
        add("-m", format!("{}M", self.memory));
        // The console is this terminal, or a file of whoever runs it: nobody else reads it.
        add("-fw_cfg", SHOW_PASSWORDS.to_owned());
        add("-serial", "chardev:console".to_owned());
        add("-device", "virtio-rng-pci".to_owned());
        add("-drive", format!("if=none,id=disk,format=qcow2,file={}", escaped(&self.disk)));
        for device in self.attachment.devices() {
            add("-device", device);
        }
        add("-netdev", network);
        add("-device", format!("{},netdev=net,romfile=", self.card.device()));
        if self.screen.is_some() {
            add("-device", emulator.graphics.to_owned());
        }
        for (option, value) in self.firmware.options(self.arch)? {
            add(option, value);
        }
        Ok(())
    }

    /// A board with the image in its card slot. QEMU starts what the board's firmware would have
    /// started, and hands over the device tree.
    fn board_arguments(
        &self,
        board: &BoardFiles,
        network: String,
        add: &mut impl FnMut(&str, String),
    ) {
        let BoardFiles { qemu, kernel, device_tree } = board;
        add("-machine", qemu.machine.clone());
        add("-m", format!("{}M", qemu.memory));
        (0..qemu.serial).for_each(|_| add("-serial", "null".to_owned()));
        add("-serial", "chardev:console".to_owned());
        add("-kernel", kernel.to_string_lossy().into_owned());
        add("-dtb", device_tree.to_string_lossy().into_owned());
        add("-drive", format!("if=sd,format=qcow2,file={}", escaped(&self.disk)));
        if let Some(adapter) = &qemu.network {
            add("-netdev", network);
            add("-device", format!("{adapter},netdev=net"));
        }
    }

    fn make_disk(&self) -> Result<(), MachineError> {
        let format = driver(&self.image)?;
        if self.disk.exists() {
            return Ok(());
        }
        let backing = self
            .image
            .canonicalize()
            .map_err(|source| MachineError::File { path: self.image.clone(), source })?;
        let output = Command::new("qemu-img")
            .args(["create", "-q", "-f", "qcow2", "-F", format, "-b"])
            .arg(backing)
            .arg(&self.disk)
            .arg(&self.disk_size)
            .output()
            .map_err(|source| started("qemu-img", "qemu-utils", source))?;
        if output.status.success() {
            return Ok(());
        }
        let message = String::from_utf8_lossy(&output.stderr).trim().to_owned();
        Err(MachineError::Disk { disk: self.disk.clone(), message })
    }
}

/// A path inside one of QEMU's comma-separated options.
fn escaped(path: &Path) -> String {
    path.to_string_lossy().replace(',', ",,")
}

/// What QEMU calls the format of an image.
fn driver(image: &Path) -> Result<&'static str, MachineError> {
    let failed = |source| MachineError::File { path: image.to_owned(), source };
    let file = File::open(image).and_then(FileSource::new).map_err(failed)?;
    let format = Format::of(&file);
    format.qemu().ok_or_else(|| MachineError::Format { path: image.to_owned(), format })
}

fn started(program: &'static str, package: &'static str, source: std::io::Error) -> MachineError {
    if source.kind() == std::io::ErrorKind::NotFound {
        return MachineError::Missing { program, package };
    }
    MachineError::Start { program, source }
}
