import pytest

from drizzlewb.errors import ParameterError
from drizzlewb.panels.form import Form
from drizzlewb.parameters import AlignParameters, ReduceParameters


class Holder:
    """Stands for a session: parameters that accept or refuse."""

    def __init__(self, task=ReduceParameters):
        self.parameters = task()
        self.live = []

    def send(self, name, value, live):
        self.parameters = self.parameters.replace({name: value})
        self.live.append(live)


@pytest.fixture
def holder():
    return Holder()


def form(holder, *names, **more):
    made = Form(type(holder.parameters), names, send=holder.send, **more)
    made.show(holder.parameters)
    return made


@pytest.mark.parametrize(
    ("name", "typed", "held"),
    [
        ("final_pixfrac", "0.6", 0.6),
        ("final_scale", "0.03", 0.03),
        ("final_scale", "", None),
        ("final_bits", "256,64,16", 336),
        ("final_bits", "~4096", 61439),
        ("final_bits", "", None),
        ("driz_cr_snr", "5.0 4.0", (5.0, 4.0)),
        ("combine_nhigh", "1", 1),
        ("final_wt_scl", "expsq", "expsq"),
        ("skyfile", "sky.txt", "sky.txt"),
        ("skysub", False, False),
        ("final_kernel", "turbo", "turbo"),
    ],
)
def test_what_is_typed_reaches_the_parameters(holder, name, typed, held):
    made = form(holder, name)
    made[name].control.value = typed
    assert holder.parameters[name] == held
    assert made[name].why.layout.display == "none"


@pytest.mark.parametrize(
    ("name", "typed", "words"),
    [
        ("final_pixfrac", "1.5", "at most 1"),
        ("final_pixfrac", "abc", "a number"),
        ("combine_nhigh", "1.5", "an integer"),
        ("final_bits", "3,5", "power of two"),
        ("driz_cr_snr", "5", "two numbers"),
    ],
)
def test_an_impossible_value_says_why_beside_the_field(holder, name, typed, words):
    made, before = form(holder, name), holder.parameters
    made[name].control.value = typed
    assert holder.parameters == before
    assert words in made[name].why.value
    assert made[name].control.value == typed  # what was typed stays, to be mended
    made.show(holder.parameters)
    assert made[name].control.value == typed
    made[name].reset.disabled = False
    made[name].reset.click()
    assert made[name].why.value == ""


def test_changed_values_are_marked_and_one_click_goes_back(holder):
    made = form(holder, "final_pixfrac")
    field = made["final_pixfrac"]
    assert field.reset.disabled
    field.control.value = "0.6"
    made.show(holder.parameters)
    assert "dwb-changed" in field._dom_classes
    assert not field.reset.disabled
    field.reset.click()
    made.show(holder.parameters)
    assert holder.parameters.final_pixfrac == 1.0
    assert "dwb-changed" not in field._dom_classes


def test_the_session_changes_the_field_without_an_echo(holder):
    made = form(holder, "final_pixfrac")
    made.show(holder.parameters.replace({"final_pixfrac": 0.8}))
    assert made["final_pixfrac"].control.value == "0.8"
    assert holder.live == []


def test_a_slider_acts_while_it_is_dragged(holder):
    made = form(holder, "final_pixfrac", sliders={"final_pixfrac": (0.0, 1.0, 0.05)})
    made["final_pixfrac"].control.set_state({"value": 0.55})
    assert holder.parameters.final_pixfrac == 0.55
    assert holder.live == [True]


def test_meaning_unit_and_advice_are_at_hand(holder):
    field = form(holder, "combine_nhigh")["combine_nhigh"]
    assert field.unit.value == "exposures"
    field.info.value = True
    assert "keep N - nhigh odd" in field.about.value
    field.info.value = False
    assert field.about.layout.display == "none"


def test_every_parameter_of_both_tasks_has_a_field():
    for task in (ReduceParameters, AlignParameters):
        holder = Holder(task)
        names = list(task().flat())
        made = Form(task, names[:2], {"rest": names[2:]}, send=holder.send)
        made.show(holder.parameters)
        assert set(made.fields) == set(names)
        assert holder.live == []


def test_a_fold_is_made_when_it_is_opened_and_counts_what_was_changed(holder):
    made = Form(ReduceParameters, ["final_pixfrac"], {"Sky": ["skysub", "skyfile"]}, send=holder.send)
    holder.parameters = holder.parameters.replace({"skysub": False})
    made.show(holder.parameters)
    fold = made.children[-1]
    assert fold.titles == ("Sky (1 changed)",)
    assert list(made.made) == ["final_pixfrac"]
    fold.set_state({"selected_index": 0})
    assert set(made.made) == {"final_pixfrac", "skysub", "skyfile"}
    assert made.made["skysub"].control.value is False
    made["skysub"].reset.click()
    made.show(holder.parameters)
    assert holder.parameters.sky.skysub
    assert fold.titles == ("Sky",)


def test_an_unknown_field_is_refused(holder):
    with pytest.raises(ParameterError, match="no parameter 'final_scale'"):
        form(holder, "final_pixfrac")["final_scale"]
