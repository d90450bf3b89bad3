# SPDX-License-Identifier: AGPL-3.0-only
"""Reports about our domains that strangers send: read, and bounded in size."""

import email.message
import gzip
import io
import time
import unittest
import zipfile

from server import DOMAIN, MailServer

RECORD = """<record><row><source_ip>192.0.2.9</source_ip><count>2</count><policy_evaluated>
<disposition>none</disposition><dkim>pass</dkim><spf>pass</spf></policy_evaluated></row>
<identifiers><header_from>example.test</header_from></identifiers><auth_results><spf>
<domain>example.test</domain><result>pass</result></spf></auth_results></record>"""
REPORT = f"""<?xml version="1.0"?><feedback><report_metadata><org_name>Stranger</org_name>
<email>dmarc@elsewhere.test</email><report_id>1</report_id><date_range><begin>1</begin>
<end>2</end></date_range></report_metadata><policy_published><domain>example.test</domain>
<p>none</p></policy_published>{RECORD}</feedback>"""
BOMB = 300 * 1024 * 1024


def zipped(chunks):
    """A ZIP archive with one member made of chunks."""
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as out, \
            out.open("a!b!1!2.xml", "w", force_zip64=True) as member:
        for chunk in chunks:
            member.write(chunk)
    return archive.getvalue()


def gzipped(chunks):
    """The same with gzip."""
    archive = io.BytesIO()
    with gzip.GzipFile(fileobj=archive, mode="wb", compresslevel=6) as out:
        for chunk in chunks:
            out.write(chunk)
    return archive.getvalue()


def message(subtype, name, contents):
    """A report as mail."""
    mail = email.message.EmailMessage()
    mail["From"], mail["To"] = "dmarc@elsewhere.test", f"dmarc@{DOMAIN}"
    mail["Subject"] = "Report Domain: example.test"
    mail.set_content("A report.")
    mail.add_attachment(contents, maintype="application", subtype=subtype, filename=name)
    return mail.as_bytes()


class Reports(unittest.TestCase):
    """DMARC reports to dmarc@example.test."""

    @classmethod
    def setUpClass(cls):
        cls.server = MailServer().__enter__()
        cls.addClassCleanup(cls.server.__exit__)
        cls.server.account("alice", emails=[f"alice@{DOMAIN}", f"dmarc@{DOMAIN}"])

    def peak(self):
        """The most memory that the server has had, in bytes."""
        with open(f"/proc/{self.server.process.pid}/status", encoding="ascii") as status:
            line = next(line for line in status if line.startswith("VmHWM"))
        return int(line.split()[1]) * 1024

    def stored(self):
        """How many DMARC reports the server has kept."""
        return self.server.api("GET", "/reports/dmarc")["total"]

    def send(self, subtype, name, contents):
        """Delivers a report."""
        self.server.deliver(message(subtype, name, contents), sender="dmarc@elsewhere.test",
                            to=f"dmarc@{DOMAIN}")

    def wait_logged(self, wanted, seconds=30):
        """Waits for a line of the log."""
        end = time.monotonic() + seconds
        while wanted not in self.server.log.read_text():
            self.assertLess(time.monotonic(), end, f"{wanted!r} is not in the log")
            time.sleep(0.1)

    def test_reports_are_read(self):
        before = self.stored()
        for subtype, name, contents in (
                ("zip", "a!example.test!1!2.zip", zipped([REPORT.encode()])),
                ("gzip", "a!example.test!1!2.xml.gz", gzipped([REPORT.encode()]))):
            self.send(subtype, name, contents)
        end = time.monotonic() + 20
        while self.stored() < before + 2 and time.monotonic() < end:
            time.sleep(0.2)
        self.assertEqual(self.stored(), before + 2)

    def test_bombs_are_not_unpacked(self):
        blanks = [b" " * 1024 * 1024] * (BOMB // 1024 // 1024)
        bombs = (("zip", "a!example.test!1!2.zip", zipped(blanks)),
                 ("gzip", "a!example.test!1!2.xml.gz", gzipped(blanks)))
        before = self.peak()
        for subtype, name, contents in bombs:
            self.send(subtype, name, contents)
        self.wait_logged("report is larger than")
        time.sleep(1)
        self.assertLess(self.peak() - before, BOMB // 3)
        self.assertEqual(self.server.http("GET", "/healthz/live", user=None)[0], 200)


if __name__ == "__main__":
    unittest.main()
