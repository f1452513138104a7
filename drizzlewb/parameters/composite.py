"""The model of one step, and the models of a whole task made of them."""

from collections.abc import Mapping
from functools import cache
from typing import Any, ClassVar, NamedTuple, Self

from pydantic import BaseModel, ConfigDict, ValidationError, model_validator

from drizzlewb.errors import ParameterError
from drizzlewb.parameters.declare import RESULTS, Parameter, declared
from drizzlewb.parameters.keywords import coerce, refusal, shown, unknown, without_call_arguments

_FROZEN = ConfigDict(frozen=True, extra="forbid", validate_default=True, strict=True, allow_inf_nan=False)


class Section(BaseModel):
    """Parameters of one step: immutable, typed, each field declared by `param`."""

    model_config = _FROZEN

    renamed_feeds: ClassVar[dict[str, str]] = {}
    """Where a section declares again what another one does: what its parameters feed instead."""

    @model_validator(mode="after")
    def _one_line_texts(self) -> Self:
        # A text with a line break could not be written to a .cfg file, and could hide a line in a script.
        for name, value in self.__dict__.items():
            if isinstance(value, str) and (not value.isprintable() or len(value) > 4096):
                msg = f"{name} must be one line of at most 4096 printable characters"
                raise ValueError(msg)
        return self


class Place(NamedTuple):
    """Where a parameter lives: the attribute of the task's model, and its declaration."""

    section: str
    parameter: Parameter


@cache
def _places(task: type["Composite"]) -> dict[str, tuple[Place, ...]]:
    places: dict[str, tuple[Place, ...]] = {}
    for key, field in task.model_fields.items():
        section: Any = field.annotation
        for name, parameter in declared(section).items():
            places[name] = (*places.get(name, ()), Place(key, parameter))
    return places


def _tasks() -> tuple[type["Composite"], ...]:
    """Models of whole tasks, so that a name can be recognised as another task's. For messages only."""
    from drizzlewb.parameters import AlignParameters, ReduceParameters

    return ReduceParameters, AlignParameters


class Composite(BaseModel):
    """Parameters of one task, by step; also readable by DrizzlePac's flat names.

    ``p["static"]`` is always the parameter; ``p.static`` is the step where a step has the same name as one
    of its parameters (static, median, blot), the parameter for every other name.
    """

    model_config = _FROZEN

    task: ClassVar[str] = ""
    prefixes: ClassVar[dict[str, tuple[str, ...]]] = {}
    """Prefixes of ``prefix.name`` keywords, and the sections that each one reaches (none: all)."""

    @classmethod
    def places(cls) -> dict[str, tuple[Place, ...]]:
        """Every parameter by name: its sections (two for the source-finding names of TweakReg)."""
        return _places(cls)

    def __getitem__(self, name: str) -> Any:
        """Value of a parameter by DrizzlePac's name; ``'section.name'`` and ``'task.name'`` work too."""
        (section, parameter), *_ = self._find(name)
        return getattr(self.__dict__[section], parameter.name)

    def __getattr__(self, name: str) -> Any:
        if not name.startswith("_"):
            place = _places(type(self)).get(name)
            if place:
                return getattr(getattr(self, place[0].section), name)
        return super().__getattr__(name)  # type: ignore[misc]

    def __repr__(self) -> str:
        changed = ", ".join(f"{name}={new!r}" for name, (_, new) in self.differences().items())
        return f"{type(self).__name__}({changed})"

    __str__ = __repr__

    @classmethod
    def declaration(cls, name: str) -> Parameter:
        """Declaration of a parameter by DrizzlePac's name, ``'section.name'`` or ``'task.name'``."""
        return cls._find(name)[0].parameter

    @classmethod
    def _find(cls, name: str) -> tuple[Place, ...]:
        prefix, _, bare = name.rpartition(".")
        found = cls.places().get(bare, ())
        if prefix:
            if prefix not in cls.prefixes and prefix not in cls.model_fields:
                if any(prefix == other.task for other in _tasks()):
                    msg = f"{name} is not for {cls.task}"
                    raise ParameterError(msg)
                raise unknown(name, (f"{p}.{bare}" for p in cls.prefixes), cls.task)
            reach = cls.prefixes.get(prefix, (prefix,))
            found = tuple(p for p in found if not reach or p.section in reach)
        if not found:
            for other in _tasks():
                if bare in other.places() and prefix in ("", other.task):
                    msg = f"{bare} is a parameter of {other.task}, not of {cls.task}"
                    raise ParameterError(msg)
            raise unknown(bare, cls.places(), cls.task)
        return found

    def flat(self) -> dict[str, Any]:
        """All values by DrizzlePac's name but ``input``, in order of declaration.

        A name that two sections share appears as ``section.name`` for the second one.
        """
        values = {}
        for name, places in self.places().items():
            for i, (section, _) in enumerate(places if name != "input" else ()):
                values[f"{section}.{name}" if i else name] = getattr(self.__dict__[section], name)
        return values

    @classmethod
    def from_keywords(cls, keywords: Mapping[str, Any] | None = None, /, **more: Any) -> Self:
        """Make the model from flat keywords on top of DrizzlePac's defaults.

        Parameters
        ----------
        keywords, **more
            Values by DrizzlePac's name, ``'task.name'`` or ``'section.name'``; typed, or as
            DrizzlePac's strings.

        Raises
        ------
        ParameterError
            Unknown or obsolete name (with the nearest), wrong type, value out of range, values that
            contradict each other.
        """
        return cls().replace(keywords, **more)

    def replace(self, keywords: Mapping[str, Any] | None = None, /, **more: Any) -> Self:
        """Return a copy with these keywords changed; the same rules and errors as `from_keywords`."""
        given = without_call_arguments({**(keywords or {}), **more})
        changes: dict[str, dict[str, Any]] = {}
        raw: dict[str, Any] = {}
        # Prefixed names last, so that they override what a bare name sets in several sections.
        faults: list[str] = []
        for name in sorted(given, key=lambda n: "." in n):
            try:
                for section, parameter in self._find(name):
                    changes.setdefault(section, {})[parameter.name] = coerce(parameter, given[name])
                    raw[parameter.name] = given[name]
            except ParameterError as error:
                faults.append(str(error))
        if faults:
            raise ParameterError("; ".join(faults))
        self._complete(changes)
        sections = {}
        for section, values in changes.items():
            old = self.__dict__[section]
            try:
                sections[section] = type(old)(**{**old.__dict__, **values})
            except ValidationError as error:
                faults += _sentences(type(old), error, raw)
        if faults:
            raise ParameterError("; ".join(dict.fromkeys(faults)))
        new = self.model_copy(update=sections)
        new.check()
        return new

    def _complete(self, changes: dict[str, dict[str, Any]]) -> None:
        """Add what the given keywords imply; a task may override it."""

    def problems(self) -> list[str]:
        """Sentences about values that contradict each other; a task adds its own."""
        return []

    def check(self) -> None:
        """Raise ParameterError if values contradict each other."""
        found = self.problems()
        if found:
            raise ParameterError("; ".join(found))

    def feeding(self, array: str) -> dict[str, Any]:
        """Values of the parameters declared as feeding one array or result, for its cache key.

        Parameters
        ----------
        array : {'static', 'sky', 'median', 'crmask', 'product', 'sources', 'refsources', 'solution'}
            Which one; what comes from upstream is not repeated here.
        """
        if array not in RESULTS:
            msg = f"no array {array!r}: expected one of {', '.join(RESULTS)}"
            raise ValueError(msg)
        return {
            name: getattr(self.__dict__[section], name)
            for name, places in self.places().items()
            for section, parameter in places
            if array in parameter.feeds
        }

    def differences(self, other: Self | None = None) -> dict[str, tuple[Any, Any]]:
        """What differs: name → (value of `other`, value here); `other` defaults to DrizzlePac's defaults."""
        theirs = (other if other is not None else type(self)()).flat()
        return {name: (theirs[name], value) for name, value in self.flat().items() if theirs[name] != value}

    def without_effect(self) -> dict[str, str]:
        """Changed parameters that are ignored: name → reason, to be told to the user."""
        said = {}
        for name in self.differences():
            parameter = self._find(name)[0].parameter
            if parameter.status == "ignored":
                said[name] = parameter.reason
        return said


def _sentences(model: type[Section], error: ValidationError, raw: dict[str, Any]) -> list[str]:
    """Turn pydantic's report into one sentence per faulty parameter."""
    rows = declared(model)
    sentences = []
    for fault in error.errors():
        detail = str(fault["msg"]).removeprefix("Value error, ")
        name = fault["loc"][0] if fault["loc"] else None
        if name in rows:
            text = str(refusal(rows[name], raw.get(name, fault["input"]), detail))
        else:
            text = detail if not fault["loc"] else f"{shown(name)}: {detail}"
        sentences.append(text)
    return sentences
