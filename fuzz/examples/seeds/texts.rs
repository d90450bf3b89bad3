//! Seeds that are text, and the small binary ones.

use std::io::Write as _;

use mailkiln_agent::appliance::DomainName;
use mailkiln_agent::certificate::SelfSigned;
use mailkiln_signature::SecretKey;

use crate::{Error, Seeds};

const IN_RELEASE: &str =
    include_str!("../../../builder/lock/tests/fixtures/trixie-security.InRelease");
const LOCK: &str = include_str!("../../../mailkiln.lock");

const ACME: &str = r#"{"host": "mail.example.org", "names": ["mail.example.org"], "directory": "https://ca.example.org/d",
  "challenge": {"kind": "dns-01", "wait": 5, "provider": {"kind": "rfc2136", "server": "192.0.2.53:53", "key_name": "k",
  "zones": ["example.org"]}}, "key": "rsa-2048", "roots": "/etc/roots.pem", "eab_key_id": "k", "profile": "p"}"#;

const APPLIANCE: &str = r#"{"host": "mail.example.org",
  "domains": [{"name": "example.org", "catch_all": "alice@example.org"}, {"name": "example.net"}],
  "accounts": [{"address": "alice@example.org", "name": "Alice", "aliases": ["b@example.org"], "quota": 1073741824}],
  "api": "http://127.0.0.1:8080", "consoles": ["/dev/tty1"], "postmaster": "postmaster@example.org",
  "loopback": {"submissions": "127.0.0.1:465", "imaps": "[::1]:993"}}"#;

const APT: &str = "deb [arch=amd64] http://m.example/debian trixie main\n";
const APT_DEB822: &str = "Types: deb deb-src\n# in between\nURIs: http://a.example/debian\n  file:/srv/debian\n\
    Suites: trixie trixie-security\nComponents: main\nEnabled: yes\n";

const CARGO_LOCK: &str = "version = 4\n\n[[package]]\nname = \"a\"\nversion = \"1.0.0+b\"\n\
    source = \"registry+https://example.org/index\"\n\
    checksum = \"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855\"\n\n\
    [[package]]\nname = \"unit\"\nversion = \"0.1.0\"\ndependencies = [\n \"a\",\n]\n";
const CARGO_GRAPH: &str = r#"{"packages":[{"id":"own","name":"unit","version":"0.1.0","license":"MIT","source":null},
    {"id":"a","name":"a","version":"1.0.0","license":null,"source":"registry+r"}],
    "resolve":{"nodes":[{"id":"own","deps":[{"pkg":"a","dep_kinds":[{"kind":null}]}]},{"id":"a","deps":[]}]}}"#;
const CARGO_MESSAGES: &str = r#"{"reason":"compiler-artifact","package_id":"own","target":{"name":"unit","kind":["bin"]},"executable":"/build/unit"}
   Compiling a v1.0.0
error[E0425]: cannot find value
"#;

/// Answers of a metadata service in their order, with a zero between them, and user-data.
const CLOUD: [&str; 4] = [
    "{\"uuid\": \"u-1\", \"hostname\": \"mx.novalocal\", \"public_keys\": {\"a\": \"ssh-ed25519 AAAA b\"}}\0#mailkiln\n\0{\"links\": [{\"id\": \"l\",\
     \"ethernet_mac_address\": \"fa:16:3e:00:00:01\"}], \"networks\": [{\"link\": \"l\", \"type\": \"ipv4\", \"ip_address\": \"192.0.2.1\", \"netmask\": \"255.255.255.0\"}]}",
    "<Environment><HostName>mx</HostName><CustomData>I21haWxraWxuCg==</CustomData></Environment>",
    "#cloud-config\nssh_authorized_keys: [\"ssh-ed25519 AAAA b\"]\nmailkiln: |\n  [host]\n  name = \"a.b\"\n",
    "Content-Type: multipart/mixed; boundary=B\n\n--B\nContent-Type: text/x-mailkiln\nContent-Transfer-Encoding: base64\n\nI2E=\n--B--\n",
];
const FRAGMENT: &str = "#mailkiln\n[host]\nname = \"mx.example.net\"\n[[domain]]\nname = \"example.net\"\n[[account]]\naddress = \"bob@example.net\"\n";

const COPYRIGHT: &str = "Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/\n\n\
    Files: *\nLicense: GPL-2+ with OpenSSL exception or (MIT and BSD-3-clause)\n text\n .\n\n\
    License: MIT\n text\n";
const DKIM: &str =
    "rsa._domainkey.example.org. IN TXT ( \"v=DKIM1; k=rsa; \"\n  \"p=AAAA\" ) ; comment\n";
const DPKG_STATUS: &str = "Package: aa\nStatus: install ok installed\nVersion: 1\nArchitecture: amd64\n\n\
    Package: b\nStatus: deinstall ok config-files\n";

/// What is inside of a seed: the fuzz target puts the digest before it.
const SEED: &str = r#"{"host":"mail.example.org","admin":null,"accounts":{},"dkim":{},"acme_account_key":null,"acme_eab_key":null,"acme_dns_key":null,
    "ssh":{"keys":["ssh-ed25519 AAAA a"],"host_key":null},"wifi":[{"name":"Home","password":"12345678"}],
    "network":{"interface":"en*","addresses":["192.0.2.10/24"],"gateways":["192.0.2.1"],"resolvers":["9.9.9.9"]}}"#;

/// What fix-ups read, behind the byte that chooses the file: accounts, os-release, sysusers, tmpfiles, units, presets.
const FIXUPS: [&str; 7] = [
    "\0root:*:0:0:root:/root:/bin/bash\ndaemon:*:1:1:daemon:/usr/sbin:/usr/sbin/nologin\n",
    "\x01root:*:0:\nmail:*:8:root\n",
    "\x02VERSION_ID=\"13\"\nVERSION_CODENAME=trixie\n",
    "\x03u! x 100:x \"A user\" /var/lib/x /bin/sh\ng y 101\nm x y\nr - 500-600\nu z - - -\n",
    "\x04d /var/lib/x 0750 x x -\nL+ /etc/x - - - - ../x\n",
    "\x05[Unit]\nDescription=x\n[Install]\nWantedBy=multi-user.target \\\n a.target\nAlias=y@.service\nAlso=z.socket\nDefaultInstance=i\n",
    "\x06enable x@.service a b\ndisable *\n# x\n",
];

const PACKAGES: &str = "Package: aa\nArchitecture: amd64\nVersion: 1:1.0-1\nMulti-Arch: same\n\
    Depends: bb (>= 2~) | cc:any,\n dd\nProvides: xx (= 1)\nBreaks: yy (<< 3)\nSize: 10\n\
    SHA256: e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855\n\
    Filename: pool/main/a/a_1.0-1_amd64.deb\n\n\
    Package: bb\nArchitecture: all\nVersion: 2\nSize: 1\n\
    SHA256: e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855\n\
    Filename: pool/main/b/b_2_all.deb\n";

const PATCH: &str = "Why.\n\n--- a/x-1.0.0/src/lib.rs\n+++ b/x-1.0.0/src/lib.rs\n@@ -2,2 +2,2 @@ f\n b\n-c\n+C\n\
    @@ -5 +5 @@\n-e\n\\ No newline at end of file\n+f\n--- /dev/null\n+++ b/x-1.0.0/new\n@@ -0,0 +1 @@\n+a\n\0a\nb\nc\nd\ne";
/// A path and a head, as the web unit has them before it hands a request on.
const WEB_HEAD: &str = "/dav/cal/a%40b/\nhost: mail.example.org\nconnection: close, x-forwarded-for\n\
    content-length: 5\ntransfer-encoding: chunked\nauthorization: Basic YTpi\ndepth: 1\nforwarded: for=192.0.2.9";
/// A request to the page where passwords are changed.
const PASSWORD_PAGE: &str = "POST / HTTP/1.1\r\nHost: mail.example.org\r\nContent-Length: 47\r\n\r\n\
    account=a%40example.org&old=a&new=b+c&again=b+c";
const PORTS: &str = "  sl  local_address rem_address   st\n   0: 0100007F:1F90 00000000:0000 0A 0\n   1: 00000000:0019 00000000:0000 0A 0\n";
const PRINCIPAL: &str =
    r#"{"type":"individual","name":"a","emails":["a@example.org"],"secrets":"$6$x","quota":1}"#;

const SECURITY_TRACKER: &str = r#"{"openssl": {"CVE-2026-1": {"scope": "remote", "releases": {
    "trixie": {"status": "resolved", "repositories": {"trixie": "1"}, "fixed_version": "2", "urgency": "low"},
    "sid": {"status": "open", "repositories": {"sid": "3"}, "urgency": "low"}}}}, "other": {}}"#;

/// An answer with an A record and a compressed name (RFC 1035, 4.1).
const DNS: &[u8] =
    b"\x12\x34\x81\x80\0\x01\0\x01\0\0\0\0\x01a\x03org\0\0\x01\0\x01\xc0\x0c\0\x01\0\x01\0\0\0\x3c\0\x04\x7f\0\0\x01";
/// An answer with a TXT and an MX record.
const DNS_TEXT: &[u8] = b"\x12\x34\x81\x80\0\0\0\x02\0\0\0\0\x01a\0\0\x10\0\x01\0\0\0\x3c\0\x0a\x03abc\x05 p=AA\x01a\0\0\x0f\0\x01\0\0\0\x3c\0\x05\0\x0a\x01b\0";

pub(crate) fn seeds() -> Result<Seeds, Error> {
    let hash = "0f".repeat(32);
    let mut seeds: Seeds = [
        ("acme", ACME),
        ("acme", "GET /.well-known/acme-challenge/aB-_9 HTTP/1.1\r\nHost: a.org\r\n\r\n"),
        ("acme", r#"{"failing": {"since": 1, "attempts": 2, "next": 3, "reason": "no"}, "orders": [4], "given": [[5, ["a.org"]]]}"#),
        ("appliance", APPLIANCE),
        ("apt_sources", APT),
        ("apt_sources", APT_DEB822),
        ("cargo_lock", CARGO_LOCK),
        ("cargo_output", CARGO_GRAPH),
        ("cargo_output", CARGO_MESSAGES),
        ("cmdline", &format!("console=\"ttyS0 x\" roothash={hash} mailkiln.verity_data_blocks=9 mailkiln.debug -- x")),
        ("copyright", COPYRIGHT),
        ("dkim_records", DKIM),
        ("dns", "nameserver 127.0.0.53\noptions edns0\n"),
        ("dpkg_status", DPKG_STATUS),
        ("grub", "fat: fshelp\nnormal: boot net\nnet: boot priority\nlinux: boot normal\n"),
        ("imap", "* 1 FETCH (UID 3 BODY[TEXT] {12}\n* SEARCH 4 9\n* ESEARCH (TAG \"k3\") UID ALL 1:3,7\n"),
        ("in_release", IN_RELEASE),
        ("release", IN_RELEASE.split("\n\n").nth(1).and_then(|text| text.split("-----").next()).unwrap_or_default()),
        ("keyring", include_str!("../../../builder/lock/keys/debian-archive-trixie-stable.asc")),
        ("keyring", include_str!("../../../builder/lock/keys/debian-archive-trixie-automatic.asc")),
        ("lock", &shortened(LOCK)),
        ("cloud", CLOUD[0]),
        ("cloud", CLOUD[1]),
        ("cloud", CLOUD[2]),
        ("cloud", CLOUD[3]),
        ("fragment", FRAGMENT),
        ("mail_toml", include_str!("../../../builder/spec/data/default.toml")),
        ("mail_toml", include_str!("../../../tests/boot/mail.toml")),
        ("mail_toml_dns", include_str!("../../../builder/spec/data/default.toml")),
        ("mail_toml_dns", include_str!("../../../tests/boot/mail.toml")),
        ("mail_toml_files", include_str!("../../../builder/spec/data/default.toml")),
        ("mail_toml_files", include_str!("../../../tests/boot/mail.toml")),
        ("module_indexes", "kernel/a-b.ko.xz: kernel/c.ko\nkernel/c.ko:\n\0alias pci:v00001AF4d* a_b\n\0softdep a_b pre: c post: d\n\0a-b"),
        ("packages", PACKAGES),
        ("password_page", PASSWORD_PAGE),
        ("patch", PATCH),
        ("ports", PORTS),
        ("principal", PRINCIPAL),
        ("relations", "libc6 (>= 2.41) | libc6:any, dpkg (<< 1:2~), perl:amd64"),
        ("security_tracker", SECURITY_TRACKER),
        ("seed", SEED),
        ("seed_inputs", "# first\nadmin correct horse\nalice@example.org battery staple\n"),
        ("seed_inputs", APPLIANCE),
        ("seed_toml", include_str!("../../../builder/seed/tests/fixtures/folder/seed.toml")),
        ("target", include_str!("../../../images/x86_64.toml")),
        ("web_autodiscover", "<Autodiscover><Request><EMailAddress>a@example.org</EMailAddress></Request></Autodiscover>"),
        ("web_form", "csrf=AAAA&account=a%40example.org&password=b+c&box=1&box=2"),
        ("web_proxy", WEB_HEAD),
        ("wanted", include_str!("../../../builder/lock/wanted.toml")),
    ]
    .map(|(target, text)| (target, text.as_bytes().to_vec()))
    .to_vec();
    seeds.extend(signatures()?);
    seeds.extend(FIXUPS.map(|text| ("fixups", text.as_bytes().to_vec())));
    let seed = include_bytes!("../../../builder/seed/tests/fixtures/seed.bin");
    seeds.push(("seed", seed.to_vec()));
    seeds.push(("seed_place", volume()));
    seeds.extend([DNS, DNS_TEXT].map(|answer| ("dns", answer.to_vec())));
    let mut xz = liblzma::write::XzEncoder::new(Vec::new(), 0);
    xz.write_all(PACKAGES.as_bytes())?;
    seeds.push(("packages_xz", xz.finish()?));
    let names =
        ["mail.example.org", "example.org"].map(|name| DomainName::try_from(name.to_owned()));
    let names = names.into_iter().collect::<Result<Vec<_>, _>>()?;
    let certificate = SelfSigned::generate(&names, time::OffsetDateTime::UNIX_EPOCH)?;
    seeds.push(("certificate", certificate.chain.into_bytes()));
    Ok(seeds)
}

/// minisign's three kinds of file.
fn signatures() -> Result<Seeds, Error> {
    let key = SecretKey::from_random([7; 32], [1; 8]);
    let texts = [key.text(), key.public().text(), key.sign(&b"a file"[..], "a comment")?];
    Ok(texts.map(|text| ("signature", text.into_bytes())).to_vec())
}

/// The start of a FAT32 volume with a file of 64 clusters, SEED.BIN: boot sector, table, directory.
fn volume() -> Vec<u8> {
    let mut volume = vec![0; 1024 + 32];
    let mut put = |at: usize, bytes: &[u8]| volume[at..at + bytes.len()].copy_from_slice(bytes);
    let numbers = [(11, 512_u16), (14, 1), (16, 1), (32, 700), (36, 1), (44, 2), (510, 0xaa55)];
    numbers.iter().for_each(|(at, value)| put(*at, &value.to_le_bytes()));
    put(13, &[8]);
    put(512 + 8, &u32::MAX.to_le_bytes());
    (3..67_u32).for_each(|cluster| put(512 + cluster as usize * 4, &(cluster + 1).to_le_bytes()));
    put(1024, b"SEED    BIN\x20");
    put(1024 + 26, &[3]);
    put(1024 + 28, &(256_u32 << 10).to_le_bytes());
    volume
}

/// A lock with the first three lines of each list.
fn shortened(lock: &str) -> String {
    let mut count = 0;
    lock.split_inclusive('\n')
        .filter(|line| {
            count = if line.starts_with([' ', '"']) { count + 1 } else { 0 };
            count <= 3
        })
        .collect()
}
