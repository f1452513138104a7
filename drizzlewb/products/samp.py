"""Sending images and regions to DS9 through SAMP, where a hub runs on this machine."""

import logging
import threading
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

from drizzlewb.errors import DataError

__all__ = ["HUB_S", "hub_runs", "send_to_ds9", "when_hub_runs"]

log = logging.getLogger(__name__)

HUB_S = 2.0
"""Seconds after which a hub that does not answer counts as absent."""

_IMAGE, _COMMAND = "image.load.fits", "ds9.set"


def hub_runs(timeout_s: float = HUB_S) -> bool:
    """Whether a SAMP hub answers; False, quietly, where there is none."""
    found: list[bool] = []
    _module()  # here: what silences its warning holds for one thread only by luck

    def look() -> None:
        found.append(_hub_params() is not None)

    # A lock file may name a hub that is gone behind a firewall: its socket has no timeout of its own.
    thread = threading.Thread(target=look, name="drizzlewb-samp", daemon=True)
    thread.start()
    thread.join(timeout_s)
    return bool(found and found[0])


def when_hub_runs(tell: Callable[[bool], None], timeout_s: float = HUB_S) -> threading.Thread:
    """Look for a hub in a thread, and tell what was found."""
    _module()  # as above

    def look() -> None:
        tell(hub_runs(timeout_s))

    thread = threading.Thread(target=look, name="drizzlewb-samp-look", daemon=True)
    thread.start()
    return thread


def _module() -> Any:
    """Astropy's SAMP, which warns on import that it moves to pyvo; None where it is gone."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            from astropy import samp
            from astropy.samp import lockfile_helpers  # noqa: F401 -- reached through samp
    except ImportError:
        return None
    return samp


def _hub_params() -> Any:
    module = _module()
    if module is None:
        return None
    try:
        return module.lockfile_helpers.get_main_running_hub()
    except module.SAMPHubError:
        return None
    except Exception as error:  # a damaged lock file is no hub
        log.info("looking for a SAMP hub: %s: %s", type(error).__name__, error)
        return None


def send_to_ds9(*, image: str | Path | None = None, regions: str | Path | None = None) -> list[str]:
    """Show a FITS image, then a region file, in every DS9 that is connected to the hub.

    Parameters
    ----------
    image : path, optional
        FITS file; other programs that take ``image.load.fits`` get it too.
    regions : path, optional
        DS9 region file.

    Returns
    -------
    list of str
        Names of the programs that were told.

    Raises
    ------
    DataError
        A file is missing, no hub runs, or nobody listens.
    """
    messages = []
    for path, kind in ((image, _IMAGE), (regions, _COMMAND)):
        if path is None:
            continue
        full = Path(path).expanduser().resolve()
        if not full.is_file():
            msg = f"Sending to DS9: {full} is not there; write it first."
            raise DataError(msg)
        if kind == _IMAGE:
            parameters = {"url": full.as_uri(), "name": full.name}
        else:
            if any(c in str(full) for c in "{}\n"):
                msg = f"Sending to DS9: its commands cannot hold the name {full}; choose one without braces."
                raise DataError(msg)
            parameters = {"cmd": f"regions load {{{full}}}"}
        messages.append((kind, parameters))
    if not hub_runs():
        msg = "No SAMP hub runs on this machine: start DS9 with its SAMP menu connected, then send again."
        raise DataError(msg)
    module = _module()
    client = module.SAMPIntegratedClient("drizzlewb", "Drizzle Workbench", callable=False)
    told: dict[str, None] = {}
    try:
        client.connect()
        for kind, parameters in messages:
            for number in client.get_subscribed_clients(kind):
                client.notify(number, {"samp.mtype": kind, "samp.params": parameters})
                told[str(client.get_metadata(number).get("samp.name", number))] = None
    except (module.SAMPHubError, OSError) as error:
        msg = f"The SAMP hub gave up: {error}. Start DS9 again, then send again."
        raise DataError(msg) from error
    finally:
        if client.is_connected:
            client.disconnect()
    if not told:
        msg = "A SAMP hub runs, but nobody on it takes images or DS9 commands: connect DS9 (SAMP menu)."
        raise DataError(msg)
    return list(told)
