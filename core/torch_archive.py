"""Exported PyTorch programs (``.pt2``): only what is plain data goes on to PyTorch.

``torch.export.load`` unpickles what an archive holds, imports modules that it names and evaluates
expressions in it: any of these runs a stranger's code. So a copy is made of the graph and the raw
weights alone, and the graph may only call PyTorch's own operators.

Source: torch/export/pt2_archive and torch/_export/serde/serialize.py of PyTorch 2.13.
"""

import ast
import json
import re
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from edgeferry.errors import SourceError

_KEPT = re.compile(
    r"archive_format|archive_version|byteorder|\.data/version|\.format_version|version"
    r"|models/model\.json|data/sample_inputs/model\.pt"
    r"|data/(weights|constants)/model_(weights|constants)_config\.json"
    r"|data/weights/weight_\d+|data/constants/tensor_\d+"
)
_GRAPH = "models/model.json"
_SAMPLE = "data/sample_inputs/model.pt"
_CONFIG = re.compile(r"data/(weights|constants)/model_\1_config\.json")
_RAW = re.compile(r"(weight|tensor)_\d+")
_OPERATOR = re.compile(
    r"torch\.ops\.(aten|prims|higher_order)(\.(?!__)\w+){1,2}|math\.(ceil|floor|trunc|sqrt)"
    r"|_operator\.(add|sub|mul|truediv|floordiv|mod|neg|pow|getitem|eq|ne|lt|le|gt|ge|and_|or_)"
)
_SYMBOL = re.compile(r"[a-z]+\d+")
_FUNCTIONS = re.compile(
    r"Symbol|Integer|Rational|Float|Add|Mul|Pow|Max|Min|Mod|Abs|Identity|true|false"
    r"|Eq|Ne|Lt|Le|Gt|Ge|And|Or|Not|Equality|Unequality|(Strict)?(Less|Greater)Than"
    r"|FloorDiv|CleanDiv|CeilDiv|PythonMod|ModularIndexing|Where|ToFloat|PowByNatural"
    r"|(Ceil|Floor|Trunc|Round)ToInt|(Int|Float)TrueDiv"
)
"""What sizes that are not fixed are computed by."""
_CONTAINERS = (None, "builtins.tuple", "builtins.list", "builtins.dict", "collections.OrderedDict")
_SAVE_AGAIN = "Save it again: torch.export.save(torch.export.export(model.eval(), inputs), FILE)"


def write_checked(path: Path, destination: Path) -> None:
    """Copy the graph and the weights of an exported program, and nothing that could run.

    Args:
        path: The ``.pt2`` file.
        destination: Where the copy goes.

    Raises:
        SourceError: If it is damaged, no exported program, or holds anything but plain data.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            names = {each.partition("/")[2]: each for each in archive.namelist()}
            if not {_GRAPH, _SAMPLE} <= names.keys():
                raise SourceError(f"{path} holds no exported program", _SAVE_AGAIN)
            with zipfile.ZipFile(destination, "w") as copy:
                for name, stored in names.items():
                    if _KEPT.fullmatch(name):
                        copy.writestr(f"model/{name}", _checked(path, name, archive, stored))
    except (zipfile.BadZipFile, OSError, ValueError, KeyError, EOFError) as error:
        raise SourceError(f"{path} is damaged, or no exported program: {error}") from error


def _checked(path: Path, name: str, archive: zipfile.ZipFile, stored: str) -> bytes:
    if name == _SAMPLE:
        return b""  # a pickle, and not needed
    content = archive.read(stored)
    if _CONFIG.fullmatch(name):
        for weight, told in json.loads(content)["config"].items():
            if told["use_pickle"] or not _RAW.fullmatch(told["path_name"]):
                raise _refusal(path, f"{weight} as a pickle")
    if name == _GRAPH:
        program = json.loads(content)
        for problem in _problems(program):
            raise _refusal(path, problem)
        return json.dumps({**program, "guards_code": []}).encode()
    return content


def _refusal(path: Path, what: str) -> SourceError:
    return SourceError(
        f"{path} holds {what}; no code from files is run",
        "Load it yourself and pass the torch.nn.Module to edgeferry.export",
    )


def _problems(data: Any) -> Iterator[str]:
    """What of a program is not known to be harmless."""
    if isinstance(data, list):
        for each in data:
            yield from _problems(each)
    elif isinstance(data, dict):
        if {"target", "inputs", "outputs"} <= data.keys():
            data["metadata"] = {
                key: told for key, told in data["metadata"].items() if key == "nn_module_stack"
            }
            if not _OPERATOR.fullmatch(str(data["target"])):
                yield f"a call of {data['target']}"
        for key, value in data.items():
            if key == "expr_str" and not _is_arithmetic(str(value)):
                yield f"the expression {value!r}"
            elif key in ("in_spec", "out_spec") and isinstance(value, str) and value:
                yield from _foreign_types(json.loads(value))
            yield from _problems(value)


def _foreign_types(spec: Any) -> Iterator[str]:
    if isinstance(spec, list):
        for each in spec:
            yield from _foreign_types(each)
    elif isinstance(spec, dict):
        if not spec.keys() <= {"type", "context", "children_spec"}:
            yield f"a structure of {', '.join(spec)}"
        elif spec.get("type") not in _CONTAINERS:
            yield f"a structure of type {spec['type']}"
        elif not re.fullmatch(r'null|\[("\w+"(, "\w+")*)?\]', str(spec.get("context") or "null")):
            yield f"a structure with {spec['context']}"
        yield from _foreign_types(spec.get("children_spec"))


def _is_arithmetic(text: str) -> bool:
    """Whether an expression is numbers, symbols and functions of sizes, and no more."""
    try:
        tree = ast.parse(text, mode="eval")
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return False
    return all(map(_is_plain, ast.walk(tree)))


def _is_plain(node: ast.AST) -> bool:
    if isinstance(node, ast.Name):
        return bool(_FUNCTIONS.fullmatch(node.id) or _SYMBOL.fullmatch(node.id))
    if isinstance(node, ast.Call):
        return isinstance(node.func, ast.Name) and bool(_FUNCTIONS.fullmatch(node.func.id))
    if isinstance(node, ast.Constant):
        is_symbol = isinstance(node.value, str) and _SYMBOL.fullmatch(node.value)
        return bool(is_symbol) or isinstance(node.value, int | float)
    return isinstance(
        node,
        ast.Expression
        | ast.keyword
        | ast.UnaryOp
        | ast.BinOp
        | ast.expr_context
        | ast.operator
        | ast.unaryop,
    )
