"""What llmflake-kept removes of models and images, and what it must not: real directories, the real podman."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import pwd
import shutil
import subprocess
from pathlib import Path

import pytest

from generator.machine import files, image, kept, unused
from generator.machine.directories import registered
from generator.machine.uses import ACCEPTED
from tests.test_machine_image import Podman, podman, short

__all__ = ["podman", "short"]  # fixtures
SELF = pwd.getpwuid(os.geteuid()).pw_name
SYSTEMS = {"running": "run/current-system", "booted": "run/booted-system", "next": "nix/var/nix/profiles/system"}


class Machine:
    """A machine's root, with systems that use models and images."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.runtime: str | None = None
        (root / "var/lib/llm-models/directories").mkdir(parents=True)
        (root / "nix/var/nix/gcroots").mkdir(parents=True)
        for name in SYSTEMS:
            self.system(name, {})

    def system(
        self,
        name: str,
        models: dict[Path, list[str] | None],
        images: dict[str, str] | None = None,
        below: str = "",
        revision: str = "1",
    ) -> Path:
        """Let a system use these; ``below`` is a specialisation of it."""
        link = self.root / SYSTEMS[name]
        made = self.root / "store" / name
        uses = made / below / "etc/llmflake/uses.json"
        uses.parent.mkdir(parents=True, exist_ok=True)
        same = {"repository": "a/b", "revision": revision, "include": [], "exclude": []}
        entries = [{"directory": str(path), "hashes": hashes, **same} for path, hashes in models.items()]
        uses.write_text(json.dumps({"models": entries, "images": images or {}, "runtime": self.runtime}))
        if not link.is_symlink():
            link.parent.mkdir(parents=True, exist_ok=True)
            link.symlink_to(made)
        return made

    def everywhere(
        self, models: dict[Path, list[str] | None], images: dict[str, str] | None = None, revision: str = "1"
    ) -> None:
        """Deploy, and reboot."""
        for name in SYSTEMS:
            self.system(name, models, images, revision=revision)

    def model(self, name: str, contents: dict[str, bytes]) -> Path:
        """Make what a download leaves."""
        directory = self.root / "models" / name
        directory.mkdir(parents=True, exist_ok=True)
        state = files.State.read(directory)
        for path, body in contents.items():
            state.set_aside(path)
            (directory / path).unlink(missing_ok=True)
            (directory / path).parent.mkdir(parents=True, exist_ok=True)
            (directory / path).write_bytes(body)
            state.remember(files.Wanted(path, len(body), hash_of(body)))
        state.write()
        entry = self.root / "var/lib/llm-models/directories" / name.replace("/", "-")
        if not entry.is_symlink():
            entry.symlink_to(directory)
        return directory

    def run(self, *arguments: str, owner: str | None = SELF) -> int:
        return kept.main(list(arguments), self.root, owner)

    def there(self) -> set[str]:
        return {str(path.relative_to(self.root / "models")) for path in (self.root / "models").rglob("*")}


def hash_of(body: bytes) -> str:
    return f"sha256:{hashlib.sha256(body).hexdigest()}"


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


OLD, NEW = b"old" * 5000, b"new" * 5000


def test_nothing_is_removed_before_a_state_was_accepted(machine: Machine, capsys: pytest.CaptureFixture[str]) -> None:
    machine.model("a", {"w": OLD})
    before = machine.there()
    assert machine.run("--remove") == os.EX_UNAVAILABLE
    assert machine.there() == before
    assert "no state of this machine was accepted yet" in capsys.readouterr().out


def test_the_accepted_models_stay_until_another_state_is_accepted(machine: Machine) -> None:
    old = machine.model("a", {"w": OLD})
    machine.everywhere({old: None})
    assert machine.run("--accept") == 0
    new = machine.model("b", {"w": NEW})
    machine.everywhere({new: None})
    assert machine.run("--remove") == 0
    assert (old / "w").read_bytes() == OLD
    assert machine.run("--accept") == 0
    assert machine.run("--remove") == 0
    assert not old.exists()
    assert (new / "w").read_bytes() == NEW
    assert list(registered(machine.root / "var/lib/llm-models/directories")) == [new]


def test_without_an_option_it_tells_and_removes_nothing(machine: Machine, capsys: pytest.CaptureFixture[str]) -> None:
    old = machine.model("a", {"w": OLD})
    machine.run("--accept")
    before = machine.there()
    assert machine.run() == 0
    assert machine.there() == before
    shown = capsys.readouterr().out
    assert f"{old}, 0.00 GiB\n" in shown
    assert "0.00 GiB would be freed; llmflake-kept --remove does it\n" in shown


@pytest.mark.parametrize("name", SYSTEMS)
@pytest.mark.parametrize("below", ["", "specialisation/ollama"])
def test_what_runs_or_may_be_booted_stays(machine: Machine, name: str, below: str) -> None:
    model = machine.model("a", {"w": OLD})
    machine.run("--accept")
    machine.system(name, {model: None}, below=below)
    assert machine.run("--remove") == 0
    assert (model / "w").read_bytes() == OLD


@pytest.mark.parametrize("name", SYSTEMS)
def test_a_system_that_does_not_tell_what_it_uses_keeps_everything(
    machine: Machine, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    machine.model("a", {"w": OLD})
    machine.run("--accept")
    (machine.root / SYSTEMS[name] / "etc/llmflake/uses.json").unlink()
    before = machine.there()
    assert machine.run("--remove") == os.EX_UNAVAILABLE
    assert machine.there() == before
    assert "; nothing was removed\n" in capsys.readouterr().out


def generation(machine: Machine, models: list[Path] | None, images: dict[str, str] | None = None) -> Path:
    """Make a generation of the boot menu that is neither the running nor the next one; return its file of uses."""
    made = machine.root / "store" / "generation"
    (made / "etc/llmflake").mkdir(parents=True)
    (machine.root / "nix/var/nix/profiles/system-1-link").symlink_to(made)
    chosen: dict[str, object] = {"repository": "a/b", "revision": "0", "include": [], "exclude": [], "hashes": None}
    uses = made / "etc/llmflake/uses.json"
    if models is not None:
        entries = [{"directory": str(path), **chosen} for path in models]
        uses.write_text(json.dumps({"models": entries, "images": images or {}, "runtime": machine.runtime}))
    return uses


def test_what_a_generation_of_the_boot_menu_uses_stays_until_it_is_collected(machine: Machine) -> None:
    model = machine.model("a", {"w": OLD})
    machine.run("--accept")
    generation(machine, [model])
    assert machine.run("--remove") == 0
    assert (model / "w").read_bytes() == OLD
    (machine.root / "nix/var/nix/profiles/system-1-link").unlink()
    assert machine.run("--remove") == 0
    assert not model.exists()


def test_a_generation_that_was_made_before_systems_told_holds_nothing(machine: Machine) -> None:
    model = machine.model("a", {"w": OLD})
    machine.run("--accept")
    generation(machine, None)
    assert machine.run("--remove") == 0
    assert not model.exists()


def test_a_generation_whose_file_cannot_be_read_keeps_everything(machine: Machine) -> None:
    machine.model("a", {"w": OLD})
    machine.run("--accept")
    generation(machine, []).write_text("{half")
    before = machine.there()
    assert machine.run("--remove") == os.EX_UNAVAILABLE
    assert machine.there() == before


@pytest.mark.parametrize("registered_as", ["the directory", "the link"])
def test_a_model_that_is_used_through_a_symbolic_link_stays(machine: Machine, registered_as: str) -> None:
    directory = machine.model("disk/a", {"w": OLD})
    (machine.root / "link").symlink_to(machine.root / "models" / "disk")
    used = {"the directory": machine.root / "link" / "a", "the link": directory}[registered_as]
    if registered_as == "the link":
        entry = machine.root / "var/lib/llm-models/directories/disk-a"
        entry.unlink()
        entry.symlink_to(machine.root / "link" / "a")
    machine.everywhere({used: [hash_of(OLD)]})
    assert machine.run("--accept") == 0
    assert machine.run("--remove") == 0
    assert (used / "w").read_bytes() == OLD


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can mount; run the tests as root")
@pytest.mark.parametrize(
    ("directory", "source", "used"),
    [
        pytest.param("a", "a", "mounted", id="the same"),
        pytest.param("a", "a/below", "mounted", id="used within"),
        pytest.param("a", "a", "mounted/below", id="used within what is mounted"),
        pytest.param("a/below", "a", "mounted", id="used around"),
    ],
)
def test_a_model_that_is_used_through_a_bind_mount_stays(
    machine: Machine, directory: str, source: str, used: str
) -> None:
    registered_one = machine.model(directory, {"w": OLD, "below/w": OLD})
    mounted = machine.root / "mounted"
    mounted.mkdir()
    done = subprocess.run(["mount", "--bind", machine.root / "models" / source, mounted], check=False)
    if done.returncode != 0:
        pytest.skip("mount --bind is not allowed here; run the tests where it is")
    try:
        machine.everywhere({machine.root / used: [hash_of(OLD)]})
        state = machine.root / used / files.STATE
        if not state.exists():
            state.write_text("{}")
        assert machine.run("--accept") == 0
        assert machine.run("--remove") == 0
        assert (registered_one / "w").read_bytes() == OLD
        assert (registered_one / "below/w").read_bytes() == OLD
    finally:
        subprocess.run(["umount", mounted], check=True)


def test_another_revision_of_a_model_in_use_goes_when_it_is_not_the_accepted_one(machine: Machine) -> None:
    directory = machine.model("a", {"w": b"oldest" * 1000})
    machine.model("a", {"w": OLD})
    machine.everywhere({directory: [hash_of(OLD)]})
    machine.run("--accept")
    machine.model("a", {"w": NEW})
    machine.everywhere({directory: [hash_of(NEW)]}, revision="2")
    assert len(list((directory / files.KEPT).iterdir())) == 2
    assert machine.run("--remove") == 0
    assert [path.read_bytes() for path in (directory / files.KEPT).iterdir()] == [OLD]
    assert (directory / "w").read_bytes() == NEW
    machine.run("--accept")
    assert machine.run("--remove") == 0
    assert machine.there() == {"a", "a/w", f"a/{files.STATE}"}


def test_a_system_that_does_not_know_its_files_keeps_every_revision(machine: Machine) -> None:
    directory = machine.model("a", {"w": OLD})
    machine.everywhere({directory: None}, revision="1")
    machine.run("--accept")
    machine.model("a", {"w": NEW})
    machine.everywhere({directory: None}, revision="2")
    before = machine.there()
    assert machine.run("--remove") == 0
    assert machine.there() == before


def test_once_it_was_accepted_its_files_are_known(machine: Machine) -> None:
    directory = machine.model("a", {"w": OLD})
    machine.model("a", {"w": NEW})
    machine.everywhere({directory: None}, revision="2")
    machine.run("--accept")
    assert machine.run("--remove") == 0
    assert machine.there() == {"a", "a/w", f"a/{files.STATE}"}


def test_the_hubs_list_tells_which_files_a_system_uses(machine: Machine) -> None:
    directory = machine.model("a", {"w": b"oldest" * 1000})
    machine.model("a", {"w": OLD})
    machine.everywhere({directory: [hash_of(OLD)]}, revision="1")
    machine.run("--accept")
    machine.model("a", {"w": NEW})
    machine.everywhere({directory: None}, revision="2")
    state = files.State.read(directory)
    chosen = {"repository": "a/b", "revision": "2", "include": [], "exclude": []}
    state.selection, state.listing = files.selection_of(chosen), [files.Wanted("w", len(NEW), hash_of(NEW))]
    state.write()
    assert machine.run("--remove") == 0
    assert [path.read_bytes() for path in (directory / files.KEPT).iterdir()] == [OLD]


def test_files_that_llmflake_did_not_bring_stay(machine: Machine, capsys: pytest.CaptureFixture[str]) -> None:
    directory = machine.model("a", {"w": OLD, "below/w": OLD, "changed": OLD})
    (directory / "mine").write_bytes(b"mine")
    (directory / "changed").write_bytes(b"mine too")
    (directory / files.KEPT).mkdir()
    (directory / files.KEPT / "notes").write_bytes(b"and mine")
    machine.run("--accept")
    assert machine.run("--remove") == 0
    assert machine.there() == {"a", "a/mine", "a/changed", f"a/{files.KEPT}", f"a/{files.KEPT}/notes"}
    assert f"{directory} stays, for files of others are in it\n" in capsys.readouterr().out


def test_a_directory_without_a_record_of_a_download_is_left_alone(machine: Machine) -> None:
    directory = machine.model("a", {"w": OLD})
    (directory / files.STATE).unlink()
    machine.run("--accept")
    assert machine.run("--remove") == 0
    assert machine.there() == {"a", "a/w"}


def test_a_directory_that_was_never_entered_is_left_alone(machine: Machine) -> None:
    machine.model("a", {"w": OLD})
    (machine.root / "var/lib/llm-models/directories/a").unlink()
    before = machine.there()
    machine.run("--accept")
    assert machine.run("--remove") == 0
    assert machine.there() == before


def test_a_directory_of_another_user_is_left_alone(machine: Machine, capsys: pytest.CaptureFixture[str]) -> None:
    machine.model("a", {"w": OLD})
    before = machine.there()
    machine.run("--accept")
    assert machine.run("--remove", owner="somebody-else") == 0
    assert machine.there() == before
    assert "is left alone: it does not belong to somebody-else" in capsys.readouterr().out


def test_no_symbolic_link_is_followed(machine: Machine) -> None:
    elsewhere = machine.root / "elsewhere"
    elsewhere.mkdir()
    directory = machine.model("a", {"w": OLD, "below/w": OLD})
    (elsewhere / "w").write_bytes(OLD)
    os.utime(elsewhere / "w", ns=(0, (directory / "below/w").stat().st_mtime_ns))
    (directory / "below/w").unlink()
    (directory / "below").rmdir()
    (directory / "below").symlink_to(elsewhere)
    target = machine.model("b", {"w": OLD})
    (machine.root / "models" / "link").symlink_to(target)
    entry = machine.root / "var/lib/llm-models/directories/b"
    entry.unlink()
    entry.symlink_to(machine.root / "models" / "link")
    machine.run("--accept")
    assert machine.run("--remove") == 0
    assert (elsewhere / "w").read_bytes() == OLD
    assert (target / "w").read_bytes() == OLD
    assert machine.there() >= {"a/below"}


@pytest.mark.parametrize("outside", ["../../outside", "/outside"])
def test_a_record_that_names_files_elsewhere_reaches_none(machine: Machine, outside: str) -> None:
    directory = machine.model("a", {"w": OLD})
    victim = machine.root / "outside"
    victim.write_bytes(OLD)
    state = files.State.read(directory)
    state.whole[str(victim) if outside.startswith("/") else outside] = (
        len(OLD),
        victim.stat().st_mtime_ns,
        hash_of(OLD),
    )
    state.write()
    machine.run("--accept")
    assert machine.run("--remove") == 0
    assert victim.read_bytes() == OLD
    assert not directory.exists()


def test_a_directory_around_one_that_is_used_is_left_alone(machine: Machine) -> None:
    outer, inner = machine.model("a", {"w": OLD}), machine.model("a/b", {"w": NEW})
    machine.everywhere({inner: None})
    machine.run("--accept")
    assert machine.run("--remove") == 0
    assert (outer / "w").read_bytes() == OLD


def test_a_directory_with_a_download_at_work_is_left_alone(machine: Machine) -> None:
    directory = machine.model("a", {"w": OLD})
    machine.run("--accept")
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    try:
        assert machine.run("--remove") == 0
        assert (directory / "w").read_bytes() == OLD
    finally:
        os.close(descriptor)


def test_what_half_a_download_left_goes_with_its_directory(machine: Machine) -> None:
    directory = machine.model("a", {"w": OLD})
    (directory / files.PARTS).mkdir()
    (directory / files.PARTS / "sha256-00ff").write_bytes(NEW)
    machine.run("--accept")
    assert machine.run("--remove") == 0
    assert not directory.exists()


def test_what_a_killed_write_left_goes_with_its_directory(machine: Machine) -> None:
    directory = machine.model("a", {"w": OLD})
    (directory / f"{files.STATE}.new").write_text("{half")
    machine.run("--accept")
    assert machine.run("--remove") == 0
    assert not directory.exists()
    assert registered(machine.root / "var/lib/llm-models/directories") == {}


def test_nothing_more_is_removed_when_a_system_does_not_tell_any_more(
    machine: Machine, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A deployment of something without servers comes in between."""
    directories = [machine.model(name, {"w": OLD}) for name in ("a", "b")]
    machine.run("--accept")
    remove = unused.remove

    def deploy_then(found: unused.Unused) -> unused.Unused:
        (machine.root / SYSTEMS["running"] / "etc/llmflake/uses.json").unlink()
        return remove(found)

    monkeypatch.setattr(unused, "remove", deploy_then)
    assert machine.run("--remove") == os.EX_UNAVAILABLE
    assert [path.exists() for path in directories] == [False, True]
    assert capsys.readouterr().out.endswith("; nothing more was removed\n")


@pytest.mark.parametrize("program", ["/gone/podman", "/bin/false"])
def test_a_runtime_that_does_not_answer_keeps_models_too(
    machine: Machine, program: str, capsys: pytest.CaptureFixture[str]
) -> None:
    machine.model("a", {"w": OLD})
    machine.run("--accept")
    machine.runtime = program
    machine.everywhere({}, {"vllm": f"localhost/a@sha256:{'0' * 64}"})
    before = machine.there()
    assert machine.run("--remove") == os.EX_UNAVAILABLE
    assert machine.there() == before
    assert capsys.readouterr().out.endswith("; correct that, and start again; nothing was removed\n")


def test_a_model_of_which_no_file_is_known_is_not_accepted(
    machine: Machine, capsys: pytest.CaptureFixture[str]
) -> None:
    directory = machine.root / "models" / "a"
    directory.mkdir(parents=True)
    machine.everywhere({directory: None})
    assert machine.run("--accept") == os.EX_UNAVAILABLE
    expected = f"no file of {directory} is known; let its download end, and verify again; nothing was recorded\n"
    assert capsys.readouterr().out == expected
    assert not (machine.root / ACCEPTED).exists()


def test_who_is_not_root_is_told_to_be(capsys: pytest.CaptureFixture[str]) -> None:
    """Of another user's podman, it would tell that there is nothing."""
    root = os.geteuid() == 0
    if root:
        os.seteuid(pwd.getpwnam("nobody").pw_uid)
    try:
        code = kept.main([])
    finally:
        if root:
            os.seteuid(0)
    assert (code, capsys.readouterr().out) == (
        os.EX_NOPERM,
        "what is used is root's to tell; run it as root: sudo llmflake-kept\n",
    )


def test_bytes_that_another_name_holds_are_not_counted_as_freed(machine: Machine) -> None:
    directory = machine.model("a", {"w": OLD})
    assert unused.find(directory, {}, SELF).size >= len(OLD)
    (machine.root / "second name").hardlink_to(directory / "w")
    assert unused.find(directory, {}, SELF).size == 0


def test_another_system_than_the_one_that_was_verified_is_not_accepted(
    machine: Machine, capsys: pytest.CaptureFixture[str]
) -> None:
    verified = machine.root / "store" / "before"
    assert machine.run("--accept", str(verified)) == os.EX_UNAVAILABLE
    assert f"runs by now, and not {verified}; nothing was recorded\n" in capsys.readouterr().out
    assert not (machine.root / "var/lib/llmflake/accepted.json").exists()
    assert machine.run("--accept", str(machine.root / "store" / "running")) == 0


def test_the_accepted_system_survives_the_collection_of_garbage(machine: Machine) -> None:
    for _ in range(2):
        machine.run("--accept")
        assert (machine.root / "nix/var/nix/gcroots/llmflake-accepted").readlink() == machine.root / "store" / "running"


def test_the_accepted_image_stays_until_another_one_is_accepted(machine: Machine, podman: Podman) -> None:
    machine.runtime = podman.program
    first = podman.release("one")
    machine.everywhere({}, {"vllm": first})
    podman.bring(first)
    assert machine.run("--accept") == 0
    accepted = podman.named("accepted")
    newest = first
    for text in ("two", "three", "four"):
        newest = podman.release(text)
        podman.bring(newest)
    machine.everywhere({}, {"vllm": newest})
    assert machine.run("--remove") == 0
    podman("system", "prune", "--force")
    assert podman.images() == {accepted, podman.named("current")}
    assert machine.run("--accept") == 0
    assert machine.run("--remove") == 0
    assert podman.images() == {podman.named("current")}


def test_images_of_others_stay(machine: Machine, podman: Podman, capsys: pytest.CaptureFixture[str]) -> None:
    machine.runtime = podman.program
    now = podman.release("now")
    podman.bring(now)
    machine.everywhere({}, {"vllm": now})
    machine.run("--accept")
    theirs, shared, gone = (podman.release(text) for text in ("theirs", "shared", "gone"))
    podman("pull", theirs)
    image.main([podman.program, "other", shared])
    podman("tag", shared, "localhost/mine:1")
    image.main([podman.program, "third", gone])
    machine.run()
    assert image.identity(podman.program, gone) is not None
    assert machine.run("--remove") == 0
    assert image.identity(podman.program, theirs) is not None
    assert image.identity(podman.program, "localhost/mine:1") is not None
    assert image.identity(podman.program, gone) is None
    assert image.identity(podman.program, now) is not None
    assert "which somebody else named or a container has: it stays" in capsys.readouterr().out


def test_an_acceptance_that_fails_leaves_the_accepted_image(machine: Machine, podman: Podman) -> None:
    machine.runtime = podman.program
    good = podman.release("good")
    podman.bring(good)
    machine.everywhere({}, {"vllm": good})
    assert machine.run("--accept") == 0
    accepted, record = podman.named("accepted"), (machine.root / ACCEPTED).read_text()
    bad = podman.release("bad")
    podman.bring(bad)
    machine.everywhere({}, {"vllm": bad, "other": f"{podman.server.host}/someone/vllm@sha256:{'0' * 64}"})
    assert machine.run("--accept") == os.EX_UNAVAILABLE
    assert (podman.named("accepted"), (machine.root / ACCEPTED).read_text()) == (accepted, record)
    for text in ("three", "four"):
        podman.bring(podman.release(text))
    assert image.identity(podman.program, good) == accepted


def test_what_was_accepted_for_one_unit_stays_when_another_goes_on(machine: Machine, podman: Podman) -> None:
    machine.runtime = podman.program
    shared, other, *newer = (podman.release(text) for text in ("shared", "other", "three", "four"))
    for unit in ("a", "b"):
        image.main([podman.program, unit, shared], machine.root)
    machine.everywhere({}, {"a": shared, "b": shared})
    assert machine.run("--accept") == 0
    image.main([podman.program, "a", other], machine.root)
    machine.everywhere({}, {"a": other, "b": shared})
    assert machine.run("--accept") == 0
    for reference in newer:
        image.main([podman.program, "a", reference], machine.root)
    for tag in ("current", "accepted"):
        assert image.identity(podman.program, image.name_of("b", tag)) is not None


def test_an_image_is_counted_once_whatever_builds_of_podman_systems_have(
    machine: Machine, podman: Podman, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    now = podman.release("now")
    podman.bring(now)
    image.main([podman.program, "other", podman.release("old")])
    machine.runtime = podman.program
    machine.everywhere({}, {"vllm": now})
    machine.run("--accept")
    (tmp_path / "newer").mkdir()
    machine.runtime = str(shutil.copy(podman.program, tmp_path / "newer" / "podman"))
    machine.everywhere({}, {"vllm": now})
    Path(podman.program).rename(tmp_path / "older")  # only the running system's is asked
    capsys.readouterr()
    assert machine.run() == 0
    assert capsys.readouterr().out.count("image localhost/llmflake/other:current") == 1


def test_an_image_of_a_generation_of_the_boot_menu_stays(machine: Machine, podman: Podman) -> None:
    machine.runtime = podman.program
    old, now = podman.release("old"), podman.release("now")
    podman.bring(old)
    podman.bring(now)
    machine.everywhere({}, {"vllm": now})
    machine.run("--accept")
    generation(machine, [], {"vllm": old})
    assert machine.run("--remove") == 0
    assert image.identity(podman.program, old) is not None


def test_an_image_that_is_not_here_is_not_accepted(machine: Machine, podman: Podman) -> None:
    machine.runtime = podman.program
    machine.everywhere({}, {"vllm": f"{podman.server.host}/someone/vllm@sha256:{'0' * 64}"})
    assert machine.run("--accept") == os.EX_UNAVAILABLE


def test_a_runtime_that_is_gone_is_told(machine: Machine, capsys: pytest.CaptureFixture[str]) -> None:
    machine.run("--accept")
    machine.runtime = "/gone/podman"
    machine.everywhere({}, {"vllm": f"localhost/a@sha256:{'0' * 64}"})
    assert machine.run("--remove") == os.EX_UNAVAILABLE
    expected = (
        "/gone/podman does not run: No such file or directory; correct that, and start again; nothing was removed\n"
    )
    assert capsys.readouterr().out.endswith(expected)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be somebody else; run the tests as root")
def test_files_are_removed_as_nobody_but_their_owner(machine: Machine, capsys: pytest.CaptureFixture[str]) -> None:
    """What its owner may not remove stays, whatever the record says."""
    nobody = pwd.getpwnam("nobody")
    directory = machine.model("a", {"w": OLD, "roots/w": OLD})
    for path in (directory, directory / "w", directory / files.STATE):
        os.chown(path, nobody.pw_uid, nobody.pw_gid)
    for folder in (machine.root, *machine.root.parents[:-2]):
        folder.chmod(0o755)
    machine.run("--accept")
    assert machine.run("--remove", owner="nobody") == 0
    assert (directory / "roots/w").read_bytes() == OLD
    assert not (directory / "w").exists()
    assert os.geteuid() == 0
    shown = capsys.readouterr().out
    assert f"{directory}: 1 files, " in shown
    assert f"{directory}/roots/w cannot be removed by the directory's owner: 1 files stay\n" in shown
    assert f"{directory}, " not in shown


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be somebody else; run the tests as root")
def test_what_its_owner_could_not_remove_is_told_with_its_size(machine: Machine) -> None:
    nobody = pwd.getpwnam("nobody")
    directory = machine.model("a", {"w": OLD, "roots/w": OLD})
    for path in (directory, directory / "w", directory / files.STATE):
        os.chown(path, nobody.pw_uid, nobody.pw_gid)
    for folder in (machine.root, *machine.root.parents[:-2]):
        folder.chmod(0o755)
    found = unused.find(directory, {}, "nobody")
    both = found.size
    left = unused.remove(found)
    assert left.files == (directory / "roots/w",)
    assert both == 2 * left.size > 0
