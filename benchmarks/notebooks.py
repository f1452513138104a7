"""Peak memory of notebooks 1 to 4 on the `small` set: Jupyter server, kernel, and their children.

Each notebook runs in a session of a JupyterLab server of its own, cell by cell; the sum of the processes'
proportional set sizes (shared pages counted once) is sampled every twentieth of a second. The budget is
1.5 GB. ``DRIZZLEWB_BENCH_SIZE`` chooses another size of the set.
"""

import json
import os
import re
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[1]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("[1-4]_*.ipynb"))
SAMPLE_S = 0.05


class Peak(NamedTuple):
    """Most memory at once, of all processes and of the kernel alone (megabytes), and the time it took."""

    name: str
    all_mb: float
    kernel_mb: float
    seconds: float


def memory_mb(process) -> float:
    """Proportional set size where the system tells it, else the resident one."""
    import psutil

    try:
        full = process.memory_full_info()
        return getattr(full, "pss", full.rss) / 1e6
    except psutil.AccessDenied:
        return process.memory_info().rss / 1e6
    except psutil.NoSuchProcess:
        return 0.0


class Watch(threading.Thread):
    """Samples a process and its children until it is stopped."""

    def __init__(self, pid: int) -> None:
        super().__init__(daemon=True)
        self.pid, self.over = pid, threading.Event()
        self.all_mb = self.kernel_mb = 0.0

    def run(self) -> None:
        import psutil

        root = psutil.Process(self.pid)
        while not self.over.wait(SAMPLE_S):
            try:
                each = [memory_mb(p) for p in [root, *root.children(recursive=True)]]
            except psutil.NoSuchProcess:
                return
            self.all_mb = max(self.all_mb, sum(each))
            self.kernel_mb = max(self.kernel_mb, *each[1:], 0.0)


def connected(connection: Path):
    """Client of a kernel that may still be on its way."""
    from jupyter_client import BlockingKernelClient

    for _ in range(60):
        client = BlockingKernelClient()
        client.load_connection_file(str(connection))
        client.start_channels()
        try:
            client.wait_for_ready(timeout=60)
        except RuntimeError:  # taken for dead until its heart beats
            client.stop_channels()
            time.sleep(0.5)
            continue
        return client
    raise RuntimeError("the kernel did not start")


def measure(path: Path, size: str, folder: Path) -> Peak:
    """Run a notebook in a server of its own."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    runtime = folder / "runtime"
    environment = {
        **os.environ,
        "JUPYTER_RUNTIME_DIR": str(runtime),
        "PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")]),
    }
    log = open(folder / "server.log", "w")  # noqa: SIM115 -- closed below
    server = subprocess.Popen(
        [
            sys.executable, "-m", "jupyter", "lab", "--no-browser", "--allow-root", f"--port={port}",
            "--IdentityProvider.token=", "--ServerApp.password=", f"--ServerApp.root_dir={folder}",
            "--ServerApp.disable_check_xsrf=True",
        ],
        env=environment, stdout=log, stderr=subprocess.STDOUT,
    )  # fmt: skip
    try:
        url = f"http://127.0.0.1:{port}/api"
        for _ in range(300):
            try:
                urllib.request.urlopen(url, timeout=5).close()
                break
            except OSError:
                if server.poll() is not None:
                    raise RuntimeError((folder / "server.log").read_text()[-2000:]) from None
                time.sleep(0.2)
        asked = urllib.request.Request(f"{url}/kernels", data=b'{"name": "python3"}', method="POST")
        with urllib.request.urlopen(asked, timeout=60) as answer:
            kernel = json.loads(answer.read())["id"]
        watch = Watch(server.pid)
        watch.start()
        client = connected(runtime / f"kernel-{kernel}.json")
        started = time.perf_counter()
        for cell in json.loads(path.read_text())["cells"]:
            if cell["cell_type"] != "code":
                continue
            code = "".join(cell["source"])
            if "parameters" in cell["metadata"].get("tags", []):
                code = re.sub(r'(?m)^size = ".*?"', f'size = "{size}"', code)
            reply = client.execute_interactive(code, timeout=1200, output_hook=lambda _: None)
            if reply["content"]["status"] != "ok":
                raise RuntimeError(f"{path.name}: {reply['content'].get('evalue', reply['content'])}")
        seconds = time.perf_counter() - started
        client.stop_channels()
        watch.over.set()
        watch.join()
        return Peak(path.stem, watch.all_mb, watch.kernel_mb, seconds)
    finally:
        server.terminate()
        server.wait(60)
        log.close()


def main() -> None:
    from drizzlewb.training.datasets import training_set

    size = os.environ.get("DRIZZLEWB_BENCH_SIZE", "small")
    training_set(size)
    for path in NOTEBOOKS:
        with tempfile.TemporaryDirectory(prefix="drizzlewb-bench-") as folder:
            peak = measure(path, size, Path(folder))
        print(
            f"{peak.name:20} peak {peak.all_mb:5.0f} MB in all, kernel {peak.kernel_mb:5.0f} MB, "
            f"{peak.seconds:4.0f} s (asked: below 1500 MB)",
            flush=True,
        )


if __name__ == "__main__":
    main()
