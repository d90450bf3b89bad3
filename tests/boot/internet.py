"""The little internet that the appliance lives in: its DNS, and what the administrator publishes there."""

import re

from dns_server import Zone, serve

HOST = "10.0.2.2"  # how the guest sees the loopback of the machine that runs QEMU


def internet():
    """The DNS of the other organisations, served."""
    zone = Zone()
    begin(zone)
    serve(zone)
    return zone


def begin(zone):
    """Only the other organisations have records, and nobody has asked for any."""
    with zone.lock:
        zone.records.clear()
        zone.asked.clear()
    zone.add("example.org", "MX", "10 mx.example.org")
    zone.add("example.org", "A", HOST)
    zone.add("mx.example.org", "A", HOST)
    zone.add("client.example.org", "A", HOST)
    zone.add("2.2.0.10.in-addr.arpa", "PTR", "client.example.org")
    zone.add("client.example.org", "TXT", f"v=spf1 ip4:{HOST} -all")
    zone.add("example.org", "TXT", f"v=spf1 ip4:{HOST} -all")
    zone.add("_dmarc.example.org", "TXT", "v=DMARC1; p=reject")
    zone.add("example.net", "TXT", "v=spf1 ip4:192.0.2.1 -all")
    zone.add("example.net", "MX", "10 mx.example.org")
    zone.add("_dmarc.example.net", "TXT", "v=DMARC1; p=reject")


def publish_dkim(world):
    """Publishes the DKIM keys that the device has made, as its administrator would."""
    world.dkim = world.shell("cat /var/lib/mailkiln/dkim/*.txt")
    publish(world.zone, world.dkim)


def publish(zone, records):
    """Adds the device's records to the DNS."""
    found = re.findall(r"^(\S+\._domainkey\.\S+?)\.?\s.*?TXT\s+\(?(.*?)\)?$", records, re.MULTILINE)
    assert len(found) == 4, records
    for name, value in found:
        zone.add(name, "TXT", "".join(re.findall(r'"([^"]*)"', value)))
