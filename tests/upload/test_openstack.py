"""Real Keystone and real Glance, with a gate between the program and Glance that fails on purpose."""

import hashlib
import os

import pytest
from disks import NAME
from gate import LOST, RESET, Reply


@pytest.fixture
def cloud(openstack, uploader, gates, tmp_path):
    """The cloud through a gate, and an application credential for it in clouds.yaml."""
    gate = gates(upstream=int(openstack.glance.rsplit(":", 1)[1]))
    identifier, secret = openstack.credential()
    path = tmp_path / "clouds.yaml"
    path.write_text(f"""clouds:
  test:   # of the tests
    auth:
      auth_url: "{openstack.keystone}"
      application_credential_id: {identifier}
      application_credential_secret: '{secret}'
    region_name: RegionOne
""")
    uploader.environment["OS_CLIENT_CONFIG_FILE"] = str(path)
    yield gate
    for one in openstack.images():
        openstack.admin("DELETE", f"{openstack.glance}/v2/images/{one['id']}")


def upload(uploader, cloud, image, *words, status=0):
    return uploader.run("openstack", image, "--endpoint", cloud.address, *words, status=status)


@pytest.mark.parametrize("form", ["img", "qcow2"])
def test_image_arrives(openstack, uploader, cloud, images, form, tmp_path):
    """The image is active, its SHA-512 is the file's, its properties are set; a second upload sends nothing."""
    image = images.make(tmp_path / form, form)
    report = upload(uploader, cloud, image)
    assert report["outcome"] == "uploaded", report
    (found,) = openstack.images()
    data = image.read_bytes()
    assert found["status"] == "active" and found["os_hash_value"] == hashlib.sha512(data).hexdigest()
    assert found["disk_format"] == {"img": "raw"}.get(form, form) and found["min_disk"] == 1
    assert found["mailkiln_sha256"] == hashlib.sha256(data).hexdigest() and found["mailkiln_name"] == NAME
    assert found["mailkiln_version"] == "0.1.0-20261121" and found["mailkiln_lock_time"] == "2026-11-21T02:10:46Z"
    assert found["hw_scsi_model"] == "virtio-scsi" and found["architecture"] == "x86_64"
    assert found["id"] in report["next"]["commands"] and found["id"] in report["next"]["terraform"]
    assert not uploader.journals(image)
    sent = cloud.count("PUT")
    assert upload(uploader, cloud, image)["outcome"] == "already there"
    assert cloud.count("PUT") == sent == 1


def test_glance_of_the_catalog(openstack, uploader, cloud, image):
    """Without an endpoint, Glance is found in the catalog; a region that is not there is named."""
    openstack.endpoint(openstack.glance)
    assert uploader.run("openstack", image)["outcome"] == "uploaded"
    said = uploader.run("openstack", image, "--region", "Elsewhere", status=2)
    assert "RegionOne" in str(said), said


@pytest.mark.parametrize("fault", [Reply(503, ""), Reply(500, ""), Reply(429, "", retry_after="0"), RESET, LOST], ids=str)
def test_what_passes_is_tried_again(openstack, uploader, cloud, image, fault):
    """A record that Glance made but could not say, a broken stream, a lost answer: one whole image comes of it."""
    for method in ("POST", "PUT"):
        cloud.fail(lambda request, method=method: request.method == method, fault)
    assert upload(uploader, cloud, image)["outcome"] == "uploaded"
    (found,) = openstack.images()
    assert found["status"] == "active" and found["size"] == image.stat().st_size


def test_expired_token(openstack, uploader, cloud, image):
    """Where the token has expired, another one is asked for."""
    cloud.fail(lambda request: request.method == "PUT", Reply(401, ""))
    assert upload(uploader, cloud, image)["outcome"] == "uploaded"
    assert [one["status"] for one in openstack.images()] == ["active"]


def test_killed(openstack, uploader, cloud, image):
    """Killed while the image is on its way: the same command goes on, and one image is there; --abandon leaves none."""
    cloud.fail(lambda request: request.method == "PUT", uploader.kill)
    uploader.run("openstack", image, "--endpoint", cloud.address, status=-9)
    (journal,) = uploader.journals(image)
    assert journal.stat().st_mode & 0o777 == 0o600
    assert upload(uploader, cloud, image)["outcome"] in ("uploaded", "already there")
    (found,) = openstack.images()
    assert found["status"] == "active" and not uploader.journals(image)
    openstack.admin("DELETE", f"{openstack.glance}/v2/images/{found['id']}")
    cloud.fail(lambda request: request.method == "PUT", uploader.kill)
    uploader.run("openstack", image, "--endpoint", cloud.address, status=-9)
    assert upload(uploader, cloud, image, "--abandon")["outcome"] == "abandoned"
    assert not openstack.images() and not uploader.journals(image)


def test_refused(openstack, uploader, cloud, image):
    """A quota leaves nothing behind; wrong passwords and altered files are named."""
    cloud.fail(lambda request: request.method == "PUT", Reply(413, {"message": "quota"}))
    said = str(upload(uploader, cloud, image, status=1))
    assert "413" in said and "--prune" in said, said
    assert not openstack.images() and not uploader.journals(image)
    with open(image, "r+b") as file:
        file.seek(-1, os.SEEK_END)
        file.write(b"x")
    assert "is not what its digest says" in str(upload(uploader, cloud, image, status=1))
    assert not openstack.images()
    del uploader.environment["OS_CLIENT_CONFIG_FILE"]
    uploader.environment |= {"OS_AUTH_URL": openstack.keystone, "OS_USERNAME": "admin", "OS_PASSWORD": "wrong-password", "OS_PROJECT_NAME": "admin"}
    said = str(upload(uploader, cloud, image, status=1))
    assert "401" in said and "signing in at Keystone" in said, said


def test_dry_run_and_prune(openstack, uploader, cloud, images, tmp_path):
    """--dry-run sends nothing; --prune keeps the newest, and images of others."""
    made = [images.make(tmp_path / str(seed), seed=seed) for seed in (1, 2, 3)]
    planned = upload(uploader, cloud, made[0], "--dry-run", "--prune", "1")
    assert planned["outcome"] == "planned" and len(planned["plan"]) > 2 and not cloud.log
    foreign = openstack.admin("POST", f"{openstack.glance}/v2/images", {"name": "foreign", "os_distro": "debian"})
    for one in made[:2]:
        upload(uploader, cloud, one)
    report = upload(uploader, cloud, made[2], "--prune", "2")
    assert len(report["removed"]) == 1
    assert upload(uploader, cloud, None, "--prune", "1", "--name", NAME)["removed"][0]["name"].startswith("mail-example-test-upload")
    left = {one["id"] for one in openstack.images()}
    assert left == {foreign["id"], report["image"]["id"]}
