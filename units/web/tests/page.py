"""Chromium in front of a web unit, for what only a browser can show. Needs the Python packages playwright and axe-playwright-python."""

import importlib.util
import pathlib
import unittest

from web import HOST

CHROMIUM = pathlib.Path("/usr/bin/chromium")
PACKAGES = ["playwright", "axe_playwright_python"]
MISSING = "" if CHROMIUM.exists() and all(map(importlib.util.find_spec, PACKAGES)) else f"needs {CHROMIUM} and {', '.join(PACKAGES)}"
needs_chromium = unittest.skipIf(bool(MISSING), MISSING)
TAGS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]


class Chromium:
    """A running Chromium. Use as a context manager."""

    def __init__(self, web):
        self.web = web

    def __enter__(self):
        from playwright.sync_api import sync_playwright

        self.playwright = sync_playwright().start()
        rule = f"MAP {HOST} {self.web.ip}"
        self.browser = self.playwright.chromium.launch(
            executable_path=str(CHROMIUM), args=["--no-sandbox", f"--host-resolver-rules={rule}"])
        return self

    def __exit__(self, *_):
        self.browser.close()
        self.playwright.stop()

    def context(self, account, password="pass word", scripts=True, **more):
        """A window of its own, signed in."""
        context = self.browser.new_context(
            base_url=f"https://{HOST}:{self.web.https}", ignore_https_errors=True, java_script_enabled=scripts, **more)
        context.set_default_timeout(15_000)
        page = context.new_page()
        page.goto("/sign-in?next=/compose")
        page.fill("[name=account]", account)
        page.fill("[name=password]", password)
        page.click("main form button")
        page.wait_for_url("**/compose")
        return page


def violations(page):
    """What axe-core finds."""
    import axe_playwright_python

    source = pathlib.Path(axe_playwright_python.__file__).with_name("axe.min.js").read_text()
    page.evaluate(source)
    found = page.evaluate("tags => axe.run({runOnly: tags})", TAGS)["violations"]
    return [f"{one['id']}: {node['html']} {node['failureSummary']}" for one in found for node in one["nodes"]]
