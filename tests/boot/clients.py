"""Real mail clients as judges: swaks, curl and Python's own imaplib and poplib, pointed at the forwarded ports."""

import contextlib
import imaplib
import poplib
import re
import ssl
import subprocess
import time

from machine import OFFSET

LOCAL = "127.0.0.1"


def port(guest):
    """The loopback port that reaches `guest` in the appliance."""
    return guest + OFFSET


def tls():
    """A context for the self-signed certificate that a first boot makes."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def swaks(*arguments, seconds=240):
    """Runs swaks; (exit status, transcript)."""
    command = ["swaks", "--timeout", "120", "--helo", "client.example.org", "--server", LOCAL, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=seconds, check=False)
    return done.returncode, done.stdout + done.stderr


def submit(sender, password, recipient, *arguments, guest_port=587, login=None):
    """Submits a message as an authenticated user; (exit status, transcript)."""
    protection = "--tls-on-connect" if guest_port == 465 else "--tls"
    return swaks(
        "--port", str(port(guest_port)), protection, "--auth", "PLAIN", "--auth-user", login or sender,
        "--auth-password", password, "--from", sender, "--to", recipient, *arguments,
    )


def deliver(sender, recipient, *arguments):
    """Hands a message over as a foreign server does: port 25, no login."""
    return swaks("--port", str(port(25)), "--from", sender, "--to", recipient, *arguments)


@contextlib.contextmanager
def imap(user, password):
    """A logged-in IMAPS connection."""
    connection = imaplib.IMAP4_SSL(LOCAL, port(993), ssl_context=tls(), timeout=120)
    try:
        connection.login(user, password)
        yield connection
    finally:
        with contextlib.suppress(imaplib.IMAP4.error, OSError):
            connection.logout()


def find(user, password, subject, mailbox="INBOX", seconds=90):
    """The raw message whose subject is `subject`, waiting until it is there; None when it never comes."""
    deadline = time.monotonic() + seconds
    with imap(user, password) as connection:
        while True:
            if connection.select(f'"{mailbox}"', readonly=True)[0] == "OK":
                number = numbered(connection, subject)
                if number:
                    return connection.fetch(number, "(BODY.PEEK[])")[1][0][1]
            if time.monotonic() > deadline:
                return None
            time.sleep(1)
            connection.noop()


def empty_mailboxes(user, password):
    """Deletes all mail of an account, and the mailbox that a Sieve script makes: what an earlier call left is no proof for this one."""
    with imap(user, password) as connection:
        for line in connection.list()[1]:
            found = re.search(rb'"([^"]*)"$|(\S+)$', line)
            name = (found[1] or found[2]).decode()
            if connection.select(f'"{name}"')[0] == "OK" and connection.search(None, "ALL")[1] != [b""]:
                connection.store("1:*", "+FLAGS.SILENT", r"(\Deleted)")
                connection.expunge()


def numbered(connection, subject):
    """The sequence number of the first message with this subject. Not by SEARCH: that asks an index which is filled
    in the background, so a message can be there before it can be found."""
    if connection.search(None, "ALL")[1] == [b""]:
        return None
    for item in connection.fetch("1:*", "(BODY.PEEK[HEADER.FIELDS (SUBJECT)])")[1]:
        if isinstance(item, tuple) and item[1].decode("latin-1").strip() == f"Subject: {subject}":
            return item[0].split()[0].decode()
    return None


def pop3_texts(user, password):
    """All messages that POP3S has."""
    connection = poplib.POP3_SSL(LOCAL, port(995), context=tls(), timeout=120)
    connection.user(user)
    connection.pass_(password)
    texts = [b"\n".join(connection.retr(number + 1)[1]) for number in range(connection.stat()[0])]
    connection.quit()
    return texts


def curl(*arguments, stdin=None):
    """Runs curl without a certificate check; standard output, failing loudly."""
    command = ["curl", "--silent", "--show-error", "--insecure", "--fail-with-body", "--max-time", "120", *arguments]
    done = subprocess.run(command, input=stdin, capture_output=True, text=True, timeout=180, check=False)
    assert done.returncode == 0, f"curl ended with {done.returncode}: {done.stdout}{done.stderr}"
    return done.stdout


@contextlib.contextmanager
def forwarded(world, guest_port, local, is_up):
    """Has the appliance's sshd connect `local`, a port of this machine, to `guest_port` on its own loopback; begins when `is_up` says so."""
    command = ["ssh", "-i", world.key, "-p", str(port(22)), "-N", "-L", f"{LOCAL}:{local}:127.0.0.1:{guest_port}"]
    command += ["-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null", "-o", "LogLevel=ERROR"]
    command += ["-o", "ExitOnForwardFailure=yes", "root@127.0.0.1"]
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + 90
        while not is_up():
            assert time.monotonic() < deadline and process.poll() is None, "the ssh tunnel did not open"
            time.sleep(1)
        yield
    finally:
        process.terminate()
        process.wait(timeout=30)
