"""The truth that a folder is graded against: found, and checked to be of the same exposures."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from astropy.table import Table

from drizzlewb.errors import DataError
from drizzlewb.exposure import Exposure, read_exposures
from drizzlewb.training.datasets import cache_folder
from drizzlewb.training.detectors import DetectorModel, detector_model
from drizzlewb.training.truth import INDEX_NAME, ExposureTruth, read_catalog, read_index, read_truth

__all__ = ["Known", "find_truth", "read_known"]

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Known:
    """Truth of a training set.

    Attributes
    ----------
    folder : Path
        Where it lies.
    index : dict
        ``truth.json``.
    catalog : astropy.table.Table
        Stars and galaxies.
    exposures : dict
        `ExposureTruth` by rootname.
    model : DetectorModel
        The simulated detector.
    """

    folder: Path
    index: dict[str, Any]
    catalog: Table
    exposures: dict[str, ExposureTruth]
    model: DetectorModel

    @property
    def size(self) -> str:
        """``tiny``, ``small`` or ``full``."""
        return self.index["size"]

    @property
    def filters(self) -> list[str]:
        """Filters in the order of the programme."""
        return list(dict.fromkeys(entry["filter"] for entry in self.index["exposures"].values()))

    def of_filter(self, name: str) -> list[str]:
        """Rootnames of the exposures through a filter."""
        return [root for root, entry in self.index["exposures"].items() if entry["filter"] == name]


def read_known(folder: Path | str, rootnames: Sequence[str] | None = None) -> Known:
    """Read the truth of a training set; of some exposures only, if rootnames are given.

    Raises
    ------
    DataError
        A truth file is missing or cannot be read.
    """
    folder = Path(folder)
    index = read_index(folder)
    entries = index["exposures"]
    chosen = [root for root in entries if rootnames is None or root in rootnames]
    truths = {root: read_truth(folder / entries[root]["truth"]) for root in chosen}
    return Known(folder, index, read_catalog(folder), truths, detector_model(index["detector"]))


def find_truth(folder: Path, exposures: Sequence[Exposure]) -> Path | None:
    """Folder with the truth of these exposures, or None.

    Looked for in the folder itself, its parent, where the exposures lie, and among the training sets in the
    cache; taken only if it is of the same exposures, pixel for pixel where its frames are at hand.
    """
    places = [folder, folder.parent, *(Path(e.path).parent for e in exposures)]
    cache = cache_folder()
    if cache.is_dir():
        places += sorted(path.parent for path in cache.rglob(INDEX_NAME))
    for place in dict.fromkeys(p.resolve() for p in places):
        if (place / INDEX_NAME).is_file() and _same(place, exposures):
            log.info("graded against the truth in %s", place)
            return place
    return None


def _same(place: Path, exposures: Sequence[Exposure]) -> bool:
    try:
        entries = read_index(place)["exposures"]
    except (DataError, KeyError):
        return False
    ours = [e for e in exposures if e.rootname in entries]
    if not ours:
        return not exposures
    exposure = ours[0]
    frame = place / entries[exposure.rootname]["file"]
    if not frame.is_file():
        return True
    try:
        there = read_exposures(frame)
    except DataError:
        return False
    a, b = there[0].chips[0], exposure.chips[0]
    if a.shape != b.shape:
        return False
    box = (0, min(64, a.shape[0]), 0, a.shape[1])
    return np.array_equal(a.read_sci(box), b.read_sci(box), equal_nan=True)
