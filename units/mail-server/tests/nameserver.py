# SPDX-License-Identifier: AGPL-3.0-only
"""A name server for tests: answers over UDP from a table, and remembers what was asked.

In: {("example.net", "MX"): ["10 mx.example.net"]}. Out: RFC 1035 answers; NXDOMAIN with a
SOA for what is not in the table. A table value of `SERVFAIL` answers with that code.
"""

import ipaddress
import socket
import struct
import threading

TYPES = {"A": 1, "NS": 2, "CNAME": 5, "SOA": 6, "PTR": 12, "MX": 15, "TXT": 16, "AAAA": 28,
         "DS": 43, "RRSIG": 46, "DNSKEY": 48, "TLSA": 52}
NAMES = {number: name for name, number in TYPES.items()}
SERVFAIL = "SERVFAIL"


def wire_name(name):
    """A domain name in wire format, without compression."""
    labels = [label for label in name.rstrip(".").split(".") if label]
    return b"".join(bytes([len(label)]) + label.encode() for label in labels) + b"\0"


def rdata(kind, text):
    """The wire format of one record's data."""
    if kind == "A" or kind == "AAAA":
        return ipaddress.ip_address(text).packed
    if kind == "MX":
        preference, host = text.split()
        return struct.pack("!H", int(preference)) + wire_name(host)
    if kind == "TXT":
        data = text.encode()
        parts = [data[at:at + 255] for at in range(0, len(data), 255)] or [b""]
        return b"".join(bytes([len(part)]) + part for part in parts)
    if kind in ("PTR", "CNAME", "NS"):
        return wire_name(text)
    if kind == "TLSA":
        usage, selector, matching, data = text.split()
        return bytes([int(usage), int(selector), int(matching)]) + bytes.fromhex(data)
    raise ValueError(kind)


def question(packet):
    """The first question: name, type, and where it ends."""
    labels, at = [], 12
    while packet[at]:
        labels.append(packet[at + 1:at + 1 + packet[at]].decode("ascii", "replace"))
        at += packet[at] + 1
    kind = struct.unpack("!H", packet[at + 1:at + 3])[0]
    return ".".join(labels).lower(), NAMES.get(kind, str(kind)), at + 5


class NameServer:
    """Serves `records` on `address` until closed. `asked` lists (name, type)."""

    def __init__(self, address, port=5353):
        self.records, self.asked = {}, []
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind((address, port))
        self.at = f"{address}:{self.socket.getsockname()[1]}"
        threading.Thread(target=self._serve, daemon=True).start()

    def close(self):
        """Ends the thread."""
        self.socket.close()

    def _serve(self):
        while True:
            try:
                packet, peer = self.socket.recvfrom(4096)
                self.socket.sendto(self._answer(packet), peer)
            except OSError:
                return

    def _answer(self, packet):
        name, kind, end = question(packet)
        self.asked.append((name, kind))
        found = self.records.get((name, kind))
        exists = any(owner == name for owner, _ in self.records)
        code = 2 if found == SERVFAIL else 0 if exists else 3
        answers = b""
        values = [] if found in (None, SERVFAIL) else found
        for value in values:
            data = rdata(kind, value)
            answers += b"\xc0\x0c" + struct.pack("!HHIH", TYPES[kind], 1, 1, len(data)) + data
        authority = b""
        if not values and code != 2:
            soa = wire_name("ns.test") + wire_name("root.test") + struct.pack("!5I", 1, 1, 1, 1, 1)
            authority = b"\0" + struct.pack("!HHIH", TYPES["SOA"], 1, 1, len(soa)) + soa
        flags = 0x8580 | code
        counts = struct.pack("!HHHH", 1, len(values), 1 if authority else 0, 0)
        return packet[:2] + struct.pack("!H", flags) + counts + packet[12:end] + answers + authority
