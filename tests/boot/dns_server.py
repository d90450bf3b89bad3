"""A small authoritative DNS server (RFC 1035, EDNS0 by RFC 6891) for the boot tests.

In: a table {(name, type): [rdata text]}. Out: answers over UDP and TCP, and the list of what was asked, so
that a check can say "the appliance really asked for the SPF record". Only loopback is served.
"""

import socket
import socketserver
import struct
import threading

TYPES = {"A": 1, "NS": 2, "CNAME": 5, "SOA": 6, "PTR": 12, "MX": 15, "TXT": 16, "AAAA": 28, "SRV": 33}
NAMES = {number: name for name, number in TYPES.items()}
NXDOMAIN = 3


def encode_name(name):
    """A domain name as length-prefixed labels, uncompressed."""
    labels = [label.encode() for label in name.rstrip(".").split(".") if label]
    return b"".join(bytes([len(label)]) + label for label in labels) + b"\0"


def encode_rdata(kind, text):
    """One record's RDATA from its zone-file text."""
    if kind == "A":
        return socket.inet_aton(text)
    if kind == "AAAA":
        return socket.inet_pton(socket.AF_INET6, text)
    if kind == "MX":
        preference, exchange = text.split()
        return struct.pack("!H", int(preference)) + encode_name(exchange)
    if kind == "TXT":
        raw = text.encode()
        pieces = [raw[i : i + 255] for i in range(0, len(raw), 255)] or [b""]
        return b"".join(bytes([len(piece)]) + piece for piece in pieces)
    return encode_name(text)


# The SOA of the one zone that there is, the root: (server, mailbox, serial, refresh, retry, expire, minimum).
SOA = encode_name("ns.test") + encode_name("hostmaster.test") + struct.pack("!5I", 1, 3600, 600, 86400, 60)


def parse_question(packet):
    """(id, flags, name, type number, whole question bytes, UDP size the client can take)."""
    identifier, flags, _, _, _, additional = struct.unpack("!6H", packet[:12])
    labels, offset = [], 12
    while packet[offset]:
        length = packet[offset]
        labels.append(packet[offset + 1 : offset + 1 + length].decode("ascii", "replace").lower())
        offset += 1 + length
    kind = struct.unpack("!H", packet[offset + 1 : offset + 3])[0]
    question = packet[12 : offset + 5]
    rest = packet[offset + 5 :]
    edns = additional and rest[:3] == b"\0\0\x29"
    size = max(512, struct.unpack("!H", rest[3:5])[0]) if edns else 512
    return identifier, flags, ".".join(labels), kind, question, size, edns


class Zone:
    """The records served and the questions seen."""

    def __init__(self):
        self.records = {}
        self.asked = []
        self.lock = threading.Lock()

    def add(self, name, kind, *values):
        """Publishes `values` at `name`; replaces what was there."""
        with self.lock:
            self.records[(name.lower().rstrip("."), kind)] = list(values)

    def was_asked(self, name, kind):
        """Whether somebody asked for `kind` at `name`."""
        with self.lock:
            return (name.lower().rstrip("."), kind) in self.asked

    def answer(self, packet, limit=None):
        """The response to one query; truncated (TC) when longer than the client or `limit` takes."""
        identifier, flags, name, number, question, size, edns = parse_question(packet)
        kind = NAMES.get(number, str(number))
        with self.lock:
            self.asked.append((name, kind))
            values = self.records.get((name, kind), [])
            exists = any(owner == name or owner.endswith("." + name) for owner, _ in self.records)
        body = b""
        for value in values:
            rdata = encode_rdata(kind, value)
            body += b"\xc0\x0c" + struct.pack("!HHIH", number, 1, 60, len(rdata)) + rdata
        # RFC 2308: a negative answer brings the zone's SOA.
        soa = b"" if values else b"\0" + struct.pack("!HHIH", 6, 1, 60, len(SOA)) + SOA
        option = b"\0" + struct.pack("!HHIH", 41, 1232, 0, 0) if edns else b""
        code = 0 if values or exists else NXDOMAIN

        def head(count, authority, truncated=0):
            bits = 0x8480 | (flags & 0x0100) | code | truncated
            return struct.pack("!6H", identifier, bits, 1, count, authority, 1 if edns else 0) + question

        whole = head(len(values), 1 if soa else 0) + body + soa + option
        return whole if len(whole) <= (limit or size) else head(0, 0, truncated=0x0200) + option


class _Udp(socketserver.BaseRequestHandler):
    def handle(self):
        packet, sock = self.request
        zone = self.server.zone  # type: ignore[attr-defined]
        try:
            sock.sendto(zone.answer(packet), self.client_address)
        except (IndexError, struct.error):
            pass  # not a DNS query; a server of the world drops it too


class _Tcp(socketserver.BaseRequestHandler):
    def handle(self):
        head = self.request.recv(2, socket.MSG_WAITALL)
        if len(head) == 2:
            packet = self.request.recv(struct.unpack("!H", head)[0], socket.MSG_WAITALL)
            reply = self.server.zone.answer(packet, limit=65535)  # type: ignore[attr-defined]
            self.request.sendall(struct.pack("!H", len(reply)) + reply)


class _TcpServer(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True


def serve(zone, address="127.0.0.1", port=53):
    """Starts answering from `zone` in two background threads."""
    for server in (socketserver.ThreadingUDPServer((address, port), _Udp), _TcpServer((address, port), _Tcp)):
        server.zone = zone
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, daemon=True).start()
