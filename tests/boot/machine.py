"""One appliance under QEMU: started through `mailkiln run`, watched on its serial console, reached by forwarded ports."""

import json
import os
import re
import signal
import subprocess
import time

OFFSET = 10000  # `mailkiln run` forwards guest port N to 127.0.0.1:N+10000


class BootFailed(Exception):
    """The appliance did not come up; the text holds the end of its console."""


class Machine:
    """A boot of `disk` (an overlay over `image`, made when missing) with `firmware` uefi or bios."""

    def __init__(self, program, image, disk, workdir, firmware, disk_size="4G", memory=1024, stays=False):
        """`stays`: it outlives this process and its terminal."""
        self.console_path = os.path.join(workdir, f"console-{firmware}-{time.monotonic_ns()}.log")
        self.started = time.monotonic()
        command = [str(program), "--json", "run", str(image), "--disk", str(disk), "--disk-size", disk_size]
        self.screen = os.path.join(workdir, "screen.png")
        command += ["--firmware", firmware, "--memory", str(memory), "--console", self.console_path, "--screen", self.screen]
        # Whoever reads what this process prints would wait for a machine that stays.
        errors = open(os.path.join(workdir, "run.log"), "ab") if stays else None
        self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=errors, text=True,
                                        start_new_session=stays)  # fmt: skip
        document = ""
        while not document.endswith("\n}\n"):  # the object is printed over several lines
            line = self.process.stdout.readline()
            if not line:
                raise BootFailed(f"`{' '.join(command)}` ended with status {self.process.wait()}: {document}")
            document += line
        self.qemu_pid = json.loads(document)["pid"]

    def running(self):
        """Whether it still runs."""
        return self.process.poll() is None

    def console(self):
        """Everything the serial console has shown so far."""
        try:
            with open(self.console_path, "rb") as file:
                return file.read().decode("utf-8", "replace").replace("\r", "")
        except FileNotFoundError:
            return ""

    def wait_for(self, pattern, seconds):
        """The first match of `pattern` on the console."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if match := re.search(pattern, self.console(), re.MULTILINE):
                return match
            if not self.running():
                raise BootFailed(f"QEMU ended while waiting for {pattern!r}:\n{self.tail()}")
            time.sleep(0.5)
        raise BootFailed(f"no {pattern!r} on the console within {seconds} s:\n{self.tail()}")

    def tail(self, lines=60):
        """The end of the console, for error messages."""
        return "\n".join(self.console().splitlines()[-lines:])

    def passwords(self):
        """{address: initial password} as the console shows them once, at first boot."""
        pairs = re.findall(r"^mailkiln: account (\S+) password (\S+)$", self.console(), re.MULTILINE)
        return dict(pairs)

    def shell(self, key, command, seconds=180):
        """Runs `command` in the guest over ssh; returns the completed process."""
        options = ["-i", key, "-p", str(22 + OFFSET), "-o", "StrictHostKeyChecking=no", "-o", "BatchMode=yes"]
        options += ["-o", "UserKnownHostsFile=/dev/null", "-o", "LogLevel=ERROR", "-o", "ConnectTimeout=60"]
        return subprocess.run(
            ["ssh", *options, "root@127.0.0.1", command],
            capture_output=True, text=True, timeout=seconds, stdin=subprocess.DEVNULL, check=False,
        )

    def power_cut(self):
        """Kills QEMU at once, as pulling the plug does: no flush, no shutdown."""
        os.kill(self.qemu_pid, signal.SIGKILL)
        self.process.wait(timeout=60)

    def stop(self):
        """Ends the machine if it still runs."""
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(timeout=30)
            except subprocess.TimeoutExpired:
                self.power_cut()


class LeftRunning(Machine):
    """A machine that an earlier call started and left running."""

    def __init__(self, pid, qemu_pid, console_path):
        self.pid, self.qemu_pid, self.console_path = pid, qemu_pid, console_path
        self.screen = os.path.join(os.path.dirname(console_path), "screen.png")
        self.started = time.monotonic()

    def running(self):
        return os.path.exists(f"/proc/{self.pid}")

    def power_cut(self):
        raise AssertionError("a machine that was left running is not ended by a check")

    def stop(self):
        """It stays."""
