"""Panel 8: parameters out in every form, regions, the trainer's bundle, the grade, the session's file."""

from collections.abc import Callable
from pathlib import Path
from pprint import pformat
from typing import Any

import ipywidgets as W

from drizzlewb.errors import DataError, ParameterError
from drizzlewb.panels.base import Panel
from drizzlewb.panels.grade_table import grade_html
from drizzlewb.parameters.scripts import not_reproduced
from drizzlewb.reduction.exporting import decision_words, write_texts
from drizzlewb.session.handing_in import grade_session, truth_of
from drizzlewb.session.regions import KINDS
from drizzlewb.session.work import Handle, Worker
from drizzlewb.views.bundle import write_bundle
from drizzlewb.views.style import escape

__all__ = ["ExportPanel"]

FORMS = (
    ("dict", "dict"),
    ("JSON", "json"),
    ("drizzlewb script", "python"),
    ("DrizzlePac script", "drizzlepac"),
    ("TEAL .cfg", "cfg"),
)
PARTS = (("what was used", ""), ("alignment", "align"), ("reduction", "reduce"), ("both", "both"))

_ABOUT = {
    "dict": "Five dicts: dw.align and dw.reduce take them, and key by key so do TweakReg and AstroDrizzle.",
    "json": "The same as a file; the workbench, drizzlewb reduce and drizzlewb align read it (--params).",
    "python": "Does the same without a screen, in drizzlewb.",
    "drizzlepac": "Does the same in DrizzlePac, as far as that can.",
    "cfg": "Files for TEAL; in ~/.teal DrizzlePac finds them by itself.",
}


class ExportPanel(Panel):
    """Everything that leaves the workbench.

    Attributes
    ----------
    form, part : ToggleButtons, Dropdown
        Form of the parameters, and of which task.
    text : Textarea
        What would be written.
    folder : Text
        Where to; of all that is saved here.
    """

    title = "Export"
    help = "What you leave with: parameters that reproduce the product, and what a trainer wants to see."

    def build(self) -> W.Widget:
        """Make the widgets."""
        self._texts: dict[str, str] = {}
        self._truth: tuple[Any, Path | None] = (None, None)
        self._grade: Any = None
        self._worker = Worker("drizzlewb-export")
        self._busy = ""
        self.folder = W.Text(
            value=".", description="folder", tooltip="where files are written",
            style={"description_width": "50px"}, layout=W.Layout(width="100%"),
        )  # fmt: skip
        self.replace = W.Checkbox(
            description="replace files of the same name", indent=False, layout=W.Layout(width="auto")
        )
        self.told = W.HTML()
        self.told.add_class("dwb-soft")
        right = [
            _titled("Files", self.folder, self.replace, self.told),
            self._region_box(),
            self._bundle_box(),
            self._grade_box(),
            self._session_box(),
        ]
        left = W.VBox(self._parameter_box(), layout=W.Layout(flex="1 1 480px", min_width="0"))
        side = W.VBox(right, layout=W.Layout(flex="0 1 380px", min_width="280px", grid_gap="12px"))
        self.grade_table = W.HTML(layout=W.Layout(width="100%"))
        self.grade_table.add_class("dwb-scroll")
        top = W.HBox([left, side], layout=W.Layout(flex_flow="row wrap", width="100%", grid_gap="16px"))
        return W.VBox([top, self.grade_table], layout=W.Layout(width="100%"))

    # ---------------------------------------------------------------- parameters
    def _parameter_box(self) -> list[W.Widget]:
        self.form = W.ToggleButtons(
            options=FORMS, tooltips=[_ABOUT[key] for _, key in FORMS], style={"button_width": "auto"}
        )
        self.part = W.Dropdown(
            options=PARTS, description="of", style={"description_width": "20px"},
            layout=W.Layout(width="180px"), tooltip="which task's parameters",
        )  # fmt: skip
        for widget in (self.form, self.part):
            widget.observe(lambda _: self.update(), "value")
        self.about = W.HTML()
        self.about.add_class("dwb-help")
        self.text = W.Textarea(
            layout=W.Layout(width="auto", height="420px"),
            tooltip="click, then Ctrl+A and Ctrl+C copy all of it",
        )
        self.text.add_class("dwb-text")
        self.differs = W.HTML()
        self.save = self.action(
            "Save to folder", self._save, self._save_code, primary=True, icon="save",
            tooltip="write these files",
        )  # fmt: skip
        row = W.HBox([self.form, self.part], layout=W.Layout(flex_flow="row wrap"))
        return [row, self.about, self.text, self.save, self.differs]

    def _show_text(self) -> None:
        session, form = self.session, self.form.value
        self.about.value = escape(_ABOUT[form])
        self.part.disabled = form == "dict"
        self.differs.value = ""
        try:
            if form == "dict":
                self._texts = {}
                self.text.value = pformat(session.to_dict(self.product), width=100, sort_dicts=False)
            else:
                self._texts = session.export(form, self.product, what=self.part.value)
                self.text.value = "\n".join(
                    f"# {'-' * 8} {name}\n{text}" if len(self._texts) > 1 else text
                    for name, text in self._texts.items()
                )
        except ParameterError as error:
            self._texts = {}
            self.text.value = ""
            self.differs.value = (
                f'<div class="dwb-message error"><b class="kind">Refused</b>{escape(error)}</div>'
            )
        else:
            if form in ("drizzlepac", "cfg"):
                self.differs.value = self._differences()
        self.save.disable(
            "a dict is for Python: save it as JSON"
            if form == "dict"
            else ""
            if self._texts
            else "it is refused"
        )

    def _differences(self) -> str:
        """What DrizzlePac cannot do as it was done here, as HTML."""
        session, name = self.session, self.product
        part = self.part.value
        decided = decision_words(session.runs.decisions(session.state.product(name).members))
        said = not_reproduced(
            None if part == "align" else session.runs.effective(name),
            None if part == "reduce" else session.alignment_parameters,
            decided if part != "align" else [],
        )
        rows = "".join(f"<li>{escape(sentence)}</li>" for sentence in said)
        return (
            f"<b>What DrizzlePac will do otherwise</b><ul style='margin:2px 0 0 18px'>{rows}</ul>"
            if said
            else ""
        )

    def _save(self) -> None:
        # Asked for again: what is shown may be older than what was typed last.
        texts = self.session.export(self.form.value, self.product, what=self.part.value)
        written = write_texts(texts, self._folder(), replace=self.replace.value)
        self._tell(written)

    def _save_code(self) -> str:
        what = f", what={self.part.value!r}" if self.part.value else ""
        if self.form.value == "dict":
            return f"session.to_dict({self.product_code()})"
        return (
            "from drizzlewb.reduction.exporting import write_texts; "
            f"write_texts(session.export({self.form.value!r}, {self.product_code()}{what}), "
            f"{self.folder.value!r}, replace={self.replace.value})"
        )

    # ---------------------------------------------------------------- DS9 regions
    def _region_box(self) -> W.Widget:
        self.kinds = {
            kind: W.Checkbox(value=True, description=kind, indent=False, layout=W.Layout(width="110px"))
            for kind in KINDS
        }
        for box in self.kinds.values():
            box.observe(lambda _: self.update(), "value")
        self.regions = self.action(
            "Save DS9 regions", self._write_regions, self._region_code, icon="pencil",
            tooltip="outlines of chips and output image, sources, masks drawn by hand; on the sky",
        )  # fmt: skip
        row = W.HBox(list(self.kinds.values()), layout=W.Layout(flex_flow="row wrap"))
        return _titled("DS9 regions", row, self.regions)

    def _chosen_kinds(self) -> tuple[str, ...]:
        return tuple(kind for kind, box in self.kinds.items() if box.value)

    def _write_regions(self) -> None:
        path = self._folder() / f"{self.product}.reg"
        written = self.session.write_regions(
            path, self.product, kinds=self._chosen_kinds(), replace=self.replace.value
        )
        self._tell([written])

    def _region_code(self) -> str:
        path = str(Path(self.folder.value) / f"{self.product}.reg")
        return (
            f"session.write_regions({path!r}, {self.product_code()}, kinds={self._chosen_kinds()!r}, "
            f"replace={self.replace.value})"
        )

    # ---------------------------------------------------------------- the trainer's bundle
    def _bundle_box(self) -> W.Widget:
        self.bundle_name = W.Text(
            value="bundle.zip", description="file", tooltip="name of the zip file, in the folder above",
            style={"description_width": "50px"}, layout=W.Layout(width="100%"),
        )  # fmt: skip
        self.with_products = W.Checkbox(
            description="with the products", indent=False, layout=W.Layout(width="auto"),
            tooltip="the FITS files too: the unpacked bundle can be graded then",
        )  # fmt: skip
        self.with_exposures = W.Checkbox(
            description="with the exposures", indent=False, layout=W.Layout(width="auto"),
            tooltip="as they lie on the disk: write the headers first, so that they carry the alignment",
        )  # fmt: skip
        self.bundle = self.action(
            "Write the bundle", self._write_bundle, self._bundle_code, icon="archive",
            tooltip="shift file, log, figures, records, headers, statistics in one zip file",
        )  # fmt: skip
        about = W.HTML(
            "Shift file, log, plots, records, parameters, headers and statistics of the products, in one zip."
        )
        about.add_class("dwb-help")
        return _titled(
            "Trainer's bundle", about, self.bundle_name, self.with_products, self.with_exposures, self.bundle
        )

    def _write_bundle(self) -> None:
        path = self._folder() / (self.bundle_name.value.strip() or "bundle.zip")
        chosen = {
            "products": self.with_products.value,
            "exposures": self.with_exposures.value,
            "replace": self.replace.value,
        }
        self._begin(
            "The bundle is being written", lambda: self._tell([write_bundle(self.session, path, **chosen)])
        )

    def _bundle_code(self) -> str:
        path = str(Path(self.folder.value) / (self.bundle_name.value.strip() or "bundle.zip"))
        return (
            "from drizzlewb.views.bundle import write_bundle; "
            f"write_bundle(session, {path!r}, products={self.with_products.value}, "
            f"exposures={self.with_exposures.value}, replace={self.replace.value})"
        )

    # ---------------------------------------------------------------- the grade
    def _grade_box(self) -> W.Widget:
        self.grade = self.action(
            "Grade it", self._run_grade, self._grade_code, icon="check-square",
            tooltip="against the truth of the simulation",
        )  # fmt: skip
        self.report = self.action(
            "Save the report", self._save_report, self._report_code, icon="file-text-o",
            tooltip="one HTML page with figures",
        )  # fmt: skip
        self.grade_about = W.HTML()
        self.grade_about.add_class("dwb-help")
        row = W.HBox([self.grade, self.report], layout=W.Layout(flex_flow="row wrap"))
        return _titled("Grade", self.grade_about, row)

    def _find_truth(self) -> Path | None:
        """Where the truth lies; looked for once for the same exposures."""
        names = tuple(e.path for e in self.session.exposures)
        if self._truth[0] != names:
            self._truth = (names, truth_of(self.session))
        return self._truth[1]

    def _run_grade(self) -> None:
        truth = self._find_truth()

        def work() -> None:
            self._grade = grade_session(self.session, truth)
            self.grade_table.value = grade_html(self._grade)

        self._begin("The work is being graded", work)

    def _grade_code(self) -> str:
        return "from drizzlewb.session.handing_in import grade_session; grade = grade_session(session)"

    def _save_report(self) -> None:
        if self._grade is None:
            msg = "There is no grade to save: grade it first."
            raise DataError(msg)
        path = self._folder() / "grade.html"
        if path.exists() and not self.replace.value:
            msg = f"{path} exists already and was left alone: tick 'replace', or choose another folder."
            raise DataError(msg)
        self._begin("The report is being written", lambda: self._tell([self._grade.write_report(path)]))

    def _report_code(self) -> str:
        return f"grade.write_report({str(Path(self.folder.value) / 'grade.html')!r})"

    # ---------------------------------------------------------------- the session's file
    def _session_box(self) -> W.Widget:
        self.session_name = W.Text(
            value="session.json", description="file", tooltip="name of the file, in the folder above",
            style={"description_width": "50px"}, layout=W.Layout(width="100%"),
        )  # fmt: skip
        self.save_session = self.action(
            "Save session", self._save_session, self._session_code, icon="save",
            tooltip="parameters, decisions and their history",
        )  # fmt: skip
        about = W.HTML(
            "Open it again in a notebook: <code>session = dw.Session.open(&quot;session.json&quot;)</code>, "
            "then <code>dw.Workbench(session)</code>."
        )
        about.add_class("dwb-help")
        return _titled("Session", about, self.session_name, self.save_session)

    def _save_session(self) -> None:
        path = self._session_path()
        if path.exists() and not self.replace.value:
            msg = f"{path} exists already and was left alone: tick 'replace', or choose another name."
            raise DataError(msg)
        self.session.save(path)
        self._tell([path])

    def _session_path(self) -> Path:
        return self._folder() / (self.session_name.value.strip() or "session.json")

    def _session_code(self) -> str:
        return f"session.save({str(Path(self.folder.value) / self.session_name.value)!r})"

    # ---------------------------------------------------------------- shared
    def update(self) -> None:
        """Show what the session holds."""
        session = self.session
        if not self.product:
            for action in (self.save, self.regions, self.bundle, self.grade, self.report):
                action.disable("load exposures first")
            return
        self._show_text()
        busy = "it is running" if self._busy else ""
        self.regions.disable("" if self._chosen_kinds() else "tick what shall be in it")
        self.bundle.disable(busy)
        nothing = session.solution is None and session.state.alignment.accepted is None
        nothing = nothing and all(session.result(name) is None for name in session.state.names)
        truth = self._find_truth()
        self.grade.disable(busy or ("align, or run a product, first" if nothing else ""))
        self.report.disable(busy or ("" if self._grade is not None else "grade it first"))
        self.grade_about.value = (
            "The truth of this simulated set is at hand: what you made is measured against it."
            if truth is not None
            else "There is no truth beside these exposures: what the data alone tell is graded."
        )
        if self._busy:
            self.told.value = escape(f"{self._busy} …")

    def _folder(self) -> Path:
        folder = Path(self.folder.value.strip() or ".").expanduser()
        if not folder.is_dir():
            msg = f"There is no folder {folder}; make it first, or give another."
            raise DataError(msg)
        return folder

    def _tell(self, paths: list[Path]) -> None:
        self.told.value = "Written: " + ", ".join(f"<code>{escape(p)}</code>" for p in paths)

    def _begin(self, word: str, work: Callable[[], None]) -> None:
        """Do what takes long in a thread; its errors become messages too."""
        self._busy = word

        def run(_: Handle) -> None:
            said = self.told.value
            self.attempt(work)
            self._busy = ""
            if self.told.value == said:
                self.told.value = ""
            self._update()

        self.update()
        self._worker.submit(Handle("export", "panel", (), run))

    def wait(self) -> None:
        """Wait for what runs here."""
        for handle in self._worker.handles:
            handle.wait()


def _titled(title: str, *children: W.Widget) -> W.VBox:
    box = W.VBox([W.HTML(f"<b>{escape(title)}</b>"), *children], layout=W.Layout(width="auto"))
    box.add_class("dwb-box")
    return box
