"""Roundcube as Debian has it, in a folder of its own, at a mail server of the tests: the peer of `./bench --web`.

In: root, mmdebstrap, an IMAPS and a submissions port. Out: HTTPS on a loopback address, by nginx and php-fpm. Nothing is installed on the host.
"""

import contextlib
import json
import re
import socket
import subprocess
import time
import urllib.parse

import peers

PACKAGES = "roundcube-core,roundcube-sqlite3,php8.2-fpm,nginx-light"
WORKERS = 4

CONFIGURATION = """<?php
$config['db_dsnw'] = 'sqlite:////run/roundcube/db?mode=0600';
$config['imap_host'] = 'ssl://{ip}:{imaps}';
$config['smtp_host'] = 'ssl://{ip}:{submissions}';
$config['imap_conn_options'] = $config['smtp_conn_options'] = ['ssl' => ['verify_peer' => false, 'verify_peer_name' => false]];
$config['des_key'] = 'twenty-four characters!!';
$config['temp_dir'] = '/run/roundcube';
$config['log_driver'] = 'stdout';
$config['mail_pagesize'] = 50;
$config['plugins'] = [];
"""
FPM = """[global]
daemonize = no
error_log = /run/roundcube/fpm.log
[www]
user = www-data
group = www-data
listen = /run/roundcube/php
listen.owner = www-data
pm = static
pm.max_children = {workers}
"""
NGINX = """daemon off;
user www-data;
error_log /run/roundcube/nginx.log;
pid /run/roundcube/nginx.pid;
events {{ }}
http {{
  include /etc/nginx/mime.types;
  access_log off;
  gzip on;
  gzip_types text/css application/javascript application/json;
  server {{
    listen {ip}:{port} ssl http2;
    ssl_certificate /run/roundcube/fullchain.pem;
    ssl_certificate_key /run/roundcube/key.pem;
    root /var/lib/roundcube/public_html;
    index index.php;
    location ~ \\.php {{
      include /etc/nginx/fastcgi.conf;
      fastcgi_split_path_info ^(.+?\\.php)(/.*)$;
      fastcgi_pass unix:/run/roundcube/php;
    }}
  }}
}}
"""


def unpack(folder):
    """The packages and what they need, in `folder`; made once. Needs root."""
    return peers.unpack(folder, PACKAGES, "usr/sbin/php-fpm8.2")


class Roundcube:
    """The servers, as a context manager."""

    def __init__(self, root, mail, ports, port=8444):
        self.root, self.ip, self.port = root, mail.ip, port
        self.state, self.processes = root / "run/roundcube", []
        values = {"ip": mail.ip, "port": port, "workers": WORKERS, **ports}
        self.files = {"config.inc.php": CONFIGURATION.format(**values), "fpm.conf": FPM.format(**values), "nginx.conf": NGINX.format(**values)}
        self.certificate = mail.directory

    def __enter__(self):
        subprocess.run(["rm", "-rf", self.state], check=True)
        self.state.mkdir(parents=True)
        for name, text in self.files.items():
            (self.state / name).write_text(text)
        for name in ("fullchain.pem", "key.pem"):
            (self.state / name).write_bytes((self.certificate / name).read_bytes())
        (self.root / "etc/roundcube/config.inc.php").write_text(self.files["config.inc.php"])
        subprocess.run(["chroot", self.root, "chown", "-R", "www-data", "/run/roundcube", "/etc/roundcube/config.inc.php"], check=True)
        for command in (["php-fpm8.2", "-y", "/run/roundcube/fpm.conf"], ["nginx", "-c", "/run/roundcube/nginx.conf"]):
            with open(self.state / f"{command[0]}.out", "wb") as out:
                self.processes.append(subprocess.Popen(["chroot", str(self.root), *command], stdout=out, stderr=out))
        end = time.monotonic() + 30
        while not self.listens():
            assert time.monotonic() < end, (self.state / "nginx.out").read_text()
            time.sleep(0.1)
        return self

    def listens(self):
        with contextlib.suppress(OSError), socket.create_connection((self.ip, self.port), 1):
            return (self.state / "php").exists()
        return False

    def __exit__(self, *_):
        for process in self.processes:
            process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(10)

    def resident(self):
        """MiB of all processes by their proportional share."""
        own = {process.pid for process in self.processes}
        children = {int(pid) for one in own for pid in subprocess.run(["pgrep", "-P", str(one)], capture_output=True, text=True, check=False).stdout.split()}
        return sum(peers.share(pid) for pid in own | children)


class Reader:
    """What Roundcube's script asks for, by a browser of the tests (units/web/tests/web.py) with `at` as the place."""

    def __init__(self, browser):
        self.browser, self.token = browser, ""

    def sign_in(self, account, password="pass word"):
        """Up to the page that holds the list."""
        page = self.browser.get("/")
        token = re.search(r'name="_token" value="([^"]+)"', page.text)[1]
        body = {"_task": "login", "_action": "login", "_timezone": "UTC", "_url": "", "_user": account, "_pass": password, "_token": token}
        answer = self.browser.post("/?_task=login", urllib.parse.urlencode(body))
        assert answer.status == 302, f"Roundcube: {answer.status} {answer.text[:2000]}"
        # It redirects to ./?_task=mail&_token=…
        page = self.browser.get("/" + answer.headers["Location"].removeprefix("./"))
        self.token = re.search(r'"request_token":"([^"]+)"', page.text)[1]
        return self.rows(1)

    def ask(self, **fields):
        """One request of its script."""
        query = urllib.parse.urlencode({"_task": "mail", "_mbox": "INBOX", "_remote": 1, **fields})
        headers = {"X-Requested-With": "XMLHttpRequest", "X-Roundcube-Request": self.token, "Accept": "application/json"}
        page = self.browser.get(f"/?{query}", headers=headers)
        page.answer = json.loads(page.text)
        return page

    def rows(self, number):
        """A page of the list."""
        page = self.ask(_action="list", _page=number)
        assert "add_message_row" in page.text, page.text[:2000]
        return page

    def search(self, words):
        return self.ask(_action="search", _q=words, _headers="from", _scope="base")

    def open(self, uid):
        """A message in the pane."""
        return self.browser.get(f"/?_task=mail&_mbox=INBOX&_uid={uid}&_action=preview&_framed=1")
