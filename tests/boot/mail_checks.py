"""Checks of mail itself: sending, receiving, reading, filing, refusing, signing."""

import concurrent.futures
import contextlib
import imaplib
import re
import smtplib
import subprocess
import tempfile
import time

import dkim

from checks import Checks
from clients import LOCAL, curl, deliver, find, forwarded, imap, pop3_texts, port, submit, swaks

ALICE, BOB = "alice@example.test", "bob@example.test"
GTUBE = "XJS*C4JDBQADN1.NSBN3*2IDNEN*GTUBE-STANDARD-ANTI-UBE-TEST-EMAIL*C.34X"

CHECKS = Checks()


@CHECKS("an account submits over 587 with STARTTLS, another reads it over IMAPS")
def submission_starttls(world):
    status, log = submit(ALICE, world.passwords[ALICE], BOB, "--header", "Subject: by starttls")
    assert status == 0, log
    raw = find(BOB, world.passwords[BOB], "by starttls")
    assert raw and b"This is a test mailing" in raw, raw


@CHECKS("an account submits over 465, another reads it over POP3S")
def submission_tls(world):
    status, log = submit(BOB, world.passwords[BOB], ALICE, "--header", "Subject: by smtps", guest_port=465)
    assert status == 0, log
    assert find(ALICE, world.passwords[ALICE], "by smtps")
    texts = pop3_texts(ALICE, world.passwords[ALICE])
    assert any(b"by smtps" in text for text in texts), len(texts)


@CHECKS("a foreign server delivers over 25 and the appliance asks for its SPF and DMARC records")
def inbound(world):
    status, log = deliver("carol@example.org", BOB, "--header", "Subject: from outside")
    assert status == 0, log
    raw = find(BOB, world.passwords[BOB], "from outside")
    assert raw, "the message never reached the inbox"
    assert world.zone.was_asked("example.org", "TXT"), "SPF was never asked for"
    assert world.zone.was_asked("_dmarc.example.org", "TXT"), "DMARC was never asked for"
    results = re.search(rb"Authentication-Results:.*?(?=\r?\n\S)", raw, re.DOTALL)
    assert results and b"spf=pass" in results[0] and b"dmarc=pass" in results[0], results and results[0]


@CHECKS("a message that fails SPF and DMARC with policy reject is refused")
def forged_inbound(world):
    status, log = deliver("ceo@example.net", BOB, "--header", "Subject: forged from outside")
    assert status != 0 and re.search(r"^<\S* 5\d\d", log, re.MULTILINE), log


@CHECKS("a message to a foreign domain reaches the MX that its DNS names, with a DKIM signature that verifies")
def outbound(world):
    status, log = submit(ALICE, world.passwords[ALICE], "carol@example.org", "--header", "Subject: to the world")
    assert status == 0, log
    message = world.foreign.wait_for("carol@example.org", 180)
    assert message, "nothing reached the foreign MX"
    assert world.zone.was_asked("example.org", "MX"), "MX was never asked for"

    def published(name, timeout=5):
        records = world.zone.records.get((name.decode().rstrip("."), "TXT"), [])
        return records[0].encode() if records else None

    signatures = len(re.findall(rb"^DKIM-Signature:", message["data"], re.MULTILINE | re.IGNORECASE))
    assert signatures == 2, f"{signatures} DKIM signatures, RSA and Ed25519 were expected"
    for index in range(signatures):
        assert dkim.DKIM(message["data"]).verify(idx=index, dnsfunc=published), f"signature {index} does not verify"
    for field in re.findall(rb"^DKIM-Signature:(.*\r?\n(?:[ \t].*\r?\n)*)", message["data"], re.MULTILINE | re.IGNORECASE):
        tags = dict(tag.strip().split("=", 1) for tag in re.sub(r"\s", "", field.decode()).rstrip(";").split(";"))
        signed = tags["h"].lower().split(":")
        # One more than the message has: a second one would break the signature.
        assert all(signed.count(name) == 2 for name in ("from", "to", "subject", "date")), tags
        assert 0 < int(tags["x"]) - int(tags["t"]) <= 7 * 24 * 60 * 60, tags


@CHECKS("a GTUBE message is treated as spam")
def gtube(world):
    status, log = deliver("carol@example.org", BOB, "--header", "Subject: cheap", "--body", GTUBE)
    if status == 0:
        assert find(BOB, world.passwords[BOB], "cheap", mailbox="Junk Mail"), "accepted but not filed as junk"
    else:
        assert re.search(r"^<\S* 5\d\d", log, re.MULTILINE), log
    assert not find(BOB, world.passwords[BOB], "cheap", seconds=0), "GTUBE is in the inbox"


@CHECKS("an open-relay attempt is refused")
def open_relay(world):
    status, log = deliver("someone@example.com", "victim@example.org")
    assert status != 0 and re.search(r"^<\S* 55\d", log, re.MULTILINE), log


@CHECKS("submission without login is refused")
def anonymous_submission(world):
    status, log = swaks("--port", str(port(587)), "--tls", "--from", ALICE, "--to", BOB)
    assert status != 0, log


@CHECKS("a login without TLS is not offered")
def plain_login(world):
    connection = smtplib.SMTP(LOCAL, port(587), timeout=120)
    connection.ehlo("client.example.org")
    assert "auth" not in connection.esmtp_features, connection.esmtp_features
    connection.quit()


@CHECKS("a sender that the account does not own is refused")
def forged_sender(world):
    status, log = submit(BOB, world.passwords[BOB], BOB, login=ALICE)
    assert status != 0, "a wrong password was accepted"
    status, log = submit(ALICE, world.passwords[BOB], BOB, login=BOB)
    assert status != 0 and re.search(r"^<\S* 5\d\d", log, re.MULTILINE), log


@CHECKS("mail to an alias and to an address that does not exist are told apart; the catch-all takes the second")
def aliases(world):
    status, log = deliver("carol@example.org", "postmaster@example.test", "--header", "Subject: to the alias")
    assert status == 0, log
    assert find(ALICE, world.passwords[ALICE], "to the alias")
    status, log = deliver("carol@example.org", "nobody@example.test", "--header", "Subject: to nobody")
    assert status != 0 and re.search(r"^<\S* 55\d", log, re.MULTILINE), log
    status, log = deliver("carol@example.org", "anything@second.test", "--header", "Subject: caught")
    assert status == 0, log
    assert find(BOB, world.passwords[BOB], "caught")


@CHECKS("a Sieve script uploaded over ManageSieve files a message")
def sieve(world):
    script = 'require ["fileinto", "mailbox"];\nif header :contains "subject" "file me" {\n  fileinto :create "Filed";\n}\n'
    with tempfile.NamedTemporaryFile("w", suffix=".sieve") as file:
        file.write(script)
        file.flush()
        sieve_connect(world, "--upload", "--localsieve", file.name, "--remotesieve", "filing")
        sieve_connect(world, "--activate", "--remotesieve", "filing")
    status, log = submit(ALICE, world.passwords[ALICE], BOB, "--header", "Subject: file me")
    assert status == 0, log
    assert find(BOB, world.passwords[BOB], "file me", mailbox="Filed"), "the message is not in Filed"


@CHECKS("an account keeps a calendar entry and a contact (CalDAV, CardDAV)")
def dav(world):
    event = "\r\n".join([
        "BEGIN:VCALENDAR", "VERSION:2.0", "PRODID:-//test//EN", "BEGIN:VEVENT", "UID:one@example.test",
        "DTSTAMP:20260101T000000Z", "DTSTART:20260102T100000Z", "SUMMARY:Launch", "END:VEVENT", "END:VCALENDAR", "",
    ])
    card = "\r\n".join(["BEGIN:VCARD", "VERSION:4.0", "UID:two", "FN:Carol Elsewhere", "END:VCARD", ""])
    with tunnel(world, 8080) as base:
        login = ["--user", f"{BOB}:{world.passwords[BOB]}"]
        user = BOB.replace("@", "%40")
        for kind, path, body in (("text/calendar", f"cal/{user}/default/one.ics", event),
                                 ("text/vcard", f"card/{user}/default/two.vcf", card)):
            url = f"{base}/dav/{path}"
            curl(*login, "-X", "PUT", "-H", f"Content-Type: {kind}", "--data-binary", "@-", url, stdin=body)
        assert "SUMMARY:Launch" in curl(*login, f"{base}/dav/cal/{user}/default/one.ics")
        assert "FN:Carol Elsewhere" in curl(*login, f"{base}/dav/card/{user}/default/two.vcf")
        listing = curl(*login, "-X", "PROPFIND", "-H", "Depth: 1", f"{base}/dav/cal/{user}/default/")
        assert "one.ics" in listing, listing


def stream(world):
    """Not in the list: the plug is pulled while it runs. Sends until QEMU is killed by the caller; remembers every subject that was answered 250."""
    for number in range(100):
        subject = f"stream {number}"
        with contextlib.suppress(OSError, smtplib.SMTPException):
            with smtplib.SMTP(LOCAL, port(25), "client.example.org", timeout=60) as session:
                body = f"From: carol@example.org\r\nTo: {BOB}\r\nSubject: {subject}\r\n\r\nbody {number}\r\n"
                session.sendmail("carol@example.org", [BOB], body)
                world.acknowledged.append(subject)
    assert len(world.acknowledged) >= 3, world.acknowledged


FILLING, OWN_FILLING = "/var/lib/mailkiln/filling", "/var/lib/mail-server/filling"
# As one of the other services would: what is kept for the mail server alone stays.
FILL = f"""runuser -u mailkiln -- sh -c 'n=0; for size in 512 64 8 1; do
    while fallocate -l ${{size}}M {FILLING}-$n 2>/dev/null; do n=$((n + 1)); done; n=$((n + 1)); done
    dd if=/dev/zero of={FILLING}-last bs=4k 2>/dev/null; df --output=avail -B1 /var | tail -1'"""

# As mail does, had the mail server no bounds: of what is kept for it alone, 32 MiB are left.
FILL_RESERVE = f"""runuser -u mail-server -- sh -c 'set -- $(stat --file-system --format="%f %S" /var)
    fallocate -l $(($1 * $2 - (32 << 20))) {OWN_FILLING}'"""


def fill_disk(world):
    """Fills /var to the last byte that others than the mail server can have."""
    left = int(world.shell(FILL))
    assert left == 0, f"{left} bytes are left in /var"


def full_disk(world):
    """Not in the list: after a start with a full /var. Mail is deferred, deleting works, and with room again mail comes in."""
    # The start itself may have removed some old log.
    assert int(world.shell("df --output=avail -BM /var | tail -1").rstrip("M\n")) < 10, "/var is not full"
    world.shell(f"{FILL_RESERVE}; sleep 2")
    status, log = deliver("carol@example.org", BOB, "--header", "Subject: no room")
    assert status != 0 and re.search(r"^<\S* 452", log, re.MULTILINE), log
    with imap(BOB, world.passwords[BOB]) as connection:
        connection.select("INBOX")
        number = connection.search(None, "ALL")[1][0].split()[-1].decode()
        connection.store(number, "+FLAGS.SILENT", r"(\Deleted)")
        assert connection.expunge() == ("OK", [number.encode()])
    world.shell(f"rm {FILLING}-* {OWN_FILLING}")
    deadline = time.monotonic() + 60
    while deliver("carol@example.org", BOB, "--header", "Subject: room again")[0] != 0:
        assert time.monotonic() < deadline, "no mail is accepted though there is room"
        time.sleep(2)
    assert find(BOB, world.passwords[BOB], "room again")
    assert not find(BOB, world.passwords[BOB], "no room", seconds=0)
    world.machine.wait_for(r"^mailkiln: ready", 300)


# Checks whose mail is looked for on another machine (test_moved.py).
KEPT = (submission_starttls, submission_tls, inbound, sieve, dav)


# Not in the list: it locks this client out, so that it comes last (test_appliance.py).
def guessing(world):
    """20 wrong passwords at once: all are refused, and then the owner and another account sign in."""

    def guess(number):
        try:
            with imap(ALICE, f"wrong-{number}"):
                return True
        except (imaplib.IMAP4.error, OSError):
            return False

    with concurrent.futures.ThreadPoolExecutor(20) as pool:
        assert not any(pool.map(guess, range(20))), "a wrong password was accepted"
    for account in (BOB, ALICE):
        assert signs_in(account, world.passwords[account]), f"{account} is locked out"
    assert "no client" in world.shell("mailkiln-agent bans list"), "a guess is no reason for a ban"


def signs_in(account, password, seconds=180):
    """Whether an account signs in within the time; sign-ins after wrong passwords wait for their turn."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        try:
            with imap(account, password):
                return True
        except (imaplib.IMAP4.error, OSError):
            time.sleep(2)
    return False


@CHECKS("40 refused recipients of one client cost nobody the mail to that address")
def refused_recipients(world):
    with smtplib.SMTP(LOCAL, port(25), timeout=120) as session:
        session.ehlo("mx.example.org")
        for number in range(40):
            try:
                if session.mail("carol@example.org")[0] == 250:
                    assert session.rcpt(f"nobody-{number}@example.net")[0] >= 400
                session.rset()
            except smtplib.SMTPServerDisconnected:
                session.connect(LOCAL, port(25))
                session.ehlo("mx.example.org")
    status, log = deliver("carol@example.org", BOB, "--header", "Subject: after forty")
    assert status == 0, log
    assert find(BOB, world.passwords[BOB], "after forty")


@contextlib.contextmanager
def tunnel(world, guest_port):
    """The base URL of HTTP at a port that only listens on the appliance's loopback."""
    base = f"http://{LOCAL}:{port(guest_port)}"
    ask = ["curl", "-s", "-o", "/dev/null", f"{base}/healthz/live"]
    with forwarded(world, guest_port, port(guest_port), lambda: subprocess.run(ask, check=False).returncode == 0):
        yield base


def sieve_connect(world, *arguments):
    """Runs sieve-connect as bob; the password goes through standard input, not argv."""
    command = ["sieve-connect", "--server", LOCAL, "--port", str(port(4190)), "--user", BOB, "--passwordfd", "0"]
    command += ["--notlsverify", "--authmech", "PLAIN", *arguments]
    password = world.passwords[BOB] + "\n"
    done = subprocess.run(command, input=password, capture_output=True, text=True, timeout=240, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
