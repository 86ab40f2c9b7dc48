"""The page's two libraries, served from the installed packages: nothing from the network.

plotly (its wheel carries plotly.min.js) draws trends: step lines, open gaps, hollow markers and a
time axis that is right. Leaflet (from its XStatic wheel) pans and zooms the map. The packages that
wrap lighter chart libraries were looked at: abandoned, or with an IDE as a dependency.
"""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

_FILES = {
    "plotly.min.js": ("plotly", "package_data/plotly.min.js"),
    "leaflet.js": ("xstatic.pkg.leaflet", "data/leaflet.js"),
    "leaflet.css": ("xstatic.pkg.leaflet", "data/leaflet.css"),
}


def vendor_files() -> dict[str, Path]:
    """Return where each library file lies on this machine.

    Raises
    ------
    FileNotFoundError
        A package is not installed, or its new version has moved the file.
    """
    found: dict[str, Path] = {}
    for name, (package, inside) in _FILES.items():
        spec = find_spec(package)
        if spec is None or not spec.submodule_search_locations:
            raise FileNotFoundError(f"{package} is not installed: pip install city-lifeline again")
        path = Path(next(iter(spec.submodule_search_locations))) / inside
        if not path.is_file():
            raise FileNotFoundError(f"{path} is missing: {package} has moved it")
        found[name] = path
    return found
