"""Seconds, iterations and memory of the voxel transport solver, beside TauFactor where that is installed.

    python tests/benchmarks/bench_tortuosity.py [--data FOLDER] [--size 128 200] [--tf500] [--peer-python PYTHON]

Without real tomograms (``--data`` or PXM2MESH_REAL_DATA) a Gaussian field of the same porosity stands in.
Each measurement is a process of its own, warm (everything is compiled before), so that peaks are its own; "net" is what
the measurement itself adds to interpreter, libraries (numba or torch) and a tiny solve.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]

OURS = """
import json, resource, sys, time
import numpy as np
from pxm2mesh import LabelVolume
from pxm2mesh.quantify import tortuosity
image = np.load(sys.argv[1]); direction = sys.argv[2]; repeats = int(sys.argv[3])
volume = LabelVolume(image, {"solid": 0, "open": 1}, "1 um")
cut = tuple(slice(0, min(24, n)) for n in image.shape)
tortuosity(LabelVolume(image[cut], {"solid": 0, "open": 1}, "1 um"), "open", direction)
wide = np.zeros((60, 60, 60), np.uint8); wide[:, :40] = 1
tortuosity(LabelVolume(wide, {"solid": 0, "open": 1}, "1 um"), "open", direction)
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
best = 1e9
for _ in range(repeats):
    start, cpu = time.perf_counter(), time.process_time()
    found = tortuosity(volume, "open", direction, tolerance=1e-4)
    best = min(best, time.perf_counter() - start); spent = time.process_time() - cpu
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
print(json.dumps({"tau": found.tortuosity_factor, "iterations": found.iterations, "seconds": best, "cpu": spent,
                  "peak_mb": peak // 1024, "net_mb": (peak - before) // 1024}))
"""

PEER = """
import json, resource, sys, time
import numpy as np
try:
    import taufactor, torch
except ImportError as error:
    print(json.dumps({"missing": str(error)})); raise SystemExit
axis = "xyz".index(sys.argv[2])
image = np.ascontiguousarray(np.moveaxis(np.load(sys.argv[1]), axis, 0))
small = taufactor.Solver(np.ascontiguousarray(image[:24, :24, :24]), device=torch.device("cpu"))
small.solve(verbose=False, conv_crit=1e-2)
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
start = time.perf_counter()
solver = taufactor.Solver(image, device=torch.device("cpu"))
solver.solve(verbose=False, conv_crit=1e-4)
print(json.dumps({"tau": float(np.ravel(np.asarray(solver.tau))[0]), "iterations": int(solver.iter),
                  "seconds": time.perf_counter() - start,
                  "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
                  "net_mb": (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024}))
"""


def run(python: str, code: str, path: Path, direction: str, repeats: int) -> dict[str, float]:
    """Run a measurement in a process of its own."""
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)} if code is OURS else dict(os.environ)
    done = subprocess.run(
        [python, "-c", code, str(path), direction, str(repeats)],
        capture_output=True, text=True, env=environment, check=False,
    )  # fmt: skip
    if done.returncode:
        return {"missing": done.stderr.strip().splitlines()[-1]}  # type: ignore[dict-item]
    return dict(json.loads(done.stdout.strip().splitlines()[-1]))


def sample(data: Path | None, size: int):  # type: ignore[no-untyped-def]
    """Pores of the NMC tomogram, or a Gaussian field."""
    import numpy as np

    name = "nmc_ct_cbd_nrel/nmc_pore0_am1_cbd2.tif"
    if data and (data / name).exists():
        import tifffile

        return "NMC pores", np.ascontiguousarray(
            tifffile.imread(data / name)[:size, :size, :size] == 0, np.uint8
        )
    from scipy.ndimage import gaussian_filter

    field = gaussian_filter(np.random.default_rng(0).normal(size=(size,) * 3), 4)
    return "Gaussian field", (field > np.quantile(field, 0.6)).astype(np.uint8)


def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, default=os.environ.get("PXM2MESH_REAL_DATA"))
    parser.add_argument("--size", type=int, nargs="*", default=[64, 128, 200])
    parser.add_argument("--direction", default="x")
    parser.add_argument("--tf500", action="store_true", help="the 500³ benchmark volume, three axes")
    parser.add_argument("--peer-python", default=sys.executable, help="a Python that has taufactor")
    parser.add_argument("--no-peer", action="store_true")
    parser.add_argument("--json", type=Path)
    chosen = parser.parse_args()
    import tempfile

    import numpy as np

    rows = []
    head = f"{'sample':<20}{'size':>6}{'axis':>5}  {'program':<10}{'tau':>10}{'its':>6}"
    print(head + f"{'s':>9}{'cpu s':>8}{'MB':>7}{'net':>6}{'load':>6}")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "image.npy"
        cases = [(*sample(chosen.data, size), chosen.direction, True) for size in chosen.size]
        if chosen.tf500:
            import tifffile

            image = tifffile.imread(chosen.data / "tf500_tortuosity_benchmark/tf500.tif") > 0
            cases += [("tf500", image.astype(np.uint8), axis, False) for axis in "xyz"]
        for name, image, direction, beside in cases:
            np.save(path, image)
            programs = [("pxm2mesh", sys.executable, OURS, 3)]
            if beside and not chosen.no_peer:
                programs.append(("TauFactor", chosen.peer_python, PEER, 1))
            for program, python, code, repeats in programs:
                found = run(python, code, path, direction, repeats)
                if "missing" in found:
                    print(f"{program} skipped ({found['missing']}); to compare: pip install taufactor torch, "
                          "and give that Python as --peer-python")  # fmt: skip
                    continue
                rows.append(
                    {"sample": name, "size": image.shape[0], "axis": direction, "program": program, **found}
                )
                print(f"{name:<20}{image.shape[0]:>6}{direction:>5}  {program:<10}{found['tau']:>10.5f}"
                      f"{int(found['iterations']):>6}{found['seconds']:>9.3f}{found.get('cpu', float('nan')):>8.2f}"
                      f"{int(found['peak_mb']):>7}{int(found['net_mb']):>6}"
                      f"{os.getloadavg()[0]:>6.1f}", flush=True)  # fmt: skip
    if chosen.json:
        chosen.json.write_text(json.dumps(rows, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
