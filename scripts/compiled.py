"""The compiled contracts, whole and never stale.

Ape recompiles the files that changed, but not those that import them; here any change of any source
or of ape's settings compiles everything anew. And ape looks at 500 files below contracts/ at most,
though it unpacks more than that of the libraries there: the sources are named one by one.
"""

from hashlib import sha256
from pathlib import Path
from typing import Any

import ape

ROOT = Path(__file__).resolve().parents[1]
_MANIFEST = ROOT / ".build" / "__local__.json"
_STAMP = ROOT / ".build" / "commonweight.sha256"


def compile_contracts() -> dict[str, Any]:
    """Every contract by name, compiled from the sources as they are now."""
    fingerprint = _fingerprint()
    fresh = _STAMP.exists() and _STAMP.read_text(encoding="ascii") == fingerprint
    if not fresh:
        _MANIFEST.unlink(missing_ok=True)
    contracts: dict[str, Any] = ape.Project(ROOT).load_contracts(*_sources())
    if not fresh:
        _STAMP.parent.mkdir(exist_ok=True)
        _STAMP.write_text(fingerprint, encoding="ascii")
    return contracts


def _sources() -> list[Path]:
    found = (ROOT / "contracts").rglob("*.sol")
    return sorted(path for path in found if ".cache" not in path.parts)


def _fingerprint() -> str:
    digest = sha256()
    for path in [ROOT / "ape-config.yaml", *_sources()]:
        digest.update(path.relative_to(ROOT).as_posix().encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()


if __name__ == "__main__":
    compile_contracts()
