"""Looks for secrets in an image: in every file of the root, of the boot partition and of the initrd.

Two ways: what secrets look like (private keys with a body, hashes of passwords, tokens), and what they have in
common: text that looks random. Before it trusts itself, it plants one secret of each kind in a tree and must find it.
"""

import base64
import collections
import math
import os
import random
import re
import stat
import tempfile

BASE64 = rb"[A-Za-z0-9+/]"
# A program that reads keys has their headings in it, so a heading alone is no key.
PATTERNS = {
    "a private key": re.compile(rb"-----BEGIN [A-Z ]*PRIVATE KEY-----\s+(?:[A-Za-z-]+: [^\n]*\n)*\s*" + BASE64 + rb"{40,}"),
    "an OpenSSH private key": re.compile(rb"openssh-key-v1\0.{4}none"),
    "the hash of a password": re.compile(rb"\$(?:[156]|2[aby]|y|7|argon2id?)\$[A-Za-z0-9./$=,+-]{24,}"),
    "a password in shadow": re.compile(rb"(?m)^[a-z][a-z0-9-]*:[^*!:\n][^:\n]*:\d*:\d*:\d*:\d*:"),
    "a token": re.compile(rb"\b(?:gh[pousr]_[A-Za-z0-9]{36}|AKIA[A-Z0-9]{16}|xox[bap]-[A-Za-z0-9-]{20,}|eyJ[\w-]{20,}\.eyJ[\w-]{20,}\.)"),
    "a seed": re.compile(rb"MAILKILN-SEED-\d\d.{36}\{", re.DOTALL),
}
# Words as a password generator, a key or a token would be; hexadecimal ones, which are mostly digests, are judged apart.
WORD = re.compile(rb"[A-Za-z0-9+/_.-]{20,}")
HEX = re.compile(rb"^(?:0x)?[0-9a-fA-F-]+$")
# What looks random and is known to be public.
PUBLIC = [
    re.compile(rb"-----BEGIN (?:TRUSTED )?(?:CERTIFICATE|PUBLIC KEY|PGP PUBLIC KEY BLOCK|X509 CRL)-----.*?-----END", re.DOTALL),
    # A certificate of version 3 in DER as [acme] `roots` has it: two sequences, then [0] 2 (RFC 5280, section 4.1).
    re.compile(rb"MII[A-Za-z0-9+/]{8}gAwIBAg[A-Za-z0-9+/=]+"),
    re.compile(rb"(?:ssh-(?:ed25519|rsa)|ecdsa-sha2-nistp\d+) AAAA[A-Za-z0-9+/=]+"),
    re.compile(rb"[a-z0-9+.-]+://[^\s\"'<>]+"),
    re.compile(rb"/(?:bin|dev|etc|lib|proc|run|sbin|sys|tmp|usr|var)/[^\s\"']+"),
]
# Folders of others' text, where long words are names, sums or encoded data: patterns are looked for there, randomness is not.
FOREIGN = re.compile(
    r"^/(?:usr/lib/(?:modules|udev|firmware|ssl|sysimage/dpkg)/|usr/share/(?!mailkiln|factory)|var/lib/dpkg/)"
)
LARGEST_TEXT = 4 << 20


def entropy(word):
    """Bits for each character."""
    counts = collections.Counter(word)
    return -sum(n / len(word) * math.log2(n / len(word)) for n in counts.values())


def looks_random(word):
    """Whether a word has capitals, small letters and digits as mixed as base64 of random bytes: there, two characters
    in a row are of different kinds in 64 of 100 cases; in names and paths, seldom."""
    kinds = ["A" if chr(c).isupper() else "a" if chr(c).islower() else "1" if chr(c).isdigit() else "/" for c in word]
    changes = sum(one != other for one, other in zip(kinds, kinds[1:])) / (len(word) - 1)
    return {"A", "a", "1"} <= set(kinds) and changes > 0.42 and entropy(word) > 3.9 and not HEX.match(word)


def is_text(content):
    return len(content) <= LARGEST_TEXT and b"\0" not in content[:8192]


def look(path, content):
    """What is wrong with a file, as (what, excerpt)."""
    for what, pattern in PATTERNS.items():
        if what == "a password in shadow" and os.path.basename(path) not in ("shadow", "gshadow", "shadow-"):
            continue
        for match in pattern.finditer(content):
            # Libraries test themselves, and servers waste time, with hashes of their own: `xxxx`, `abcd`.
            if what != "the hash of a password" or looks_random(match[0].split(b"$")[-1]):
                yield what, match[0][:24]
    if FOREIGN.match(path) or not is_text(content):
        return
    for pattern in PUBLIC:
        content = pattern.sub(b" ", content)
    for word in WORD.findall(content):
        if looks_random(word):
            yield "a word that looks random", word[:60]


def scan(root):
    """Every plain file below `root`: how many, and what was found in them."""
    count, found = 0, []
    for folder, _, names in os.walk(root):
        for name in names:
            real = os.path.join(folder, name)
            if not stat.S_ISREG(os.lstat(real).st_mode):
                continue
            count += 1
            path = real[len(root.rstrip("/")):]
            with open(real, "rb") as file:
                content = file.read()
            found += [(path, what, excerpt) for what, excerpt in look(path, content)]
    return count, found


def check_itself():
    """Plants one secret of each kind; each has to be found, and what is no secret has not."""
    # The same ones each time: a test that fails now and then tests nothing.
    token_bytes = random.Random(7).randbytes
    body = base64.encodebytes(token_bytes(48 * 4))
    planted = {
        "etc/key.pem": b"-----BEGIN PRIVATE KEY-----\n" + body + b"-----END PRIVATE KEY-----\n",
        "usr/share/doc/x/rsa": b"-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\n\n" + body,
        "usr/bin/embedded": b"\x7fELF\0\0-----BEGIN EC PRIVATE KEY-----\n" + body,
        "etc/ssh/ssh_host_ed25519_key": b"openssh-key-v1\0\0\0\0\x04none",
        "etc/shadow": b"root:$y$j9T$" + base64.b64encode(token_bytes(30)) + b":19000:0:99999:7:::\n",
        "etc/app.conf": b"password = " + base64.b64encode(token_bytes(24)) + b"\n",
        "etc/gshadow": b"alice:abcdefgh:1:0:99999:7:::\n",
        "var/lib/x/token": b"ghp_" + base64.b32encode(token_bytes(40))[:36],
        "etc/mailkiln/hash.toml": b'secret = "$6$rounds=5000$saltsaltsalt$' + base64.b64encode(token_bytes(64))[:86] + b'"\n',
        "usr/lib/bcrypt.so": b"\x7fELF\0$2b$12$" + base64.b64encode(token_bytes(39), b"./")[:53] + b"\0",
        "seed.bin": b"MAILKILN-SEED-01" + bytes(36) + b'{"host"',
    }
    harmless = {
        "usr/lib/libcrypto.so": b"\x7fELF\0-----BEGIN PRIVATE KEY-----\0-----END PRIVATE KEY-----\0",
        "usr/lib/libcrypt.so": b"\x7fELF\0$2a$00$abcdefghijklmnopqrstuu\0$2a$10$" + b"x" * 53 + b"\0",
        "etc/ssl/cert.pem": b"-----BEGIN CERTIFICATE-----\n" + body + b"-----END CERTIFICATE-----\n",
        "etc/digest": b"root-hash 4f68bce3e8cd4db196e7fbcaf984b7094f68bce3e8cd4db196e7fbcaf984b709\n",
        "etc/passwd": b"root:x:0:0:root:/root:/bin/bash\n",
        "etc/a.service": b"ExecStart=/usr/lib/systemd/systemd-networkd-wait-online --any --ipv4\n",
    }
    with tempfile.TemporaryDirectory() as root:
        for path, content in (planted | harmless).items():
            os.makedirs(os.path.dirname(os.path.join(root, path)), exist_ok=True)
            with open(os.path.join(root, path), "wb") as file:
                file.write(content)
        found = {path.lstrip("/") for path, _, _ in scan(root)[1]}
    assert found == set(planted), f"missed: {set(planted) - found}; wrongly found: {found - set(planted)}"
    return len(planted)
