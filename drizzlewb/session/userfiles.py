"""What a session does to the user's files, and only when it is asked to."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from drizzlewb.errors import DataError, ParameterError
from drizzlewb.exposure import Drawn
from drizzlewb.parameters.exchange import to_dict
from drizzlewb.products.headers import Change, activate, last_action, revert_file
from drizzlewb.products.history import wcs_history
from drizzlewb.products.inputs_update import check_inputs
from drizzlewb.products.updatewcs import Outlook, update_wcs, updatewcs_outlook
from drizzlewb.reduction.exporting import Source, decision_words, export, wcs_words
from drizzlewb.reduction.run import update_inputs
from drizzlewb.session.editing import Editing
from drizzlewb.session.files import deliver
from drizzlewb.session.regions import KINDS, masks_from_ds9, write_ds9

__all__ = ["UserFiles"]


class UserFiles(Editing):
    """The part of `drizzlewb.session.session.Session` that writes: products, headers, inputs."""

    def result(self, product: str | None = None, step: str = "product") -> Any:
        """Fresh result of a step; see the session."""
        raise NotImplementedError

    def reload(self) -> None:
        """Read the headers of all files again; see the session."""
        raise NotImplementedError

    def write(
        self, product: str | None = None, folder: str | Path = ".", *, replace: bool = False
    ) -> list[Path]:
        """Bring the files of a fresh product to a folder, under the root name ``output``.

        Raises
        ------
        DataError
            The product is not fresh, a file of the name exists, or the folder cannot be written.
        """
        name = self.product_name(product)
        made = self.result(name)
        if made is None:
            msg = f"Product {name} is not there for the present parameters: run it first."
            raise DataError(msg)
        return deliver(made, self.state.product(name).stem, Path(folder).expanduser(), replace=replace)

    def update_inputs(self, product: str | None = None) -> list[str]:
        """Write cosmic-ray flags (DQ) and MDRIZSKY of a fresh product into the user's files.

        It is what ``update_inputs=True`` does in `drizzlewb.reduce`. The files are read again then, so
        that all results become stale.

        Returns
        -------
        list of str
            Names of the files that were changed.

        Raises
        ------
        DataError
            The product is not fresh, or its masks are no longer in memory; a file cannot be changed.
        """
        name = self.product_name(product)
        made = self.result(name)
        reduction = getattr(made, "reduction", None)
        if reduction is None:
            msg = f"The masks of product {name} are not in memory for the present parameters: run it again."
            raise DataError(msg)
        check_inputs(reduction.exposures, reduction.parameters)
        try:
            return update_inputs(reduction)
        finally:
            self.reload()

    def write_regions(
        self,
        path: str | Path,
        product: str | None = None,
        *,
        kinds: Sequence[str] = KINDS,
        replace: bool = False,
    ) -> Path:
        """Write a DS9 region file of a product; see `drizzlewb.session.regions.write_ds9`."""
        return write_ds9(self, path, product, kinds=kinds, replace=replace)

    def read_masks(self, rootname: str, path: str | Path, *, extver: int = 0) -> list[Drawn]:
        """Draw the areas of a DS9 file on an exposure; see `drizzlewb.session.regions.masks_from_ds9`."""
        return masks_from_ds9(self, rootname, path, extver)

    def to_dict(self, product: str | None = None) -> dict[str, dict[str, Any]]:
        """Five-key dict of a product and the alignment; see `drizzlewb.parameters.exchange.to_dict`."""
        return to_dict(self.runs.effective(self.product_name(product)), self.alignment_parameters)

    def export(self, to: str, product: str | None = None, *, what: str = "") -> dict[str, str]:
        """Parameters of a product and the alignment as texts; nothing is written.

        Parameters
        ----------
        to : str
            'json', 'python' (a script for drizzlewb), 'drizzlepac' (a script for DrizzlePac) or 'cfg'.
        product : str, optional
            Default, the selected or the only one.
        what : str
            'align', 'reduce' or 'both'. Default, 'both'; but a script that would align is made only if an
            alignment was accepted.

        Returns
        -------
        dict of str to str
            File name to text; `drizzlewb.reduction.exporting.write_texts` brings them to a folder.

        Raises
        ------
        ParameterError
            DrizzlePac lacks what a parameter says; or an unknown `to` or `what`.
        """
        with self.lock:
            plan, accepted = self.state.product(self.product_name(product)), self.state.alignment.accepted
            if not what:
                what = "reduce" if to in ("python", "drizzlepac") and accepted is None else "both"
            if what not in ("align", "reduce", "both"):
                msg = (
                    f"There is no part {what!r} of the parameters to export: expected align, reduce or both."
                )
                raise ParameterError(msg)
            reduce = self.runs.effective(plan.name) if what != "align" else None
            align = self.alignment_parameters if what != "reduce" else None
            stack, aligned = self.derived.stack(plan), self.derived.members()
            said = decision_words(self.runs.decisions(plan.members)) if reduce is not None else []
            if align is None:
                said = [*wcs_words((e.wcsname, e.rootname) for e in stack), *said]
            files, align_files = (tuple(e.path for e in group) for group in (stack, aligned))
            if reduce is None:
                files = align_files
            source = Source(reduce, align, files, align_files, tuple(said))
        return export(source, to, stem=plan.stem if reduce is not None else "alignment")

    def apply_alignment(self, folder: str | Path | None = None, **keywords: Any) -> list[Any]:
        """Write the alignment into the headers of the files; see `AlignedSolution.apply`."""
        return self.runs.apply_alignment(folder, keywords)

    def revert_alignment(self) -> list[Any]:
        """Take back what `apply_alignment` wrote last, in every file whose last change that was.

        Returns
        -------
        list of Change

        Raises
        ------
        DataError
            No alignment was written here, or another program has changed a file since; files that come
            before it are reverted then.
        """
        paths = dict.fromkeys(e.path for e in self.derived.exposures.values())
        written = [path for path in paths if last_action(path) == "apply"]
        if not written:
            msg = "Nothing to revert: in none of these files the last change was an alignment written here."
            raise DataError(msg)
        try:
            return [revert_file(path) for path in written]
        finally:
            self.reload()

    def wcs_history(self, rootname: str) -> list[Any]:
        """All WCS solutions in the file of an exposure; see `drizzlewb.products.history.wcs_history`."""
        return wcs_history(self.derived.exposure(rootname).path)

    def activate_wcs(self, rootname: str, name: str | None = None, *, place: str | None = None) -> Any:
        """Make another WCS solution of a file its primary one, by name or place; the file is written."""
        change = activate(self.derived.exposure(rootname).path, name, place=place)
        self.reload()
        return change

    def distortion_outlook(self, folder: str | Path, rootnames: Sequence[str] = ()) -> list[Outlook]:
        """What `update_distortion` would do to each file: WCSNAME before and after, missing files."""
        return [updatewcs_outlook(path, folder) for path in self._files(rootnames)]

    def update_distortion(
        self, folder: str | Path, rootnames: Sequence[str] = (), *, replace_fit: bool = False
    ) -> list[Change]:
        """Make the WCS of files anew from the reference files in a folder; the files are written.

        They are read again then, so that all results become stale; `revert_wcs` takes it back.

        Parameters
        ----------
        folder : path
            Where IDCTAB, NPOLFILE and D2IMFILE are that the headers name; see
            `drizzlewb.products.updatewcs.update_wcs`.
        rootnames : sequence of str, optional
            Default, all exposures.
        replace_fit : bool
            Also where the present solution was fitted; otherwise such a file is left alone.

        Returns
        -------
        list of Change
            WCSNAME before and after, one for each file.

        Raises
        ------
        DataError
            Nothing was written then, but for files before one that stwcs gave up on.
        """
        paths = self._files(rootnames)
        try:
            return update_wcs(paths, folder, replace_fit=replace_fit)
        finally:
            self.reload()

    def _files(self, rootnames: Sequence[str]) -> list[str]:
        """Files of exposures, each once, in their order."""
        names = rootnames or self.derived.exposures
        return list(dict.fromkeys(str(self.derived.exposure(name).path) for name in names))

    def revert_wcs(self, rootname: str) -> Any:
        """Take back the last change that was made here to the WCS in a file; the file is written."""
        change = revert_file(self.derived.exposure(rootname).path)
        self.reload()
        return change
