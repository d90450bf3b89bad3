"""How fast the filter looks through the corpus, beside clamd, and what it takes at rest.

In: the filter's program. Out: lines of figures. The filter is asked as the mail server asks it, by the milter protocol.
"""

import pathlib
import shutil
import socket
import struct
import subprocess
import tempfile
import threading
import time

from filter_corpus import corpus

CONNECTIONS = 4
EICAR = (r"X5O!P%@AP[4\PZX54(P^)7CC)7}$EICAR-" r"STANDARD-ANTIVIRUS-TEST-FILE!$H+H*").encode()


def packet(code, data=b""):
    return struct.pack(">I", len(data) + 1) + code + data


def reply(connection):
    """One packet's code and data."""
    head = b""
    while len(head) < 5:
        more = connection.recv(5 - len(head))
        assert more, "the filter hung up"
        head += more
    data = b""
    while len(data) < struct.unpack(">I", head[:4])[0] - 1:
        data += connection.recv(1 << 16)
    return head[4:], data


def ask(port, raw):
    """What the filter says to a message: its last packet."""
    with socket.create_connection(("127.0.0.1", port), 60) as connection:
        connection.sendall(packet(b"O", struct.pack(">III", 6, 0xff, 0x42)))
        assert reply(connection)[0] == b"O"
        body = b"".join(packet(b"B", raw[at:at + 65535]) for at in range(0, len(raw), 65535))
        connection.sendall(packet(b"M", b"<a@b.test>\0") + packet(b"R", b"<bob@example.test>\0") + body + packet(b"E"))
        while True:
            code, data = reply(connection)
            if code in b"acdrtxy":
                return code, data


def in_parallel(messages, work):
    """Seconds for `work` on all messages over a few connections."""
    waiting, errors = list(messages), []

    def take():
        while waiting and not errors:
            try:
                work(waiting.pop())
            except Exception as error:
                errors.append(error)
                raise

    threads = [threading.Thread(target=take) for _ in range(CONNECTIONS)]
    begin = time.monotonic()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]
    return time.monotonic() - begin


def resident(pid):
    """MiB of a process and its children; what they share counts in each."""
    children = pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    total = 0
    for each in [pid, *children]:
        status = pathlib.Path(f"/proc/{each}/status").read_text()
        total += int(status.split("VmRSS:")[1].split()[0])
    return total / 1024


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]


def of_filter(program, messages, rounds):
    """Prints the filter's figures; returns its messages a second."""
    with tempfile.TemporaryDirectory() as work:
        port = free_port()
        settings = pathlib.Path(work) / "filter.toml"
        settings.write_text(f"""
host = "mail.example.test"
listen = "127.0.0.1:{port}"
release = "127.0.0.1:{free_port()}"
state = "{work}"
socket = "{work}/api"
on-failure = "defer"
largest-message = 52428800
seconds = 20
[quarantine]
days = 1
bytes = 1000000000
[policy]
malware = "reject"
""")
        with open(pathlib.Path(work) / "log", "wb") as log:
            process = subprocess.Popen([program, "serve", "--config", str(settings)], stderr=log)
        try:
            while True:
                try:
                    code, data = ask(port, b"Subject: x\r\n\r\n" + EICAR + b"\r\n")
                    break
                except OSError:
                    assert process.poll() is None, (pathlib.Path(work) / "log").read_text()
                    time.sleep(0.05)
            assert code == b"y" and b"550" in data, (code, data)
            at_start = resident(process.pid)
            seconds = []
            for _ in range(rounds):
                answers = []
                seconds.append(in_parallel(messages, lambda raw, answers=answers: answers.append(ask(port, raw)[0])))
                assert answers == [b"a"] * len(messages), answers
            time.sleep(45)  # workers that nobody needs end
            at_rest = resident(process.pid)
        finally:
            process.terminate()
            process.wait()
    best = len(messages) / min(seconds)
    print(f"  filter: {best:.0f} messages a second; {at_start:.0f} MiB at start, {at_rest:.0f} MiB at rest afterwards", flush=True)
    return best


def of_clamd(messages, rounds):
    """Prints clamd's figures, with a database that knows nothing but EICAR; returns messages a second, None without clamd."""
    program = shutil.which("clamd") or shutil.which("clamd", path="/usr/sbin")
    if not program:
        print("  clamd is not installed (package clamav-daemon): nothing to compare with")
        return None
    with tempfile.TemporaryDirectory() as work:
        database = pathlib.Path(work) / "db"
        database.mkdir()
        (database / "eicar.ndb").write_text(f"Eicar-Test:0:*:{EICAR.hex()}\n")
        place = f"{work}/socket"
        (pathlib.Path(work) / "clamd.conf").write_text(
            f"LocalSocket {place}\nDatabaseDirectory {database}\nForeground yes\nLogFile {work}/log\nMaxThreads 2\n")
        process = subprocess.Popen([program, "-c", f"{work}/clamd.conf"], stdout=subprocess.DEVNULL, stderr=subprocess.STDOUT)

        def scan(raw):
            with socket.socket(socket.AF_UNIX) as connection:
                connection.settimeout(60)
                connection.connect(place)
                connection.sendall(b"zINSTREAM\0" + struct.pack(">I", len(raw)) + raw + b"\0\0\0\0")
                answer = b""
                while not answer.endswith(b"\0"):
                    answer += connection.recv(4096)
                return answer

        try:
            end = time.monotonic() + 60
            while True:
                try:
                    assert b"FOUND" in scan(EICAR)
                    break
                except OSError:
                    assert process.poll() is None and time.monotonic() < end, "clamd does not start"
                    time.sleep(0.1)
            seconds = []
            for _ in range(rounds):
                answers = []
                seconds.append(in_parallel(messages, lambda raw, answers=answers: answers.append(scan(raw))))
                assert all(b"OK" in answer for answer in answers), answers
            memory = resident(process.pid)
        finally:
            process.terminate()
            process.wait()
    best = len(messages) / min(seconds)
    print(f"  clamd, with one signature of its own: {best:.0f} messages a second; {memory:.0f} MiB at rest", flush=True)
    return best


def figures(program, rounds):
    """Prints all."""
    messages = corpus()
    size = sum(map(len, messages)) / len(messages) / 1000
    print(f"  corpus: {len(messages)} messages, {size:.0f} KB on average")
    own = of_filter(program, messages, rounds)
    other = of_clamd(messages, rounds)
    if other:
        print(f"  filter / clamd: {own / other:.2f}")
