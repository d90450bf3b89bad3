"""A second reader of disk formats, written from their specifications and from nothing of the builder: checks what the builder writes.

Each reader takes an open file and returns (bytes of the disk, [(offset, bytes), …]), in order, holes left out. It checks what a strict
reader may check: checksums, alignment, reserved fields, that no two blocks share a place, sizes that clouds demand.
"""

import hashlib
import io
import struct
import sys
import tarfile
import uuid
import xml.etree.ElementTree as ET
import zlib

MIB = 1 << 20


def at(file, offset, length):
    file.seek(offset)
    found = file.read(length)
    assert len(found) == length, f"{length} bytes at {offset} are not all there"
    return found


def length_of(file):
    return file.seek(0, io.SEEK_END)


def vhd_checksum(block, place):
    return ~sum(block[:place] + bytes(4) + block[place + 4 :]) & 0xFFFFFFFF


def vhd_geometry(sectors):
    """CHS Calculation, as the specification's appendix has it."""
    sectors = min(sectors, 65535 * 16 * 255)
    if sectors >= 65535 * 16 * 63:
        track, heads = 255, 16
        lines = sectors // track
    else:
        track = 17
        lines = sectors // track
        heads = max((lines + 1023) // 1024, 4)
        if lines >= heads * 1024 or heads > 16:
            track, heads = 31, 16
            lines = sectors // track
        if lines >= heads * 1024:
            track, heads = 63, 16
            lines = sectors // track
    return lines // heads, heads, track


def vhd(file):
    """Virtual Hard Disk Image Format Specification 1.0; whole MiB, as Azure demands."""
    end = length_of(file) - 512
    footer = at(file, end, 512)
    cookie, features, version, where, time = struct.unpack(">8sIIQI", footer[:28])
    assert (cookie, features, version, time) == (b"conectix", 2, 0x10000, 0), footer[:28]
    original, size, cylinders, heads, track, kind, checksum = struct.unpack(">QQHBBII", footer[40:68])
    assert checksum == vhd_checksum(footer, 64)
    assert original == size and size % MIB == 0, size
    assert (cylinders, heads, track) == vhd_geometry(size // 512)
    assert not any(footer[84:]) and any(footer[68:84]), "reserved bytes are set, or the identifier is not"
    if kind == 2:
        assert where == 0xFFFFFFFFFFFFFFFF and end == size, (where, end, size)
        return size, ((offset, at(file, offset, min(MIB, size - offset))) for offset in range(0, size, MIB))
    assert kind == 3 and at(file, 0, 512) == footer, "the copy of the footer differs"
    header = at(file, where, 1024)
    cookie, beyond, table, version, blocks, length, checksum = struct.unpack(">8sQQIIII", header[:40])
    assert (cookie, beyond, version) == (b"cxsparse", 0xFFFFFFFFFFFFFFFF, 0x10000)
    assert checksum == vhd_checksum(header, 36) and blocks * length >= size
    places = struct.unpack(f">{blocks}I", at(file, table, blocks * 4))
    used = [place for place in places if place != 0xFFFFFFFF]
    room = (length // 512 // 8 + 511) // 512 + length // 512
    assert all(later - earlier >= room for earlier, later in zip(sorted(used), sorted(used)[1:])), "blocks overlap"

    def read():
        for number, place in enumerate(places):
            if place != 0xFFFFFFFF:
                bitmap = length // 512 // 8
                assert at(file, place * 512, bitmap) == b"\xff" * bitmap
                yield number * length, at(file, place * 512 + bitmap, length)[: size - number * length]

    return size, read()


def crc32c(block):
    crc = 0xFFFFFFFF
    for byte in block:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)
    return crc ^ 0xFFFFFFFF


def sealed(block):
    return struct.unpack("<I", block[4:8])[0] == crc32c(block[:4] + bytes(4) + block[8:])


def vhdx(file):
    """[MS-VHDX]."""
    assert at(file, 0, 8) == b"vhdxfile" and length_of(file) % MIB == 0
    headers = [at(file, place, 4096) for place in (64 << 10, 128 << 10)]
    assert all(header[:4] == b"head" and sealed(header) for header in headers)
    assert len({header[8:16] for header in headers}) == 2, "the headers have the same number"
    for header in headers:
        log, log_version, version, log_length, log_at = struct.unpack("<16sHHIQ", header[48:80])
        assert (log, log_version, version) == (bytes(16), 0, 1) and log_length % MIB == log_at % MIB == 0 and log_at and log_length
    tables = [at(file, place, 64 << 10) for place in (192 << 10, 256 << 10)]
    assert tables[0] == tables[1] and tables[0][:4] == b"regi" and sealed(tables[0])
    regions = {}
    for entry in range(struct.unpack("<I", tables[0][8:12])[0]):
        guid, place, length, required = struct.unpack("<16sQII", tables[0][16 + 32 * entry : 48 + 32 * entry])
        assert place % MIB == length % MIB == 0 and place >= MIB and required == 1
        regions[str(uuid.UUID(bytes_le=guid))] = place, length
    bat, bat_length = regions["2dc27766-f623-4200-9d64-115e9bfd4a08"]
    metadata, _ = regions["8b7ca206-4790-4b9a-b8fe-575f050f886e"]
    table = at(file, metadata, 64 << 10)
    assert table[:8] == b"metadata"
    items = {}
    for entry in range(struct.unpack("<H", table[10:12])[0]):
        guid, place, length, flags = struct.unpack("<16sIII", table[32 + 32 * entry : 60 + 32 * entry])
        assert place >= 64 << 10 and flags & 4, "an item is in the table, or is not required"
        items[str(uuid.UUID(bytes_le=guid))] = at(file, metadata + place, length)
    block, flags = struct.unpack("<II", items["caa16737-fa36-4d43-b3b6-33f0aa44e76b"])
    size = struct.unpack("<Q", items["2fa54224-cd1b-4876-b211-5dbed83bf4b8"])[0]
    logical = struct.unpack("<I", items["8141bf1d-a96f-4709-ba47-f233a8faab5f"])[0]
    physical = struct.unpack("<I", items["cda348c7-445d-4471-9cc9-e9885251c556"])[0]
    assert any(items["beca12ab-b2e6-4523-93ef-c309e000c746"]) and flags == 0 and (logical, physical) == (512, 4096)
    assert block % MIB == 0 and block & block - 1 == 0 and size % logical == 0
    chunk = (1 << 23) * logical // block
    blocks = -(-size // block)
    entries = struct.unpack(f"<{(count := blocks + (blocks - 1) // chunk)}Q", at(file, bat, count * 8))
    assert count * 8 <= bat_length
    places = [(entry & 7, entry >> 20 << 20, entry >> 3 & 0x1FFFF) for entry in entries]
    used = sorted(place for state, place, _ in places if state == 6)
    assert all(later - earlier >= block for earlier, later in zip(used, used[1:])), "blocks overlap"
    assert all(state in (0, 6) and not reserved for state, _, reserved in places)

    def read():
        for number in range(blocks):
            state, place, _ = places[number + number // chunk]
            if state == 6:
                yield number * block, at(file, place, block)[: size - number * block]

    return size, read()


def vmdk(file):
    """Virtual Disk Format 5.0: streamOptimized. Read as a stream by its markers, and by its tables: both have to agree."""
    form = "<4sIIQQQQIQQQB4sH"

    def header(offset):
        return struct.unpack(form, at(file, offset, struct.calcsize(form)))

    first, last = header(0), header(length_of(file) - 1024)
    magic, version, flags, capacity, grain, where, length, per_table, backup, directory, overhead, dirty, endings, method = first
    assert (magic, version, flags, dirty, endings, method) == (b"KDMV", 3, 0x30001, 0, b"\n \r\n", 1)
    assert directory == 0xFFFFFFFFFFFFFFFF and backup == 0 and last[:9] + last[10:] == first[:9] + first[10:]
    text = at(file, where * 512, length * 512).rstrip(b"\0").decode()
    assert 'createType="streamOptimized"' in text and f"RDONLY {capacity} SPARSE" in text, text
    pairs = dict(line.split("=", 1) for line in text.splitlines() if "=" in line and not line.startswith("#"))
    assert pairs["parentCID"] == "ffffffff" and int(pairs["CID"], 16) != 0xFFFFFFFF
    tables = -(-capacity // (grain * per_table))
    found, streamed, position = {}, {}, overhead
    for number, place in enumerate(struct.unpack(f"<{tables}I", at(file, last[9] * 512, tables * 4))):
        if place:
            for index, sector in enumerate(struct.unpack(f"<{per_table}I", at(file, place * 512, per_table * 4))):
                if sector:
                    found[(number * per_table + index) * grain] = sector
    while True:
        lba, size, kind = struct.unpack("<QII", at(file, position * 512, 16))
        if size:
            streamed[lba] = position
            position += -(-(12 + size) // 512)
            continue
        position += 1 + lba
        if kind == 0:
            break
    assert position * 512 == length_of(file) and streamed == found, "tables and markers differ"

    def read():
        for lba, sector in sorted(found.items()):
            number, size = struct.unpack("<QI", at(file, sector * 512, 12))
            assert number == lba
            yield lba * 512, zlib.decompress(at(file, sector * 512 + 12, size))

    return capacity * 512, read()


def qcow2(file):
    """QEMU's docs/interop/qcow2.rst: plain clusters, and compressed ones by zlib."""
    header = at(file, 0, 112)
    magic, version, backing, _, bits, size = struct.unpack(">4sIQIIQ", header[:32])
    entries, where = struct.unpack(">IQ", header[36:48])
    assert (magic, version, backing) == (b"QFI\xfb", 3, 0) and struct.unpack(">Q", header[72:80])[0] == 0
    cluster = 1 << bits

    def read():
        for first, pointer in enumerate(struct.unpack(f">{entries}Q", at(file, where, entries * 8))):
            if not pointer:
                continue
            table = struct.unpack(f">{cluster // 8}Q", at(file, pointer & 0x00FFFFFFFFFFFE00, cluster))
            for second, entry in enumerate(table):
                offset = (first * cluster // 8 + second) * cluster
                if entry >> 62 & 1:
                    shift = 62 - (bits - 8)
                    start = entry & (1 << shift) - 1
                    packed = at(file, start, ((entry >> shift & (1 << bits - 8) - 1) + 1) * 512 - start % 512)
                    # A window of 2^12 bytes is what the format promises to decompressors.
                    yield offset, zlib.decompressobj(-12).decompress(packed, cluster)[: size - offset]
                elif entry:
                    yield offset, at(file, entry & 0x00FFFFFFFFFFFE00, cluster)[: size - offset]

    return size, read()


def gce(file):
    """One member disk.raw in GNU's old format, of whole GiB."""
    head = at(file, 0, 10)
    assert head == b"\x1f\x8b\x08" + bytes(6) + b"\xff", head
    file.seek(0)
    archive = tarfile.open(fileobj=file, mode="r:gz")  # noqa: SIM115
    (member,) = archive.getmembers()
    assert member.name == "disk.raw" and member.issparse() and member.size % (1 << 30) == 0 and member.mtime == 0
    content = archive.extractfile(member)
    assert content
    return member.size, ((offset, content.read(MIB)) for offset in range(0, member.size, MIB))


# Order and number of elements, as the schemas of DSP8023 and of CIM_ResourceAllocationSettingData have them.
ENVELOPE = ["References", "DiskSection", "NetworkSection", "VirtualSystem"]
SYSTEM = ["Info", "Name", "OperatingSystemSection", "VirtualHardwareSection"]
OVF = "{http://schemas.dmtf.org/ovf/envelope/1}"
RASD = "{http://schemas.dmtf.org/wbem/wscim/1/cim-schema/2/CIM_ResourceAllocationSettingData}"


def ova(file):
    """An archive whose manifest and descriptor hold; gives the disk in it."""
    archive = tarfile.open(fileobj=file, mode="r:")  # noqa: SIM115
    members = archive.getmembers()
    names = [member.name for member in members]
    assert [name.rsplit(".", 1)[1] for name in names] == ["ovf", "mf", "vmdk"], names
    assert all(member.isreg() and (member.mtime, member.uid, member.gid) == (0, 0, 0) for member in members)
    contents = {name: archive.extractfile(name).read() for name in names}
    lines = dict(line.removeprefix("SHA256(").split(")= ") for line in contents[names[1]].decode().splitlines())
    assert lines == {name: hashlib.sha256(contents[name]).hexdigest() for name in (names[0], names[2])}
    root = ET.fromstring(contents[names[0]])
    assert root.tag == OVF + "Envelope" and [child.tag for child in root] == [OVF + name for name in ENVELOPE]
    system = root.find(OVF + "VirtualSystem")
    assert [child.tag for child in system] == [OVF + name for name in SYSTEM]
    listed, disk = root.find(f"{OVF}References/{OVF}File"), root.find(f"{OVF}DiskSection/{OVF}Disk")
    assert (listed.get(OVF + "href"), int(listed.get(OVF + "size") or 0)) == (names[2], len(contents[names[2]]))
    assert disk.get(OVF + "fileRef") == listed.get(OVF + "id") and disk.get(OVF + "format").endswith("#streamOptimized")
    items = system.findall(f"{OVF}VirtualHardwareSection/{OVF}Item")
    numbers = [item.findtext(RASD + "InstanceID") for item in items]
    assert len(set(numbers)) == len(items) >= 5
    for item in items:
        tags = [child.tag.removeprefix(RASD) for child in item]
        assert tags == sorted(tags) and {"ElementName", "InstanceID", "ResourceType"} <= set(tags), tags
        assert item.findtext(RASD + "Parent") in (None, *numbers)
        hosts = item.findtext(RASD + "HostResource")
        assert hosts in (None, f"ovf:/disk/{disk.get(OVF + 'diskId')}")
    networks = {network.get(OVF + "name") for network in root.iter(OVF + "Network")}
    assert {item.findtext(RASD + "Connection") for item in items} - {None} <= networks
    size, blocks = vmdk(io.BytesIO(contents[names[2]]))
    assert int(disk.get(OVF + "capacity") or 0) == size
    return size, blocks


READERS = {"vhd": vhd, "dynamic.vhd": vhd, "vhdx": vhdx, "vmdk": vmdk, "qcow2": qcow2, "zlib.qcow2": qcow2, "tar.gz": gce, "ova": ova}


def check(path, raw, suffix):
    """Fails unless the disk in `path` is the one in `raw`, followed by nothing but zeros."""
    with open(path, "rb") as file, open(raw, "rb") as disk:
        length = length_of(disk)
        size, blocks = READERS[suffix](file)
        assert size >= length, (size, length)
        position = 0
        for offset, block in blocks:
            assert offset >= position, "blocks are not in order"
            disk.seek(position)
            hole = min(offset, length) - position
            while hole > 0:
                piece = disk.read(min(hole, 16 * MIB))
                assert not any(piece), f"{path} has a hole after {position}"
                hole -= len(piece)
            disk.seek(offset)
            assert disk.read(len(block)).ljust(len(block), b"\0") == block, f"{path} differs after {offset}"
            position = offset + len(block)
        disk.seek(position)
        while piece := disk.read(16 * MIB):
            assert not any(piece), f"{path} ends too early"


if __name__ == "__main__":
    check(*sys.argv[1:4])
