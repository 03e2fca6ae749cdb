"""Export trained image networks to small machines, int8 and measured, and embed them.

Names are imported on first use: importing this package loads neither numpy nor an engine.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from edgeferry.telemetry import disable_telemetry

if TYPE_CHECKING:
    from edgeferry.app.export import export
    from edgeferry.artifact import open_artifact, read_contract
    from edgeferry.contract import Contract
    from edgeferry.errors import EdgeferryError
    from edgeferry.given_contract import GivenContract
    from edgeferry.runtimes.predictor import Predictor, load
    from edgeferry.runtimes.results import Detection, Mask, Prediction

    __version__: str

disable_telemetry()  # before any engine is imported, whichever way leads to it

__all__ = [
    "Contract",
    "Detection",
    "EdgeferryError",
    "GivenContract",
    "Mask",
    "Prediction",
    "Predictor",
    "__version__",
    "export",
    "load",
    "open_artifact",
    "read_contract",
]

_HOMES = {
    "Contract": "edgeferry.contract",
    "Detection": "edgeferry.runtimes.results",
    "EdgeferryError": "edgeferry.errors",
    "GivenContract": "edgeferry.given_contract",
    "Mask": "edgeferry.runtimes.results",
    "Prediction": "edgeferry.runtimes.results",
    "Predictor": "edgeferry.runtimes.predictor",
    "export": "edgeferry.app.export",
    "load": "edgeferry.runtimes.predictor",
    "open_artifact": "edgeferry.artifact",
    "read_contract": "edgeferry.artifact",
}


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    if name == "__version__":
        from importlib.metadata import version

        return version("edgeferry")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
