"""What comes from elsewhere ends in an answer or an error of ours: some cases of each target.

``EDGEFERRY_FUZZ=full`` runs as many as docs/security.md tells of.
"""

import os
import sys

import pytest

from fuzz.campaign import Campaign
from fuzz.targets import TARGETS, target_class

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the harness reads /proc")
pytest.importorskip("onnxruntime")
SEED = 0


@pytest.mark.parametrize("name", TARGETS)
def test_no_input_falls(name, exported, tmp_path):
    kind = target_class(name)
    count = kind.full if os.environ.get("EDGEFERRY_FUZZ") == "full" else kind.quick
    report = Campaign(name, exported.folder, SEED, tmp_path).run(0, count)
    print(report)
    assert report.cases == count
    assert not report.falls, "\n\n".join(str(alike[0]) for alike in report.alike())
