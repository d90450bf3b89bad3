"""Checks of what many strangers do at once. In QEMU all that comes from outside has one address, so those who need others
connect inside the appliance, from addresses of a documentation range that its loopback gets for the time of a check."""

import concurrent.futures
import contextlib
import imaplib
import re
import time

from checks import Checks
from clients import LOCAL, find, forwarded, imap, port, tls
from mail_checks import ALICE, BOB, signs_in

CHECKS = Checks()

# `stranger N` connects to port 25 as 198.51.100.N and leaves the connection in $fd; `say` sends a line and prints the last line of
# the answer.
STRANGERS = r"""
route=$(ip -o -4 route show table local type local | grep -v ' 127\.' | head -n 1)
address=$(echo "$route" | cut -d ' ' -f 2)
device=$(echo "$route" | grep -o 'dev [^ ]*')
comes_from() { ip route change local "$address" $device table local proto kernel scope host src "$1"; }
away() {
    comes_from "$address"
    ip -o address show dev lo | grep -o '198\.51\.100\.[0-9]*/32' | while read -r one; do ip address delete "$one" dev lo; done
}
trap away EXIT
stranger() {
    ip address add "198.51.100.$1/32" dev lo && comes_from "198.51.100.$1" && exec {fd}<>"/dev/tcp/$address/25"
}
answer() { while IFS= read -r -t 600 line <&"$fd" && [ "${line:3:1}" = - ]; do :; done; echo "${line%?}"; }
say() { printf '%s\r\n' "$1" >&"$fd"; answer; }
"""


@CHECKS("2,100 silent connections of one client keep neither a delivery nor a sign-in from others out")
def silent_connections(world):
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        crowd = pool.submit(world.shell, STRANGERS + r"""
            ulimit -n 4096
            rm -f /run/let-go
            stranger 6
            for i in $(seq 1050); do exec {one}<>"/dev/tcp/$address/25"; exec {other}<>"/dev/tcp/$address/993"; done 2>/dev/null
            touch /run/crowded
            begun=$EPOCHREALTIME
            stranger 7; answer
            say 'EHLO mx.example.com'
            say 'MAIL FROM:<dave@example.com>'
            say 'RCPT TO:<bob@example.test>'
            say DATA
            printf 'From: dave@example.com\r\nTo: bob@example.test\r\nSubject: past the crowd\r\n\r\nHello\r\n' >&$fd
            say .
            echo "    delivered after $(( (${EPOCHREALTIME/./} - ${begun/./}) / 1000 )) ms beside $(ls /proc/$$/fd | wc -l) descriptors"
            while [ ! -e /run/let-go ]; do sleep 0.2; done""", 600)
        try:
            world.shell("while [ ! -e /run/crowded ]; do sleep 0.2; done; mailkiln-agent health", seconds=400)
            assert signs_in(BOB, world.passwords[BOB])
        finally:
            world.shell("touch /run/let-go")
        said = crowd.result()
    delivered = re.search("    delivered.*beside ([0-9]+)", said)
    print(delivered[0], flush=True)
    assert int(delivered[1]) > 2100 and re.search(r"^354 .*\n250 ", said, re.MULTILINE), said
    assert arrived(world, "past the crowd")


@CHECKS("40 clients send 49 MiB at once: nothing is killed, and what was acknowledged is there")
def large_messages(world):
    before = processes(world)
    said = world.shell(STRANGERS + r"""
        body=/var/tmp/body
        line=$(printf '%076d' 0)
        for i in $(seq 13460); do printf '%s\r\n' "$line"; done > /var/tmp/megabyte
        for i in $(seq 49); do cat /var/tmp/megabyte; done > $body
        client() {
            answer > /dev/null
            for command in 'EHLO mx.example.com' 'MAIL FROM:<dave@example.com>' 'RCPT TO:<bob@example.test>' DATA; do
                said=$(say "$command")
                case $said in [23]*) ;; *) echo "$1: $said"; return;; esac
            done
            { printf 'From: dave@example.com\r\nTo: bob@example.test\r\nSubject: large %s\r\n\r\n' "$1"; cat $body; } >&$fd
            echo "$1: $(say .)"
        }
        for i in $(seq 101 140); do stranger $i && fds="$fds $i:$fd"; done
        for one in $fds; do fd=${one#*:}; client ${one%:*} & done
        wait
        rm -f /var/tmp/megabyte $body""", seconds=1800)
    acknowledged = re.findall(r"^(\d+): 250", said, re.MULTILINE)
    deferred = re.findall(r"^(\d+): 4\d\d", said, re.MULTILINE)
    print(f"    {len(acknowledged)} accepted, {len(deferred)} deferred", flush=True)
    # Under emulation all may be deferred where a scanner of its own takes longer than the filter waits.
    assert len(acknowledged) + len(deferred) == 40, said
    assert processes(world) == before, world.shell("journalctl --no-pager -b -n 60")
    for number in acknowledged:
        subject = f"large {number}"
        assert arrived(world, subject), f"{subject} was acknowledged and is not there"


@CHECKS("a client that had 40 recipients refused is banned, and the same address costs another client nothing")
def refused_by_address(world):
    said = world.shell(STRANGERS + r"""
        trap '' PIPE
        stranger 8
        for session in $(seq 20); do
            [ -n "$(answer)" ] || { echo "banned after $refused"; break; }
            say 'EHLO mx.example.com' >/dev/null
            say 'MAIL FROM:<dave@example.com>' >/dev/null
            for i in 1 2 3 4 5; do case $(say 'RCPT TO:<ghost@example.test>') in 5*) refused=$((refused + 1));; esac; done
            exec {fd}>&- {fd}<>"/dev/tcp/$address/25"
        done 2>/dev/null
        stranger 9; answer
        say 'EHLO mx.example.com'
        say 'MAIL FROM:<dave@example.com>'
        echo "ghost $(say 'RCPT TO:<ghost@example.test>')"
        say 'RCPT TO:<bob@example.test>'
        say DATA
        printf 'From: dave@example.com\r\nTo: bob@example.test\r\nSubject: beside a banned client\r\n\r\nHello\r\n' >&$fd
        say .
        mailkiln-agent bans list
        mailkiln-agent bans lift 198.51.100.8""", 900)
    banned = re.search(r"^banned after (\d+)", said, re.MULTILINE)
    assert banned and 30 <= int(banned[1]) <= 45, said
    assert re.search(r"^ghost 550", said, re.MULTILINE) and re.search(r"^354 .*\n250 ", said, re.MULTILINE), said
    assert "198.51.100.8" in said and "198.51.100.9" not in said, said
    assert arrived(world, "beside a banned client")


# Where connections to 127.0.0.1 come from: those that sshd makes for others too.
LOOPBACK = "ip route change local 127.0.0.1 dev lo table local proto kernel scope host src"


@CHECKS("20 wrong passwords from elsewhere, and the owner's slip costs the owner nothing")
def slip(world):
    password = world.passwords[BOB]
    usual = min(seconds_to_sign_in(password) for _ in range(2))
    local = port(993) + 1000
    with forwarded(world, 993, local, lambda: answers(local)):
        for number in range(20, 25):
            place = f"198.51.100.{number}"
            try:
                world.shell(f"ip address add {place}/32 dev lo && {LOOPBACK} {place}")
                for guess in range(4):
                    assert not is_taken(local, BOB, f"wrong-{guess}"), "a wrong password was accepted"
                # Only this is in the log: where they come from.
                assert number > 20 or is_taken(local, ALICE, world.passwords[ALICE])
            finally:
                world.shell(f"{LOOPBACK} 127.0.0.1; ip address delete {place}/32 dev lo")
    assert re.search(r"auth\.success.*198\.51\.100\.20", world.shell("journalctl --no-pager -b -u mail-server")), "they came from here"
    assert not is_taken(port(993), BOB, "a slip")
    begun = time.monotonic()
    assert is_taken(port(993), BOB, password), "the owner is locked out"
    took = time.monotonic() - begun
    print(f"    {took:.1f} s instead of {usual:.1f}", flush=True)
    # Others wait up to half a minute.
    assert took < usual + 5, f"{took:.1f} s instead of {usual:.1f}"
    assert "198.51.100" not in world.shell("mailkiln-agent bans list"), "a guess is no reason for a ban"


def seconds_to_sign_in(password):
    """How long the owner takes."""
    begun = time.monotonic()
    with imap(BOB, password):
        return time.monotonic() - begun


def is_taken(number, account, password):
    """Whether a password is, at a port of this machine."""
    session = imaplib.IMAP4_SSL(LOCAL, number, ssl_context=tls(), timeout=120)
    try:
        session.login(account, password)
        return True
    except imaplib.IMAP4.error:
        return False
    finally:
        with contextlib.suppress(imaplib.IMAP4.error, OSError):
            session.shutdown()


def answers(local):
    """Whether TLS begins at a port of this machine."""
    with contextlib.suppress(OSError, imaplib.IMAP4.error):
        imaplib.IMAP4_SSL(LOCAL, local, ssl_context=tls(), timeout=30).shutdown()
        return True
    return False


def arrived(world, subject):
    """Whether the message came to bob, wherever the filter put it."""
    return any(find(BOB, world.passwords[BOB], subject, mailbox=mailbox, seconds=30) for mailbox in ("INBOX", "Junk Mail"))


def processes(world):
    """The main processes of the services that mail passes through: another one means that the old one ended."""
    return world.shell("systemctl show --property=MainPID --value mail-server mailkiln-filter").split()
