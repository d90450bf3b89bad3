//! `/init`: from the kernel's first program to systemd on a verified root.
//!
//! In: the machine as the kernel hands it over. Out: systemd as process 1; or one message on the
//! console that names the thing, the cause and the cure, and a restart half a minute later, which
//! lets the boot loader try the other slot. There is no shell to fall into.

use std::convert::Infallible;
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::thread::sleep;
use std::time::Duration;

use mailkiln_init::cmdline::{Boot, CmdlineError};
use mailkiln_init::console::{Console, Level};
use mailkiln_init::devices::{DeviceError, Loader, RootPartitions, find_root};
use mailkiln_init::dm::{self, DmError, Target};
use mailkiln_init::identity::MachineId;
use mailkiln_init::state;
use mailkiln_init::switch::{self, SwitchError};
use mailkiln_init::verity::{SECTORS_PER_BLOCK, SUPERBLOCK_LEN, Superblock, SuperblockError};

/// Long enough to read, or to photograph, one message.
const READING_TIME: Duration = Duration::from_secs(30);

/// Name of the device below `/dev/mapper`.
const ROOT: &str = "root";

#[derive(Debug, thiserror::Error)]
enum BootError {
    #[error("cannot read /proc/cmdline: {0}")]
    Cmdline(#[source] io::Error),
    #[error(transparent)]
    Words(#[from] CmdlineError),
    #[error(transparent)]
    Device(#[from] DeviceError),
    #[error("cannot read the verity partition {path}: {source}; the medium may be failing")]
    Hash { path: PathBuf, source: io::Error },
    #[error("the verity partition {path} cannot be used: {source}; write the image again")]
    Superblock { path: PathBuf, source: SuperblockError },
    #[error(transparent)]
    Dm(#[from] DmError),
    #[error("cannot make the identity of this machine: {0}; see the kernel's lines above")]
    Identity(#[source] io::Error),
    #[error("cannot name /var to systemd: {0}; see the kernel's lines above")]
    State(#[source] io::Error),
    #[error(transparent)]
    Switch(#[from] SwitchError),
}

fn main() -> ExitCode {
    let mut console = Console::open();
    if !rustix::process::getpid().is_init() {
        console.say(Level::Critical, "this is the /init of an initrd; it only runs as process 1");
        return ExitCode::from(2);
    }
    let Err(error) = boot(&mut console);
    console.say(Level::Critical, &format!("the appliance cannot start: {error}"));
    console
        .say(Level::Critical, "add `mailkiln.debug` to the kernel command line to see every step");
    console.say(Level::Critical, "restarting in 30 seconds");
    sleep(READING_TIME);
    rustix::fs::sync();
    let refused = rustix::system::reboot(rustix::system::RebootCommand::Restart);
    console.say(Level::Critical, &format!("restart refused ({refused:?}); switch the power off"));
    // Process 1 must not end: the kernel would panic and wipe the message off the screen.
    loop {
        sleep(READING_TIME);
    }
}

fn boot(console: &mut Console) -> Result<Infallible, BootError> {
    switch::mount_kernel_file_systems()?;
    switch::attach_console();
    *console = Console::open();
    let boot = Boot::parse(&fs::read_to_string("/proc/cmdline").map_err(BootError::Cmdline)?)?;
    console.set_debug(boot.debug);
    let mut loader = Loader::open(console);
    loader.load_always();
    let partitions = find_root(&mut loader, &boot)?;
    let device = open_verity(&boot, &partitions)?;
    switch::mount_root(&device)?;
    console.say(
        Level::Info,
        &format!("root {} verified with {}", partitions.data.display(), boot.root_hash),
    );
    let identity = MachineId::of(partitions.var).map_err(BootError::Identity)?;
    state::name_var(identity.var()).map_err(BootError::State)?;
    Ok(switch::switch_root(identity)?)
}

fn open_verity(boot: &Boot, partitions: &RootPartitions) -> Result<PathBuf, BootError> {
    let superblock = read_superblock(&partitions.hash)?;
    let table = superblock
        .table(boot, &partitions.data.to_string_lossy(), &partitions.hash.to_string_lossy())
        .map_err(|source| BootError::Superblock { path: partitions.hash.clone(), source })?;
    let sectors = boot.data_blocks * SECTORS_PER_BLOCK;
    let target = Target { kind: "verity", sectors, table: &table };
    Ok(dm::create(ROOT, &superblock.dm_uuid(ROOT), &target)?)
}

fn read_superblock(path: &Path) -> Result<Superblock, BootError> {
    let mut bytes = [0; SUPERBLOCK_LEN];
    File::open(path)
        .and_then(|partition| partition.read_exact_at(&mut bytes, 0))
        .map_err(|source| BootError::Hash { path: path.to_owned(), source })?;
    Superblock::parse(&bytes)
        .map_err(|source| BootError::Superblock { path: path.to_owned(), source })
}
