"""Buckets and AMIs at moto, which checks nothing of what matters: a gate before it does."""

import hashlib
import json
import urllib.request

import pytest
import servers
from disks import NAME
from gate import LOST, RESET, Refused, Reply, sha256_base64, signed_by

SECRET = "a-secret-key-of-the-tests"
BLOCK = 512 << 10


@pytest.fixture
def amazon(moto, uploader, gates):
    """moto through a gate that checks signatures; keys in the environment."""
    gate = gates(upstream=moto, check=signed_by(SECRET, ["eu-central-1", "us-east-1"]))
    uploader.environment |= {"AWS_ACCESS_KEY_ID": "key-of-the-tests", "AWS_SECRET_ACCESS_KEY": SECRET, "AWS_REGION": "eu-central-1"}
    return gate


def upload(uploader, gate, destination, image, *words, status=0):
    return uploader.run(destination, image, "--endpoint", gate.address, *words, status=status)


@pytest.fixture
def bucket(amazon, moto, request):
    """A new bucket."""
    name = f"b{abs(hash(request.node.name)) % 10**9}"
    amazon.name = name
    status, _, said = servers.ask("PUT", f"http://127.0.0.1:{moto}/{name}", authorization="AWS4-HMAC-SHA256 Credential=x/20260101/us-east-1/s3/aws4_request")
    assert status == 200, said
    own = amazon.check

    def check(request):
        own(request)
        if request.query.get("partNumber"):
            if request.headers["x-amz-checksum-sha256"] != sha256_base64(request.body):
                raise Refused(Reply(400, "<Error><Code>BadDigest</Code></Error>"))

    amazon.check = check
    return amazon


def s3(uploader, bucket, image, *words, status=0):
    return upload(uploader, bucket, "s3", image, "--bucket", bucket.name, "--set", "part-mib=5", *words, status=status)


def stored(moto, name):
    text = urllib.request.urlopen(f"http://127.0.0.1:{moto}/{name}/?list-type=2").read().decode()
    keys = [part.split("</Key>")[0] for part in text.split("<Key>")[1:]]
    return {key: urllib.request.urlopen(f"http://127.0.0.1:{moto}/{name}/{key}").read() for key in keys}


def test_bucket(moto, uploader, bucket, image):
    """The object is the image; a second upload sends nothing."""
    assert s3(uploader, bucket, image)["outcome"] == "uploaded"
    ((key, data),) = stored(moto, bucket.name).items()
    assert data == image.read_bytes() and key.startswith("mail-example-test-upload-x86-64-20261121-")
    parts = bucket.count("PUT", "partNumber")
    assert s3(uploader, bucket, image)["outcome"] == "already there" and bucket.count("PUT", "partNumber") == parts == 5


def test_bucket_faults(moto, uploader, bucket, image):
    """500, 503, resets and lost answers on the way."""
    for fault in (Reply(503, "<Error><Code>SlowDown</Code></Error>"), Reply(500, ""), RESET, LOST):
        bucket.fail(lambda request: request.method == "PUT", fault)
    bucket.fail(lambda request: request.method == "POST" and "uploadId" in request.query, LOST)
    assert s3(uploader, bucket, image)["outcome"] == "uploaded"
    assert list(stored(moto, bucket.name).values()) == [image.read_bytes()]


def test_bucket_killed(moto, uploader, bucket, image):
    """Killed with part 4 on its way: what had arrived is not sent again."""
    bucket.fail(lambda request: request.query.get("partNumber") == "4", uploader.kill)
    s3(uploader, bucket, image, "--set", "threads=1", status=-9)
    bucket.log.clear()
    assert s3(uploader, bucket, image)["outcome"] == "uploaded"
    sent = {one.query["partNumber"] for one in bucket.log if one.query.get("partNumber")}
    assert sent == {"4", "5"}, sent
    assert list(stored(moto, bucket.name).values()) == [image.read_bytes()] and not uploader.journals(image)


def test_bucket_refused(moto, uploader, bucket, image):
    """Wrong region, key and name are named; a refusal in the middle leaves no parts."""
    bucket.fail(lambda request: request.query.get("partNumber") == "3", Reply(400, "<Error><Code>QuotaExceeded</Code><Message>full</Message></Error>"))
    assert "--prune" in str(s3(uploader, bucket, image, status=1))
    assert bucket.count("DELETE", "uploadId") == 1 and not uploader.journals(image) and not stored(moto, bucket.name)
    bucket.check = signed_by(SECRET, ["us-west-2"])
    assert "--region us-west-2" in str(s3(uploader, bucket, image, "--region", "eu-west-1", status=1))
    uploader.environment["AWS_SECRET_ACCESS_KEY"] = "wrong-key-of-the-tests"
    assert "403" in str(s3(uploader, bucket, image, "--region", "us-west-2", status=1))


class Blocks:
    """What EBS demands of blocks and of the end ("EBS direct APIs"), and moto does not."""

    def __init__(self, own):
        self.own, self.blocks, self.tokens, self.sealed = own, {}, [], 0

    def __call__(self, request):
        self.own(request)
        headers, parts = request.headers, request.path.split("/")
        if request.path == "/snapshots" and request.method == "POST":
            body = request.json()
            assert 10 <= body["Timeout"] <= 4320 and body["VolumeSize"] == 1, body
            self.tokens.append(body["ClientToken"])
        elif "blocks" in parts:
            index = int(parts[-1])
            if len(request.body) != BLOCK or int(headers["x-amz-data-length"]) != BLOCK or not 0 <= index < (1 << 30) // BLOCK:
                self.refuse("ValidationException")
            if headers["x-amz-checksum"] != sha256_base64(request.body) or headers["x-amz-checksum-algorithm"] != "SHA256":
                self.refuse("ValidationException")
            self.blocks[index] = request.body
        elif "completion" in parts:
            sums = b"".join(hashlib.sha256(self.blocks[index]).digest() for index in sorted(self.blocks))
            if int(headers["x-amz-changedblockscount"]) != len(self.blocks) or headers["x-amz-checksum"] != sha256_base64(sums):
                self.refuse("ValidationException")
            assert headers["x-amz-checksum-aggregation-method"] == "LINEAR"
            self.sealed += 1

    @staticmethod
    def refuse(code):
        raise Refused(Reply(400, {"__type": code, "message": "the gate refuses it"}))

    def disk(self, size):
        return b"".join(self.blocks.get(index, bytes(BLOCK)) for index in range(-(-size // BLOCK)))[:size]


@pytest.fixture
def ebs(amazon):
    """The gate with the rules of EBS."""
    amazon.check = Blocks(amazon.check)
    passed_on = amazon.reply

    def reply(request):
        answer = passed_on(request)
        if request.path == "/snapshots" and answer.status < 300:
            # moto counts in KiB; the document says bytes.
            answer.body = json.dumps(json.loads(answer.body) | {"BlockSize": BLOCK}).encode()
        return answer

    amazon.reply = reply
    return amazon


def test_ami(uploader, ebs, image):
    """Blocks with something in them arrive, the snapshot is sealed, the image registered with its boot mode; a second upload sends nothing."""
    report = upload(uploader, ebs, "aws", image)
    assert report["outcome"] == "uploaded" and report["image"]["id"].startswith("ami-"), report
    assert ebs.check.disk(image.stat().st_size) == image.read_bytes() and ebs.check.sealed == 1
    assert len(ebs.check.blocks) < 20, "blocks of zeros are not sent"
    (register,) = (one.body.decode() for one in ebs.log if b"Action=RegisterImage" in one.body)
    for word in ("BootMode=uefi-preferred", "ImdsSupport=v2.0", "EnaSupport=true", "Architecture=x86_64", "VolumeType=gp3", "mailkiln-sha256", "Ebs.SnapshotId=snap-"):
        assert word in register, register
    assert report["image"]["id"] in report["next"]["commands"] and "port-25" in report["next"]["mail"]
    ebs.log.clear()
    assert upload(uploader, ebs, "aws", image)["outcome"] == "already there" and not ebs.count("PUT")
    report = upload(uploader, ebs, "aws", None, "--prune", "1", "--name", NAME)
    assert report["removed"] == []


def test_ami_faults_and_kill(uploader, ebs, images, tmp_path):
    """Faults on the way; killed in the middle, blocks that have arrived are not sent again; --prune keeps the newest."""
    image = images.make(tmp_path / "2", seed=2)
    throttled = Reply(400, {"__type": "RequestThrottledException", "message": "slow"})
    for fault in (throttled, Reply(500, ""), RESET, LOST):
        ebs.fail(lambda request: request.method == "PUT", fault)
    ebs.fail(lambda request: request.path == "/snapshots", LOST)
    calls = iter(range(100))
    ebs.fail(lambda request: request.method == "PUT" and next(calls) > 6, uploader.kill)
    upload(uploader, ebs, "aws", image, "--set", "threads=1", status=-9)
    before = [json.loads(line) for line in uploader.journals(image)[0].read_text().splitlines()]
    arrived = {line["part"]["number"] for line in before if "part" in line}
    assert arrived
    ebs.log.clear()
    report = upload(uploader, ebs, "aws", image, "--prune", "1")
    assert report["outcome"] == "uploaded"
    again = {int(one.path.split("/")[-1]) for one in ebs.log if "/blocks/" in one.path}
    assert again and not again & arrived, (again, arrived)
    assert ebs.check.disk(image.stat().st_size) == image.read_bytes()
    assert len(set(ebs.check.tokens)) == 1, "a repeated beginning is the same one"
    assert not uploader.journals(image)


def test_ami_refused(uploader, ebs, images, tmp_path):
    """A refused block removes the snapshot."""
    image = images.make(tmp_path / "3", seed=3)
    ebs.fail(lambda request: "/blocks/" in request.path, Reply(400, {"__type": "ValidationException", "message": "no"}))
    assert "ValidationException" in str(upload(uploader, ebs, "aws", image, status=1))
    assert any(b"Action=DeleteSnapshot" in one.body for one in ebs.log) and not uploader.journals(image)


def test_secrets_are_not_taken_from_the_command_line(uploader, image):
    """A key as a setting is refused before anything is read."""
    done = uploader.run("s3", image, "--set", "secret-key=x", status=2)
    assert done == {}

