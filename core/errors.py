"""The errors edgeferry raises: each says what is wrong, with what, and what to do about it."""


class EdgeferryError(Exception):
    """Base of every error meant for the user; its text is one or two plain lines.

    Args:
        problem: What is wrong, naming the thing.
        remedy: What the user can do about it; empty where the problem says it all.
    """

    def __init__(self, problem: str, remedy: str = "") -> None:
        super().__init__(f"{problem}\n{remedy}" if remedy else problem)
        self.problem = problem
        self.remedy = remedy


class UsageError(EdgeferryError):
    """An option or argument that cannot be meant, or options that contradict each other."""


class SourceError(EdgeferryError):
    """A source model that is missing, damaged, or not of a shape edgeferry can export."""


class ArtifactError(EdgeferryError):
    """An exported file that is missing, damaged, or of an unknown kind."""


class ContractError(EdgeferryError):
    """A contract that is missing, malformed, or written by a newer edgeferry."""


class ImageError(EdgeferryError):
    """A picture or array that cannot be turned into the network's input."""


class CalibrationError(EdgeferryError):
    """A calibration set that is missing, empty or unreadable."""


class LabelError(EdgeferryError):
    """Labels that do not fit the network, or a name that matches none of them."""


class OutputError(EdgeferryError):
    """An output folder or file that exists already or cannot be written."""


class MissingDependencyError(EdgeferryError):
    """A package that is not installed; the remedy names the extra that brings it."""


class EngineError(EdgeferryError):
    """An inference engine or converter refused or failed."""
