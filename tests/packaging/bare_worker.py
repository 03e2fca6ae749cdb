"""Runs inside a bare environment: label every picture with every artifact.

``bare_worker.py PICTURES.npy ARTIFACT...`` prints JSON: the engine and the labels by artifact.
"""

import json
import sys
from pathlib import Path

import numpy as np

import edgeferry

answers = {}
pictures = np.load(sys.argv[1])
for path in sys.argv[2:]:
    with edgeferry.load(path, threads=1) as predictor:
        labels = [predictor.predict(picture, top_k=1)[0].label for picture in pictures]
        answers[Path(path).name] = {"engine": predictor.describe().engine, "labels": labels}
heavy = [name for name in ("tensorflow", "keras", "onnx") if name in sys.modules]
print(json.dumps({"answers": answers, "heavy": heavy}))
