"""Where a server is asked, in Python and in Nix."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from generator.spec.address import asked_at, bracketed
from tests.nix_program import ROOT

if TYPE_CHECKING:
    from tests.nix_program import Nix

HOSTS = {"0.0.0.0": "127.0.0.1", "::": "::1", "127.0.0.1": "127.0.0.1", "10.0.0.2": "10.0.0.2", "fd00::1": "fd00::1"}  # noqa: S104


@pytest.mark.parametrize(("host", "asked"), HOSTS.items())
def test_a_server_that_listens_everywhere_is_asked_on_loopback_of_its_family(host: str, asked: str) -> None:
    assert asked_at(host) == asked


def test_the_watchdog_asks_at_the_same_address(nix: Nix) -> None:
    names = " ".join(map(json.dumps, HOSTS))
    assert nix.evaluate(f"map (import {ROOT}/nix/lib).address.asked [ {names} ]") == list(HOSTS.values())


@pytest.mark.parametrize(("host", "shown"), [("127.0.0.1", "127.0.0.1:80"), ("::1", "[::1]:80")])
def test_an_address_with_colons_stands_in_brackets(host: str, shown: str) -> None:
    assert bracketed(host, 80) == shown
