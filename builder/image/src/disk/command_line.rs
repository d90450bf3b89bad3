//! The kernel command line: completed with the root hash, and quoted for GRUB.

use mailkiln_pin::Sha256;

/// Longest command line the kernel takes (`COMMAND_LINE_SIZE` on x86 and arm64), with its NUL.
const LONGEST: usize = 2047;

/// A command line that a kernel or a boot loader can't take.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the kernel command line can't be used: {0}; correct `command-line` in the target's file")]
pub struct BadCommandLine(pub(super) &'static str);

/// `base` with what `/init` needs to find and open the root partition.
pub(super) fn complete(
    base: &str,
    root_hash: &Sha256,
    data_blocks: u64,
) -> Result<String, BadCommandLine> {
    if base.chars().any(|c| c.is_control() || !c.is_ascii()) {
        return Err(BadCommandLine("it holds a control character or one that is not ASCII"));
    }
    if base.split_ascii_whitespace().any(|word| word.starts_with("roothash=")) {
        return Err(BadCommandLine("it names a root hash, which only the builder knows"));
    }
    let words = base.split_ascii_whitespace().collect::<Vec<_>>().join(" ");
    let gap = if words.is_empty() { "" } else { " " };
    let line =
        format!("{words}{gap}roothash={root_hash} mailkiln.verity_data_blocks={data_blocks}");
    if line.len() > LONGEST {
        return Err(BadCommandLine("it is longer than 2047 bytes"));
    }
    Ok(line)
}

/// GRUB's configuration that boots the kernel beside it (GRUB manual, "Writing full
/// configuration files directly").
pub(super) fn grub_config(folder: &str, command_line: &str) -> Result<String, BadCommandLine> {
    if command_line.contains('\'') {
        return Err(BadCommandLine("it holds a single quote, which GRUB can't be told"));
    }
    Ok(grub_script(&format!("/{folder}/vmlinuz"), Some(&format!("/{folder}/initrd")), command_line))
}

/// GRUB's configuration that boots a kernel of the boot partition. The command line has no single quote.
pub(super) fn grub_script(kernel: &str, initrd: Option<&str>, command_line: &str) -> String {
    let plain = |word: &&str| {
        word.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_./:=,@%+-".contains(&byte))
    };
    let quoted = |word| if plain(&word) { word.to_owned() } else { format!("'{word}'") };
    let words: Vec<String> = command_line.split(' ').map(quoted).collect();
    let initrd = initrd.map_or_else(String::new, |initrd| format!("initrd {initrd}\n"));
    format!("set timeout=0\nlinux {kernel} {}\n{initrd}boot\n", words.join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_completed_and_quoted() {
        let hash = Sha256::of(b"");
        let line = complete("  console=ttyS0  quiet ", &hash, 7).unwrap();
        let tail = format!("roothash={hash} mailkiln.verity_data_blocks=7");
        assert_eq!(line, format!("console=ttyS0 quiet {tail}"));
        assert_eq!(complete("", &hash, 7).unwrap(), tail);
        assert_eq!(
            grub_config("kiln", "a=b c=$d").unwrap(),
            "set timeout=0\nlinux /kiln/vmlinuz a=b 'c=$d'\ninitrd /kiln/initrd\nboot\n"
        );
    }

    #[test]
    fn lines_that_cannot_be_are_refused() {
        let hash = Sha256::of(b"");
        for line in ["a\nb", "ä", "a roothash=1", &"x".repeat(2000)] {
            assert!(complete(line, &hash, 1).is_err(), "{line}");
        }
        assert!(grub_config("kiln", "a='b'").is_err());
    }
}
