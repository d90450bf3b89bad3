"""The web unit as its users meet it, under its names and with a certificate of a real authority: pages, calendars, set-up of programs."""

import email
import email.policy
import html
import http.client
import http.server
import os
import plistlib
import re
import subprocess
import tempfile
import threading
import time
import urllib.error
import urllib.parse
import xml.etree.ElementTree
from pathlib import Path

from acme_checks import NAMES, first_certificate, status
from checks import Checks
from clients import LOCAL, deliver, find, port
from internet import HOST as AROUND
from mail_checks import ALICE, BOB
from visitor import HOST, Visitor, environment, fetch, root_of

# What a program has to find for each protocol: the port, always with TLS from the first byte.
INCOMING, OUTGOING = {"IMAP": 993, "POP3": 995}, {"SMTP": 465}
# What a resolver's OpenSSL says of a certificate.
UNTRUSTED = "certificate verify failed"

CHECKS = Checks()


@CHECKS("every name of the certificate answers HTTPS, vouched for by the authority's root, and HTTP leads there", after=[first_certificate])
def names(world):
    known = status(world)["names"]
    assert set(known) <= NAMES, known
    for name in known:
        page = fetch(world, f"https://{name}/healthz")
        assert page.text == "ok\n" and "strict-transport-security" in page.headers, (name, page.headers)
    moved = plain("/mail?f=INBOX")
    assert moved.status == 308 and moved.headers["Location"] == f"https://{HOST}/mail?f=INBOX", (moved.status, moved.headers)


@CHECKS("the web unit holds no capability and reaches no private network")
def confined(world):
    assert world.shell("systemctl is-active mailkiln-web mailkiln-web-http.socket mailkiln-web-https.socket").split() == ["active"] * 3
    shown = world.shell("systemctl show mailkiln-web --property=AmbientCapabilities,CapabilityBoundingSet,IPAddressDeny")
    assert "AmbientCapabilities=\n" in shown and "CapabilityBoundingSet=\n" in shown and "192.168.0.0/16" in shown, shown


@CHECKS(
    "a browser signs in with the password alone that is right, and what it held is worth nothing after signing out",
    after=[first_certificate],
)
def sign_in(world):
    browser = Visitor(world)
    refused = browser.sign_in(ALICE, "not the password")
    assert refused.status == 403 and refused.said("Address or password is wrong."), refused.text
    assert "__Host-session" not in browser.cookies
    page = browser.sign_in(ALICE, world.passwords[ALICE])
    assert page.status == 200 and page.said(ALICE), page.text
    held = dict(browser.cookies)
    left = browser.send(page, "/sign-out")
    assert left.form("/sign-in") and "__Host-session" not in browser.cookies, left.text
    browser.cookies = held
    asked = browser.get("/mail")
    assert asked.form("/sign-in") and not asked.said(ALICE), asked.text


@CHECKS("mail of a foreign host is in the webmail's list, and opens", after=[first_certificate])
def read(world):
    code, log = deliver("carol@example.org", ALICE, "--header", "Subject: read in a browser", "--body", "Words of a stranger.")
    assert code == 0, log
    assert find(ALICE, world.passwords[ALICE], "read in a browser")
    browser = signed_in(world, ALICE)
    message = opened(browser, "read in a browser")
    assert message.said("carol@example.org"), message.text
    assert "Words of a stranger." in frame(browser, message).text


@CHECKS("what is written in the webmail is in another account after the time to undo, and in Sent", after=[first_certificate])
def write(world):
    browser = signed_in(world, ALICE)
    page = browser.write(browser.get("/compose"), do="send", to=BOB, subject="written in a browser", text="Grüße\nAlice")
    assert page.said("The message is sent in"), page.text
    received = find(BOB, world.passwords[BOB], "written in a browser")
    assert received, browser.get("/compose/outbox").text
    message = email.message_from_bytes(received, policy=email.policy.default)
    assert message["from"].addresses[0].addr_spec == ALICE and message.get_content().splitlines() == ["Grüße", "Alice"], received
    assert find(ALICE, world.passwords[ALICE], "written in a browser", mailbox="Sent Items")
    assert browser.get("/compose/outbox").said("Nothing waits")


@CHECKS("a picture whose name leads into a private network is not fetched for a reader", after=[first_certificate])
def private_picture(world):
    world.zone.add("pictures.example.org", "A", AROUND)
    picture = "Content-Type: text/html; charset=utf-8"
    with Listener() as asked:
        code, log = deliver("carol@example.org", ALICE, "--header", "Subject: a picture from inside", "--add-header", "MIME-Version: 1.0",
                            "--add-header", picture, "--body", '<p>Look</p><img src="http://pictures.example.org/dot.png">')  # fmt: skip
        assert code == 0, log
        assert find(ALICE, world.passwords[ALICE], "a picture from inside")
        browser = signed_in(world, ALICE)
        shown = frame(browser, opened(browser, "a picture from inside"), "&images=1")
        sources = re.findall(r'src="(/mail/remote/[^"]+)"', shown.text)
        assert len(sources) == 1, shown.text
        page = browser.request("GET", html.unescape(sources[0]))
        assert page.status == 404, (page.status, page.text)
        assert world.zone.was_asked("pictures.example.org", "A"), "the name was never looked up"
        # Somebody would have answered.
        probe = f"timeout 20 bash -c 'exec 3<>/dev/tcp/{AROUND}/80; printf \"GET / HTTP/1.0\\r\\n\\r\\n\" >&3; cat <&3'"
        assert " 200 " in world.shell(probe) and asked == ["/"], asked


@CHECKS("two devices keep calendar and contacts alike by vdirsyncer, which finds both by the server's name", after=[first_certificate])
def devices(world):
    event = ["BEGIN:VCALENDAR", "VERSION:2.0", "PRODID:-//test//EN", "BEGIN:VEVENT", "UID:synced@example.test", "DTSTAMP:20260101T000000Z",
             "DTSTART:20260102T100000Z", "SUMMARY:Launch", "END:VEVENT", "END:VCALENDAR", ""]  # fmt: skip
    card = ["BEGIN:VCARD", "VERSION:3.0", "UID:synced", "FN:Carol Elsewhere", "N:Elsewhere;Carol;;;", "END:VCARD", ""]
    # It stays: a folder that is suddenly empty is an accident to vdirsyncer.
    other = [line.replace("Carol", "Dave").replace("synced", "other") for line in card]
    with tempfile.TemporaryDirectory() as folder:
        laptop, phone = Device(world, f"{folder}/laptop"), Device(world, f"{folder}/phone")
        laptop.put("calendar", "synced.ics", event)
        laptop.put("contacts", "synced.vcf", card)
        laptop.put("contacts", "other.vcf", other)
        laptop.sync()
        phone.sync()
        path = phone.holding("calendar", "SUMMARY:Launch")
        assert phone.holding("contacts", "FN:Carol Elsewhere")
        path.write_text(path.read_text().replace("Launch", "Landing"))
        phone.holding("contacts", "FN:Carol Elsewhere").unlink()
        phone.sync()
        laptop.sync()
        assert laptop.holding("calendar", "SUMMARY:Landing") and not laptop.holding("calendar", "SUMMARY:Launch")
        assert not laptop.holding("contacts", "FN:Carol Elsewhere"), "a contact that the phone removed is still on the laptop"
        assert laptop.holding("contacts", "FN:Dave Elsewhere")
    journal = world.shell("journalctl --no-pager -o cat -u mailkiln-web | grep -F .well-known/ | grep -F dav | tail -n 20")
    assert "/.well-known/caldav" in journal and "/.well-known/carddav" in journal, journal


@CHECKS("Thunderbird's, Outlook's and Apple's programs are told the ports that the appliance has", after=[first_certificate])
def set_up(world):
    query = urllib.parse.urlencode({"emailaddress": ALICE})
    for url in (
        f"https://autoconfig.example.test/mail/config-v1.1.xml?{query}",
        f"https://{HOST}/.well-known/autoconfig/mail/config-v1.1.xml?{query}",
    ):
        provider = xml.etree.ElementTree.fromstring(fetch(world, url).body).find("emailProvider")
        assert provider.get("id") == "example.test" and provider.findtext("domain") == "example.test"
        for kind, servers in (("incomingServer", INCOMING), ("outgoingServer", OUTGOING)):
            found = {one.get("type").upper(): one for one in provider.findall(kind)}
            assert {name: int(one.findtext("port") or 0) for name, one in found.items()} == servers, found
            for one in found.values():
                assert (one.findtext("hostname"), one.findtext("socketType"), one.findtext("username")) == (HOST, "SSL", "%EMAILADDRESS%")
    question = (
        '<Autodiscover xmlns="http://schemas.microsoft.com/exchange/autodiscover/outlook/requestschema/2006"><Request>'
        f"<EMailAddress>{ALICE}</EMailAddress><AcceptableResponseSchema>"
        "http://schemas.microsoft.com/exchange/autodiscover/outlook/responseschema/2006a</AcceptableResponseSchema></Request></Autodiscover>"
    )
    answer = fetch(world, "https://autodiscover.example.test/autodiscover/autodiscover.xml", question.encode(), Content_Type="text/xml")
    space = "{http://schemas.microsoft.com/exchange/autodiscover/outlook/responseschema/2006a}"
    found = {one.findtext(f"{space}Type"): one for one in xml.etree.ElementTree.fromstring(answer.body).iter(f"{space}Protocol")}
    assert {name: int(one.findtext(f"{space}Port") or 0) for name, one in found.items()} == INCOMING | OUTGOING, answer.text
    for one in found.values():
        assert [one.findtext(f"{space}{key}") for key in ("Server", "LoginName", "SSL")] == [HOST, ALICE, "on"], answer.text
    profile = plistlib.loads(fetch(world, f"https://{HOST}/profile.mobileconfig?{query}").body)
    mail, calendar, contacts = profile["PayloadContent"]
    assert (mail["IncomingMailServerHostName"], mail["IncomingMailServerPortNumber"]) == (HOST, INCOMING["IMAP"]), mail
    assert (mail["OutgoingMailServerHostName"], mail["OutgoingMailServerPortNumber"]) == (HOST, OUTGOING["SMTP"]), mail
    assert mail["IncomingMailServerUseSSL"] and mail["OutgoingMailServerUseSSL"] and mail["EmailAddress"] == ALICE, mail
    assert (calendar["CalDAVHostName"], contacts["CardDAVHostName"]) == (HOST, HOST), profile


@CHECKS("a mail server that asks for MTA-STS takes the policy that is served under its name", after=[first_certificate])
def mta_sts(world):
    world.zone.add("_mta-sts.example.test", "TXT", "v=STSv1; id=1")
    told = resolved(world, "example.test")
    assert "VALID" in told and "'mx': ['mail.example.test']" in told and "'mode': 'testing'" in told, told
    # It does check whom it asks: with the roots of the world nobody vouches for this name.
    told = resolved(world, "example.test", SSL_CERT_FILE="/etc/ssl/certs/ca-certificates.crt")
    assert "FETCH_ERROR" in told and UNTRUSTED in told, told


def plain(path):
    """What port 80 answers."""
    connection = http.client.HTTPConnection(LOCAL, port(80), timeout=60)
    connection.request("GET", path, headers={"Host": HOST})
    answer = connection.getresponse()
    connection.close()
    return answer


def signed_in(world, account):
    """A browser of someone who has signed in."""
    browser = Visitor(world)
    page = browser.sign_in(account, world.passwords[account])
    assert page.said(account), page.text
    return browser


def opened(browser, subject):
    """The page of a message, by its row in the list."""
    listed = browser.get("/mail")
    for row in re.findall(r'<li class="row.*?</li>', listed.text, re.S):
        if f'class="subject">{html.escape(subject)}<' in row:
            page = browser.get(html.unescape(re.search(r'href="([^"]+)"', row)[1]))
            assert page.said(subject), page.text
            return page
    raise AssertionError(f"no row {subject} in {listed.text}")


def frame(browser, message, more=""):
    """What the sender wrote, in the frame of a message's page."""
    return browser.get(html.unescape(re.search(r'<iframe class="body" src="([^"]+)"', message.text)[1]) + more)


def resolved(world, domain, **more):
    """What Postfix's resolver of MTA-STS says; once more where an emulated machine took longer than the four seconds that it waits."""
    end = time.monotonic() + 30
    while True:
        done = subprocess.run([os.environ["MTA_STS_QUERY"], domain], capture_output=True, text=True, timeout=60, check=False,
                              env=environment(world) | more)  # fmt: skip
        assert done.returncode == 0, done.stderr
        told = done.stdout + done.stderr
        if "FETCH_ERROR" not in told or UNTRUSTED in told or time.monotonic() > end:
            return told


class Device:
    """A calendar and contacts of Alice's in a folder, kept as the server has them."""

    def __init__(self, world, folder):
        self.environment, self.folder = environment(world), Path(folder)
        login = f'url = "https://{HOST}/"\nusername = "{ALICE}"\npassword = "{world.passwords[ALICE]}"\nverify = "{root_of(world)}"\n'
        text = f'[general]\nstatus_path = "{folder}/status/"\n'
        for name, kind, ending in (("calendar", "caldav", ".ics"), ("contacts", "carddav", ".vcf")):
            (self.folder / name / "default").mkdir(parents=True)
            text += (f'[pair {name}]\na = "{name}_here"\nb = "{name}_there"\ncollections = ["default"]\n'
                     f'[storage {name}_here]\ntype = "filesystem"\npath = "{folder}/{name}/"\nfileext = "{ending}"\n'
                     f'[storage {name}_there]\ntype = "{kind}"\n{login}')  # fmt: skip
        self.configuration = self.folder / "config"
        self.configuration.touch(mode=0o600)
        self.configuration.write_text(text)
        self.run("discover")

    def run(self, command):
        """Runs vdirsyncer."""
        done = subprocess.run(["vdirsyncer", "--config", self.configuration, command], stdin=subprocess.DEVNULL, capture_output=True,
                              text=True, timeout=240, check=False, env=self.environment)  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr

    def sync(self):
        """Both ways."""
        self.run("sync")

    def put(self, kind, name, lines):
        """Someone writes an entry here."""
        (self.folder / kind / "default" / name).write_text("\r\n".join(lines), newline="")

    def holding(self, kind, words):
        """The file with these words."""
        return next((path for path in (self.folder / kind / "default").iterdir() if words in path.read_text()), None)


class Listener:
    """A web server on the machine around the appliance: whoever asks is remembered."""

    def __enter__(self):
        asked = []

        class Answer(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                asked.append(self.path)
                self.send_response(200)
                self.end_headers()

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer((LOCAL, 80), Answer)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        return asked

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()
