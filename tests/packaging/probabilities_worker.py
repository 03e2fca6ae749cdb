"""Runs inside a bare environment: ``probabilities_worker.py PICTURES.npy ARTIFACT OUTPUT.npy``."""

import sys

import numpy as np

import edgeferry

pictures, artifact, output = sys.argv[1:]
with edgeferry.load(artifact, threads=1) as predictor:
    print(predictor.describe().engine)
    np.save(output, predictor.predict_proba(np.load(pictures)))
