"""What ``verify`` shows to humans."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgeferry.app.tables import MISSING, empty_table
from edgeferry.app.verification import VerificationReport
from edgeferry.checked import line

if TYPE_CHECKING:
    from rich.table import Table

_STATES = {"whole": "whole", "no digest": "carries no digest", "refused": "REFUSED"}


def verification_table(report: VerificationReport) -> Table:
    """Each artifact and bundle with its state."""
    table = empty_table("what", "state", "held to", "files", "signature")
    for each in report.checked:
        held_to = MISSING if each.state == "no digest" else each.held_to
        signature = each.signature or MISSING
        table.add_row(
            line(str(each.path)), _STATES[each.state], held_to, str(each.files), signature
        )
    return table


def shown_failures(report: VerificationReport) -> dict[str, str]:
    """What is refused and why; names that others gave cannot steer the terminal."""
    return {
        line(name): "\n".join(map(line, problem.splitlines()))
        for name, problem in report.failures.items()
    }
