"""Check a spec against the schema: jsonschema finds the errors, ``translate`` says them."""

from __future__ import annotations

import datetime as dt
import functools
import math
from typing import TYPE_CHECKING, Any

from generator.spec.paths import path_text, walk
from generator.spec.resolve import ABOUT_KEYS, resolve

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from generator.errors import Problem
    from generator.spec.positions import DataPath
    from generator.spec.source import Source


def validate(source: Source, schema: Mapping[str, Any]) -> tuple[list[Problem], list[DataPath]]:
    """Return the problems that a JSON Schema (2020-12) has with a spec, sorted by place, and the paths of wrong values.

    Unknown keys are problems and no wrong values: what stands beside them can still be read.

    Stricter than JSON Schema, because Nix is: 1.0 is no integer, infinity no number, a date nothing at all; and ``$``
    in a pattern is the end of the text, not a line's.
    """
    root = resolve(schema)
    errors = list(_validator_class()(root).iter_errors(source.data))
    strange = (
        [(path, value) for path, value in walk(source.data) if _is_not_json(value)] if source.format == "toml" else []
    )
    if not errors and not strange:
        return [], []
    from generator.spec.translate import Translator, finding_of, not_json  # only to say what is wrong

    findings = [finding_of(error, ()) for error in errors]
    problems = set(Translator(source, root).problems(findings))
    wrong = [finding.path for finding in findings if finding.keyword not in ABOUT_KEYS]
    wrong += [(*finding.path, finding.value) for finding in findings if finding.keyword == "propertyNames"]
    told = {problem.path for problem in problems}
    for path, value in strange:
        wrong.append(path)
        if path_text(path) not in told:
            problems.add(source.problem(path, *not_json(value)))
    return sorted(problems), wrong


def _is_not_json(value: object) -> bool:
    return isinstance(value, dt.date | dt.time) or (isinstance(value, float) and not math.isfinite(value))


@functools.cache
def _validator_class() -> Any:  # noqa: ANN401 - jsonschema makes the class at run time
    from jsonschema import Draft202012Validator, ValidationError, validators  # a tenth of a second

    def is_integer(_checker: object, value: object) -> bool:
        return isinstance(value, int) and not isinstance(value, bool)

    def is_number(checker: object, value: object) -> bool:
        return is_integer(checker, value) or (isinstance(value, float) and math.isfinite(value))

    def property_names(validator: Any, names: Any, instance: object, _schema: object) -> Iterator[ValidationError]:  # noqa: ANN401
        for name in instance if isinstance(instance, dict) else ():
            errors = list(validator.descend(name, names))
            if errors:  # jsonschema's own does not tell a wrong key from a wrong value
                yield ValidationError("", instance=name, context=errors)

    checker = Draft202012Validator.TYPE_CHECKER.redefine_many({"integer": is_integer, "number": is_number})
    extend: Any = validators.extend  # its types are incomplete
    return extend(Draft202012Validator, {"propertyNames": property_names}, type_checker=checker)
