# SPDX-License-Identifier: AGPL-3.0-only
"""What happens when something runs out: descriptors, database connections, power."""

import os
import pathlib
import subprocess
import tempfile
import threading
import time
import unittest

from server import MailServer

COUNTER = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>
static int synced(const char *name, int fd) {
    int log = open(getenv("SYNC_LOG"), O_WRONLY | O_APPEND | O_CREAT, 0600);
    if (log >= 0) { (void)!write(log, ".", 1); close(log); }
    int (*real)(int) = (int (*)(int))dlsym(RTLD_NEXT, name);
    return real(fd);
}
int fsync(int fd) { return synced("fsync", fd); }
int fdatasync(int fd) { return synced("fdatasync", fd); }
"""
MESSAGE = b"From: a@elsewhere.test\r\nTo: alice@example.test\r\nSubject: n\r\n\r\nbody\r\n"


def cpu_seconds(process):
    """Processor time that the process has used."""
    fields = pathlib.Path(f"/proc/{process.pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


class Descriptors(unittest.TestCase):
    """accept() that fails with EMFILE."""

    def test_no_spin_and_it_recovers(self):
        with MailServer(wrapper=["prlimit", "--nofile=120"]) as server:
            # More than the limit, so that some stay in the listen queue
            held = [server.tcp("imap") for _ in range(150)]
            time.sleep(1)
            before, logged = cpu_seconds(server.process), server.log.stat().st_size
            time.sleep(3)
            used = cpu_seconds(server.process) - before
            for connection in held:
                connection.close()
            self.assertLess(used, 1, "spins while it has no descriptors")
            self.assertLess(server.log.stat().st_size - logged, 100_000, "floods the log")
            end = time.monotonic() + 20
            while True:
                try:
                    self.assertEqual(server.http("GET", "/healthz/live", user=None)[0], 200)
                    break
                except OSError:
                    self.assertLess(time.monotonic(), end, "does not recover")
                    time.sleep(0.5)


class Connections(unittest.TestCase):
    """More sessions than connections to the database, and one thread to run them."""

    def test_nobody_waits_for_a_sleeper(self):
        edit = lambda text: text.replace("pool.max-connections = 10", "pool.max-connections = 1")
        with MailServer(edit, environment={"TOKIO_WORKER_THREADS": "1"}) as server:
            alice = server.account("alice")
            session = server.imap(alice)
            for number in range(150):
                session.append("INBOX", None, None, MESSAGE + str(number).encode())
            session.logout()
            answers, begin = [], time.monotonic()

            def read():
                reader = server.imap(alice)
                reader.select("INBOX", readonly=True)
                for _ in range(3):
                    answers.append(reader.fetch("1:*", "(UID FLAGS BODY.PEEK[])")[0])
                reader.logout()

            readers = [threading.Thread(target=read) for _ in range(6)]
            for reader in readers:
                reader.start()
            for reader in readers:
                reader.join()
            self.assertEqual(answers, ["OK"] * 18)
            # The pool gives up after 30 s
            self.assertLess(time.monotonic() - begin, 25)
            self.assertNotIn("timed out waiting for connection", server.log.read_text())


class Power(unittest.TestCase):
    """What was acknowledged is on the disk, not in the system's cache."""

    def test_a_message_is_synced_before_it_is_acknowledged(self):
        with tempfile.TemporaryDirectory() as directory:
            source, library, log = (f"{directory}/{name}" for name in ("s.c", "s.so", "log"))
            pathlib.Path(source).write_text(COUNTER, encoding="ascii")
            subprocess.run(["cc", "-shared", "-fPIC", "-o", library, source, "-ldl"], check=True)
            pathlib.Path(log).touch()
            with MailServer(environment={"LD_PRELOAD": library, "SYNC_LOG": log}) as server:
                server.account("alice")
                server.deliver(MESSAGE)
                time.sleep(1)
                for _ in range(5):
                    before = os.path.getsize(log)
                    server.deliver(MESSAGE)
                    self.assertGreater(os.path.getsize(log), before)


if __name__ == "__main__":
    unittest.main()
