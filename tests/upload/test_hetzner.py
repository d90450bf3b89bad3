"""Hetzner's API is played, with the SSH server of a rescue system that is real; the disk is a file."""

import pytest
from gate import Reply

TOKEN = "token-of-the-tests"


class Hcloud:
    """What is used of the API, with actions that take a look to end."""

    def __init__(self, authorized):
        self.authorized, self.keys, self.servers, self.images, self.steps, self.looks = authorized, {}, {}, {}, [], {}

    def action(self, status=201, **more):
        identifier = len(self.looks) + 1
        self.looks[identifier] = 0
        return Reply(status, {"action": {"id": identifier, "status": "running"}, **more})

    def __call__(self, request):
        if request.headers.get("authorization") != f"Bearer {TOKEN}":
            return Reply(401, {"error": {"code": "unauthorized", "message": "unable to authenticate"}})
        parts = request.path.strip("/").split("/")
        body = request.json() if request.body else {}
        match (request.method, *parts):
            case ("POST", "ssh_keys"):
                self.keys[1] = body
                self.authorized.write_text(body["public_key"] + "\n")
                return Reply(201, {"ssh_key": {"id": 1}})
            case ("POST", "servers"):
                assert body["start_after_create"] is False and body["ssh_keys"] == [1]
                self.servers[7] = body
                return self.action(server={"id": 7, "public_net": {"ipv4": {"ip": "127.0.0.1"}}})
            case ("POST", "servers", "7", "actions", "create_image"):
                assert self.steps[-1] == "poweroff" and all(len(value) <= 63 for value in body["labels"].values())
                self.images[9] = body | {"id": 9, "status": "available", "created": "2026-11-28T00:00:00Z"}
                return self.action(image={"id": 9})
            case ("POST", "servers", "7", "actions", step):
                self.steps.append(step)
                return self.action()
            case ("GET", "actions", number):
                self.looks[int(number)] += 1
                return Reply(200, {"action": {"status": "success" if self.looks[int(number)] > 1 else "running"}})
            case ("GET", "images"):
                key, value = request.query["label_selector"].split("=")
                return Reply(200, {"images": [one for one in self.images.values() if one["labels"].get(key) == value], "meta": {}})
            case ("GET", "images", "9"):
                return Reply(200, {"image": self.images[9]})
            case ("DELETE", kind, number):
                getattr(self, "keys" if kind == "ssh_keys" else kind).pop(int(number), None)
                return Reply(204)
        return Reply(404, {"error": {"code": "not_found", "message": request.path}})


@pytest.fixture
def hetzner(sshd, uploader, gates, tmp_path):
    """The API, and a disk that held something else before."""
    port, authorized = sshd
    gate = gates(play=Hcloud(authorized))
    gate.disk = tmp_path / "disk"
    gate.disk.write_bytes(b"x" * (40 << 20))
    gate.words = ["--endpoint", gate.address, "--set", f"ssh-port={port}", "--set", f"device={gate.disk}"]
    uploader.environment["HCLOUD_TOKEN"] = TOKEN
    return gate


def upload(uploader, hetzner, image, *words, status=0):
    return uploader.run("hetzner", image, *hetzner.words, *words, status=status)


@pytest.mark.parametrize("form", ["img", "img.zst", "img.xz", "img.gz"])
def test_snapshot(uploader, hetzner, images, tmp_path, form):
    """The disk is the image's, server and key are removed; a second upload makes no server."""
    image = images.make(tmp_path / form, form)
    report = upload(uploader, hetzner, image)
    assert report["outcome"] == "uploaded" and report["image"]["id"] == "9", report
    assert hetzner.disk.read_bytes()[: len(images.disk())] == images.disk()
    play = hetzner.play
    assert play.steps == ["enable_rescue", "poweron", "poweroff"] and not play.servers and not play.keys
    assert upload(uploader, hetzner, image)["outcome"] == "already there" and hetzner.count("POST", "servers") == 5
    assert "set-rdns" in report["next"]["mail"]


def test_killed_and_refused(uploader, hetzner, images, tmp_path):
    """What a killed upload has left is removed by the next; where the disk can't be written, nothing stays."""
    image = images.make(tmp_path / "zst", "img.zst")
    hetzner.fail(lambda request: request.path.endswith("poweroff"), uploader.kill)
    upload(uploader, hetzner, image, status=-9)
    assert hetzner.play.servers
    hetzner.play.steps.clear()
    assert upload(uploader, hetzner, image)["outcome"] == "uploaded"
    assert not hetzner.play.servers and not hetzner.play.keys and not uploader.journals(image)
    hetzner.play.images.clear()
    hetzner.words[-1] = "device=/proc/version"
    upload(uploader, hetzner, image, status=1)
    upload(uploader, hetzner, image, "--abandon")
    assert not hetzner.play.servers and not hetzner.play.keys and not hetzner.play.images


def test_quota_and_token(uploader, hetzner, images, tmp_path):
    """A limit leaves no key behind; a wrong token is named."""
    image = images.make(tmp_path / "zst", "img.zst")
    hetzner.fail(lambda request: request.path == "/servers", Reply(403, {"error": {"code": "resource_limit_exceeded", "message": "server limit"}}))
    assert "server limit" in str(upload(uploader, hetzner, image, status=1))
    upload(uploader, hetzner, image, "--abandon")
    assert not hetzner.play.keys
    uploader.environment["HCLOUD_TOKEN"] = "wrong-token-of-the-tests"
    assert "unable to authenticate" in str(upload(uploader, hetzner, image, status=1))
