//! What the user sees: the program is run, and what it prints is compared with snapshots.

// The lint knows tests by their attribute, and so not what they call.
#![allow(clippy::unwrap_used)]

use std::fmt::Write as _;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use tempfile::TempDir;

/// An empty directory to run the program in.
struct Desk(TempDir);

impl Desk {
    fn new() -> Self {
        Self(TempDir::new().unwrap())
    }

    /// A desk with this `mail.toml` on it.
    fn with(text: impl AsRef<[u8]>) -> Self {
        let desk = Self::new();
        std::fs::write(desk.path().join("mail.toml"), text).unwrap();
        desk
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn output(&self, arguments: &str) -> Output {
        Command::new(env!("CARGO_BIN_EXE_mailkiln"))
            .args(arguments.split(' '))
            .current_dir(self.path())
            .env_clear()
            .output()
            .unwrap()
    }

    /// All that came out of it, readable in a snapshot.
    fn run(&self, arguments: &str) -> String {
        let Output { status, stdout, stderr } = self.output(arguments);
        let mut said = format!("$ mailkiln {arguments}\nexit {}\n", status.code().unwrap());
        for (name, bytes) in [("out", stdout), ("err", stderr)] {
            let text = String::from_utf8(bytes).unwrap();
            if !text.is_empty() {
                write!(said, "--- {name}\n{text}").unwrap();
            }
        }
        said
    }
}

#[test]
fn new_and_check_are_the_first_steps() {
    let desk = Desk::new();
    insta::assert_snapshot!(
        [desk.run("new example.org"), desk.run("check"), desk.run("new example.org")].join("\n")
    );
}

/// An image that is nobody's has no records, no seed and no NixOS host: those are of one machine.
#[test]
fn a_generic_image_is_nobodys() {
    let desk = Desk::new();
    let said = [
        desk.run("new --generic"),
        desk.run("check"),
        desk.run("dns"),
        desk.run("seed new s"),
        desk.run("emit host -o host"),
        desk.run("new --generic example.org"),
    ];
    insta::assert_snapshot!(said.join("\n"));
}

#[test]
fn new_refuses_what_is_no_domain_and_writes_nothing() {
    let desk = Desk::new();
    insta::assert_snapshot!(desk.run("new exa_mple.org -o other.toml"));
    assert!(!desk.path().join("other.toml").exists());
}

#[test]
fn idn_domains_are_shown_in_both_forms() {
    let desk = Desk::new();
    desk.run("new Bücher.example -o b.toml");
    insta::assert_snapshot!(
        [desk.run("check -c b.toml"), desk.run("check -c b.toml --json")].join("\n")
    );
}

const WRONG: &str = r#"[host]
name = "mail"
colour = "red"
timezone = "Berlin"

[network]
ipv6 = "yes"
addresses = ["192.0.2.0/24"]

[[domain]]
name = "bücher..example"

[[account]]
adress = "alice@example.org"
[[account]]
address = "bob@ex\u0007ample.org"
"#;

#[test]
fn several_problems_are_shown_at_once() {
    insta::assert_snapshot!(Desk::with(WRONG).run("check"));
}

#[test]
fn problems_are_one_json_document() {
    let output = Desk::with(WRONG).output("--json check");
    assert_eq!(output.status.code(), Some(2));
    assert!(output.stderr.is_empty());
    let document: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(document["error"]["problems"].as_array().unwrap().len(), 8);
    insta::assert_snapshot!(
        serde_json::to_string_pretty(&document["error"]["problems"][5]).unwrap()
    );
}

#[test]
fn accounts_that_clash_are_refused() {
    let text = r#"[host]
name = "mail.example.org"

[network]
ipv6 = false
addresses = ["192.0.2.10/24", "2001:db8::10/64"]
gateways = ["198.51.100.1"]

[ssh]
keys = ["-----BEGIN OPENSSH PRIVATE KEY-----"]

[[domain]]
name = "example.org"
catch_all = "alcie@example.org"

[[account]]
address = "alice@example.org"
aliases = ["info@example.org"]
quota = "5 potatoes"

[[account]]
address = "Info@example.org"

[[account]]
address = "bob@exmaple.org"

[relay]
host = "smtp.example.net"
tls = "off"
"#;
    insta::assert_snapshot!(Desk::with(text).run("check"));
}

#[test]
fn files_that_are_no_toml_are_refused() {
    let control = Desk::with("[host\nname = mail\u{1b}[31m\n");
    let latin1 = Desk::with(b"# B\xfccher\n");
    insta::assert_snapshot!([control.run("check"), latin1.run("check")].join("\n"));
}

/// What is printed ends up in logs and tickets.
#[test]
fn a_private_key_is_not_repeated() {
    let key = "-----BEGIN OPENSSH PRIVATE KEY-----\nc2VjcmV0\nc2VjcmV0\n-----END OPENSSH PRIVATE KEY-----";
    let start = "[host]\nname = 'mail.example.org'\n[[domain]]\nname = 'example.org'\n[ssh]\n";
    for keys in [
        format!("keys = [\"\"\"{key}\"\"\"]"),
        format!("keys = ['{}']", key.replace('\n', " ")),
        format!("keys = [\n{key}\n]"),
    ] {
        let desk = Desk::with(format!("{start}{keys}\n"));
        for said in [desk.run("check"), desk.run("check --json")] {
            assert!(said.contains("exit 2") && !said.contains("c2Vj"), "{said}");
        }
    }
}

#[test]
fn files_that_can_not_be_read_are_named() {
    let desk = Desk::new();
    insta::assert_snapshot!(
        [
            desk.run("check -c nowhere.toml"),
            desk.run("check -c ."),
            desk.run("new a.example -o no/x")
        ]
        .join("\n")
    );
    assert_eq!(desk.output("check -c /dev/zero").status.code(), Some(2));
}

#[test]
fn a_full_configuration_is_summed_up() {
    let text = r#"[host]
name = "mail.example.org"
timezone = "Europe/Berlin"
[network]
addresses = ["192.0.2.10/24", "2001:db8::10/64"]
gateways = ["192.0.2.1", "fe80::1"]
resolvers = ["9.9.9.9"]
[ssh]
keys = ["ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOMqqnkVzrm0SdG6UOoqKLsabgH5C9okWi0dh2l9GKJl a"]
[[domain]]
name = "example.org"
catch_all = "info@example.org"
[[domain]]
name = "example.net"
[[account]]
address = "alice@example.org"
quota = "5 GiB"
aliases = ["info@example.org"]
[[account]]
address = "bob@example.net"
aliases = ["postmaster@example.net"]
[relay]
host = "smtp.example.com"
tls = "implicit"
user = "alice"
[spam]
reject_score = 15
dnsbl = ["dnsbl.example.com"]
"#;
    insta::assert_snapshot!(Desk::with(text).run("check"));
}

#[test]
fn dns_prints_a_table_or_a_zone_with_the_keys_of_the_appliance() {
    let desk = Desk::new();
    desk.run("new example.org");
    let key = "rsa._domainkey.example.org. IN TXT \"v=DKIM1; k=rsa; p=MIIB\"\n";
    std::fs::write(desk.path().join("dkim.txt"), key).unwrap();
    let foreign = key.replace("example.org", "example.net");
    std::fs::write(desk.path().join("foreign.txt"), foreign).unwrap();
    let tlsa = format!("_25._tcp.mail.example.org. IN TLSA 3 1 1 {}\n", "ab".repeat(32));
    std::fs::write(desk.path().join("tlsa.txt"), &tlsa).unwrap();
    std::fs::write(desk.path().join("not.txt"), "example.org. IN MX 10 a.b.\n").unwrap();
    insta::assert_snapshot!(
        [
            desk.run("dns"),
            desk.run("dns --zone --dkim dkim.txt --dkim foreign.txt --tlsa tlsa.txt"),
            desk.run("dns --dkim not.txt"),
            desk.run("dns --tlsa not.txt"),
        ]
        .join("\n")
    );
    let output = desk.output("dns --json --dkim dkim.txt");
    let document: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert!(document["records"].as_array().unwrap().iter().any(|it| it["type"] == "MX"));
}

#[test]
fn closures_that_cannot_be_are_refused() {
    let desk = Desk::new();
    let system = "/nix/store/00000000000000000000000000000000-nixos-system-x";
    let build = |more: &str| desk.run(&format!("build --target x86_64 {more}"));
    insta::assert_snapshot!(
        [
            desk.run("build --help"),
            build("--closure result"),
            build(&format!("--closure {system} --from empty")),
            build(&format!("--closure {system} --from https://cache.example.org")),
            build(&format!("--closure {system} --from https://cache.example.org --trusted-key x")),
            build(&format!("--closure {system} --from https://cache.example.org --from other")),
            build(&format!("--closure {system} -c mail.toml")),
            build("--from https://cache.example.org"),
        ]
        .join("\n")
    );
}

#[test]
fn commands_of_the_nix_cache_explain_themselves() {
    let desk = Desk::new();
    let helps = ["keygen --help", "export nix-cache --help", "verify nix-cache --help"];
    insta::assert_snapshot!(helps.map(|arguments| desk.run(arguments)).join("\n"));
}

#[test]
fn a_key_is_made_once_for_its_owner_alone() {
    use std::os::unix::fs::PermissionsExt as _;
    let desk = Desk::new();
    let made = desk.output("--json keygen cache.example.org-1");
    let said = String::from_utf8(made.stdout).unwrap();
    let secret = desk.path().join("cache.example.org-1.secret");
    let text = std::fs::read_to_string(&secret).unwrap();
    assert!(made.status.success() && text.len() == "cache.example.org-1:".len() + 88, "{said}");
    assert!(!said.contains(&text[20..60]), "{said}");
    assert_eq!(std::fs::metadata(&secret).unwrap().permissions().mode() & 0o777, 0o600);
    insta::assert_snapshot!(
        [
            desk.run("keygen cache.example.org-1"),
            desk.run("keygen two:names"),
            desk.run("keygen x -o missing/key"),
        ]
        .join("\n")
    );
    assert_eq!(std::fs::read_to_string(&secret).unwrap(), text);
}

#[test]
fn what_is_no_cache_and_no_key_is_refused() {
    let desk = Desk::with("");
    let key = "own-1:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";
    std::fs::create_dir(desk.path().join("bad")).unwrap();
    std::fs::write(desk.path().join("bad/x.narinfo"), "StorePath: /etc/\x1b[1mpasswd\n").unwrap();
    insta::assert_snapshot!(
        [
            desk.run("verify nix-cache . --trusted-public-key own-1"),
            desk.run(&format!("verify nix-cache . --trusted-public-key {key}")),
            desk.run(&format!("verify nix-cache missing --trusted-public-key {key}")),
            desk.run(&format!("verify nix-cache bad --trusted-public-key {key}")),
            desk.run(&format!("--json verify nix-cache bad --trusted-public-key {key}")),
            desk.run("export nix-cache cache --secret-key-file mail.toml"),
            desk.run("export nix-cache cache --secret-key-file missing"),
        ]
        .join("\n")
    );
    let entries = std::fs::read_dir(desk.path()).unwrap();
    assert_eq!(entries.count(), 2, "a refused export makes no folder");
}

#[test]
fn help_names_every_command() {
    insta::assert_snapshot!(Desk::new().run("--help"));
}

#[test]
fn what_is_for_other_programs_is_complete() {
    let desk = Desk::new();
    let schema = desk.output("schema").stdout;
    let schema: serde_json::Value = serde_json::from_slice(&schema).unwrap();
    assert_eq!(schema["title"], "mail.toml");
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = desk.output(&format!("completions {shell}")).stdout;
        assert!(String::from_utf8(script).unwrap().contains("mailkiln"), "{shell}");
    }
    assert!(desk.output("man").stdout.starts_with(b".ie"));
    assert_eq!(desk.output("-q man -o man").status.code(), Some(0));
    assert!(desk.path().join("man/mailkiln-check.1").exists());
}

#[test]
fn colour_comes_only_when_it_is_wanted() {
    let desk = Desk::with(WRONG);
    assert!(!desk.output("check").stderr.contains(&0x1b));
    assert!(desk.output("--color always check").stderr.contains(&0x1b));
}

#[test]
fn a_reader_that_goes_away_is_no_failure() {
    let mut child = Command::new(env!("CARGO_BIN_EXE_mailkiln"))
        .args(["completions", "zsh"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
}

#[test]
fn images_that_cannot_be_compared_are_no_difference() {
    let desk = Desk::with("no image at all");
    insta::assert_snapshot!(
        [desk.run("diff mail.toml mail.toml"), desk.run("diff none.img mail.toml --json")]
            .join("\n")
    );
}

#[test]
fn modules_that_say_something_else_are_named() {
    let desk = Desk::new();
    let written = desk.output("emit modules --reference options.md");
    assert!(written.status.success());
    assert!(desk.output("emit modules --check --reference options.md").status.success());
    std::fs::write(desk.path().join("options.md"), "other").unwrap();
    std::fs::write(desk.path().join("modules/old.nix"), "{ }").unwrap();
    insta::assert_snapshot!(
        [
            desk.run("emit modules --help"),
            desk.run("emit modules --check --reference options.md"),
            desk.run("emit modules --check"),
        ]
        .join("\n")
    );
}
