import gzip
import shutil
from pathlib import Path

import pytest


@pytest.fixture
def svm_flc(shared_data, tmp_path) -> Path:
    """A copy of the archive's sample with a primary, four alternates and ten headerlets."""
    return unpacked(shared_data / "hap_samples" / "sample_svm_flc.fits.gz", tmp_path)


@pytest.fixture
def svm_flt(shared_data, tmp_path) -> Path:
    """The same for WFC3/IR: one chip, no tables."""
    return unpacked(shared_data / "hap_samples" / "sample_svm_flt.fits.gz", tmp_path)


def unpacked(source: Path, folder: Path) -> Path:
    target = folder / source.name.removesuffix(".gz")
    target.write_bytes(gzip.decompress(source.read_bytes()))
    return target


@pytest.fixture
def tiny_files(tiny_set, tmp_path) -> list[Path]:
    """Copies of three simulated exposures, of two chips each."""
    names = ("j8ny01svq_flc.fits", "j8ny01szq_flc.fits", "j8ny01t5q_flc.fits")
    return [Path(shutil.copy(tiny_set / name, tmp_path / name)) for name in names]
