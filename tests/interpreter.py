"""Fresh interpreters, and distributions as pip leaves them in site-packages."""

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from textwrap import dedent


def python(code: str, *path: Path) -> str:
    """What a fresh interpreter prints, with `path` ahead on its import path."""
    search = [*map(str, path), *filter(None, [os.environ.get("PYTHONPATH")])]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(search)}
    done = subprocess.run(
        [sys.executable, "-c", dedent(code)], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def install(site: Path, name: str, modules: Mapping[str, str], entry_points: str) -> Path:
    """Lay out an installed distribution with one package in the folder `site`, which is returned.

    Args:
        site: Stands for site-packages.
        name: Of the distribution and of its package.
        modules: Code of each module of the package.
        entry_points: `entry_points.txt`.
    """
    package, info = site / name, site / f"{name}-1.0.dist-info"
    package.mkdir(parents=True)
    info.mkdir()
    (package / "__init__.py").write_text("")
    for module, code in modules.items():
        (package / f"{module}.py").write_text(dedent(code))
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(dedent(entry_points))
    return site
