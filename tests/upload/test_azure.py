"""Page blobs at Azurite, with a gate that checks what Azurite does not; the gallery is played."""

import base64
import hashlib
import re

import pytest
from gate import LOST, RESET, Refused, Reply

# The account that Azurite always has; its key is in Azurite's manual.
ACCOUNT = "devstoreaccount1"
KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="


def check(request):
    """At most 4 MiB, whole pages, the right MD5 ("Put Page")."""
    if request.query.get("comp") == "page" and request.method == "PUT":
        start, end = map(int, re.fullmatch(r"bytes=(\d+)-(\d+)", request.headers["x-ms-range"]).groups())
        fits = end - start + 1 == len(request.body) <= 4 << 20 and start % 512 == 0 and len(request.body) % 512 == 0
        if not fits or request.headers["content-md5"] != base64.b64encode(hashlib.md5(request.body).digest()).decode():
            raise Refused(Reply(400, "<Error><Code>Md5Mismatch</Code></Error>"))


@pytest.fixture
def azure(azurite, uploader, gates):
    """Azurite through the gate, with a container."""
    gate = gates(upstream=azurite, check=check)
    uploader.environment |= {"AZURE_STORAGE_KEY": KEY, "AZURE_STORAGE_ACCOUNT": ACCOUNT}
    return gate


@pytest.fixture
def vhd(images, tmp_path):
    return images.make(tmp_path / "vhd", "vhd")


def upload(uploader, azure, image, *words, status=0):
    where = ["--endpoint", f"{azure.address}/{ACCOUNT}", "--set", f"container={azure.container}"]
    return uploader.run("azure", image, *where, *words, status=status)


@pytest.fixture(autouse=True)
def container(azure, azurite, request):
    """A new container, made with a key as our program signs."""
    import email.utils
    import hmac
    import http.client

    azure.container = f"c{abs(hash(request.node.name)) % 10**9}"
    target, date = f"/{ACCOUNT}/{azure.container}?restype=container", email.utils.formatdate(usegmt=True)
    own = f"x-ms-date:{date}\nx-ms-version:2021-08-06\n"
    text = f"PUT\n\n\n\n\n\n\n\n\n\n\n\n{own}/{ACCOUNT}/{ACCOUNT}/{azure.container}\nrestype:container"
    signature = base64.b64encode(hmac.new(base64.b64decode(KEY), text.encode(), hashlib.sha256).digest()).decode()
    connection = http.client.HTTPConnection("127.0.0.1", azurite)
    headers = {"x-ms-date": date, "x-ms-version": "2021-08-06", "authorization": f"SharedKey {ACCOUNT}:{signature}", "content-length": "0"}
    connection.request("PUT", target, headers=headers)
    got = connection.getresponse()
    assert got.status == 201, got.read()


def arrived(azure):
    """The disk that the pages make up."""
    pages = [one for one in azure.log if one.query.get("comp") == "page"]
    size = next(int(one.headers["x-ms-blob-content-length"]) for one in azure.log if "x-ms-blob-content-length" in one.headers)
    disk = bytearray(size)
    for one in pages:
        start = int(one.headers["x-ms-range"].split("=")[1].split("-")[0])
        disk[start : start + len(one.body)] = one.body
    return bytes(disk)


def test_blob(uploader, azure, vhd):
    """The pages make up the VHD, those of zeros are not sent; a second upload sends nothing; wrong keys are refused."""
    report = upload(uploader, azure, vhd)
    assert report["outcome"] == "uploaded", report
    assert arrived(azure) == vhd.read_bytes()
    assert sum(len(one.body) for one in azure.log if one.query.get("comp") == "page") < vhd.stat().st_size
    azure.log.clear()
    assert upload(uploader, azure, vhd)["outcome"] == "already there" and not azure.count("PUT")
    uploader.environment["AZURE_STORAGE_KEY"] = base64.b64encode(b"wrong").decode()
    assert "403" in str(upload(uploader, azure, vhd, status=1))


def test_blob_faults_and_kill(uploader, azure, vhd):
    """Faults, then killed: pages that have arrived are not sent again; --prune and --abandon remove."""
    for fault in (Reply(503, ""), Reply(500, ""), RESET, LOST):
        azure.fail(lambda request: request.query.get("comp") == "page", fault)
    calls = iter(range(100))
    azure.fail(lambda request: request.query.get("comp") == "page" and next(calls) > 2, uploader.kill)
    upload(uploader, azure, vhd, "--set", "threads=1", status=-9)
    first = {one.headers["x-ms-range"] for one in azure.log if one.query.get("comp") == "page"}
    marker = len(azure.log)
    assert upload(uploader, azure, vhd)["outcome"] == "uploaded"
    again = {one.headers["x-ms-range"] for one in azure.log[marker:] if one.query.get("comp") == "page"}
    assert again and len(first & again) <= 1, (first, again)
    assert arrived(azure) == vhd.read_bytes() and not uploader.journals(vhd)


def test_refused(uploader, azure, vhd):
    """A refusal in the middle removes the blob; a raw disk is not taken."""
    azure.fail(lambda request: request.query.get("comp") == "page", Reply(400, "<Error><Code>Md5Mismatch</Code><Message>x</Message></Error>"))
    assert "Md5Mismatch" in str(upload(uploader, azure, vhd, status=1))
    assert azure.count("DELETE") == 1 and not uploader.journals(vhd)
    raw = vhd.with_suffix(".img")
    raw.write_bytes(vhd.read_bytes()[:-512])
    assert "convert" in str(upload(uploader, azure, raw, status=2))


def test_gallery(uploader, azure, vhd, gates):
    """Played: definition and version are made, waited for, and the blob removed."""
    resources = {}

    def play(request):
        if request.path.endswith("/token"):
            assert b"client_secret=word" in request.body
            return Reply(200, {"access_token": "t"})
        if request.headers.get("authorization") != "Bearer t":
            return Reply(401, {"error": {"code": "InvalidAuthenticationToken", "message": "no"}})
        if request.method == "PUT":
            resources[request.path] = request.json() | {"id": request.path, "name": request.path.rsplit("/", 1)[1]}
            resources[request.path]["properties"]["provisioningState"] = "Creating"
            return Reply(201, resources[request.path])
        if request.method == "GET" and request.path in resources:
            found = dict(resources[request.path])
            resources[request.path]["properties"] = found["properties"] | {"provisioningState": "Succeeded"}
            return Reply(200, found)
        return Reply(404, {"error": {"code": "NotFound", "message": "no"}})

    arm = gates(play=play)
    uploader.environment |= {"AZURE_TENANT_ID": "x", "AZURE_CLIENT_ID": "y", "AZURE_CLIENT_SECRET": "word", "AZURE_AUTHORITY_HOST": arm.address}
    words = [word for pair in (f"management-endpoint={arm.address}", "subscription=s", "resource-group=g", "gallery=mail", "region=westeurope")
             for word in ("--set", pair)]  # fmt: skip
    report = upload(uploader, azure, vhd, *words)
    assert report["outcome"] == "uploaded" and "/versions/2026.1121." in report["image"]["id"], report
    definition = next(one for path, one in resources.items() if "versions" not in path)
    assert definition["properties"]["hyperVGeneration"] == "V2" and definition["properties"]["architecture"] == "x64"
    assert azure.count("DELETE") == 1 and "--security-type Standard" in report["next"]["commands"]
    assert upload(uploader, azure, vhd, *words)["outcome"] == "already there"
