"""Starts the real mail server for the tests of this workspace, and ends it with standard input.

In: $MAIL_SERVER, the program. Out: one line of JSON on standard output when it runs: `ip`, `ports`, `directory` (with
fullchain.pem), `accounts` with the password `pass word`. Each line that comes in asks for something and is answered by a line:
`deliver FROM TO COUNT SUBJECT`.
"""

import json
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "mail-server" / "tests"))

from server import HOST, PORTS, TODAY, MailServer  # noqa: E402

ACCOUNTS = ("alice", "bob")


def main():
    with MailServer() as server:
        accounts = [server.account(name) for name in ACCOUNTS]
        about = {"ip": server.ip, "ports": PORTS, "directory": str(server.directory), "name": HOST,
                 "accounts": accounts}
        print(json.dumps(about), flush=True)
        for line in sys.stdin:
            word, sender, recipient, count, subject = line.rstrip("\n").split(" ", 4)
            assert word == "deliver", word
            for number in range(int(count)):
                server.deliver(
                    f"From: Sender <{sender}>\r\nTo: {recipient}\r\nSubject: {subject} {number}\r\n"
                    f"Date: {TODAY}\r\nMessage-ID: <{number}.{abs(hash(subject))}@elsewhere.test>\r\n\r\n"
                    f"Text of {number}.\r\n", sender, recipient)
            print("done", flush=True)


if __name__ == "__main__":
    main()
