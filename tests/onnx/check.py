#!/usr/bin/env python3
"""Runs ONNX files in onnxruntime and compares what they give with what Perilune gave.

usage: check.py FOLDER    with NAME.onnx and NAME.1.npz, ... as cases.lua writes them

The last line is `N passed, N failed`.
"""

import sys
from pathlib import Path

import numpy
import onnx
import onnxruntime

MOST = 1e-5  # of the difference, in units of the largest value, or of 1


def difference(a, b):
    if a.dtype != b.dtype or a.shape != b.shape:
        return f"{a.dtype}{list(a.shape)} instead of {b.dtype}{list(b.shape)}"
    if not a.size or numpy.array_equal(a, b, equal_nan=a.dtype.kind == "f"):
        return 0.0
    a, b = a.astype("f8"), b.astype("f8")
    return float(numpy.max(numpy.abs(a - b)) / max(1, numpy.max(numpy.abs(b))))


def check(path):
    """The greatest difference of all batches, or what is wrong."""
    onnx.checker.check_model(str(path), full_check=True)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    worst = 0.0
    for file in sorted(path.parent.glob(path.stem + ".*.npz")):
        arrays = numpy.load(file)
        given = {k[3:]: arrays[k] for k in arrays.files if k.startswith("in.")}
        expected = {k[4:]: arrays[k] for k in arrays.files if k.startswith("out.")}
        for key in given:
            if given[key].dtype == numpy.float64:
                given[key] = given[key].astype("f4")
        for key in expected:
            if expected[key].dtype == numpy.float64:
                expected[key] = expected[key].astype("f4")
        names = [o.name for o in session.get_outputs()]
        if sorted(names) != sorted(expected):
            return f"outputs {names} instead of {sorted(expected)}"
        for name, got in zip(names, session.run(None, given)):
            d = difference(got, expected[name])
            if not isinstance(d, float):
                return f"{name}: {d}"
            worst = max(worst, d)
    return worst


def main():
    passed = failed = 0
    for path in sorted(Path(sys.argv[1]).glob("*.onnx")):
        try:
            result = check(path)
        except Exception as error:  # whatever these libraries raise is a failure of this file
            result = f"{type(error).__name__}: {str(error)[:400]}"
        if isinstance(result, float) and result < MOST:
            passed += 1
        else:
            failed += 1
            print(f"not ok: {path.stem}: {result}")
        if "-v" in sys.argv:
            print(f"{path.stem}: {result}")
    print(f"{passed} passed, {failed} failed")
    sys.exit(failed > 0 or passed == 0)


if __name__ == "__main__":
    main()
