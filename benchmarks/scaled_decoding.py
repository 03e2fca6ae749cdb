"""What scaled decoding of JPEG files changes in the answers.

Each picture is enlarged, stored as JPEG, and prepared twice: as edgeferry does, and decoded whole.
"""

from __future__ import annotations

import argparse
from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import Image

import edgeferry
from edgeferry.images import to_input
from edgeferry.pictures import find_pictures

SIZES = ((1000, 750), (2000, 1500), (4000, 3000))


def main() -> None:
    """Print a Markdown table, a row for each size."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("artifact", type=Path)
    parser.add_argument("--images", type=Path, required=True)
    options = parser.parse_args()
    print("| stored as | top-1 equal | pixels differ by | probabilities by at most | on average |")
    print("|---|---|---|---|---|")
    with edgeferry.load(options.artifact) as predictor:
        for size in SIZES:
            equal, pixels, largest = [], [], []
            for each in find_pictures(options.images):
                file = enlarged(each.path, size)
                with Image.open(BytesIO(file)) as whole:
                    inputs = [to_input(it, predictor.contract.input) for it in (file, whole)]
                ours, theirs = (predictor.predict_proba(it) for it in inputs)
                equal.append(ours.argmax() == theirs.argmax())
                pixels.append(np.abs(inputs[0].astype(int) - inputs[1]).mean())
                largest.append(np.abs(ours - theirs).max())
            print(
                f"| {size[0]}x{size[1]} | {100 * np.mean(equal):.1f} % of {len(equal)} "
                f"| {np.mean(pixels):.2f} of 255 | {max(largest):.3f} | {np.mean(largest):.4f} |",
                flush=True,
            )


def enlarged(path: Path, size: tuple[int, int]) -> bytes:
    """A picture as a JPEG file of some size."""
    file = BytesIO()
    with Image.open(path) as picture:
        scaled = picture.convert("RGB").resize(size, Image.Resampling.BICUBIC)
    scaled.save(file, "JPEG", quality=90)
    return file.getvalue()


if __name__ == "__main__":
    main()
