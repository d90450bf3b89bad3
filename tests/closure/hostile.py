"""Archives that lead out of their path, in a binary cache whose trusted key signed them all the same."""

import base64
import hashlib
import re
import subprocess


# What is wrong with it: names of entries, and what the builder says.
CASES = {
    "a path that leads out of its archive": ([b"../../etc/x"], "invalid entry name"),
    "a name of two dots": ([b".."], "invalid entry name"),
    "names that are not sorted": ([b"b", b"a"], "not sorted"),
    "a name that is there twice": ([b"a", b"a"], "not sorted"),
    "a name that is no UTF-8": ([b"\xff"], "not UTF-8"),
}


def string(value):
    """A string of an archive: its length, and zeros to a multiple of eight."""
    return len(value).to_bytes(8, "little") + value + b"\0" * (-len(value) % 8)


def archive(*names):
    """A folder with a file of each name, in this order."""
    parts = [b"nix-archive-1", b"(", b"type", b"directory"]
    for name in names:
        parts += [b"entry", b"(", b"name", name, b"node", b"(", b"type", b"regular", b"contents", b"x", b")", b")"]
    return b"".join(map(string, [*parts, b")"]))


def hostile(bench, broken, refuses, what):
    """Puts the archive into a copy of the cache, as `broken(name)` makes it, and `refuses` builds from that."""
    names, pattern = CASES[what]
    copy, record, _ = broken(what.replace(" ", "-"))
    content = archive(*names)
    (copy / "nar/hostile.nar").write_bytes(content)
    sha256 = hashlib.sha256(content).hexdigest()
    text = record.read_text()
    fields = {"URL": "nar/hostile.nar", "Compression": "none", "FileHash": f"sha256:{sha256}", "NarHash": f"sha256:{sha256}",
              "FileSize": len(content), "NarSize": len(content)}  # fmt: skip
    for field, value in fields.items():
        text = re.sub(rf"(?m)^{field}: .*$", f"{field}: {value}", text)
    record.write_text(re.sub(r"(?m)^Sig: .*\n", "", text))
    signature = sign(bench, record)
    record.write_text(record.read_text() + f"Sig: {signature}\n")
    refuses(what, pattern, *bench.from_cache(copy))


def sign(bench, record):
    """The signature of a record by the trusted key, made by OpenSSL: Nix signs nothing that is not so."""
    name, key = bench.secret.read_text().strip().split(":")
    seed = base64.b64decode(key)[:32]
    fields = dict(line.split(": ", 1) for line in record.read_text().splitlines() if ": " in line)
    base32 = to_base32(bytes.fromhex(fields["NarHash"].split(":")[1]))
    references = ",".join(f"/nix/store/{name}" for name in sorted(fields.get("References", "").split()))
    message = f"1;{fields['StorePath']};sha256:{base32};{fields['NarSize']};{references}"
    # An ed25519 key in PKCS#8 (RFC 8410).
    der = bytes.fromhex("302e020100300506032b657004220420") + seed
    key_file, text_file = bench.work / "key.der", bench.work / "text"
    key_file.write_bytes(der)
    text_file.write_text(message)
    made = subprocess.run(["openssl", "pkeyutl", "-sign", "-rawin", "-keyform", "DER", "-inkey", key_file, "-in", text_file], check=True, capture_output=True)
    return f"{name}:{base64.b64encode(made.stdout).decode()}"


def to_base32(digest):
    """Nix's base 32."""
    alphabet = "0123456789abcdfghijklmnpqrsvwxyz"
    value = int.from_bytes(digest, "little")
    return "".join(alphabet[value >> 5 * place & 31] for place in reversed(range((len(digest) * 8 + 4) // 5)))
