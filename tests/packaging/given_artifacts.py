"""pytest plug-in for a bare environment: the ``exported`` fixture, from files made elsewhere.

``EDGEFERRY_GIVEN`` names a folder with ``artifacts/``, ``images.npy`` and ``reference.npy``.
"""

import os
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest


@pytest.fixture(scope="session")
def exported() -> SimpleNamespace:
    given = Path(os.environ["EDGEFERRY_GIVEN"])
    return SimpleNamespace(
        folder=given / "artifacts",
        images=np.load(given / "images.npy"),
        reference=np.load(given / "reference.npy"),
    )
