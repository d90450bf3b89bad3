"""Mail through the real mail server and the real filter."""

import email
import http.client
import json
import os
import pathlib
import re
import shutil
import signal
import smtplib
import socket
import subprocess
import tempfile
import threading
import time
import unittest

from setup import ALICE, BOB, EICAR, MILTER, Filtered, message, program, zipped

CLAMD = shutil.which("clamd") or shutil.which("clamd", path="/usr/sbin")


def body_as_sent(raw):
    """What follows the fields that the mail server puts on top."""
    return raw[raw.index(b"From: stranger@"):]


class Way(unittest.TestCase):
    """What becomes of a message."""

    @classmethod
    def setUpClass(cls):
        cls.server = Filtered(domains='[domain."second.test"]\nexecutable = "pass"').__enter__()
        cls.server.api("POST", "/principal", {"type": "domain", "name": "second.test"})
        cls.server.api("POST", "/principal", {
            "type": "individual", "name": "carol@second.test", "secrets": ["pass word"],
            "emails": ["carol@second.test"], "roles": ["user"]})
        cls.addClassCleanup(cls.server.__exit__)

    def found(self, user, subject):
        end = time.monotonic() + 20
        while time.monotonic() < end:
            for raw in self.server.fetch(user, wait=1):
                if email.message_from_bytes(raw)["Subject"] == subject:
                    return raw
            time.sleep(0.2)
        return None

    def test_clean_mail_keeps_every_byte(self):
        sent = message("clean", ("a.txt", b"\xff\x00 bytes"), text="Grüße\r\n.\r\n..\r\n")
        sent = sent.replace(b"please", b"pl\xe9ase")
        self.server.deliver(sent, to=BOB)
        raw = self.found(BOB, "clean")
        self.assertEqual(body_as_sent(raw), sent)
        self.assertNotIn(b"X-Mailkiln", raw)

    def test_eicar_in_a_zip_is_refused_with_its_name(self):
        code, text = self.server.refused(message("eicar", ("a.zip", zipped("b.com", EICAR))), to=BOB)
        self.assertEqual(code, 550)
        self.assertRegex(text, r"5\.7\.1 .*malware.*a\.zip > b\.com")

    def test_marks_of_strangers_are_taken_out(self):
        sent = message("foreign marks", headers=[("X-Mailkiln-Finding", "none"), ("X-Ours", "1")])
        sent = b"x-mailkiln-filter : clean\r\n" + sent
        self.server.deliver(sent, to=BOB)
        raw = self.found(BOB, "foreign marks")
        self.assertNotIn(b"x-mailkiln", raw.lower())
        self.assertIn(b"X-Ours: 1\r\n", raw)

    def test_a_program_is_kept_and_can_be_released(self):
        sent = message("a program", ("tool.exe", program()))
        self.server.deliver(sent, to=BOB)
        [held] = [name for name in self.server.held()
                  if b"a program" in self.server.command("quarantine", "show", name)]
        self.assertEqual(self.server.command("quarantine", "show", "--raw", held), sent)
        said = self.server.command("quarantine", "show", held).decode()
        self.assertRegex(said, r"found +executable: .*tool\.exe")
        self.assertIn(BOB, said)
        self.assertIsNone(next((raw for raw in self.server.fetch(BOB, wait=1)
                                if b"Subject: a program\r\n" in raw), None))
        self.assertIn(BOB, self.server.command("quarantine", "release", held).decode())
        raw = self.found(BOB, "a program")
        self.assertEqual(body_as_sent(raw), sent)
        self.assertIn(f"X-Mailkiln-Released: {held}".encode(), raw)
        self.assertNotIn(held, self.server.held())
        self.assertIn(b"there is no message", self.server.command("quarantine", "show", held, status=1))

    def test_each_domain_has_its_policy(self):
        sent = message("two domains", ("tool.exe", program()))
        with smtplib.SMTP(self.server.ip, 2525, local_hostname="mx.elsewhere.test") as session:
            session.sendmail("stranger@elsewhere.test", [BOB, "carol@second.test"], sent)
        self.assertEqual(body_as_sent(self.found("carol@second.test", "two domains")), sent)
        [held] = [name for name in self.server.held()
                  if b"two domains" in self.server.command("quarantine", "show", name)]
        said = self.server.command("quarantine", "show", held).decode()
        self.assertIn(f"for       {BOB}\n", said)
        self.server.command("quarantine", "delete", held)

    def test_a_part_is_taken_out_and_the_rest_stays(self):
        link = b"[InternetShortcut]\r\nURL=file://evil.test/a.exe\r\n"
        sent = message("a link", ("a.url", link), ("b.txt", b"stays"))
        self.server.deliver(sent, to=BOB)
        raw = self.found(BOB, "a link")
        parts = [part for part in email.message_from_bytes(raw).walk() if not part.is_multipart()]
        self.assertEqual(len(parts), 3)
        self.assertIn(b"was removed", parts[1].get_payload(decode=True))
        self.assertEqual(parts[2].get_payload(decode=True), b"stays")
        self.assertRegex(raw, rb"X-Mailkiln-Finding: shortcut: .*; removed\r\n")
        self.assertNotIn(b"InternetShortcut", raw)

    def test_a_message_that_is_the_part_becomes_a_text(self):
        sent = (b"From: stranger@elsewhere.test\r\nSubject: only a link\r\n"
                b"Content-Type: application/octet-stream; name=a.url\r\n"
                b"Content-Disposition: attachment; filename=a.url\r\n\r\n"
                b"[InternetShortcut]\r\nURL=file://evil.test/a.exe\r\n")
        self.server.deliver(sent, to=BOB)
        got = email.message_from_bytes(self.found(BOB, "only a link"))
        self.assertEqual(got.get_content_type(), "text/plain")
        self.assertEqual(len(got.get_all("Content-Type", [])), 1)
        self.assertIn("was removed", got.get_payload())

    def test_what_users_send_is_refused_instead_of_kept(self):
        with self.server.submission(ALICE) as session, self.assertRaises(smtplib.SMTPDataError) as got:
            session.sendmail(ALICE, [BOB], message("by a user", ("tool.exe", program())))
        self.assertEqual(got.exception.smtp_code, 550)

    def test_the_api_lists_shows_and_deletes(self):
        self.server.deliver(message("by the api", ("tool.exe", program())), to=BOB)

        def ask(method, path):
            connection = http.client.HTTPConnection("localhost")
            connection.sock = socket.socket(socket.AF_UNIX)
            connection.sock.connect(str(self.server.directory / "filter-api"))
            connection.request(method, path)
            response = connection.getresponse()
            return response.status, response.read()

        status, body = ask("GET", "/v1/quarantine")
        self.assertEqual(status, 200)
        [entry] = [it for it in json.loads(body)["messages"] if it["subject"] == "by the api"]
        self.assertEqual(entry["recipients"], [BOB])
        status, body = ask("GET", f"/v1/quarantine/{entry['id']}/message")
        self.assertIn(b"Subject: by the api\r\n", body)
        self.assertEqual(ask("PUT", "/v1/status")[0], 405)
        self.assertGreaterEqual(json.loads(ask("GET", "/v1/status")[1])["since_start"]["scanned"], 1)
        self.assertEqual(ask("DELETE", f"/v1/quarantine/{entry['id']}")[0], 200)
        self.assertEqual(ask("GET", f"/v1/quarantine/{entry['id']}")[0], 404)
        self.assertEqual(ask("GET", "/v1/quarantine/..%2f..")[0], 404)
        mode = os.stat(self.server.directory / "filter-api").st_mode & 0o777
        self.assertEqual(mode, 0o660)

    def test_rules_change_without_a_restart_and_broken_ones_do_not(self):
        rules = self.server.directory / "filter/rules"
        (rules / "own.yar").write_text('rule own { strings: $a = "ours-to-find-7f3a" condition: $a }')
        self.wait_for_log("changed rules are in use")
        code, text = self.server.refused(message("own rule", text="it has ours-to-find-7f3a"), to=BOB)
        self.assertEqual(code, 550)
        (rules / "own.yar").write_text("rule own {")
        self.wait_for_log("the old ones stay")
        self.assertIn(b"own.yar", self.server.command("rules", "check", status=1))
        self.assertEqual(self.server.refused(message("old", text="ours-to-find-7f3a"), to=BOB)[0], 550)
        (rules / "own.yar").unlink()

    def wait_for_log(self, text):
        end = time.monotonic() + 30
        while text not in self.server.log_of_filter():
            self.assertLess(time.monotonic(), end, self.server.log_of_filter())
            time.sleep(0.2)

    def test_the_digest_reaches_the_administrator(self):
        # The first one is sent as soon as there is something; the filter looks when it starts.
        with Filtered() as server:
            server.deliver(message("for the digest", ("tool.exe", program())), to=BOB)
            server.kill_filter()
            server.start_filter()
            letters = server.fetch(ALICE, wait=30)
            self.assertTrue(letters, server.log_of_filter())
            self.assertRegex(letters[0], rb"quarantine release ID(.|\n)*for the digest")


class Failure(unittest.TestCase):
    """No message is lost, and none passes unseen."""

    def deferred(self, server, sent=None, code=451):
        got, text = server.refused(sent or message("deferred"), to=BOB)
        self.assertEqual(got, code, text)
        return text

    def test_a_filter_that_is_down_defers(self):
        with Filtered() as server:
            server.kill_filter()
            self.deferred(server)
            server.start_filter()
            server.deliver(message("again"), to=BOB)
            self.assertTrue(server.fetch(BOB))

    def test_a_filter_that_dies_in_mid_stream_defers(self):
        with Filtered() as server:
            os.kill(server.filter.pid, signal.SIGSTOP)
            timer = threading.Timer(2, server.kill_filter)
            timer.start()
            self.deferred(server, message("mid stream", ("big.bin", os.urandom(1 << 20))))
            timer.join()
            server.start_filter()
            sent = message("mid stream", ("big.bin", os.urandom(1 << 20)))
            server.deliver(sent, to=BOB)
            self.assertEqual(body_as_sent(server.fetch(BOB)[0]), sent)

    def test_a_filter_that_hangs_defers(self):
        with Filtered(patience="3s") as server:
            os.kill(server.filter.pid, signal.SIGSTOP)
            begin = time.monotonic()
            self.deferred(server)
            self.assertLess(time.monotonic() - begin, 30)
            os.kill(server.filter.pid, signal.SIGCONT)

    def test_a_worker_that_dies_defers_and_is_replaced(self):
        with Filtered() as server:
            [worker] = server.workers()
            os.kill(worker, signal.SIGKILL)
            self.deferred(server)
            self.assertIn("the worker is replaced", server.log_of_filter())
            server.deliver(message("next"), to=BOB)

    def test_a_worker_that_hangs_is_killed_at_the_deadline(self):
        with Filtered(seconds=1) as server:
            [worker] = server.workers()
            os.kill(worker, signal.SIGSTOP)
            begin = time.monotonic()
            self.deferred(server)
            self.assertLess(time.monotonic() - begin, 10)
            self.assertFalse(os.path.exists(f"/proc/{worker}"))
            server.deliver(message("next"), to=BOB)

    def test_what_could_not_be_seen_passes_with_a_mark_where_that_is_wanted(self):
        with Filtered(on_failure="pass") as server:
            [worker] = server.workers()
            os.kill(worker, signal.SIGKILL)
            server.deliver(b"X-Mailkiln-Filter: clean\r\n" + message("unseen"), to=BOB)
            [raw] = server.fetch(BOB)
            marks = re.findall(rb"^X-Mailkiln-.*", raw, re.MULTILINE)
            self.assertEqual(len(marks), 1, raw)
            self.assertIn(b"X-Mailkiln-Filter: not scanned", marks[0])
            # Even then nothing passes without a mark when nobody can set one.
            server.kill_filter()
            self.deferred(server)

    def test_clamd_that_is_down_defers(self):
        with Filtered(clamd="/nowhere/clamd.ctl") as server:
            self.deferred(server)
            self.assertIn("/nowhere/clamd.ctl", server.log_of_filter())

    @unittest.skipUnless(CLAMD, "clamd is not installed")
    def test_a_real_clamd_is_asked_too(self):
        with tempfile.TemporaryDirectory() as work:
            work = pathlib.Path(work)
            (work / "db").mkdir()
            (work / "db/own.ndb").write_text(f"Own-Test:0:*:{b'only-clamd-knows-this'.hex()}\n")
            (work / "clamd.conf").write_text(f"LocalSocket {work}/socket\nDatabaseDirectory {work}/db\nForeground yes\n")
            clamd = subprocess.Popen([str(CLAMD), "-c", work / "clamd.conf"], stdout=subprocess.DEVNULL,
                                     stderr=subprocess.DEVNULL)
            try:
                with Filtered(clamd=work / "socket") as server:
                    end = time.monotonic() + 60
                    while not (work / "socket").exists():
                        self.assertLess(time.monotonic(), end)
                        time.sleep(0.1)
                    server.deliver(message("clean for clamd"), to=BOB)
                    code, text = server.refused(message("known", text="x only-clamd-knows-this x"), to=BOB)
                    self.assertEqual(code, 550)
                    self.assertIn("ClamAV knows it as Own-Test", text)
                    os.kill(clamd.pid, signal.SIGKILL)
                    clamd.wait()
                    self.deferred(server)
            finally:
                if clamd.poll() is None:
                    clamd.kill()
                    clamd.wait()

    def test_a_full_quarantine_defers(self):
        with Filtered() as server:
            server.kill_filter()
            path = server.directory / "filter.toml"
            path.write_text(path.read_text().replace("bytes = 100000000", "bytes = 10"))
            server.start_filter()
            self.deferred(server, message("full", ("tool.exe", program())))
            self.assertIn("the quarantine is full: 0 of 10 bytes", server.log_of_filter())

    def test_garbage_is_survived(self):
        with Filtered() as server:
            for noise in (b"", b"GET / HTTP/1.1\r\n\r\n", b"\xff" * 100, b"\0\0\0\x01O",
                          b"\0\0\0\x0dO\0\0\0\x06\0\0\0\xff\0\0\0\0\0\0\0\x02Z1"):
                with socket.create_connection((server.ip, MILTER), 5) as connection:
                    connection.sendall(noise)
                    connection.shutdown(socket.SHUT_WR)
                    while connection.recv(4096):
                        pass
            server.deliver(message("after the noise"), to=BOB)

    def test_too_many_connections_are_sent_away_at_once(self):
        with Filtered() as server:
            held = [socket.create_connection((server.ip, MILTER), 5) for _ in range(64)]
            time.sleep(0.5)
            begin = time.monotonic()
            self.deferred(server)
            self.assertLess(time.monotonic() - begin, 10)
            for connection in held:
                connection.close()
            time.sleep(0.5)
            server.deliver(message("later"), to=BOB)

    def test_many_at_once_all_arrive(self):
        with Filtered() as server:
            failures = []

            def send(number):
                sent = message(f"load {number}", ("a.bin", os.urandom(100_000)))
                for _ in range(5):
                    try:
                        return server.deliver(sent, to=BOB)
                    except Exception as error:  # pylint: disable=broad-except
                        failures.append(error)
                        time.sleep(0.5)
                raise AssertionError(failures)

            threads = [threading.Thread(target=send, args=(number,)) for number in range(20)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            end = time.monotonic() + 60
            while len(server.fetch(BOB)) < 20:
                self.assertLess(time.monotonic(), end, failures)
                time.sleep(0.5)
            # One client has no more than its share at a time, and comes again with the rest.
            self.assertTrue(all(error.smtp_code == 451 for error in failures), failures)


if __name__ == "__main__":
    unittest.main()
