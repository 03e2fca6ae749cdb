"""Every target by its name."""

from __future__ import annotations

from importlib import import_module

from fuzz.target import Target

TARGETS = {
    "pictures": "fuzz.pictures:Pictures",
    "tflite": "fuzz.artifacts:TfliteFiles",
    "onnx": "fuzz.artifacts:OnnxFiles",
    "openvino": "fuzz.artifacts:OpenvinoFiles",
    "contracts": "fuzz.contracts:Contracts",
    "agents": "fuzz.agents:Agents",
    "phones": "fuzz.agents:Phones",
    "results": "fuzz.results:Results",
    "profiles": "fuzz.profiles:Profiles",
    "bundles": "fuzz.bundles:Bundles",
    "commands": "fuzz.commands:Commands",
}


def target_class(name: str) -> type[Target]:
    """The class of a target; that of another module by ``MODULE:CLASS``."""
    module, _, kind = TARGETS.get(name, name).partition(":")
    found: type[Target] = getattr(import_module(module), kind)
    return found
