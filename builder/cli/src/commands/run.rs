//! `mailkiln run`: boots an image in QEMU, its ports forwarded to loopback.

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::path::Path;
use std::thread;

use serde::Serialize;

use crate::arguments::RunArguments;
use crate::failure::Failure;
use crate::machine::{Accelerator, Guest, Machine, PORTS, Screen};
use crate::printer::Printer;

/// Starts QEMU, says how to reach the appliance, and waits until QEMU ends.
pub(super) fn run(arguments: &RunArguments, printer: &Printer) -> Result<(), Failure> {
    if !arguments.image.exists() {
        return Err(Failure::Input {
            message: format!("there is no {}", arguments.image.display()),
            causes: Vec::new(),
            hint: Some("`mailkiln build --target x86_64` creates one".to_owned()),
        });
    }
    let Guest { arch, board } =
        Guest::read(&arguments.image).map_err(|error| Failure::input(&error))?;
    let chosen = (arguments.attachment, arguments.card);
    if board.is_some() && chosen != (None, None) {
        return Err(Failure::Input {
            message: "this image is for a board, which has a fixed card slot and network"
                .to_owned(),
            causes: Vec::new(),
            hint: Some("omit --as and --nic".to_owned()),
        });
    }
    let accelerator = match (arguments.accelerator, &board) {
        (Some(accelerator), _) => accelerator,
        // KVM has no boards.
        (None, Some(_)) => Accelerator::Tcg,
        (None, None) => Accelerator::detect(arch),
    };
    // Without --disk what the appliance writes is thrown away when it ends.
    let scratch =
        tempfile::tempdir().map_err(Failure::file("make a folder in", Path::new("TMPDIR")))?;
    let board = board.map(|board| board.unpack(scratch.path())).transpose();
    let screen = arguments.screen.as_ref().map(|picture| {
        std::path::absolute(picture)
            .map(|picture| Screen { monitor: scratch.path().join("monitor"), picture })
            .map_err(Failure::file("find", picture))
    });
    let machine = Machine {
        arch,
        board: board.map_err(|error| Failure::work(&error))?,
        image: arguments.image.clone(),
        disk: arguments.disk.clone().unwrap_or_else(|| scratch.path().join("disk.qcow2")),
        disk_size: arguments.disk_size.clone(),
        firmware: arguments.firmware,
        attachment: chosen.0.unwrap_or_default(),
        card: chosen.1.unwrap_or_default(),
        memory: arguments.memory,
        processors: arguments.processors,
        port_offset: arguments.port_offset,
        console: arguments.console.clone(),
        screen: screen.transpose()?,
    };
    let mut qemu = machine.start(accelerator).map_err(|error| Failure::work(&error))?;
    let has_network = machine.board.as_ref().is_none_or(|board| board.qemu.network.is_some());
    printer.result(&Started::of(qemu.id(), accelerator, arguments, has_network))?;
    if let Some(screen) = machine.screen.clone() {
        thread::spawn(move || draw(&screen));
    }
    let status = qemu.wait().map_err(Failure::file("wait for", Path::new("QEMU")))?;
    if status.success() {
        return Ok(());
    }
    Err(Failure::Work {
        message: format!("QEMU ended with {status}"),
        causes: Vec::new(),
        hint: Some("is a forwarded port taken? `--port-offset` moves them all".to_owned()),
    })
}

/// Draws the screen until QEMU ends. A machine runs on without its picture.
fn draw(screen: &Screen) {
    match screen.watch() {
        Err(error) if error.kind() != io::ErrorKind::UnexpectedEof => {
            tracing::warn!("the screen is not drawn into {}: {error}", screen.picture.display());
        }
        _ => {}
    }
}

/// What runs, and how to reach it.
#[derive(Serialize)]
struct Started {
    pid: u32,
    accelerator: &'static str,
    /// Guest port → port on 127.0.0.1; none where the machine has no network.
    ports: BTreeMap<u16, u16>,
    /// Whether what the appliance writes is kept.
    kept: bool,
}

impl Started {
    fn of(pid: u32, accelerator: Accelerator, arguments: &RunArguments, has_network: bool) -> Self {
        let ports = PORTS.into_iter().filter(|_| has_network);
        let ports = ports.map(|port| (port, port + arguments.port_offset)).collect();
        Self { pid, accelerator: accelerator.name(), ports, kept: arguments.disk.is_some() }
    }
}

impl fmt::Display for Started {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "QEMU runs (process {}) with {}.", self.pid, self.accelerator)?;
        for (guest, host) in &self.ports {
            writeln!(f, "  port {guest:<5} 127.0.0.1:{host}")?;
        }
        if self.ports.is_empty() {
            writeln!(f, "  QEMU's machine for this board has no network: watch its console.")?;
        }
        let fate = if self.kept { "kept" } else { "thrown away (--disk FILE keeps it)" };
        writeln!(f, "What the appliance writes is {fate}. Ctrl-C ends it.")
    }
}
