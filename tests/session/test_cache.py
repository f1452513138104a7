"""The cache: bounded in memory and on disk; what is pinned stays; nothing else is touched."""

import os
from dataclasses import dataclass

import numpy as np

from drizzlewb.session.cache import MOST_RESULTS, Cache, Result, nbytes_of


@dataclass
class Holder:
    a: np.ndarray
    b: object = None


def test_sizes():
    array = np.zeros(1000, np.float32)
    assert nbytes_of(array) == 4000
    assert nbytes_of(array[::2]) == 4000  # a view keeps all of it
    assert nbytes_of([array, array, {"x": Holder(array, np.zeros(10, np.uint8))}]) == 4010
    loop = []
    loop.append(loop)
    assert nbytes_of(loop) == 0


def test_memory_is_bounded_and_the_least_used_goes():
    cache = Cache(memory_mb=0.01)  # 10 kB
    for k in range(5):
        cache.put(Result("preview", f"k{k}", np.zeros(750, np.float32)))  # 3 kB each
        cache.get("preview", "k0")
    assert [k for k in range(5) if cache.has("preview", f"k{k}")] == [0, 3, 4]
    assert cache.memory_used == 9000
    cache.put(Result("preview", "large", np.zeros(10_000)), pinned={"k3"})
    assert cache.has("preview", "large")
    assert cache.has("preview", "k3")
    assert not cache.has("preview", "k0")


def test_results_are_counted_too():
    cache = Cache()
    for k in range(MOST_RESULTS + 10):
        cache.put(Result("median", str(k), object()))
    assert not cache.has("median", "9")
    assert cache.has("median", "10")


def test_disk(tmp_path):
    cache = Cache(tmp_path / "cache", disk_gb=0.00028)  # 280 kB
    keys = [f"{k:032x}" for k in range(4)]
    for age, key in enumerate(keys[:3]):
        for kind in ("median", "crmask"):
            path = cache.arrays / f"{kind}-{key}.bin"
            path.write_bytes(b"x" * 50_000)
            os.utime(path, (1000 + age, 1000 + age))
        cache.put(Result("median", key, "value"))
    folder = cache.product_folder(keys[3])
    folder.mkdir()
    (folder / "a_drc.fits").write_bytes(b"x" * 50_000)
    mine = cache.arrays / "mine.txt"
    mine.write_bytes(b"x" * 500_000)
    assert cache.tidy({keys[0]}) == [keys[1]]
    assert not cache.has("median", keys[1])
    assert cache.has("median", keys[0])
    assert sorted(p.name[:6] for p in cache.arrays.iterdir()) == ["crmask"] * 2 + ["median"] * 2 + ["mine.t"]
    cache.touch(keys[2])
    (cache.product_folder(keys[3]) / "b_drc.fits").write_bytes(b"x" * 100_000)
    os.utime(folder, (1500, 1500))
    assert cache.tidy({keys[0]}) == [keys[3]]
    assert not folder.exists()


def test_a_folder_of_its_own_goes_with_it():
    cache = Cache()
    folder = cache.folder
    assert folder.is_dir()
    assert not cache.persistent
    del cache
    assert not folder.exists()
