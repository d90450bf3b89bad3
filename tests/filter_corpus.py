"""Typical messages for measuring the filter: the same bytes on every machine.

200 messages of 20 to 200 KB; a third has attachments: archives, documents, pictures, texts. Usage as a program:
tests/filter_corpus.py DIRECTORY writes them as 000.eml and so on.
"""

import email.message
import email.policy
import io
import pathlib
import random
import sys
import tarfile
import zipfile
import zlib

COUNT = 200
WORDS = ("the of and to in for that you with this report invoice meeting please attached figures project number from "
         "regards order delivery contract offer question answer customer release budget quarter team plan").split()


def prose(chance, size):
    """Words, about `size` characters."""
    lines, length = [], 0
    while length < size:
        line = " ".join(chance.choice(WORDS) for _ in range(chance.randint(6, 14)))
        lines.append(line)
        length += len(line) + 1
    return "\n".join(lines) + "\n"


def picture(chance, size):
    """What a camera's picture is to a filter: a JPEG's head, then bytes that do not compress."""
    return b"\xff\xd8\xff\xe0\x00\x10JFIF\x00\x01\x01\x00\x00\x01\x00\x01\x00\x00" + chance.randbytes(size) + b"\xff\xd9"


def archive(members):
    """A zip of (name, bytes), without the clock."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as made:
        for name, content in members:
            made.writestr(zipfile.ZipInfo(name, (2026, 1, 1, 0, 0, 0)), content, zipfile.ZIP_DEFLATED)
    return out.getvalue()


def document(chance, size):
    """A text document of an office program: XML in a zip, with a picture."""
    paragraphs = "".join(f"<w:p><w:r><w:t>{line}</w:t></w:r></w:p>" for line in prose(chance, size // 2).splitlines())
    return archive([
        ("[Content_Types].xml", '<Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types"/>'),
        ("word/document.xml", '<w:document xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main">'
                              f"<w:body>{paragraphs}</w:body></w:document>"),
        ("word/media/image1.jpeg", picture(chance, size // 2)),
    ])


def portable(chance, size):
    """A PDF as far as its frame goes, with deflated streams."""
    out = b"%PDF-1.7\n"
    while len(out) < size:
        stream = zlib.compress(prose(chance, 8000).encode() + chance.randbytes(2000))
        out += b"1 0 obj <</Length %d /Filter /FlateDecode>> stream\n" % len(stream) + stream + b"\nendstream endobj\n"
    return out + b"%%EOF\n"


def tape(chance, size):
    """A compressed archive of texts."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as made:
        content = prose(chance, size * 3).encode()
        member = tarfile.TarInfo("notes/minutes.txt")
        member.size = len(content)
        made.addfile(member, io.BytesIO(content))
    # gzip.compress would write the time.
    packer = zlib.compressobj(wbits=31)
    return packer.compress(out.getvalue()) + packer.flush()


ATTACHMENTS = [
    ("photo.jpg", picture), ("report.docx", document), ("invoice.pdf", portable), ("notes.tar.gz", tape),
    ("figures.zip", lambda chance, size: archive([("figures.csv", prose(chance, size * 3)), ("photo.jpg", picture(chance, size // 3))])),
]


def message(number):
    """One message, in bytes with CRLF."""
    chance = random.Random(number)
    made = email.message.EmailMessage(policy=email.policy.SMTP)
    made["From"], made["To"] = "Stranger <stranger@elsewhere.test>", "bob@example.test"
    made["Subject"], made["Message-ID"] = f"{chance.choice(WORDS)} {number}", f"<{number}@elsewhere.test>"
    made["Date"] = "Sun, 22 Nov 2026 10:38:33 +0000"
    size = chance.randint(20_000, 200_000)
    if number % 3:
        text = prose(chance, size // 2)
        made.set_content(text)
        made.add_alternative("<html><body>" + "".join(f"<p>{line}</p>\n" for line in text.splitlines()) + "</body></html>",
                             subtype="html")
    else:
        made.set_content(prose(chance, 3000))
        name, make = ATTACHMENTS[number // 3 % len(ATTACHMENTS)]
        # Base64 adds a third.
        made.add_attachment(make(chance, (size - 4000) * 3 // 4), "application", "octet-stream", filename=name)
    for index, part in enumerate(part for part in made.walk() if part.is_multipart()):
        part.set_boundary(f"=-{number}-{index}")
    return made.as_bytes()


def corpus():
    """All messages."""
    return [message(number) for number in range(COUNT)]


if __name__ == "__main__":
    for index, raw in enumerate(corpus()):
        (pathlib.Path(sys.argv[1]) / f"{index:03}.eml").write_bytes(raw)
