"""An object at a storage emulator that resumes as Google does; Compute Engine is played."""

import urllib.request

import pytest
from gate import RESET, Reply


class Compute:
    """images.insert, operations and images of Compute Engine."""

    def __init__(self):
        self.images = {}

    def __call__(self, request):
        if "/compute/v1/" not in request.path:
            return None
        if request.headers.get("authorization") != "Bearer token-of-the-tests":
            return Reply(401, {"error": {"code": 401, "message": "who"}})
        name = request.path.rsplit("/", 1)[1]
        if request.method == "POST":
            image = request.json()
            assert len(image["name"]) <= 63 and all(len(value) <= 63 for value in image["labels"].values())
            self.images[image["name"]] = image | {"status": "READY", "creationTimestamp": f"2026-11-{len(self.images) + 10}"}
            return Reply(200, {"name": "operation-1"})
        if "/operations/" in request.path:
            return Reply(200, {"status": "DONE"})
        if name == "images":
            wanted = request.query["filter"].split("=")[1]
            return Reply(200, {"items": [one for one in self.images.values() if one["labels"]["mailkiln-name"] == wanted]})
        if name not in self.images:
            return Reply(404, {"error": {"code": 404, "message": "no"}})
        return Reply(200, self.images.pop(name) if request.method == "DELETE" else self.images[name])


@pytest.fixture
def google(storage_emulator, uploader, gates):
    """Both through one gate."""
    gate = gates(upstream=storage_emulator, play=Compute())
    uploader.environment["GOOGLE_OAUTH_ACCESS_TOKEN"] = "token-of-the-tests"
    gate.kept, gate.begun = {}, set()
    # The emulator names itself in the address of a session: the gate's has to stand there.
    passed_on = gate.reply

    def reply(request):
        answer = passed_on(request)
        if request.headers.get("content-range", "").startswith("bytes 0-"):
            gate.begun.add(request.target)
        if answer.status == 308 and request.target not in gate.begun:
            # The emulator says `bytes=0-0` of nothing; the document says that there is no such header then.
            answer.headers = {name: value for name, value in answer.headers.items() if name.lower() != "range"}
        for name, value in answer.headers.items():
            if name.lower() == "location":
                answer.headers[name] = gate.address + value[value.index("/", len("http://")) :]
        if request.method == "GET" and "/o/" in request.path and answer.status == 200:
            gate.kept[request.path] = urllib.request.urlopen(f"http://127.0.0.1:{storage_emulator}{request.path}?alt=media").read()
        return answer

    gate.reply = reply
    return gate


@pytest.fixture
def archive(images, tmp_path):
    return images.make(tmp_path / "gce", "tar.gz")


def upload(uploader, google, image, *words, status=0):
    where = ["--endpoint", google.address, "--bucket", "images", "--set", f"storage-endpoint={google.address}", "--set", "project=mail"]
    return uploader.run("gcp", image, *where, "--set", "chunk-mib=1", *words, status=status)


def test_image(uploader, google, archive):
    """The object is the archive and is removed; the image has its features; a second upload sends nothing."""
    report = upload(uploader, google, archive)
    assert report["outcome"] == "uploaded", report
    assert archive.read_bytes() in google.kept.values()
    (image,) = google.play.images.values()
    assert {"type": "UEFI_COMPATIBLE"} in image["guestOsFeatures"] and image["architecture"] == "X86_64"
    assert google.count("DELETE", "/o/") == 1
    google.log.clear()
    assert upload(uploader, google, archive)["outcome"] == "already there" and not google.count("PUT")
    assert "relay" in report["next"]["mail"]


def test_faults(uploader, google, archive):
    """After a failure the server is asked how much it has."""
    for fault in (Reply(503, ""), RESET, Reply(500, "")):
        google.fail(lambda request: request.headers.get("content-range", "").startswith("bytes 1048576-"), fault)
    assert upload(uploader, google, archive)["outcome"] == "uploaded"
    assert archive.read_bytes() in google.kept.values()
    assert sum(one.headers.get("content-range", "").startswith("bytes */") for one in google.log) >= 3


def test_killed(uploader, google, archive):
    """Killed in the middle, pieces that have arrived are not sent again."""
    google.fail(lambda request: request.headers.get("content-range", "").startswith("bytes 2097152-"), uploader.kill)
    upload(uploader, google, archive, status=-9)
    google.log.clear()
    assert upload(uploader, google, archive)["outcome"] == "uploaded"
    pieces = [one.headers["content-range"] for one in google.log if "content-range" in one.headers]
    assert pieces[0].startswith("bytes */") and not any(piece.startswith("bytes 0-") for piece in pieces), pieces
    assert archive.read_bytes() in google.kept.values() and not uploader.journals(archive)


def test_refused(uploader, google, archive):
    """A project without quota: nothing is left; a token that is none is named."""
    google.fail(lambda request: request.method == "POST" and "/compute/" in request.path,
                Reply(403, {"error": {"code": 403, "message": "Quota 'IMAGES' exceeded"}}))  # fmt: skip
    assert "Quota" in str(upload(uploader, google, archive, status=1))
    upload(uploader, google, archive, "--abandon")
    assert google.count("DELETE", "/o/") == 1 and not uploader.journals(archive)
    uploader.environment["GOOGLE_OAUTH_ACCESS_TOKEN"] = "other-token-of-the-tests"
    assert "401" in str(upload(uploader, google, archive, status=1))
