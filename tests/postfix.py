"""Postfix, Dovecot and Rspamd as Debian has them, in a folder of their own: the peer of `./bench --mail`.

In: root, mmdebstrap, an address, the certificate of a mail server of the tests. Out: SMTP and IMAPS on the ports that the tests' mail server
has at its own address. Nothing is installed on the host; tests/mail_speed.py calls it in namespaces that end with it.

What differs from Debian's defaults: Maildir instead of mbox, delivery by LMTP, passwords from a file, Rspamd as a milter without Redis.
"""

import contextlib
import os
import pathlib
import subprocess
import time

import peers

PACKAGES = "postfix,dovecot-imapd,dovecot-lmtpd,rspamd,ca-certificates"
MAIL_USER = 5000

MAIN = """compatibility_level = 3.6
myhostname = mail.example.test
mydestination =
mynetworks = 127.0.0.1/32
virtual_mailbox_domains = example.test
virtual_mailbox_maps = texthash:/etc/postfix/mailboxes
virtual_transport = lmtp:unix:private/dovecot-lmtp
smtpd_relay_restrictions = reject_unauth_destination
smtpd_milters = inet:127.0.0.1:11332
milter_default_action = tempfail
smtpd_tls_security_level = may
smtpd_tls_cert_file = /etc/peer/fullchain.pem
smtpd_tls_key_file = /etc/peer/key.pem
message_size_limit = 52428800
maillog_file = /var/log/mail.log
"""
# Debian's, with the listener's address, and no service in a chroot: the whole is in one.
MASTER = """{ip}:{smtp} inet n - n - - smtpd
pickup unix n - n 60 1 pickup
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
tlsmgr unix - - n 1000? 1 tlsmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
verify unix - - n - 1 verify
flush unix n - n 1000? 0 flush
proxymap unix - - n - - proxymap
proxywrite unix - - n - 1 proxymap
smtp unix - - n - - smtp
showq unix n - n - - showq
error unix - - n - - error
retry unix - - n - - error
discard unix - - n - - discard
lmtp unix - - n - - lmtp
anvil unix - - n - 1 anvil
scache unix - - n - 1 scache
postlog unix-dgram n - n - 1 postlogd
"""
DOVECOT = """protocols = imap lmtp
listen = {ip}
log_path = /var/log/dovecot.log
ssl = required
ssl_cert = </etc/peer/fullchain.pem
ssl_key = </etc/peer/key.pem
mail_location = maildir:~/Maildir
first_valid_uid = {user}
passdb {{
  driver = passwd-file
  args = /etc/peer/passwords
}}
userdb {{
  driver = static
  args = uid={user} gid={user} home=/var/vmail/%u
}}
service imap-login {{
  inet_listener imap {{
    port = 0
  }}
  inet_listener imaps {{
    port = {imaps}
    ssl = yes
  }}
}}
service lmtp {{
  unix_listener /var/spool/postfix/private/dovecot-lmtp {{
    user = postfix
    group = postfix
    mode = 0600
  }}
}}
"""
COMMANDS = {
    "rspamd": ["rspamd", "-f", "-u", "_rspamd", "-g", "_rspamd"],
    "dovecot": ["dovecot", "-F"],
    "postfix": ["postfix", "start-fg"],
}


def unpack(folder):
    """The packages and what they need, in `folder`; made once. Needs root."""
    return peers.unpack(folder, PACKAGES, "usr/bin/rspamd")


class Peer:
    """The servers, as a context manager. `accounts` have the password of the tests' accounts."""

    name = "Postfix, Dovecot, Rspamd"

    def __init__(self, root, ip, ports, certificate, accounts):
        self.root, self.ip, self.processes = pathlib.Path(root), ip, {}
        values = {"ip": ip, "user": MAIL_USER, **ports}
        self.files = {
            "etc/postfix/main.cf": MAIN,
            "etc/postfix/master.cf": MASTER.format(**values),
            "etc/postfix/mailboxes": "".join(f"{address} x\n" for address in accounts),
            "etc/dovecot/dovecot.conf": DOVECOT.format(**values),
            "etc/peer/passwords": "".join(f"{address}:{{PLAIN}}pass word\n" for address in accounts),
            "etc/peer/fullchain.pem": (certificate / "fullchain.pem").read_text(),
            "etc/peer/key.pem": (certificate / "key.pem").read_text(),
            "etc/hosts": "127.0.0.1 localhost\n",
            # mail_speed.py has a name server there.
            "etc/resolv.conf": f"nameserver {ip}\n",
        }

    def __enter__(self):
        for name, text in self.files.items():
            path = self.root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.unlink(missing_ok=True)
            path.write_text(text)
        for folder, owner in (("var/vmail", f"{MAIL_USER}:{MAIL_USER}"), ("run/rspamd", "_rspamd:_rspamd")):
            subprocess.run(["rm", "-rf", self.root / folder], check=True)
            (self.root / folder).mkdir(parents=True)
            subprocess.run(["chroot", self.root, "chown", owner, f"/{folder}"], check=True)
        subprocess.run(["mount", "--rbind", "/dev", self.root / "dev"], check=True)
        subprocess.run(["mount", "-t", "proc", "proc", self.root / "proc"], check=True)
        for name in COMMANDS:
            self.start(name)
        return self

    def start(self, name):
        """Starts one of the three."""
        with open(self.root / f"run/{name}.out", "ab") as out:
            command = ["chroot", str(self.root), *COMMANDS[name]]
            self.processes[name] = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=out, stderr=out)

    def stop(self, name):
        """Ends one of the three, as its unit does."""
        process = self.processes.pop(name)
        if name == "postfix":
            subprocess.run(["chroot", self.root, "postfix", "stop"], check=False, capture_output=True)
        else:
            process.terminate()
        process.wait(30)

    def __exit__(self, *_):
        for name in [*self.processes]:
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.stop(name)

    def restart_reader(self):
        """Ends the IMAP server and starts it again."""
        self.stop("dovecot")
        self.start("dovecot")

    def pids(self):
        """All its processes: those whose root is the folder."""
        found = []
        for entry in pathlib.Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                if os.readlink(entry / "root") == str(self.root):
                    found.append(int(entry.name))
        return found

    def resident(self):
        """MiB by the name of the first program of each, by the proportional share."""
        total = 0.0
        for pid in self.pids():
            with contextlib.suppress(OSError, ValueError):
                total += peers.share(pid)
        return total

    def check(self):
        """Fails with what they said when one has ended."""
        for name, process in self.processes.items():
            if process.poll() is not None:
                raise AssertionError(f"{name} ended with {process.returncode}: {(self.root / f'run/{name}.out').read_text()[-2000:]}")


def wait_for(ready, seconds, what):
    """Waits until `ready()`."""
    end = time.monotonic() + seconds
    while not ready():
        assert time.monotonic() < end, f"{what}: not within {seconds} s"
        time.sleep(0.2)
