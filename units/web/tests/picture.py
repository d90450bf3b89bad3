"""Makes a PNG of a page small: at most 256 colours, as a page has few, and packed as tightly as zlib can."""

import collections
import struct
import zlib

SIGNATURE = b"\x89PNG\r\n\x1a\n"


def chunks(data):
    """Kind and contents of each chunk."""
    at = len(SIGNATURE)
    while at < len(data):
        (size,) = struct.unpack(">I", data[at:at + 4])
        yield data[at + 4:at + 8], data[at + 8:at + 8 + size]
        at += size + 12


def lines(packed, width, depth):
    """The lines of an image without the filters of PNG (section 9 of its specification)."""
    data, stride = zlib.decompress(packed), width * depth
    before = bytearray(stride)
    for start in range(0, len(data), stride + 1):
        kind, line = data[start], bytearray(data[start + 1:start + 1 + stride])
        for at in range(stride if kind else 0):
            left, above = (line[at - depth] if at >= depth else 0), before[at]
            corner = before[at - depth] if at >= depth else 0
            if kind == 1:
                line[at] = line[at] + left & 255
            elif kind == 2:
                line[at] = line[at] + above & 255
            elif kind == 3:
                line[at] = line[at] + (left + above) // 2 & 255
            else:
                guess = left + above - corner
                line[at] = line[at] + min((left, above, corner), key=lambda one: abs(guess - one)) & 255
        yield line
        before = line


def small(data):
    """The same image with a palette."""
    found = list(chunks(data))
    width, height, _, kind = struct.unpack(">IIBB", found[0][1][:10])
    depth = {2: 3, 6: 4}[kind]
    rows = [[tuple(line[at:at + 3]) for at in range(0, width * depth, depth)]
            for line in lines(b"".join(text for name, text in found if name == b"IDAT"), width, depth)]
    counted = collections.Counter(colour for row in rows for colour in row)
    palette = [colour for colour, _ in counted.most_common(64)]
    nearest = {colour: min(range(len(palette)), key=lambda at: sum((a - b) ** 2 for a, b in zip(palette[at], colour))) for colour in counted}
    pixels = b"".join(b"\0" + bytes(nearest[colour] for colour in row) for row in rows)
    made = [(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 3, 0, 0, 0)), (b"PLTE", bytes(value for colour in palette for value in colour)),
            (b"IDAT", zlib.compress(pixels, 9)), (b"IEND", b"")]
    return SIGNATURE + b"".join(struct.pack(">I", len(text)) + name + text + struct.pack(">I", zlib.crc32(name + text)) for name, text in made)
