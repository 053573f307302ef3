"""Throughput of the openai writer: 1,000 calls to a stub with 50 ms latency, 32 at a time.

Usage: python tests/benchmarks/curation_throughput.py [ITEMS]     (2 calls an item; default 500)
The last line is JSON: wall time of the whole command in seconds, its peak memory in MB, calls at the stub.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

HERE = Path(__file__).resolve().parent
CURATION_TESTS = HERE.parent / "data_curation"
LATENCY_S = 0.05
CONCURRENCY = 32
BOUND_S, BOUND_MB = 8.0, 300.0


def main(items: int) -> None:
    sys.path.insert(0, str(CURATION_TESTS))
    from small_corpus import command, environment, make_corpus, rows_of, write_arguments

    stub = subprocess.Popen(
        [sys.executable, str(CURATION_TESTS / "stub_server.py"), str(LATENCY_S)],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert stub.stdout is not None
    address = f"http://127.0.0.1:{int(stub.stdout.readline())}"
    try:
        with tempfile.TemporaryDirectory() as folder:
            root, out = make_corpus(Path(folder, "corpus"), items), Path(folder, "out.jsonl")
            arguments = [*write_arguments(root, out, f"{address}/v1"), "--concurrency", CONCURRENCY]
            started_s = time.perf_counter()
            process = subprocess.Popen(command(*arguments), env=environment(), cwd=HERE.parents[1])
            _, status, used = os.wait4(process.pid, 0)
            wall_s = time.perf_counter() - started_s
            process.returncode = os.waitstatus_to_exitcode(status)
            accepted = sum(row["outcome"] == "accepted" for row in rows_of(out))
        with urllib.request.urlopen(f"{address}/counts") as counts:
            calls = json.load(counts)["count"]
    finally:
        stub.terminate()
        stub.wait()
    assert process.returncode == 0 and accepted == items, (process.returncode, accepted)
    peak_mb = used.ru_maxrss / (1e6 if sys.platform == "darwin" else 1e3)
    result = {"items": items, "calls": calls, "wall_s": round(wall_s, 2), "peak_mb": round(peak_mb, 1)}
    result |= {"calls_per_s": round(calls / wall_s, 1), "cpu_s": round(used.ru_utime + used.ru_stime, 2)}
    result |= {"bound_s": BOUND_S, "bound_mb": BOUND_MB}
    print(json.dumps(result))


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 500)
