"""DigitalOcean, Oracle and Proxmox: played as documented, signatures and checksums checked. The Spaces of DigitalOcean are moto's."""

import base64
import hashlib
import json
import re
import subprocess

import pytest
import servers
from gate import LOST, RESET, Reply, signed_by

SECRET = "a-secret-key-of-the-tests"


class Droplets:
    """Custom images of DigitalOcean: fetched from where they are, which a test looks at."""

    def __init__(self, fetch):
        self.images, self.fetch, self.fetched = {}, fetch, None

    def __call__(self, request):
        if not request.path.startswith("/v2/"):
            return None
        if request.headers.get("authorization") != "Bearer token-of-the-tests":
            return Reply(401, {"id": "Unauthorized", "message": "Unable to authenticate you"})
        if request.method == "POST":
            body = request.json()
            assert all(re.fullmatch(r"[A-Za-z0-9:_-]{1,255}", tag) for tag in body["tags"]), body["tags"]
            self.fetched = self.fetch(body["url"])
            self.images["5"] = body | {"id": 5, "status": "pending", "created_at": "2026-11-28T00:00:00Z"}
            return Reply(202, {"image": self.images["5"]})
        name = request.path.rsplit("/", 1)[1]
        if request.method == "DELETE":
            self.images.pop(name, None)
            return Reply(204)
        if name == "images":
            return Reply(200, {"images": [one for one in self.images.values() if request.query["tag_name"] in one["tags"]], "links": {}})
        self.images[name]["status"] = "available"
        return Reply(200, {"image": self.images[name]})


def test_digitalocean(moto, uploader, images, gates, tmp_path):
    """The object can be fetched while the import lasts, and is gone afterwards; a second upload sends nothing."""
    image = images.make(tmp_path / "gz", "img.gz")
    made = servers.ask("PUT", f"http://127.0.0.1:{moto}/spaces", authorization="AWS4-HMAC-SHA256 Credential=x/20260101/us-east-1/s3/aws4_request")
    assert made[0] == 200, made
    spaces = gates(upstream=moto, check=signed_by(SECRET, ["us-east-1"]))

    def fetch(url):
        (begin,) = (one for one in spaces.log if "uploads" in one.query)
        assert begin.headers["x-amz-acl"] == "public-read"
        done = subprocess.run(["curl", "-sf", url.replace(str(spaces.port), str(moto))], capture_output=True, check=True)
        return done.stdout

    api = gates(play=Droplets(fetch))
    uploader.environment |= {"SPACES_ACCESS_KEY_ID": "key", "SPACES_SECRET_ACCESS_KEY": SECRET, "DIGITALOCEAN_TOKEN": "token-of-the-tests"}
    words = ["--endpoint", api.address, "--region", "fra1", "--bucket", "spaces", "--set", f"spaces-endpoint={spaces.address}"]
    report = uploader.run("digitalocean", image, *words)
    assert report["outcome"] == "uploaded" and report["image"]["id"] == "5", report
    assert api.play.fetched == image.read_bytes()
    assert any(one.method == "DELETE" and "uploadId" not in one.query for one in spaces.log), "the object is removed"
    spaces.log.clear()
    assert uploader.run("digitalocean", image, *words)["outcome"] == "already there" and not spaces.log
    api.play.images.clear()
    api.fail(lambda request: request.method == "POST", Reply(422, {"id": "unprocessable_entity", "message": "Region is not available"}))
    said = str(uploader.run("digitalocean", image, *words, status=1))
    assert "Region is not available" in said and not uploader.journals(image)
    assert any(one.method == "DELETE" for one in spaces.log)


class Tenancy:
    """Object Storage and images of Oracle Cloud; every signature is verified with openssl."""

    def __init__(self, folder):
        self.folder, self.parts, self.objects, self.images, self.tokens = folder, {}, {}, {}, set()

    def verify(self, request):
        value = request.headers["authorization"]
        fields = dict(re.findall(r'(\w+)="([^"]*)"', value))
        assert fields["keyId"] == "tenancy/user/aa:bb" and fields["algorithm"] == "rsa-sha256", value
        names = fields["headers"].split()
        assert {"date", "(request-target)", "host"} <= set(names)
        if request.method in ("POST", "PUT") and "/u/" not in request.path or request.method == "POST":
            assert {"content-length", "content-type", "x-content-sha256"} <= set(names), value
            assert request.headers["x-content-sha256"] == base64.b64encode(hashlib.sha256(request.body).digest()).decode()
        target = f"{request.method.lower()} {request.target}"
        text = "\n".join(f"{name}: {target if name == '(request-target)' else request.headers[name]}" for name in names)
        (self.folder / "signature").write_bytes(base64.b64decode(fields["signature"]))
        command = ["openssl", "dgst", "-sha256", "-verify", self.folder / "public.pem", "-signature", self.folder / "signature"]
        return subprocess.run(command, input=text.encode(), capture_output=True, check=False).returncode == 0

    def __call__(self, request):
        if not self.verify(request):
            return Reply(401, {"code": "NotAuthenticated", "message": "The required information to complete authentication was not provided"})
        path, name = request.path, request.path.rsplit("/", 1)[1]
        match request.method:
            case "GET" if path == "/n":
                return Reply(200, "\"space\"")
            case "POST" if path == "/n/space/b/bucket/u":
                assert request.json()["metadata"]["opc-meta-mailkiln-version"] == "0.1.0-20261121"
                return Reply(200, {"uploadId": "u1"})
            case "PUT" if "/u/" in path:
                sum_ = base64.b64encode(hashlib.md5(request.body).digest()).decode()
                if request.headers["content-md5"] != sum_:
                    return Reply(400, {"code": "UnmatchedContentMD5", "message": "x"})
                self.parts[int(request.query["uploadPartNum"])] = request.body
                return Reply(200, b"", etag=f"tag-{request.query['uploadPartNum']}", opc_content_md5=sum_)
            case "GET" if "/u/" in path:
                return Reply(200, [])
            case "POST" if "/u/" in path:
                numbers = [part["partNum"] for part in request.json()["partsToCommit"]]
                assert numbers == sorted(self.parts) and all(part["etag"] == f"tag-{part['partNum']}" for part in request.json()["partsToCommit"])
                self.objects[name] = b"".join(self.parts[number] for number in numbers)
                return Reply(200, b"")
            case "DELETE" if "/u/" in path:
                self.parts.clear()
                return Reply(204)
            case "DELETE" if "/o/" in path:
                return Reply(204 if self.objects.pop(name, None) else 404, b"")
            case "POST" if path == "/20160918/images":
                assert request.json()["imageSourceDetails"]["objectName"] in self.objects
                if request.headers["opc-retry-token"] not in self.tokens:
                    self.images["ocid1"] = request.json() | {"id": "ocid1", "lifecycleState": "IMPORTING", "timeCreated": "2026-11-28"}
                self.tokens.add(request.headers["opc-retry-token"])
                return Reply(200, self.images["ocid1"])
            case "GET" if name == "images":
                return Reply(200, [one for one in self.images.values() if one["lifecycleState"] == "AVAILABLE"])
            case "GET" if name in self.images:
                found = dict(self.images[name])
                self.images[name]["lifecycleState"] = "AVAILABLE"
                return Reply(200, found)
            case "DELETE":
                self.images.pop(name, None)
                return Reply(204)
        return Reply(404, {"code": "NotAuthorizedOrNotFound", "message": path})


@pytest.fixture
def oracle(uploader, gates, tmp_path):
    """A tenancy, and the configuration of its command-line tool."""
    home = tmp_path / "home/.oci"
    home.mkdir()
    subprocess.run(["openssl", "genrsa", "-out", home / "key.pem", "2048"], check=True, capture_output=True)
    subprocess.run(["openssl", "rsa", "-in", home / "key.pem", "-pubout", "-out", tmp_path / "public.pem"], check=True, capture_output=True)
    (home / "config").write_text("[DEFAULT]\nuser=user\nfingerprint=aa:bb\ntenancy=tenancy\nregion=eu-frankfurt-1\nkey_file=~/.oci/key.pem\n")
    gate = gates(play=Tenancy(tmp_path))
    gate.words = ["--endpoint", gate.address, "--bucket", "bucket", "--set", f"storage-endpoint={gate.address}", "--set", "part-mib=10"]
    return gate


def test_oracle(uploader, oracle, images, tmp_path):
    """Signed throughout; faults and a lost answer of the import; the object is removed; a second upload sends nothing."""
    image = images.make(tmp_path / "oci", "oci")
    for fault in (Reply(503, {"code": "ServiceUnavailable", "message": "x"}), RESET, LOST):
        oracle.fail(lambda request: request.method == "PUT", fault)
    oracle.fail(lambda request: request.method == "POST" and request.path == "/20160918/images", LOST)
    kept = {}
    real = oracle.play

    def play(request):
        reply = real(request)
        kept.update(real.objects)
        return reply

    oracle.play = play
    report = uploader.run("oracle", image, *oracle.words)
    assert report["outcome"] == "uploaded" and report["image"]["id"] == "ocid1", report
    assert list(kept.values()) == [image.read_bytes()] and not real.objects
    assert real.images["ocid1"]["freeformTags"]["mailkiln-sha256"] == hashlib.sha256(image.read_bytes()).hexdigest()
    oracle.log.clear()
    assert uploader.run("oracle", image, *oracle.words)["outcome"] == "already there" and len(oracle.log) == 1


def test_oracle_refused(uploader, oracle, images, tmp_path):
    """A refused import leaves neither object nor journal; a wrong key is named, and nothing of it shown."""
    image = images.make(tmp_path / "oci", "oci")
    oracle.fail(lambda request: request.method == "POST" and request.path == "/20160918/images", Reply(400, {"code": "LimitExceeded", "message": "custom-image-count"}))
    assert "custom-image-count" in str(uploader.run("oracle", image, *oracle.words, status=1))
    assert not oracle.play.objects and not uploader.journals(image)
    key = tmp_path / "home/.oci/key.pem"
    subprocess.run(["openssl", "genrsa", "-out", key, "2048"], check=True, capture_output=True)
    assert "NotAuthenticated" in str(uploader.run("oracle", image, *oracle.words, status=1))
    key.write_text("-----BEGIN PRIVATE KEY-----\nc2VjcmV0\n-----END PRIVATE KEY-----\n")
    said = json.dumps(uploader.run("oracle", image, *oracle.words, status=2))
    assert "c2VjcmV0" not in said and "RSA key" in said, said


class Node:
    """The storage of a Proxmox node: forms, checksums and tasks."""

    def __init__(self):
        self.volumes, self.task = {}, "OK"

    def __call__(self, request):
        if request.headers.get("authorization") != "PVEAPIToken=user@pve!mailkiln=token-of-the-tests":
            return Reply(401, {"data": None, "message": "invalid token value!"})
        path = request.path.removeprefix("/api2/json/nodes/pve")
        if path == "/storage/local/upload":
            boundary = request.headers["content-type"].split("boundary=")[1].encode()
            fields = {}
            for part in request.body.split(b"--" + boundary)[1:-1]:
                head, _, data = part.removeprefix(b"\r\n").partition(b"\r\n\r\n")
                fields[re.search(rb' name="([^"]*)"', head)[1]] = (head, data.removesuffix(b"\r\n"))
            head, data = fields[b"filename"]
            right = hashlib.sha256(data).hexdigest().encode() == fields[b"checksum"][1] and fields[b"content"][1] == b"import"
            self.task = "OK" if right else "checksum mismatch"
            if right:
                self.volumes[re.search(rb'filename="([^"]*)"', head)[1].decode()] = data
            return Reply(200, {"data": "UPID:pve:0001:imgcopy::user@pve!mailkiln:"})
        if path.startswith("/tasks/"):
            return Reply(200, {"data": {"status": "stopped", "exitstatus": self.task}})
        if path == "/storage/local/content":
            listed = [{"volid": f"local:import/{name}", "ctime": 1764300000 + number} for number, name in enumerate(self.volumes)]
            return Reply(200, {"data": listed})
        if request.method == "DELETE":
            del self.volumes[path.rsplit("/", 1)[1]]
            return Reply(200, {"data": None})
        return Reply(501, {"data": None, "message": path})


def test_proxmox(uploader, images, gates, tmp_path):
    """A form with a checksum; faults; a second upload sends nothing; --prune; a wrong token is named."""
    node = gates(play=Node())
    uploader.environment["PROXMOX_VE_API_TOKEN"] = "user@pve!mailkiln=token-of-the-tests"
    words = ["--endpoint", node.address, "--set", "node=pve"]
    made = [images.make(tmp_path / str(seed), "qcow2-zstd", seed) for seed in (1, 2)]
    for fault in (Reply(500, ""), RESET, LOST):
        node.fail(lambda request: request.path.endswith("/upload"), fault)
    report = uploader.run("proxmox", made[0], *words)
    assert report["outcome"] == "uploaded" and report["image"]["id"].startswith("local:import/"), report
    assert list(node.play.volumes.values()) == [made[0].read_bytes()]
    node.log.clear()
    assert uploader.run("proxmox", made[0], *words)["outcome"] == "already there" and node.count("POST") == 0
    report = uploader.run("proxmox", made[1], *words, "--prune", "1")
    assert len(report["removed"]) == 1 and list(node.play.volumes.values()) == [made[1].read_bytes()]
    assert "pre-enrolled-keys=0" in report["next"]["commands"]
    uploader.environment["PROXMOX_VE_API_TOKEN"] = "user@pve!mailkiln=wrong"
    assert "401" in str(uploader.run("proxmox", made[0], *words, status=1))


def test_folder(uploader, images, tmp_path):
    """Image, digest and tags; killed copies leave no image; a second upload writes nothing; --prune."""
    folder = tmp_path / "web"
    folder.mkdir()
    made = [images.make(tmp_path / str(seed), "img.zst", seed) for seed in (1, 2)]
    report = uploader.run("folder", made[0], "--set", f"path={folder}")
    assert report["outcome"] == "uploaded", report
    subprocess.run(["sha256sum", "--quiet", "-c", *(path.name for path in folder.glob("*.sha256"))], cwd=folder, check=True)
    before = {path: path.stat().st_mtime_ns for path in folder.iterdir()}
    assert uploader.run("folder", made[0], "--set", f"path={folder}")["outcome"] == "already there"
    assert before == {path: path.stat().st_mtime_ns for path in folder.iterdir()} and len(before) == 3
    assert len(uploader.run("folder", made[1], "--set", f"path={folder}", "--prune", "1")["removed"]) == 1
    assert len(list(folder.iterdir())) == 3
