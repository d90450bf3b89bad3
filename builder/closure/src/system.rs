//! The NixOS system in a closure: what is booted, and with what words.
//!
//! In: a closure whose top is the result of `config.system.build.toplevel`. Out: kernel, initrd, command line. They are read
//! from `boot.json` (RFC 125, "Bootspec"), which NixOS writes since 23.05; where that is switched off, from the links and
//! files beside it.

use std::collections::BTreeMap;

use mailkiln_pin::Arch;
use serde::Deserialize;

use crate::closure::Closure;
use crate::error::{ClosureError, SystemError};

/// What a text file of a system may be long.
const MAX_TEXT: u64 = 1 << 20;
/// What a kernel or an initrd may be long.
const MAX_BOOT_FILE: u64 = 1 << 30;
/// Longest command line the kernel takes (`COMMAND_LINE_SIZE` on x86 and arm64), without its NUL.
const LONGEST_COMMAND_LINE: usize = 2047;
/// The fields of a PE file's header: where its offset stands, and where the machine stands behind it
/// (Microsoft PE format, "COFF File Header").
const PE_OFFSET: usize = 0x3c;

/// A file of the store that the boot partition gets a copy of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BootFile {
    /// The name of its store path.
    pub object: String,
    /// Its own name.
    pub name: String,
    /// Its bytes.
    pub bytes: Vec<u8>,
}

/// A NixOS system that a target can boot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct System {
    /// What people know it by: `25.11.20260101.abcdef0`.
    pub label: String,
    /// What it is sorted by in the boot loader's menu.
    pub sort_key: String,
    /// The kernel, which UEFI can start.
    pub kernel: BootFile,
    /// The initrd.
    pub initrd: Option<BootFile>,
    /// The device tree that the system wants in place of the firmware's.
    pub device_tree: Option<BootFile>,
    /// `init=` and the parameters of the kernel.
    pub command_line: String,
    /// systemd-boot, where the system brings it.
    pub boot_loader: Option<Vec<u8>>,
}

/// `boot.json`, as far as it matters here.
#[derive(Debug, Deserialize)]
pub(crate) struct BootJson {
    #[serde(rename = "org.nixos.bootspec.v1")]
    spec: Spec,
    #[serde(rename = "org.nixos.systemd-boot", default)]
    systemd_boot: SystemdBoot,
    #[serde(rename = "org.nixos.extra-initrd.v1", default)]
    extra_initrd: ExtraInitrd,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Spec {
    init: String,
    initrd: Option<String>,
    initrd_secrets: Option<String>,
    kernel: String,
    kernel_params: Vec<String>,
    label: String,
    system: String,
    toplevel: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct SystemdBoot {
    sort_key: Option<String>,
    devicetree: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
struct ExtraInitrd {
    #[serde(default)]
    paths: Vec<String>,
}

/// Reads `boot.json`.
pub(crate) fn parse_boot_json(bytes: &[u8]) -> Result<BootJson, String> {
    serde_json::from_slice(bytes).map_err(|error| error.to_string())
}

impl System {
    /// The system at the top of a closure, for `target`, a machine of architecture `arch`.
    ///
    /// # Errors
    /// [`SystemError`] names the file and the cure.
    pub fn of(closure: &Closure, target: &str, arch: Arch) -> Result<Self, SystemError> {
        let top = closure.top().to_absolute_path();
        for lacking in ["init", "kernel", "nixos-version"] {
            if !closure.has(&format!("{top}/{lacking}")) {
                return Err(SystemError::NoSystem { path: top, lacking });
            }
        }
        let json = boot_json(closure, &top)?;
        let Spec { init, initrd, kernel, kernel_params, label, system, .. } = json.spec;
        let wrong = |path: &str, found: &str| SystemError::Architecture {
            path: path.to_owned(),
            found: found.to_owned(),
            target: target.to_owned(),
            wanted: arch,
        };
        if system != format!("{}-linux", arch.gnu()) {
            return Err(wrong(&top, system.strip_suffix("-linux").unwrap_or(&system)));
        }
        let kernel = boot_file(closure, &kernel)?;
        check_kernel(&kernel, arch, wrong)?;
        let words = [format!("init={init}")].into_iter().chain(kernel_params);
        let command_line = words.collect::<Vec<_>>().join(" ");
        for text in [&command_line, &label] {
            check_text(&top, text)?;
        }
        let SystemdBoot { sort_key, devicetree } = json.systemd_boot;
        let sort_key = sort_key.unwrap_or_else(|| "nixos".to_owned());
        check_text(&top, &sort_key)?;
        Ok(Self {
            label,
            sort_key,
            kernel,
            initrd: initrd.map(|path| boot_file(closure, &path)).transpose()?,
            device_tree: devicetree.map(|path| boot_file(closure, &path)).transpose()?,
            command_line,
            boot_loader: boot_loader(closure, &top, arch)?,
        })
    }
}

/// What `boot.json` says, or what it would.
fn boot_json(closure: &Closure, top: &str) -> Result<BootJson, SystemError> {
    let path = format!("{top}/boot.json");
    let wrong = |why: String| SystemError::Description { path: path.clone(), why };
    if !closure.has(&path) {
        return without_boot_json(closure, top);
    }
    let json = parse_boot_json(&closure.read(&path, MAX_TEXT)?)
        .map_err(|why| wrong(format!("it is not a bootspec of version 1: {why}")))?;
    if json.spec.toplevel != top {
        let other = json.spec.toplevel.escape_debug();
        return Err(wrong(format!("it describes {other}: build the system again")));
    }
    let unsupported =
        |why: &str| SystemError::Unsupported { path: path.clone(), why: why.to_owned() };
    if json.spec.initrd_secrets.is_some() {
        return Err(unsupported(
            "wants secrets in its initrd (`boot.initrd.secrets`), and no secret enters an image: leave them out of the first system, and switch to one that has them on the machine",
        ));
    }
    if !json.extra_initrd.paths.is_empty() {
        return Err(unsupported(
            "wants further initrds of the machine's own boot partition: leave them out of the first system",
        ));
    }
    Ok(json)
}

fn without_boot_json(closure: &Closure, top: &str) -> Result<BootJson, SystemError> {
    let text = |name: &str| -> Result<String, SystemError> {
        let bytes = closure.read(&format!("{top}/{name}"), MAX_TEXT)?;
        Ok(String::from_utf8_lossy(&bytes).trim().to_owned())
    };
    let there = |name: &str| Some(format!("{top}/{name}")).filter(|path| closure.has(path));
    if there("append-initrd-secrets").is_some() {
        let why = "would put secrets into the initrd, and no secret enters an image: leave `boot.initrd.secrets` out of the first system";
        let path = format!("{top}/append-initrd-secrets");
        return Err(SystemError::Unsupported { path, why: why.to_owned() });
    }
    let spec = Spec {
        init: format!("{top}/init"),
        initrd: there("initrd"),
        initrd_secrets: None,
        kernel: format!("{top}/kernel"),
        kernel_params: text("kernel-params")?.split(' ').map(str::to_owned).collect(),
        label: text("nixos-version")?,
        system: text("system")?,
        toplevel: top.to_owned(),
    };
    let (systemd_boot, extra_initrd) = (SystemdBoot::default(), ExtraInitrd::default());
    Ok(BootJson { spec, systemd_boot, extra_initrd })
}

fn boot_file(closure: &Closure, path: &str) -> Result<BootFile, ClosureError> {
    let (object, place) = closure.resolve(path)?;
    let object = object.path.to_basename();
    let name = place.rsplit('/').next().filter(|name| !name.is_empty()).unwrap_or(&object);
    let name = name.to_owned();
    Ok(BootFile { object, name, bytes: closure.read(path, MAX_BOOT_FILE)? })
}

/// systemd-boot of the system's own systemd.
fn boot_loader(closure: &Closure, top: &str, arch: Arch) -> Result<Option<Vec<u8>>, ClosureError> {
    let name = crate::boot::Loader::file_name(arch);
    let path = format!("{top}/systemd/lib/systemd/boot/efi/{name}");
    closure.has(&path).then(|| closure.read(&path, MAX_BOOT_FILE)).transpose()
}

/// A kernel that UEFI starts is a PE file, whose header names the machine.
fn check_kernel(
    kernel: &BootFile,
    arch: Arch,
    wrong: impl Fn(&str, &str) -> SystemError,
) -> Result<(), SystemError> {
    let path = format!("/nix/store/{}/{}", kernel.object, kernel.name);
    let bytes = &kernel.bytes;
    let number = |at: usize| {
        let bytes = bytes.get(at..at.checked_add(2)?)?;
        Some(u16::from_le_bytes([bytes[0], bytes[1]]))
    };
    let machine = bytes.get(PE_OFFSET..PE_OFFSET + 4).and_then(|offset| {
        let offset = u32::from_le_bytes([offset[0], offset[1], offset[2], offset[3]]) as usize;
        let is_pe = bytes.get(offset..)?.starts_with(b"PE\0\0");
        number(offset + 4).filter(|_| is_pe && bytes.starts_with(b"MZ"))
    });
    let known: BTreeMap<u16, Arch> = [(0x8664, Arch::X86_64), (0xaa64, Arch::Aarch64)].into();
    match machine.map(|machine| known.get(&machine)) {
        Some(Some(found)) if *found == arch => Ok(()),
        Some(Some(found)) => Err(wrong(&path, found.gnu())),
        Some(None) => Err(wrong(&path, "another processor")),
        None => Err(SystemError::Description {
            path,
            why: "it is not a kernel that UEFI starts: build it with CONFIG_EFI_STUB, uncompressed"
                .to_owned(),
        }),
    }
}

/// Lines of an entry must stay lines.
fn check_text(top: &str, text: &str) -> Result<(), SystemError> {
    let why = match text {
        _ if text.chars().any(char::is_control) => "has a control character in",
        _ if text.len() > LONGEST_COMMAND_LINE => "has more than 2047 bytes in",
        _ => return Ok(()),
    };
    Err(SystemError::Unsupported {
        path: format!("{top}/boot.json"),
        why: format!("{why} `{}`: correct boot.kernelParams", text.escape_debug()),
    })
}
