"""What the tests of the commands share: output without colors, in lines that are long enough."""

import pytest


@pytest.fixture(autouse=True)
def plain_output(monkeypatch):
    for name in ("FORCE_COLOR", "GITHUB_ACTIONS", "SECANT_BACKEND"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "dumb")
    monkeypatch.setenv("COLUMNS", "200")
