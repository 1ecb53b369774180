"""Paths and addresses that have the right form, and yet lead where nothing of a service can be."""

from __future__ import annotations

import pytest

from generator.spec.rules.locations import check
from tests.rule_checks import ASPEN1, told

MODEL = f'[models.m]\nrepository = "a/b"\nrevision = "{"0" * 40}"\nformat = "gguf"\n'


def service(host: str) -> str:
    return f'[services.a]\nengine = "ollama"\nmachines = ["aspen1"]\nhost = "{host}"'


@pytest.mark.parametrize("directory", ["/models", "/mnt/disk", "/var/lib/llm/models/m", "/srv/..x", "/tank/etc"])
def test_a_directory_of_its_own_is_right(directory: str) -> None:
    assert told(check, f'{MODEL}directory = "{directory}"', ASPEN1) == []


@pytest.mark.parametrize("directory", ["/etc", "/home/me/models", "/root", "/tmp/m", "/nix/store", "/run/m"])  # noqa: S108
def test_a_directory_of_the_system_or_out_of_sight_is_refused(directory: str) -> None:
    assert told(check, f'{MODEL}directory = "{directory}"', ASPEN1) == [
        (
            f"5:13: models.m.directory: {directory} is the system's, or hidden from services; "
            "choose another, as /var/lib/llm/models/m"
        )
    ]


@pytest.mark.parametrize("directory", ["/var", "/var/lib", "/srv", "/var/log/m", "/var/tmp/m"])  # noqa: S108
def test_a_directory_that_others_share_is_refused(directory: str) -> None:
    assert told(check, f'{MODEL}directory = "{directory}"', ASPEN1) == [
        (
            f"5:13: models.m.directory: {directory} is the system's, or hidden from services; "
            "choose another, as /var/lib/llm/models/m"
        )
    ]


@pytest.mark.parametrize("directory", ["/models/../etc", "/./models", "/models/.."])
def test_a_directory_that_wanders_is_refused(directory: str) -> None:
    assert told(check, f'{MODEL}directory = "{directory}"', ASPEN1) == [
        f'5:13: models.m.directory: "{directory}" leaves its place by "." or ".."; write the directory plainly'
    ]


@pytest.mark.parametrize("file", ["../../etc/shadow", "a/../b.gguf", "./a.gguf", ".."])
def test_a_file_outside_the_models_directory_is_refused(file: str) -> None:
    assert told(check, f'{MODEL}file = "{file}"', ASPEN1) == [
        (
            f'5:8: models.m.file: "{file}" leaves the model\'s directory by "." or ".."; '
            "write the file's path inside the repository"
        )
    ]


def test_a_file_in_a_folder_of_the_repository_is_right() -> None:
    assert told(check, f'{MODEL}file = "MXFP4/a..b.gguf"', ASPEN1) == []


@pytest.mark.parametrize(
    ("chosen", "said"),
    [
        (
            'include = ["other.gguf"]',
            "5:11: models.m.include: this leaves out q4/a.gguf, the file of the model; name it too",
        ),
        (
            'exclude = ["*.gguf"]',
            "5:11: models.m.exclude: this leaves out q4/a.gguf, the file of the model; let it through",
        ),
    ],
)
def test_a_file_that_would_not_be_downloaded_is_refused(chosen: str, said: str) -> None:
    assert told(check, f'{MODEL}{chosen}\nfile = "q4/a.gguf"\n', ASPEN1) == [said]


@pytest.mark.parametrize("chosen", ['include = ["*.json", "q4/"]', 'include = ["q4/*"]', 'exclude = ["q8/"]'])
def test_a_file_that_the_patterns_let_through_is_right(chosen: str) -> None:
    assert told(check, f'{MODEL}{chosen}\nfile = "q4/a.gguf"\n', ASPEN1) == []


def test_of_a_split_model_the_first_part_must_be_let_through() -> None:
    text = f'{MODEL}include = ["a-00001-of-00002.gguf"]\nfile = "a-00001-of-00002.gguf"\n'
    assert told(check, text, ASPEN1) == []


@pytest.mark.parametrize("name", ["include", "exclude"])
def test_a_pattern_that_leaves_the_repository_is_refused(name: str) -> None:
    found = told(check, f'{MODEL}{name} = ["a", "../*"]\n', ASPEN1)
    assert found == [
        f'5:17: models.m.{name}[1]: no path of a repository matches "../*"; write it as the repository\'s own paths are'
    ]


@pytest.mark.parametrize(
    "host",
    ["127.0.0.1", "0.0.0.0", "::", "::1", "100.64.0.7", "fd7a:115c::1", "aspen1.lan", "10gbit"],  # noqa: S104
)
def test_an_address_or_a_name_is_right(host: str) -> None:
    assert told(check, service(host), ASPEN1) == []


@pytest.mark.parametrize("host", ["127.0.0.256", "1.2.3", "0", ":::", "12:34", "127.0.0.01"])
def test_an_address_that_is_none_is_refused(host: str) -> None:
    assert told(check, service(host), ASPEN1) == [
        f'4:8: services.a.host: "{host}" is no IP address; write one as 127.0.0.1 or ::1, or a host name'
    ]


@pytest.mark.parametrize(("host", "plain"), [("::0", "::"), ("0:0:0:0:0:0:0:0", "::"), ("FD7A::1", "fd7a::1")])
def test_an_address_in_another_form_is_told_its_plain_one(host: str, plain: str) -> None:
    """Or a container that is published on every address would not be seen as one."""
    assert told(check, service(host), ASPEN1) == [
        f'4:8: services.a.host: "{host}" is not the plain form of an address; write "{plain}"'
    ]


@pytest.mark.parametrize(("target", "good"), [("root@a:65535", True), ("root@a:65536", False), ("root@a", True)])
def test_a_port_that_no_machine_has_is_refused(target: str, *, good: bool) -> None:
    text = f'[machines.m]\nhardware = "h100"\ntarget_host = "{target}"'
    assert told(check, text) == (
        [] if good else ["3:15: machines.m.target_host: there is no port 65536; write one from 1 to 65535"]
    )
