"""The console: pages on files, tables, charts and SQL in a browser. Its data come from the control API and Athena alone."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from datamaster.laptop.process import free_port

HERE = Path(__file__).parent


def command(port: int, browser: bool = False) -> list[str]:
    """The command that starts Streamlit, on 127.0.0.1 only and without usage statistics."""
    options = {
        "server.port": port,
        "server.address": "127.0.0.1",
        "server.headless": str(not browser).lower(),
        "server.fileWatcherType": "none",
        "browser.gatherUsageStats": "false",
        "client.toolbarMode": "minimal",
        "theme.base": "light",
        "theme.primaryColor": "#8a5a12",
    }
    words = [f"--{name}={value}" for name, value in options.items()]
    return [sys.executable, "-m", "streamlit", "run", str(HERE / "pages.py"), *words]


def serve(port: int, browser: bool = False) -> int:
    """Run the console until Ctrl-C. Returns Streamlit's exit code."""
    try:
        return subprocess.run(command(port or free_port(), browser), check=False).returncode
    except KeyboardInterrupt:
        return 0
