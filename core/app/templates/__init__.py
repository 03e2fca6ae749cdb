"""The templates of what people look at, filled by Jinja."""

from collections.abc import Mapping
from typing import Any


def render(name: str, fields: Mapping[str, Any]) -> str:
    """Fill a template; what is put into HTML and SVG is escaped.

    Args:
        name: File name of the template, beside this file.
        fields: What it is filled with.
    """
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("edgeferry.app", "templates"),
        autoescape=jinja2.select_autoescape(("html.j2", "svg.j2")),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template(name).render(fields)
