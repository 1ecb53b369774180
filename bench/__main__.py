"""``python -m bench`` prints every benchmark; ``python -m bench startup fleet`` prints some."""

from __future__ import annotations

import sys

from bench import evaluation, fleet, plan_accuracy, startup, verify

_BENCHES = {
    "startup": startup.run,
    "fleet": fleet.run,
    "evaluation": evaluation.run,
    "plan": plan_accuracy.run,
    "verify": verify.run,
}


def main() -> None:
    """Run the benchmarks that were asked for, or all of them."""
    unknown = sorted(set(sys.argv[1:]) - set(_BENCHES))
    if unknown:
        sys.exit(f"bench: no benchmark {', '.join(unknown)}; there are {', '.join(_BENCHES)}")
    for name in sys.argv[1:] or _BENCHES:
        for line in _BENCHES[name]():
            print(line, flush=True)


main()
