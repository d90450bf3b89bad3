"""How fast the image's mail server and filter are, beside Debian's Postfix, Dovecot and Rspamd on the same disk: `./bench --mail`.

Usage: mail_speed.py MESSAGES ROUNDS [FOLDER], in network and mount namespaces of its own, which the benchmark makes; FOLDER is for the peer.
In: $MAIL_SERVER and $FILTER, the programs. Both get the same messages from the same addresses in turns, over connections that carry ten messages,
without TLS on the SMTP port and with it for IMAP. Nothing here is a test: rates depend on the machine, and ratios are what to quote.
"""

import base64
import contextlib
import imaplib
import itertools
import multiprocessing
import pathlib
import random
import socket
import statistics
import subprocess
import sys
import threading
import time

import peers
import postfix
from filter_corpus import picture, prose
from web_speed import fill

ROOT = pathlib.Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "units/mail-server/tests"), str(ROOT / "units/filter/program/tests")]

from nameserver import NameServer  # noqa: E402
from server import ADDRESSES, NETWORK, PORTS, TODAY, trusting  # noqa: E402
from setup import SERVER_SETTINGS, Filtered  # noqa: E402

ACCOUNTS, MOST_CLIENTS = 10, 50
SECONDS = 8
IN_ONE_SESSION = 10
BODIES = 20
SIZES = {"4 KB": 4_000, "100 KB": 100_000}
DIFFERENCES = """
  Same for both: messages and addresses, the disk, an SMTP port without TLS, a milter, names that nobody knows, IMAP over TLS; what is answered 250 or OK
  is synced (the database's log; Postfix's queue, Dovecot's files).
  Different: Mailkiln looks into attachments, judges spam in the server, and indexes every text; all mail is in one database. Dovecot has a file for each
  message and searches texts by reading them; Rspamd has no Redis, thus neither Bayes nor greylisting.
"""
# Neither takes an address of loopback for a stranger's.
CLIENTS = "198.51.100"
# Of millions: fill() begins with 0.
NUMBERS = itertools.count(1)


def addresses():
    """Local addresses for the clients, in this namespace alone."""
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    for number in range(1, MOST_CLIENTS + 1):
        subprocess.run(["ip", "address", "add", f"{CLIENTS}.{number}/32", "dev", "lo"], check=True)


def bodies(size):
    """Bodies with as much: words, and above some 10 KB a picture."""
    chance, found = random.Random(size), []
    for _ in range(BODIES):
        if size < 10_000:
            found.append("Content-Type: text/plain; charset=us-ascii\r\n\r\n" + prose(chance, size).replace("\n", "\r\n"))
            continue
        encoded = base64.encodebytes(picture(chance, (size - 4000) * 3 // 4)).decode().replace("\n", "\r\n")
        text = prose(chance, 3000).replace("\n", "\r\n")
        found.append('Content-Type: multipart/mixed; boundary="b"\r\n\r\n--b\r\nContent-Type: text/plain\r\n\r\n' + text
                     + "\r\n--b\r\nContent-Type: image/jpeg\r\nContent-Transfer-Encoding: base64\r\n"
                     + f'Content-Disposition: attachment; filename="picture.jpg"\r\n\r\n{encoded}--b--\r\n')
    return found


def message(bodies, number, to):
    """One that no other equals."""
    return (f"From: Sender {number % 97} <s{number % 97}@elsewhere.test>\r\nTo: {to}\r\nSubject: Number {number}\r\nDate: {TODAY}\r\n"
            f"Message-ID: <{number}@elsewhere.test>\r\nMIME-Version: 1.0\r\n{bodies[number % len(bodies)]}").encode()


class Ours(Filtered):
    """The image's mail server with its filter."""

    name = "Mailkiln"

    def __init__(self):
        super().__init__(seconds=20, largest=53_477_376)
        self.environment = {"MALLOC_ARENA_MAX": "2"}

    def server_settings(self, text, patience):
        # Strangers have bounds by their address, and 50 of these are one benchmark.
        text = text.replace('rate = "10/1s"', 'rate = "100000/1s"').replace("messages = 100000", "messages = 10000000")
        # As the builder has it.
        text = text.replace("message.size = 8388608", "message.size = 33554432\nmessage.capacity = 32")
        return text + SERVER_SETTINGS.replace("@IP@", self.ip).replace("@PATIENCE@", patience)

    def pids(self):
        return [self.process.pid, self.filter.pid, *self.workers()]

    def resident(self):
        return sum(peers.share(pid) for pid in self.pids())

    def restart_reader(self):
        """There is one process only."""
        self.stop()
        self.start()

    def check(self):
        assert self.process.poll() is None and self.filter.poll() is None, self.log.read_text()[-2000:]


class Sender:
    """An SMTP session that pipelines as Postfix does (RFC 2920)."""

    def __init__(self, ip, source):
        self.connection = socket.create_connection((ip, PORTS["smtp"]), 60, (source, 0))
        self.lines = self.connection.makefile("rb")
        self.expect(b"220")
        self.say(b"EHLO mx.elsewhere.test\r\n", b"250")

    def expect(self, code):
        while (line := self.lines.readline())[3:4] == b"-":
            pass
        assert line.startswith(code), line

    def say(self, octets, *codes):
        self.connection.sendall(octets)
        for code in codes:
            self.expect(code)

    def send(self, to, octets):
        commands = f"MAIL FROM:<stranger@elsewhere.test>\r\nRCPT TO:<{to}>\r\nDATA\r\n".encode()
        self.say(commands, b"250", b"250", b"354")
        self.say(octets + b".\r\n", b"250")

    def close(self):
        self.say(b"QUIT\r\n", b"221")
        self.lines.close()
        self.connection.close()


def imap(server, account):
    """A session, signed in, from a client's address."""
    session = imaplib.IMAP4_SSL(server.ip, PORTS["imaps"], ssl_context=trusting(), timeout=120)
    session.login(account, "pass word")
    return session


def together(clients, prepare, work):
    """Runs `work(number, prepare(number), until)`, which returns how much it did, in so many threads of a process of its own: how much a second."""
    ours, theirs = multiprocessing.Pipe(duplex=False)

    def run():
        done, errors, begin = [0] * clients, [], []
        start = threading.Barrier(clients, lambda: begin.append(time.monotonic()))

        def one(number):
            try:
                prepared = prepare(number)
                start.wait(120)
                done[number] = work(number, prepared, begin[0] + SECONDS)
            except Exception as error:
                start.abort()
                errors.append(repr(error))

        threads = [threading.Thread(target=one, args=(number,)) for number in range(clients)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        seconds = time.monotonic() - begin[0] if begin else 1
        theirs.send((sum(done) / seconds, sum(done), errors[:3]))

    process = multiprocessing.get_context("fork").Process(target=run)
    process.start()
    rate, count, errors = ours.recv()
    process.join()
    assert not errors, errors
    return rate, count


class Mailboxes:
    """How many messages the mailboxes of a server hold, wherever they were filed."""

    def __init__(self, server, accounts):
        self.sessions = [imap(server, account) for account in accounts]

    def count(self):
        total = 0
        for session in self.sessions:
            for folder in ("INBOX", '"Junk Mail"'):
                status, data = session.status(folder, "(MESSAGES)")
                if status == "OK":
                    total += int(data[0].rstrip(b")").rsplit(b" ", 1)[1])
        return total


class Acceptance:
    """Messages by SMTP: how many a second are answered 250, and how many then are in a mailbox."""

    def __init__(self, servers, accounts):
        self.accounts, self.mailboxes = accounts, {server.name: Mailboxes(server, accounts) for server in servers}

    def of(self, server, size, clients):
        texts, first = bodies(size), next(NUMBERS) * 1_000_000
        mailboxes = self.mailboxes[server.name]
        before = mailboxes.count()

        def work(number, _, until):
            done, to = 0, self.accounts[number % len(self.accounts)]
            while time.monotonic() < until:
                session = Sender(server.ip, f"{CLIENTS}.{number + 1}")
                for _ in range(IN_ONE_SESSION):
                    session.send(to, message(texts, first + number * 10_000 + done, to))
                    done += 1
                    if time.monotonic() > until:
                        break
                session.close()
            return done

        begin = time.monotonic()
        rate, count = together(clients, lambda _: None, work)
        server.check()
        postfix.wait_for(lambda: mailboxes.count() >= before + count, 120, f"{server.name}: {count} messages in the mailboxes")
        return rate, count / (time.monotonic() - begin)


class Reading:
    """One mailbox for each client, with IMAP commands one after another."""

    def __init__(self, servers, accounts):
        self.accounts, self.texts = accounts, bodies(SIZES["4 KB"])
        for server in servers:
            for account in accounts:
                fill(server, account, 200)

    def of(self, server, what, clients):
        first = next(NUMBERS) * 1_000_000

        def prepare(number):
            session = imap(server, self.accounts[number])
            return session, int(session.select("INBOX")[1][0])

        def work(number, prepared, until):
            (session, messages), done = prepared, 0
            while time.monotonic() < until:
                if what == "append":
                    octets = message(self.texts, first + number * 10_000 + done, self.accounts[number])
                    answer = session.append("INBOX", None, None, octets)
                elif what == "fetch":
                    answer = session.fetch(str(done % messages + 1), "(BODY.PEEK[])")
                else:
                    answer = session.search(None, "SUBJECT", f'"Number {done % 200}"')
                assert answer[0] == "OK", answer
                done += 1
            return done

        return together(clients, prepare, work)


def settle(servers, seconds=600):
    """Waits until none of them works: indexes, patterns that Rspamd compiles at its first start, workers that end."""
    end, known, quiet = time.monotonic() + seconds, None, 0
    while quiet < 3 and time.monotonic() < end:
        used = sum(ticks(pid) for server in servers for pid in server.pids())
        quiet = quiet + 1 if known is not None and abs(used - known) <= 6 * len(servers) else 0
        known = used
        time.sleep(1)


def ticks(pid):
    """Processor time of a process, in hundredths of a second."""
    with contextlib.suppress(OSError):
        fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
        return int(fields[11]) + int(fields[12])
    return 0


class Table:
    """Rows with a figure of each server and the ratio."""

    def __init__(self, names):
        self.names, self.rows = names, []

    def row(self, what, unit, figures, digits=0):
        """`figures`: by the server's name."""
        ratio = figures[self.names[0]] / figures[self.names[1]] if len(self.names) > 1 else None
        cells = [f"{figures[name]:.{digits}f} {unit}" for name in self.names]
        self.rows.append([what, *cells, "" if ratio is None else f"{ratio:.2f}"])
        print("  " + "; ".join([what, *(f"{name} {cell}" for name, cell in zip(self.names, cells))]
                               + ([f"ratio {ratio:.2f}"] if ratio is not None else [])), flush=True)  # fmt: skip

    def __str__(self):
        head = ["what", *self.names, "ratio"]
        lines = [head, ["---"] * len(head), *self.rows]
        return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def in_turns(servers, rounds, measure):
    """Medians of what `measure(server)` returns, a tuple, by the server's name."""
    found = {server.name: [] for server in servers}
    for _ in range(rounds):
        for server in servers:
            found[server.name].append(measure(server))
    return {name: [statistics.median(column) for column in zip(*each)] for name, each in found.items()}


def rates(servers, accounts, rounds, table):
    """Acceptance and reading, by size and number of clients."""
    acceptance, reading = Acceptance(servers, accounts), Reading(servers, accounts)
    for size, octets in SIZES.items():
        for clients in (1, 10, MOST_CLIENTS):
            found = in_turns(servers, rounds, lambda server, octets=octets, clients=clients: acceptance.of(server, octets, clients))
            who = f"{clients} client{'s' * (clients > 1)}"
            table.row(f"SMTP, {size}, {who}: accepted", "/s", {name: each[0] for name, each in found.items()})
            table.row(f"SMTP, {size}, {who}: in the mailbox", "/s", {name: each[1] for name, each in found.items()})
    table.row("memory after that", "MiB", {server.name: server.resident() for server in servers})
    for what in ("append", "fetch", "search"):
        for clients in (1, ACCOUNTS):
            found = in_turns(servers, rounds, lambda server, what=what, clients=clients: reading.of(server, what, clients))
            table.row(f"IMAP {what}, 4 KB, {clients} client{'s' * (clients > 1)}", "/s", {name: each[0] for name, each in found.items()})


PAGE = "(UID FLAGS INTERNALDATE RFC822.SIZE ENVELOPE)"
SIGN_IN = "sign-in and SELECT"
WARM = 15


def large(servers, account, count, table):
    """One mailbox with many messages: right after a restart, and then again and again."""
    for server in servers:
        fill(server, account, count)
    settle(servers)
    for server in servers:
        server.restart_reader()
    asked = {
        SIGN_IN: lambda session, _: session.select("INBOX"),
        "SELECT": lambda session, _: session.select("INBOX"),
        "NOOP": lambda session, _: session.noop(),
        "FETCH of 50": lambda session, turn: session.fetch(f"{count - 50 * turn - 49}:{count - 50 * turn}", PAGE),
        "SEARCH UNSEEN": lambda session, _: session.search(None, "UNSEEN"),
        "SEARCH FROM": lambda session, turn: session.search(None, "FROM", f"s{turn}@"),
        "SEARCH SUBJECT": lambda session, turn: session.search(None, "SUBJECT", f'"Number {count - turn}"'),
        "SEARCH BODY": lambda session, turn: session.search(None, "BODY", f'"{count - turn}"'),
    }
    for server in servers:
        postfix.wait_for(lambda server=server: listens(server), 60, "IMAP after the restart")
    sessions = {}
    for what, ask in asked.items():
        times, found = {server.name: [] for server in servers}, {}
        for turn in range(WARM):
            for server in servers:
                begin = time.perf_counter()
                if what == SIGN_IN:
                    sessions[server.name] = imap(server, account)
                status, data = ask(sessions[server.name], turn)
                times[server.name].append((time.perf_counter() - begin) * 1000)
                assert status == "OK", (what, server.name)
                found[server.name] = len(data[0].split()) if "SEARCH" in what else 0
        if len(set(found.values())) > 1:
            print(f"  {what} does not find the same: {found}", flush=True)
        table.row(f"{count:,} messages: {what}, first", "ms", {name: each[0] for name, each in times.items()}, 2)
        table.row(f"{count:,} messages: {what}, again", "ms", {name: statistics.median(each[1:]) for name, each in times.items()}, 2)
    for session in sessions.values():
        session.logout()


def listens(server):
    """Whether IMAP answers."""
    with contextlib.suppress(OSError), socket.create_connection((server.ip, PORTS["imaps"]), 1):
        return True
    return False


def is_open(server, account):
    """Whether somebody can sign in."""
    with contextlib.suppress(OSError, imaplib.IMAP4.error):
        imap(server, account).logout()
        return True
    return False


def figures(messages, rounds, peer_folder=None):
    """Prints all."""
    addresses()
    names = [f"user{number}" for number in range(ACCOUNTS)] + ["large"]
    with contextlib.ExitStack() as stack:
        ours = stack.enter_context(Ours())
        accounts = [ours.account(name) for name in names]
        servers = [ours]
        if peer_folder:
            ip = f"{NETWORK}.{next(ADDRESSES)}"
            names_of_peer = NameServer(ip, 53)
            stack.callback(names_of_peer.close)
            peer = stack.enter_context(postfix.Peer(peer_folder, ip, PORTS, ours.directory, accounts))
            servers.append(peer)
            postfix.wait_for(lambda: is_open(peer, accounts[0]), 60, peer.name)
            postfix.wait_for(lambda: is_filtering(peer, accounts[0]), 120, peer.name)
        settle(servers)
        table = Table([server.name for server in servers])
        table.row("memory at rest", "MiB", {server.name: server.resident() for server in servers})
        rates(servers, accounts[:ACCOUNTS], rounds, table)
        large(servers, accounts[-1], messages, table)
        print(f"{DIFFERENCES}\n{table}")


def is_filtering(server, account):
    """Whether a message is taken: until the filter runs, it is deferred."""
    with contextlib.suppress(OSError, AssertionError):
        session = Sender(server.ip, f"{CLIENTS}.1")
        session.send(account, message(bodies(SIZES["4 KB"]), next(NUMBERS) * 1_000_000, account))
        session.close()
        return True
    return False


if __name__ == "__main__":
    figures(int(sys.argv[1]), int(sys.argv[2]), pathlib.Path(sys.argv[3]) if sys.argv[3:] else None)
