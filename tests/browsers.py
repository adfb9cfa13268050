"""A headless Chromium for the tests of pages.

It needs Debian's chromium and chromium-driver, which `make test` installs if it may. Without them these tests are skipped visibly.
"""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

CHROMIUM, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")

OPTIONS = ("--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run", "--window-size=1500,1000")


@contextmanager
def chromium(folder: Path, **capabilities: Any) -> Iterator[Any]:
    """Yield the browser, driven by selenium, with its own files in `folder`."""
    for program in (CHROMIUM, DRIVER):
        # Ubuntu's chromium may be a stub that only refers to a snap.
        if program is None or subprocess.run([program, "--version"], capture_output=True, check=False).returncode != 0:
            pytest.skip("needs chromium and chromium-driver: sudo apt-get install chromium chromium-driver")

    from selenium import webdriver
    from selenium.webdriver.chrome.service import Service

    chosen = webdriver.ChromeOptions()
    chosen.binary_location = CHROMIUM
    for option in (*OPTIONS, f"--user-data-dir={folder}"):
        chosen.add_argument(option)
    for name, value in capabilities.items():
        chosen.set_capability(name, value)
    driver = webdriver.Chrome(options=chosen, service=Service(DRIVER))
    try:
        yield driver
    finally:
        driver.quit()
