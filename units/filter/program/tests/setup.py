"""A mail server that asks a filter about every message, both real, on loopback."""

import email.message
import io
import os
import pathlib
import re
import signal
import smtplib
import socket
import subprocess
import sys
import time
import zipfile

UNITS = pathlib.Path(__file__).resolve().parents[3]
sys.path.insert(0, str(UNITS / "mail-server" / "tests"))
from server import DOMAIN, MailServer  # noqa: E402

MILTER, RELEASE = 2025, 2026
ALICE, BOB = f"alice@{DOMAIN}", f"bob@{DOMAIN}"
EICAR = (r"X5O!P%@AP[4\PZX54(P^)7CC)7}$EICAR-" r"STANDARD-ANTIVIRUS-TEST-FILE!$H+H*").encode()
# What builder/services/src/mail_server/{filter,listeners}.rs write.
SERVER_SETTINGS = f"""
[server.listener.release]
bind = "@IP@:{RELEASE}"
protocol = "smtp"
tls.enable = false

[session.milter.filter]
enable = "listener != 'release'"
hostname = "@IP@"
port = {MILTER}
stages = ["data"]
timeout.connect = "10s"
timeout.command = "5s"
timeout.data = "@PATIENCE@"
options.tempfail-on-error = true
options.version = 6
"""
USUAL = {"malware": "reject", "executable": "quarantine", "script": "reject", "shortcut": "strip",
         "deceptive-name": "reject", "encrypted-archive": "mark"}


class Filtered(MailServer):
    """A mail server and its filter. `policy` is laid over USUAL."""

    def __init__(self, policy=None, domains="", on_failure="defer", patience="20s", seconds=10,
                 largest=4 << 20, extra="", clamd=None):
        super().__init__(edit=lambda text: self.server_settings(text, patience))
        self.policy, self.domains, self.on_failure = USUAL | (policy or {}), domains, on_failure
        self.seconds, self.largest, self.extra, self.clamd = seconds, largest, extra, clamd
        self.filter = None
        self.filter_log = self.directory / "filter.log"

    def server_settings(self, text, patience):
        """The settings of the mail server's own tests, with what an appliance adds."""
        text = text.replace("listener != 'lmtp'", "listener != 'lmtp' && listener != 'release'")
        # Spam is another test's business; here every message goes to the inbox.
        text = re.sub(r"^spam-filter = \[.*\]$", "spam-filter = false", text, flags=re.MULTILINE)
        text = text.replace('rate = "10/1s"', 'rate = "1000/1s"')
        settings = SERVER_SETTINGS.replace("@IP@", self.ip).replace("@PATIENCE@", patience)
        return text + settings

    def __enter__(self):
        try:
            self.write_filter_settings()
            self.start_filter()
        except BaseException:
            self.__exit__()
            raise
        super().__enter__()
        self.account("alice")
        self.account("bob")
        return self

    def __exit__(self, *_):
        self.kill_filter()
        super().__exit__()

    def write_filter_settings(self):
        policy = "\n".join(f'{name} = "{action}"' for name, action in self.policy.items())
        clamd = f'clamd = "{self.clamd}"' if self.clamd else ""
        (self.directory / "filter").mkdir(exist_ok=True)
        (self.directory / "filter.toml").write_text(f"""
host = "mail.example.test"
listen = "{self.ip}:{MILTER}"
release = "{self.ip}:{RELEASE}"
state = "{self.directory}/filter"
socket = "{self.directory}/filter-api"
digest-to = "{ALICE}"
on-failure = "{self.on_failure}"
largest-message = {self.largest}
seconds = {self.seconds}
{clamd}
[quarantine]
days = 30
bytes = 100000000
{self.extra}
[policy]
{policy}
{self.domains}
""")

    def start_filter(self):
        """Starts the filter and waits until it listens."""
        command = [os.environ["FILTER"], "serve", "--worker", os.environ["FILTER"], "--config",
                   str(self.directory / "filter.toml")]
        with open(self.filter_log, "ab") as log:
            self.filter = subprocess.Popen(command, stderr=log, stdout=log)
        end = time.monotonic() + 60
        while time.monotonic() < end and self.filter.poll() is None:
            try:
                socket.create_connection((self.ip, MILTER), 1).close()
                return
            except OSError:
                time.sleep(0.05)
        raise AssertionError(f"the filter does not listen:\n{self.filter_log.read_text()}")

    def kill_filter(self, how=signal.SIGKILL):
        if self.filter and self.filter.poll() is None:
            self.filter.send_signal(how)
            self.filter.wait(20)

    def workers(self):
        """Process ids of the filter's workers."""
        children = f"/proc/{self.filter.pid}/task/{self.filter.pid}/children"
        return [int(pid) for pid in pathlib.Path(children).read_text().split()]

    def command(self, *arguments, status=0):
        """Runs a command of the filter; returns what it prints."""
        done = subprocess.run([os.environ["FILTER"], "--config",
                               str(self.directory / "filter.toml"), *arguments],
                              capture_output=True, timeout=60, check=False)
        assert done.returncode == status, (done.returncode, done.stdout, done.stderr)
        return done.stdout if status == 0 else done.stderr

    def log_of_filter(self):
        return self.filter_log.read_text()

    def refused(self, message, **envelope):
        """Hands in a message that must be refused; returns code and text."""
        try:
            self.deliver(message, **envelope)
        except smtplib.SMTPDataError as error:
            return error.smtp_code, error.smtp_error.decode()
        raise AssertionError(f"it was taken; the filter says:\n{self.log_of_filter()}")

    def held(self):
        """Ids in the quarantine."""
        return [line.split()[0] for line in self.command("quarantine", "list").decode().splitlines()
                if line and line[0].isdigit()]


def message(subject, *attachments, text="Hello,\r\n\r\nplease look at this.\r\n", headers=()):
    """A message as a client would write it, in bytes."""
    made = email.message.EmailMessage()
    made["From"], made["To"], made["Subject"] = "stranger@elsewhere.test", BOB, subject
    made["Message-ID"] = f"<{subject.replace(' ', '.')}@elsewhere.test>"
    made["Date"] = "Sun, 22 Nov 2026 10:38:33 +0000"
    for name, value in headers:
        made[name] = value
    made.set_content(text)
    for name, content in attachments:
        made.add_attachment(content, "application", "octet-stream", filename=name)
    return made.as_bytes(policy=made.policy.clone(linesep="\r\n", max_line_length=76))


def zipped(name, content):
    """An archive with one member."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(name, content)
    return out.getvalue()


def program():
    """The smallest thing that starts like a Windows program."""
    header = bytearray(b"MZ" + bytes(510))
    header[0x3c] = 0x80
    header[0x80:0x84] = b"PE\0\0"
    header[0x84:0x86] = b"\x64\x86"
    return bytes(header)
