"""Any command of the product on the pretend accelerator: `python tests/gpu/pretend [--lines KINDS] COMMAND WORDS...`.

    python tests/gpu/pretend --lines refused,to_host fit --config=configs/preset/demo_grpo.yaml

prints how many kernels were launched, copies made and bytes held, and which lines of the product asked for events of
the kinds given (refused, to_host, to_device, launch); a mix-up of devices is listed, and the run goes on.
"""

import argparse
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parents[2]), str(HERE.parent)]

from product.commands import COMMANDS, command, fit  # noqa: E402

from pretend.build import cannot_build  # noqa: E402
from pretend.device import register, train_on_it  # noqa: E402
from pretend.watch import KINDS, Watch  # noqa: E402

MOST = 80
"""Lines that are printed, the most frequent ones."""


def main() -> int:
    parser = argparse.ArgumentParser(prog="python tests/gpu/pretend", description=__doc__)
    parser.add_argument("--lines", default="refused", help=f"some of {','.join(KINDS)}")
    parser.add_argument("command", choices=COMMANDS)
    parser.add_argument("words", nargs=argparse.REMAINDER)
    options = parser.parse_args()
    kinds = options.lines.split(",")
    if unknown := set(kinds) - set(KINDS):
        parser.error(f"--lines: {sorted(unknown)[0]!r} is none of {', '.join(KINDS)}")
    if (reason := cannot_build()) is not None:
        parser.error(f"the pretend accelerator cannot be compiled: {reason}")
    backend = register()
    train_on_it()
    with Watch(backend, kinds=kinds, only_list=True) as watch:
        if options.command == "fit":
            print(fit(options.words).path)
        else:
            command(options.command, options.words)
    for (kind, operator, place), count in watch.lines.most_common(MOST):
        print(f"{count:8d} {kind} {operator} at {place}", file=sys.stderr)
    print(" ".join(f"{name}={value}" for name, value in watch.counts.items()), file=sys.stderr)
    return 1 if watch.counts["refusals"] else 0


if __name__ == "__main__":
    raise SystemExit(main())
