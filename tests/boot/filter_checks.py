"""Checks of the filter: what it refuses, keeps and leaves alone, and that it loses nothing."""

import base64
import contextlib
import email.message
import email.utils
import io
import re
import smtplib
import subprocess
import threading
import time
import zipfile

import dkim

from checks import Checks
from clients import LOCAL, find, port

ALICE, BOB = "alice@example.test", "bob@example.test"
CAROL = "carol@example.org"
EICAR = (r"X5O!P%@AP[4\PZX54(P^)7CC)7}$EICAR-" r"STANDARD-ANTIVIRUS-TEST-FILE!$H+H*").encode()

CHECKS = Checks()


def message(subject, *attachments):
    """A message of Carol's to Bob, in bytes."""
    made = email.message.EmailMessage()
    made["From"], made["To"], made["Subject"] = CAROL, BOB, subject
    made["Date"], made["Message-ID"] = email.utils.formatdate(), f"<{subject.replace(' ', '.')}@example.org>"
    made.set_content("Please see what is attached.\n")
    for name, content in attachments:
        made.add_attachment(content, "application", "octet-stream", filename=name)
    return made.as_bytes(policy=made.policy.clone(linesep="\r\n"))


def zipped(name, content):
    """An archive with one member."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(name, content)
    return out.getvalue()


def macro_text():
    """A text of LibreOffice with a macro that runs a program when it is opened."""
    source = "Sub AutoOpen\n  Shell(&quot;calc.exe&quot;)\nEnd Sub\n"
    members = {
        "mimetype": "application/vnd.oasis.opendocument.text",
        "META-INF/manifest.xml":
            '<manifest:manifest xmlns:manifest="urn:oasis:names:tc:opendocument:xmlns:manifest:1.0">'
            '<manifest:file-entry manifest:full-path="/" manifest:media-type="application/vnd.oasis.opendocument.text"/>'
            '<manifest:file-entry manifest:full-path="Basic/Standard/Module1.xml" manifest:media-type="text/xml"/>'
            '</manifest:manifest>',
        "content.xml":
            '<office:document-content xmlns:office="urn:oasis:names:tc:opendocument:xmlns:office:1.0">'
            '<office:body><office:text/></office:body></office:document-content>',
        "Basic/Standard/Module1.xml":
            '<script:module xmlns:script="http://openoffice.org/2000/script" script:name="Module1" '
            f'script:language="StarBasic">{source}</script:module>',
    }
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return out.getvalue()


def send(raw, seconds=180):
    """Hands a message over on port 25; returns what the appliance says to it, (250, …) if it takes it."""
    with smtplib.SMTP(LOCAL, port(25), "client.example.org", timeout=seconds) as session:
        session.ehlo_or_helo_if_needed()
        session.mail(CAROL)
        session.rcpt(BOB)
        return session.data(raw)


@CHECKS("EICAR in a zip is refused on port 25, with the reason")
def eicar(world):
    code, text = send(message("malware", ("invoice.zip", zipped("invoice.com", EICAR))))
    assert code == 550 and b"malware" in text and b"invoice.zip > invoice.com" in text, (code, text)
    journal = world.shell("journalctl -u mailkiln-filter -o cat")
    assert re.search(r"from <carol@example\.org>.*reject", journal), journal


@CHECKS("a document whose macro starts by itself is kept, and can be released to its recipient")
def macro_document(world):
    raw = message("a macro", ("report.odt", macro_text()))
    code, text = send(raw)
    assert code == 250, (code, text)
    listed = world.shell("mailkiln-filter quarantine list")
    line = next(line for line in listed.splitlines() if "a macro" in line)
    assert "macro" in line.split()[1], line
    assert not find(BOB, world.passwords[BOB], "a macro", seconds=3)
    world.shell(f"mailkiln-filter quarantine release {line.split()[0]}")
    delivered = find(BOB, world.passwords[BOB], "a macro")
    assert delivered and delivered.endswith(raw) and b"X-Mailkiln-Released: " in delivered, delivered


@CHECKS("clean mail arrives with every byte and a DKIM signature that still verifies")
def clean(world):
    key = subprocess.run(["openssl", "genrsa", "2048"], check=True, capture_output=True).stdout
    public = subprocess.run(["openssl", "rsa", "-pubout", "-outform", "DER"], input=key, check=True, capture_output=True)
    record = b"v=DKIM1; k=rsa; p=" + base64.b64encode(public.stdout)
    raw = message("clean and signed", ("figures.zip", zipped("figures.csv", b"1;2;3\r\n" * 1000)))
    raw = dkim.sign(raw, b"test", b"example.org", key) + raw
    code, text = send(raw)
    assert code == 250, (code, text)
    delivered = find(BOB, world.passwords[BOB], "clean and signed")
    assert delivered and delivered.endswith(raw), delivered
    assert b"X-Mailkiln" not in delivered
    assert dkim.verify(delivered, dnsfunc=lambda *_, **__: record), "the signature does not verify"


@CHECKS("the filter killed while messages stream in loses none of those that were taken")
def killed(world):
    taken, deferred = [], []
    stop = threading.Event()

    def stream():
        number = 0
        while not stop.is_set():
            subject = f"under fire {number}"
            with contextlib.suppress(OSError, smtplib.SMTPException):
                code, text = send(message(subject, ("data.bin", bytes(200_000))))
                (taken if code == 250 else deferred).append((subject, code, text))
            number += 1

    sender = threading.Thread(target=stream)
    sender.start()
    for _ in range(4):
        time.sleep(3)
        world.shell("systemctl kill --signal=KILL mailkiln-filter")
    time.sleep(10)
    stop.set()
    sender.join()
    assert taken, deferred
    assert all(400 <= code < 500 for _, code, _ in deferred), deferred
    for subject, _, _ in taken:
        assert find(BOB, world.passwords[BOB], subject), f"{subject} was acknowledged and is not there"
    # After the fourth time systemd waits some seconds before it starts the filter again.
    world.shell("for i in $(seq 60); do systemctl is-active mailkiln-filter && exit 0; sleep 1; done; exit 1")


@CHECKS("the filter takes 64 MiB of memory or less at rest")
def memory(world):
    # Workers that nobody needs end after half a minute.
    time.sleep(40)
    # Of each process, as there is no sed on the appliance.
    total = int(world.shell(
        "cd /proc && awk '/^Rss:/ { sum += $2 } END { print sum }' "
        "$(printf '%s/smaps_rollup ' $(cat /sys/fs/cgroup/system.slice/mailkiln-filter.service/cgroup.procs))"))
    assert total > 1024, f"{total} KiB can't be right"
    print(f"    {total // 1024} MiB in all processes of the filter", flush=True)
    assert total <= 64 << 10, f"{total} KiB"
