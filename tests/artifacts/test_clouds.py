"""Targets of clouds and hypervisors, many appliances in one run, and the list for Raspberry Pi Imager, checked from outside."""

import json

import pytest
from driver.tools import digest, inspect, output, run, same

GIB = 1 << 30
# What each provider's machines have, as the kernel calls it below drivers/ and fs/; NVMe is built into some kernels.
EC2, GCE = ("net/ethernet/amazon/ena/ena",), ("net/ethernet/google/gve/gve",)
VIRTIO = ("net/virtio_net", "block/virtio_blk", "scsi/virtio_scsi")
HYPERV = ("net/hyperv/hv_netvsc", "scsi/hv_storvsc", "hv/hv_utils")
AZURE = (*HYPERV, "net/ethernet/microsoft/mana/mana", "net/ethernet/mellanox/mlx5/core/mlx5_core")
VMWARE = ("net/vmxnet3/vmxnet3", "scsi/vmw_pvscsi")
# Target: how its file ends, drivers, serial port, what its disk is a multiple of.
CLOUDS = {
    "aws-x86_64": ("img", EC2, "ttyS0", GIB),
    "aws-aarch64": ("img", EC2, "ttyS0", GIB),
    "gcp-x86_64": ("tar.gz", (*GCE, *VIRTIO), "ttyS0", GIB),
    "gcp-aarch64": ("tar.gz", (*GCE, *VIRTIO), "ttyAMA0", GIB),
    "azure-x86_64": ("vhd", AZURE, "ttyS0", 1 << 20),
    "azure-aarch64": ("vhd", AZURE, "ttyAMA0", 1 << 20),
    "openstack-x86_64": ("qcow2", VIRTIO, "ttyS0", 1 << 20),
    "openstack-aarch64": ("qcow2", VIRTIO, "ttyAMA0", 1 << 20),
    "hetzner-x86_64": ("img.zst", VIRTIO, "ttyS0", 1 << 20),
    "hetzner-aarch64": ("img.zst", VIRTIO, "ttyAMA0", 1 << 20),
    "oracle-x86_64": ("oci", VIRTIO, "ttyS0", 1 << 20),
    "oracle-aarch64": ("oci", VIRTIO, "ttyAMA0", 1 << 20),
    "digitalocean-x86_64": ("img.gz", VIRTIO, "ttyS0", 1 << 20),
    "proxmox-x86_64": ("qcow2", VIRTIO, "ttyS0", 1 << 20),
    "vmware-x86_64": ("ova", VMWARE, "ttyS0", 1 << 20),
    "hyperv-x86_64": ("vhdx", HYPERV, "ttyS0", 1 << 20),
    "libvirt-x86_64": ("qcow2", VIRTIO, "ttyS0", 1 << 20),
    "libvirt-aarch64": ("qcow2", VIRTIO, "ttyAMA0", 1 << 20),
}


@pytest.fixture(scope="session")
def folder(place):
    """A folder for what is built here."""
    return place.folder("clouds")


@pytest.fixture(scope="session")
def clouds(place, folder):
    """An image for every provider, from one run."""
    run(place.mailkiln, "build", place.mail_toml(), *place.lock_options, "--target", ",".join(CLOUDS), "-o", folder / "out", "--jobs", "2")
    return folder / "out"


def test_all_are_here(mailkiln):
    """The table above has every target of a provider."""
    listed = json.loads(output(mailkiln, "--json", "targets"))
    assert {row["name"] for row in listed if "secure_boot" in row} == set(CLOUDS)


@pytest.mark.parametrize("target", CLOUDS)
def test_cloud(mailkiln, clouds, folder, target):
    """The format, the length, the partition table's copy at the end, the console and the drivers are those of the provider."""
    suffix, drivers, serial, multiple = CLOUDS[target]
    image = clouds / f"mail.example.test-{target}.{suffix}"
    report = inspect(mailkiln, image)
    assert report["size"] % multiple == 0 and report["least_disk"] >= report["size"], report["size"]
    assert report["roots"][0]["verification"] == {"state": "matches"}
    assert f"console={serial}" in report["kernels"][0]["command_line"]
    paths = {entry["path"] for entry in json.loads(output(mailkiln, "--json", "inspect", "--tree", image))["roots"][0]["tree"]}
    for driver in (f"drivers/{driver}" for driver in drivers):
        assert any(f"/kernel/{driver}.ko" in path for path in paths), f"{target} lacks {driver}"
    raw = folder / "raw"
    run(mailkiln, "convert", image, "--format", "img", "-o", raw, "--name", target)
    said = run("sgdisk", "-v", raw / f"{target}.img")
    assert "No problems found" in said, said
    (raw / f"{target}.img").unlink()


def test_time_servers(mailkiln, clouds):
    """A provider's time servers are asked first, and elsewhere Debian's alone."""
    settings = "/etc/systemd/timesyncd.conf.d/10-mailkiln.conf"
    run(mailkiln, "inspect", clouds / "mail.example.test-aws-x86_64.img", settings)
    run(mailkiln, "inspect", clouds / "mail.example.test-vmware-x86_64.ova", settings, status=2)


def test_fleet(place, mailkiln, folder):
    """One that fails does not stop the others, twins are refused, and an image is the one that is built alone."""
    hosts, text = folder / "hosts", place.mail_toml().read_text()
    (hosts / "third").mkdir(parents=True)
    (hosts / "broken.toml").write_text(text.replace("[host]", "[hosts]", 1))
    for name, host in (("first.toml", "a"), ("second.toml", "b"), ("third/mail.toml", "c"), ("twin-1.toml", "t"), ("twin-2.toml", "t")):
        (hosts / name).write_text(text.replace("mail.example.test", f"{host}.example.test", 1))
    options = ["--json", "build", "--all", hosts, *place.lock_options, "--target", "x86_64,libvirt-x86_64", "-o", folder / "fleet"]
    report = json.loads(run(mailkiln, *options, status=2))
    built = [(row["file"].removeprefix(f"{hosts}/"), row["target"]) for row in report["images"] if "files" in row]
    targets = ("libvirt-x86_64", "x86_64")
    assert built == [(name, target) for name in ("first.toml", "second.toml", "third/mail.toml") for target in targets]
    assert (report["built"], report["failed"]) == (6, 6)
    twins = [row["error"]["message"] for row in report["images"] if "twin" in row["file"]]
    assert len(twins) == 4 and all("twin-1.toml and" in message for message in twins), twins
    run(mailkiln, "build", hosts / "third/mail.toml", *place.lock_options, "--target", "x86_64", "-o", folder / "alone")
    same(folder / "fleet/c.example.test-x86_64.img", folder / "alone/c.example.test-x86_64.img")


def test_rpi_imager(place, mailkiln, folder):
    """The list names the image, its digests and lengths, and the boards; what is not for a Raspberry Pi is refused."""
    run(mailkiln, "build", place.mail_toml(), *place.lock_options, "--target", "rpi4", "--format", "img,img.xz", "-o", folder / "pi")
    raw, packed = (folder / "pi" / f"mail.example.test-rpi4.{suffix}" for suffix in ("img", "img.xz"))
    listing = folder / "os_list.json"
    run(mailkiln, "export", "rpi-imager", packed, "--address", "https://downloads.example.org/mail/", "-o", listing)
    (entry,) = json.loads(listing.read_text())["os_list"]
    assert entry["url"] == f"https://downloads.example.org/mail/{packed.name}"
    assert (entry["extract_size"], entry["extract_sha256"]) == (raw.stat().st_size, digest(raw))
    assert (entry["image_download_size"], entry["image_download_sha256"]) == (packed.stat().st_size, digest(packed))
    assert entry["devices"] == ["pi4-64bit"]
    # The keys that the schema of Imager's sources demands.
    assert {"name", "description", "icon", "url", "extract_size", "extract_sha256", "image_download_size", "release_date"} <= entry.keys()
    run(mailkiln, "export", "rpi-imager", place.image("x86_64"), "-o", folder / "none.json", status=2)
    assert not (folder / "none.json").exists()
