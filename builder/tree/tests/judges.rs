//! Finished trees, judged by the tools whose work they replace: depmod, systemctl, pwck, grpck.
//! A tool that is not installed judges nothing; the unit tests say what is expected all the same.
// Clippy knows #[test] functions as tests, but not what they share.
#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stderr)]

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;

use mailkiln_tree::depmod::{KernelLists, Module, ModuleInfo, indexes};
use mailkiln_tree::{
    Content, Enablement, Entry, FixupInput, Identity, Kind, NothingPacked, Tree, TreePath, User,
    finish,
};

/// What a tool says, and whether it is content; `None` when it is not installed.
fn judge(program: &str, arguments: &[&str]) -> Option<(bool, String)> {
    // Administrators' tools are not in everybody's PATH.
    let path = format!("{}:/usr/sbin:/sbin", std::env::var("PATH").unwrap_or_default());
    let tool = Command::new("env")
        .args([&format!("PATH={path}"), "LC_ALL=C", program])
        .args(arguments)
        .output()
        .unwrap();
    if tool.status.code() == Some(127) {
        assert!(std::env::var_os("CI").is_none(), "{program} is not installed; install it");
        eprintln!("{program} is not installed: it judges nothing here");
        return None;
    }
    let said = [tool.stdout, tool.stderr].concat();
    Some((tool.status.success(), String::from_utf8_lossy(&said).into_owned()))
}

/// A tree with the least that [`finish`] wants, and some units.
fn fixture() -> Tree {
    let mut tree = Tree::default();
    for (path, text) in [
        (
            "usr/share/base-passwd/passwd.master",
            "root:*:0:0:root:/root:/bin/bash\nmail:*:8:8:mail:/var/mail:/usr/sbin/nologin\n",
        ),
        ("usr/share/base-passwd/group.master", "root:*:0:\nmail:*:8:\nshadow:*:42:\n"),
        ("usr/lib/os-release", "VERSION_ID=\"13\"\nVERSION_CODENAME=trixie\n"),
        ("usr/share/zoneinfo/Etc/UTC", "TZif2"),
        ("boot/vmlinuz-6.12-test", "kernel"),
        ("boot/System.map-6.12-test", "symbols"),
        ("usr/lib/systemd/boot/efi/linuxx64.efi.stub", "stub"),
        ("usr/lib/systemd/boot/efi/addonx64.efi.stub", "addon"),
        ("usr/bin/bash", ""),
        ("usr/sbin/nologin", ""),
        ("usr/lib/sysusers.d/x.conf", "u sshd -:root \"sshd user\" /run\ng kvm -\n"),
        (
            "usr/lib/systemd/system-preset/90-systemd.preset",
            "enable getty@.service\nenable remote-fs.target\nenable net.service\nenable reboot.target\n",
        ),
        ("usr/lib/systemd/system/multi-user.target", "[Unit]\nDescription=x\n"),
        (
            "usr/lib/systemd/system/getty@.service",
            "[Service]\nExecStart=/usr/bin/true\n[Install]\nWantedBy=getty.target\nDefaultInstance=tty1\n",
        ),
        (
            "usr/lib/systemd/system/net.service",
            "[Service]\nExecStart=/usr/bin/true\n[Install]\nWantedBy=multi-user.target\nAlias=dbus-org.net.service\nAlso=net.socket\n",
        ),
        (
            "usr/lib/systemd/system/net.socket",
            "[Socket]\nListenStream=/run/x\n[Install]\nWantedBy=sockets.target\nRequiredBy=net.service\n",
        ),
        (
            "usr/lib/systemd/system/remote-fs.target",
            "[Unit]\nDescription=x\n[Install]\nWantedBy=multi-user.target\n",
        ),
        (
            "usr/lib/systemd/system/reboot.target",
            "[Unit]\nDescription=x\n[Install]\nAlias=ctrl-alt-del.target\n",
        ),
        (
            "usr/lib/systemd/system/asked.service",
            "[Service]\nExecStart=/usr/bin/true\n[Install]\nWantedBy=%p.target multi-user.target\n",
        ),
        (
            "usr/lib/systemd/system/off.service",
            "[Service]\nExecStart=/usr/bin/true\n[Install]\nWantedBy=multi-user.target\n",
        ),
    ] {
        tree.insert(TreePath::parse(path).unwrap(), Entry::file(text.as_bytes(), 0o644, "test"))
            .unwrap();
    }
    tree
}

fn finished() -> mailkiln_tree::Finished {
    let users = [User {
        name: "mail-server".into(),
        number: 801,
        comment: "Mail server".into(),
        home: "/var/mail".into(),
        shell: None,
        groups: vec!["kvm".into()],
    }];
    let enablement = Enablement {
        enable: vec!["asked.service".into()],
        disable: vec!["remote-*.target".into()],
        mask: vec!["bad.service".into()],
    };
    let input = FixupInput {
        host: "mail.example.test",
        time_zone: "Etc/UTC",
        users: &users,
        enablement: &enablement,
        identity: &Identity { version: "1".into(), variant: "x".into() },
        contents: &NothingPacked,
    };
    finish(fixture(), &input).unwrap()
}

fn lay_out(tree: &Tree, root: &Path) {
    for (path, entry) in tree.iter() {
        let at = root.join(path.as_str());
        match &entry.kind {
            Kind::Directory => fs::create_dir(at).unwrap(),
            Kind::File(Content::Inline(bytes)) => fs::write(at, bytes).unwrap(),
            Kind::File(Content::Packed { .. }) => panic!("{path} is not inline"),
            Kind::Symlink(target) => symlink(target, at).unwrap(),
        }
    }
}

/// Links below a folder: path and target, sorted, but for masks and the default target.
fn links(folder: &Path) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        for entry in fs::read_dir(next).unwrap() {
            let path = entry.unwrap().path();
            match fs::read_link(&path) {
                Ok(target) => found.push((
                    path.strip_prefix(folder).unwrap().to_str().unwrap().to_owned(),
                    target.to_str().unwrap().to_owned(),
                )),
                Err(_) => folders.push(path),
            }
        }
    }
    found.retain(|(path, target)| path != "default.target" && target != "/dev/null");
    found.sort();
    found
}

#[test]
fn the_boot_chain_leaves_the_root_and_every_parent_is_a_directory() {
    let finished = finished();
    assert_eq!(finished.boot.release, "6.12-test");
    assert_eq!(finished.boot.kernel, Content::Inline(b"kernel"[..].into()));
    let boot = TreePath::parse("boot").unwrap();
    assert_eq!(finished.tree.within(&boot).count(), 1);
    for (path, _) in finished.tree.iter() {
        let parent = path.parent().filter(|parent| *parent != TreePath::ROOT);
        let kind = parent.map(|parent| finished.tree.get(&parent).unwrap().kind.clone());
        assert!(kind.is_none_or(|kind| kind == Kind::Directory), "{path}");
    }
}

#[test]
fn systemctl_would_have_made_the_same_links() {
    let root = tempfile::tempdir().unwrap();
    lay_out(&finished().tree, root.path());
    let folder = root.path().join("etc/systemd/system");
    let ours = links(&folder);
    assert_eq!(ours.len(), 8, "{ours:?}");
    fs::remove_dir_all(&folder).unwrap();
    fs::create_dir(&folder).unwrap();
    let root = format!("--root={}", root.path().display());
    if let Some((content, said)) = judge("systemctl", &[&root, "preset-all"]) {
        assert!(content, "{said}");
        assert_eq!(ours, links(&folder));
    }
}

#[test]
fn pwck_and_grpck_find_nothing() {
    let root = tempfile::tempdir().unwrap();
    lay_out(&finished().tree, root.path());
    for (tool, files) in
        [("pwck", ["etc/passwd", "etc/shadow"]), ("grpck", ["etc/group", "etc/gshadow"])]
    {
        let files = files.map(|file| root.path().join(file).to_str().unwrap().to_owned());
        if let Some((_, said)) = judge(tool, &["-r", &files[0], &files[1]]) {
            // Homes, shells, users and groups are looked for on this machine, where they need not
            // exist. What is left to find: damaged lines, doubled names, files that disagree.
            const OF_THIS_MACHINE: [&str; 5] =
                ["does not exist", "no group", "no user", "delete member", "no changes"];
            let ours = |line: &&str| !OF_THIS_MACHINE.iter().any(|known| line.contains(known));
            let complaints: Vec<_> = said.lines().filter(ours).collect();
            assert!(complaints.is_empty(), "{complaints:?}");
        }
    }
}

/// A relocatable file like a module: `.modinfo`, exported and undefined symbols.
fn module(modinfo: &[&str], exports: &[&str], needs: &[&str]) -> Vec<u8> {
    use object::write::{Object, Symbol, SymbolSection};
    use object::{
        Architecture, BinaryFormat, Endianness, SectionKind, SymbolFlags, SymbolKind, SymbolScope,
    };
    let mut file = Object::new(BinaryFormat::Elf, Architecture::X86_64, Endianness::Little);
    let section = file.add_section(Vec::new(), b".modinfo".to_vec(), SectionKind::ReadOnlyData);
    let fields: Vec<u8> =
        modinfo.iter().flat_map(|field| [field.as_bytes(), b"\0"].concat()).collect();
    file.append_section_data(section, &fields, 1);
    let mut symbol = |name: String, section, value| {
        let (kind, scope) = (SymbolKind::Data, SymbolScope::Dynamic);
        let flags = SymbolFlags::None;
        file.add_symbol(Symbol {
            name: name.into_bytes(),
            value,
            size: 0,
            kind,
            scope,
            weak: false,
            section,
            flags,
        });
    };
    for (value, name) in (1..).zip(exports) {
        symbol(format!("__crc_{name}"), SymbolSection::Absolute, value);
    }
    for name in needs {
        symbol((*name).to_owned(), SymbolSection::Undefined, 0);
    }
    file.write().unwrap()
}

#[test]
fn depmod_would_have_written_the_same_indexes() {
    let modules = [
        (
            "kernel/fs/ext-x.ko",
            module(
                &["alias=fs-ext-x", "alias=fs-[x-y]-z", "depends=base-m", "softdep=pre: crc32c"],
                &[],
                &["base_call"],
            ),
        ),
        (
            "kernel/lib/base-m.ko",
            module(&["alias=symbol-base", "depends="], &["base_call", "other_call"], &[]),
        ),
        (
            "kernel/drivers/fuse.ko",
            module(
                &["alias=devname:fuse", "alias=char-major-10-229", "alias=pci:v0000*d*sv*"],
                &[],
                &[],
            ),
        ),
        ("kernel/drivers/second.ko", module(&["alias=fs-ext-x", "alias=pci:v0000*d*"], &[], &[])),
    ];
    let lists = KernelLists {
        order: "kernel/drivers/second.ko\nkernel/fs/ext-x.ko\nkernel/lib/base-m.ko\nkernel/drivers/fuse.ko\n",
        builtin: "kernel/fs/proc-x.ko\nkernel/fs/nls/nls_base.ko\n",
        builtin_modinfo: b"proc_x.alias=fs-proc-x\0nls_base.license=GPL\0nls_base.alias=nls-*\0",
    };
    let parsed: Vec<Module> = modules
        .iter()
        .map(|(path, elf)| Module {
            path: (*path).to_owned(),
            info: ModuleInfo::parse(elf).unwrap(),
        })
        .collect();
    assert_eq!(parsed[1].info.symbols, ["base_call", "other_call"]);
    let ours = indexes(&parsed, lists).unwrap().files;

    let root = tempfile::tempdir().unwrap();
    let folder = root.path().join("lib/modules/6.12-test");
    for (path, elf) in &modules {
        let at = folder.join(path);
        fs::create_dir_all(at.parent().unwrap()).unwrap();
        fs::write(at, elf).unwrap();
    }
    fs::write(folder.join("modules.order"), lists.order).unwrap();
    fs::write(folder.join("modules.builtin"), lists.builtin).unwrap();
    fs::write(folder.join("modules.builtin.modinfo"), lists.builtin_modinfo).unwrap();
    let arguments = ["-b", root.path().to_str().unwrap(), "6.12-test"];
    let Some((content, said)) = judge("depmod", &arguments) else { return };
    assert!(content, "{said}");
    for (name, bytes) in ours {
        // kmod 33 and later write it; of symbols' text, the order is that of a hash table.
        let Ok(theirs) = fs::read(folder.join(name)) else {
            assert_eq!(name, "modules.weakdep");
            continue;
        };
        let lines = |bytes: &[u8]| {
            let mut lines: Vec<_> =
                bytes.split(|byte| *byte == b'\n').map(<[u8]>::to_vec).collect();
            lines.sort();
            lines
        };
        match name {
            "modules.symbols" => assert_eq!(lines(&bytes), lines(&theirs), "{name}"),
            _ => assert_eq!(bytes, theirs, "{name}"),
        }
    }
}
