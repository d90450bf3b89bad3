"""Runs in the test driver of nixpkgs, which names the machines: alpha and beta exchange mail, each way."""

# mypy: disable-error-code="name-defined"

from email.utils import formatdate

PASSWORD = "correct horse battery staple"


def user(machine):
    return f"user@{machine.name}.test"


def client(machine, url, *options):
    """curl as a mail program; the certificate is signed by nobody yet."""
    words = ["curl", "--silent", "--show-error", "--insecure", "--ssl-reqd", "--user", f"'{user(machine)}:{PASSWORD}'"]
    return " ".join([*words, *options, f"'{url}'"])


def send(sender, receiver, subject):
    headers = {
        "From": user(sender),
        "To": user(receiver),
        "Subject": subject,
        "Date": formatdate(),
        "Message-ID": f"<{subject}@{sender.name}.test>",
    }
    lines = [f"{name}: {value}" for name, value in headers.items()]
    text = "".join(f"{line}\\r\\n" for line in [*lines, "", "hello"])
    sender.succeed(f"printf '{text}' > /tmp/message")
    options = ["--mail-from", user(sender), "--mail-rcpt", user(receiver), "--upload-file", "/tmp/message"]
    sender.succeed(client(sender, f"smtp://mail.{sender.name}.test:587", *options))


def arrives(receiver, subject):
    """In the inbox: mail that is taken for spam lies elsewhere."""
    search = client(receiver, f"imaps://mail.{receiver.name}.test/INBOX?SUBJECT%20{subject}")
    receiver.wait_until_succeeds(f"{search} | grep -q 'SEARCH [0-9]'", timeout=120)
    return receiver.succeed(client(receiver, f"imaps://mail.{receiver.name}.test/INBOX;MAILINDEX=1"))


start_all()
alpha.wait_for_unit("dnsmasq.service")
for machine in (alpha, beta):
    machine.wait_for_unit("mailkiln-filter.service")
    machine.wait_for_unit("mail-server.service")
    machine.wait_for_unit("mailkiln-provision.service")
    machine.wait_for_open_port(25)
    machine.wait_until_succeeds("resolvectl query --type=MX beta.test")

with subtest("mail goes both ways, signed"):
    send(alpha, beta, "first")
    assert "DKIM-Signature" in arrives(beta, "first")
    send(beta, alpha, "second")
    assert "DKIM-Signature" in arrives(alpha, "second")

with subtest("a stranger relays nothing"):
    beta.fail(
        "curl --silent --insecure --mail-from a@elsewhere.test --mail-rcpt b@elsewhere.test"
        " --upload-file /etc/hostname smtp://mail.alpha.test:25"
    )

with subtest("mail outlives a restart"):
    beta.shutdown()
    beta.start()
    beta.wait_for_unit("mailkiln-provision.service")
    assert "first" in arrives(beta, "first")

with subtest("units stay in their sandboxes"):
    for unit in ["mail-server", "mailkiln-filter", "mailkiln-prepare", "mailkiln-provision"]:
        alpha.succeed(f"systemd-analyze security --threshold=20 {unit}.service")
