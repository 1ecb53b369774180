"""Runs with vLLM's own Python: reads argument lists from standard input, and says what its real parser makes of each.

A list of lists as JSON comes in, a list of "" or a complaint goes out.
"""

from __future__ import annotations

import contextlib
import io
import json
import sys

from vllm.entrypoints.launchers.cli_args import make_arg_parser, validate_parsed_serve_args
from vllm.reasoning import ReasoningParserManager
from vllm.tool_parsers import ToolParserManager
from vllm.utils.argparse_utils import FlexibleArgumentParser


def complaint(arguments: list[str]) -> str:
    """Say what is wrong with an argument list, "" for nothing."""
    parser = make_arg_parser(FlexibleArgumentParser())
    said = io.StringIO()
    try:
        with contextlib.redirect_stderr(said):
            found = parser.parse_args(arguments)
        validate_parsed_serve_args(found)
    except SystemExit:
        return said.getvalue().strip().splitlines()[-1]
    except (TypeError, ValueError) as error:
        return str(error)
    # Names of parsers are not the argument parser's to check.
    if found.tool_call_parser and found.tool_call_parser not in ToolParserManager.list_registered():
        return f"no tool call parser {found.tool_call_parser}"
    if found.reasoning_parser and found.reasoning_parser not in ReasoningParserManager.list_registered():
        return f"no reasoning parser {found.reasoning_parser}"
    return ""


if __name__ == "__main__":
    sys.stdout.write("\n" + json.dumps([complaint(arguments) for arguments in json.load(sys.stdin)]) + "\n")
