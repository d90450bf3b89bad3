"""Runs a scenario of browser/scenarios in Debian's chromium, by Playwright (docs/internals/tests.md).

In: a web unit, and what the scenario needs to know. Out: nothing, or the failure that node tells. The packages come from npm as
browser/package-lock.json has them, once, into the cache. `Judged` is the base of the tests that do so.
"""

import fcntl
import hashlib
import json
import os
import pathlib
import shutil
import signal
import subprocess
import threading
import time

from web import HOST, Served  # first: it says where `driver` is

from driver.workplace import cache_folder

SOURCES = pathlib.Path(__file__).resolve().parent / "browser"
PASSWORD = "pass word"
# Chromium shares a small machine with much else: this only ends what hangs.
SECONDS = 300


def packages():
    """The folder with node_modules that belongs to this lock file."""
    lock = (SOURCES / "package-lock.json").read_bytes()
    folder = cache_folder() / f"web-judges/{hashlib.sha256(lock).hexdigest()[:12]}"
    folder.mkdir(parents=True, exist_ok=True)
    with open(folder / "lock", "w", encoding="ascii") as guard:
        fcntl.flock(guard, fcntl.LOCK_EX)
        if not (folder / "done").exists():
            for name in ("package.json", "package-lock.json"):
                shutil.copy(SOURCES / name, folder)
            command = ["npm", "ci", "--silent", "--ignore-scripts", "--no-audit", "--no-fund", "--prefix", folder]
            subprocess.run(command, check=True)
            (folder / "done").touch()
    return folder


def scenario_folder(directory):
    """A copy of the scripts beside their packages: node looks for packages in the folders above a script."""
    folder = directory / "browser"
    if not folder.exists():
        shutil.copytree(SOURCES, folder, ignore=shutil.ignore_patterns("node_modules"))
        (folder / "node_modules").symlink_to(packages() / "node_modules")
    return folder


def play(web, name, asks=None, **known):
    """Runs scenarios/NAME.mjs. It knows `known` and where the web unit is; `asks` are the functions that it may call by name."""
    folder = scenario_folder(web.directory)
    told = {"host": HOST, "ip": web.ip, "port": web.https, "certificate": str(web.directory / "fullchain.pem"), "password": PASSWORD,
            "chromium": shutil.which("chromium"), "folder": str(folder), **known}
    log = web.directory / f"{name}.log"
    with open(log, "wb") as errors:
        node = subprocess.Popen(["node", folder / "run.mjs", name], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors,
                                text=True, encoding="utf-8", start_new_session=True)
        late = threading.Timer(SECONDS, os.killpg, (node.pid, signal.SIGKILL))
        late.start()
        try:
            answer(node, told)
            for line in node.stdout:
                told = json.loads(line)
                if "say" in told:
                    print(f"  {name}: {told['say']}", flush=True)
                else:
                    answer(node, (asks or {})[told.pop("ask")](**told))
            status = node.wait()
        finally:
            late.cancel()
            if node.poll() is None:
                os.killpg(node.pid, signal.SIGKILL)
                node.wait()
            node.stdin.close()
            node.stdout.close()
    assert status == 0, f"{name} ended with {status}:\n{log.read_text(encoding='utf-8')}"


def answer(node, value):
    """One line to a scenario."""
    node.stdin.write(json.dumps(value) + "\n")
    node.stdin.flush()


class Judged(Served):
    """Tests with a browser, and what is in the mailboxes."""

    def account(self, name, *messages):
        """A new account with messages in its inbox."""
        address = self.mail.account(name)
        with self.mail.imap(address) as session:
            for text in messages:
                self.assertEqual(session.append("INBOX", "", None, text.encode())[0], "OK")
        return address

    def stored(self, account, folder="INBOX"):
        """The messages of a folder, as bytes."""
        with self.mail.imap(account) as session:
            if session.select(f'"{folder}"')[0] != "OK":
                return []
            numbers = session.search(None, "ALL")[1][0].split()
            return [session.fetch(number, "(BODY.PEEK[])")[1][0][1] for number in numbers]

    def messages(self, account, folder="INBOX"):
        """The messages of a folder, as text."""
        return [raw.decode("utf-8", "replace") for raw in self.stored(account, folder)]

    def arrived(self, account, count=1, folder="INBOX", seconds=120):
        """Waits for so many messages; returns those that there are then."""
        end = time.monotonic() + seconds
        while len(found := self.messages(account, folder)) < count and time.monotonic() < end:
            time.sleep(0.5)
        return found

    def asks(self):
        """What a scenario may ask for, by name."""
        return {"arrived": self.arrived, "messages": self.messages}

    def play(self, name, **known):
        """Runs a scenario, which knows `known`."""
        play(self.web, name, self.asks(), **known)
