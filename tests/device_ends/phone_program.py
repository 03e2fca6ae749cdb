"""A script that stands for TFLite's ``benchmark_model`` on a phone, with made-up times."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

_SCRIPT = """\
#!/bin/sh
for option; do
case $option in
--graph=*) graph=${{option#*=}} ;;
--num_threads=*) threads=${{option#*=}} ;;
esac
done
run="${{graph##*/}} $threads"
echo "$run" >>runs
{before}
case $run in
{cases}
esac
count="count=9 first=$us curr=$us min=$us max=$us avg=$us std=0 p5=$us median=$us p95=$us"
cat <<END
INFO: Created TensorFlow Lite XNNPACK delegate for CPU.
INFO: Explicitly applied XNNPACK delegate, and the model graph will be partially executed by the \
delegate w/ 1 delegate kernels.
INFO: $count
INFO: $count
INFO: Inference timings in us: Init: 41500, First inference: 81913, Warmup (avg): $us, \
Inference (avg): $us
INFO: Overall peak memory footprint (MB) via periodic monitoring: 93.5
END
"""
LOAD_MS, FIRST_MS, PEAK_MB = 41.5, 81.913, 93.5
"""What it tells of every artifact."""


def write_program(path: Path, microseconds: Mapping[str, int], before: str = "") -> Path:
    """Write the script; it notes artifact and threads of each run in a file ``runs``.

    Args:
        path: Where to.
        microseconds: Of one inference, by the shell's pattern for ``ARTIFACT THREADS``.
        before: What the script does before it tells anything; knows ``$run``.
    """
    cases = "\n".join(f"{pattern}) us={us} ;;" for pattern, us in microseconds.items())
    path.write_text(_SCRIPT.format(before=before, cases=cases))
    return path
