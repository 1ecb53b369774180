"""Starting programs: what they leave behind, and what goes wrong before they do."""

from __future__ import annotations

import sys

import pytest

from generator.process import Output, ProcessError, run, start
from generator.spec.ssh import ssh_target


def test_a_program_leaves_its_code_and_its_words() -> None:
    program = "import sys; print('out'); print('err', file=sys.stderr); sys.exit(3)"
    assert run([sys.executable, "-c", program], timeout=30) == Output(3, "out\n", "err\n")


def test_words_that_are_no_text_are_replaced() -> None:
    program = "import sys; sys.stdout.buffer.write(b'\\xff')"
    assert run([sys.executable, "-c", program], timeout=30).out == "\N{REPLACEMENT CHARACTER}"


def test_no_shell_reads_the_arguments() -> None:
    assert run(["echo", "$HOME; true"], timeout=30).out == "$HOME; true\n"


def test_a_program_that_is_not_there_is_named() -> None:
    for begin in (lambda: run(["no-such-program"], timeout=1), lambda: start(["no-such-program"])):
        with pytest.raises(ProcessError, match="no-such-program cannot be started: No such file"):
            begin()


def test_a_program_that_does_not_end_is_ended() -> None:
    with pytest.raises(ProcessError, match=r"sleep did not end within 0\.2 s"):
        run(["sleep", "60"], timeout=0.2)


def test_a_program_that_goes_on_can_be_ended() -> None:
    process = start(["sleep", "60"])
    assert process.poll() is None
    process.terminate()
    assert process.wait(10) != 0
    assert process.stderr is not None
    process.stderr.close()


@pytest.mark.parametrize(
    ("target", "arguments"),
    [
        ("root@aspen1", ["root@aspen1"]),
        ("root@aspen1:2222", ["-p", "2222", "root@aspen1"]),
        ("aspen1", ["aspen1"]),
        ("root@aspen1:x", ["root@aspen1:x"]),
    ],
)
def test_a_target_host_is_said_as_ssh_wants_it(target: str, arguments: list[str]) -> None:
    assert ssh_target(target) == arguments
