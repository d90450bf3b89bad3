"""Checks of what many strangers do at once. In QEMU all that comes from outside has one address, so those who need others
connect inside the appliance, from addresses of a documentation range that its loopback gets for the time of a check."""

import concurrent.futures
import re

from checks import Checks
from clients import find
from mail_checks import BOB, signs_in

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


def arrived(world, subject):
    """Whether the message came to bob, wherever the filter put it."""
    return any(find(BOB, world.passwords[BOB], subject, mailbox=mailbox, seconds=30) for mailbox in ("INBOX", "Junk Mail"))


def processes(world):
    """The main processes of the services that mail passes through: another one means that the old one ended."""
    return world.shell("systemctl show --property=MainPID --value mail-server mailkiln-filter").split()
