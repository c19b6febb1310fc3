"""What is installed, what is listed, and every reason why a plugin cannot be used."""

from __future__ import annotations

import sys

import pytest

from sipx.config import Document, check
from sipx.config.model import KERNEL_KEYS
from sipx.errors import PluginError
from sipx.plugin import PluginInfo
from sipx.registry import RESERVED, Registry, specifications

HEAD = """
from sipx.plugin import Config, hookimpl

class LabConfig(Config):
    size: int = 1

"""
GOOD = f"""{HEAD}
class Lab:
    Config = LabConfig
    def __init__(self, config, proxy):
        self.config, self.proxy = config, proxy
    @hookimpl
    def validate_request(self, request, flow): return None
"""


def with_hook(hook: str) -> str:
    indented = "".join(f"    {line}\n" for line in hook.splitlines())
    return f"{HEAD}\nclass Lab:\n    Config = LabConfig\n    @hookimpl\n{indented}"


@pytest.fixture
def refusal(install):
    """What is said about a plugin with this source."""

    def refused(source: str, place: str = "lab_source:Lab") -> str:
        install("sipx-lab", {"lab": place}, lab_source=source)
        with pytest.raises(PluginError) as caught:
            Registry().load(["lab"])
        return str(caught.value)

    return refused


def test_only_listed_plugins_are_imported(install):
    install("sipx-lab", {"lab": "lab_listed:Lab"}, lab_listed=GOOD)
    install("sipx-mine", {"mine": "lab_mine:Lab"}, lab_mine="raise SystemExit('imported')")
    registry = Registry()
    assert {"lab", "mine"} <= {info.name for info in registry.installed()}
    assert "lab_listed" not in sys.modules
    assert list(registry.load(["lab"])) == ["lab"]
    assert "lab_listed" in sys.modules
    assert "lab_mine" not in sys.modules


def test_installed_plugins_are_told_with_their_distribution_and_version(install):
    install("sipx-lab", {"lab-b": "x:Y", "lab-a": "x:Y"}, version="2.5")
    found = [info for info in Registry().installed() if info.name.startswith("lab-")]
    assert found == [PluginInfo("lab-a", "sipx-lab", "2.5"), PluginInfo("lab-b", "sipx-lab", "2.5")]


def test_a_plugin_that_is_not_installed_is_told_with_those_that_are_and_a_guess(install):
    install("sipx-lab", {"laboratory": "x:Y"})
    with pytest.raises(PluginError) as caught:
        Registry().load(["labratory"])
    said = str(caught.value)
    assert said.startswith("plugin 'labratory': not installed; installed: ")
    assert said.endswith("; did you mean 'laboratory'?")


def test_a_plugin_that_nothing_resembles_is_told_how_to_be_installed():
    with pytest.raises(PluginError) as caught:
        Registry([]).load(["zebra"])
    assert str(caught.value) == (
        "plugin 'zebra': not installed; no plugin is installed; try: pip install sipx-zebra; "
        "a sipx that runs has to be started anew for it"
    )


def test_everything_wrong_is_told_at_once():
    with pytest.raises(PluginError) as caught:
        Registry([]).load(["zebra", "wan"])
    assert len(str(caught.value).splitlines()) == 2


def test_a_failing_import_names_the_distribution(refusal):
    assert refusal("import no_such_module_anywhere") == (
        "plugin 'lab': lab_source:Lab of sipx-lab cannot be imported: ModuleNotFoundError: "
        "No module named 'no_such_module_anywhere'; repair or reinstall sipx-lab"
    )


def test_two_distributions_with_one_name_are_both_named(install):
    install("sipx-lab", {"lab": "lab_one:Lab"}, lab_one=GOOD)
    install("lab-of-others", {"lab": "lab_two:Lab"}, lab_two=GOOD)
    with pytest.raises(PluginError) as caught:
        Registry().load(["lab"])
    assert str(caught.value) == (
        "plugin 'lab': lab-of-others and sipx-lab both bring a plugin of this name; "
        "uninstall one of them"
    )
    assert not {"lab_one", "lab_two"} & set(sys.modules)


@pytest.mark.parametrize("name", sorted(KERNEL_KEYS))
def test_the_kernels_own_names_are_refused(install, name):
    install("sipx-lab", {name: "lab_reserved:Lab"}, lab_reserved=GOOD)
    with pytest.raises(PluginError, match="one of the kernel's own tables"):
        Registry().load([name])


def test_the_reserved_names_are_those_of_the_documentation():
    assert set(RESERVED) == {
        "wan", "interface", "certificate", "trust", "dns", "log", "service", "limits",
        "config_version", "domains", "plugins",
    }  # fmt: skip


def test_an_entry_point_that_leads_to_no_class_is_refused(refusal):
    assert refusal("Lab = 5").startswith(
        "plugin 'lab': the entry point leads to 5, which is no class"
    )


@pytest.mark.parametrize(
    ("config", "wrong"),
    [("", "Lab has no Config"), ("Config = dict", "Lab: its Config is not a sipx.Config")],
)
def test_a_plugin_needs_a_configuration(refusal, config, wrong):
    source = GOOD.replace("Config = LabConfig", config or "pass")
    assert refusal(source).startswith(f"plugin 'lab': {wrong}; write: class MyConfig(sipx.Config)")


def test_a_plugin_without_a_hook_is_refused(refusal):
    assert refusal(GOOD.replace("    @hookimpl\n", "")) == (
        "plugin 'lab': Lab has no hook; mark the methods that are hooks with @hookimpl"
    )


def test_an_unknown_hook_is_told_with_a_guess(refusal):
    assert refusal(with_hook("def validate_requests(self, request): return None")) == (
        "plugin 'lab': there is no hook 'validate_requests'; did you mean 'validate_request'?"
    )


@pytest.mark.parametrize(
    "hook",
    [
        "async def validate_request(self, request, flow): return None",
        "async def services(self): return ()",
        "async def services(self): yield 1",
    ],
)
def test_an_async_hook_is_refused_by_name(refusal, hook):
    name = hook.split()[2].partition("(")[0]
    assert refusal(with_hook(hook)).startswith(f"plugin 'lab': hook '{name}' is async def; ")


def test_a_generator_where_one_answer_is_asked_for_is_refused(refusal):
    assert "hook 'validate_request' is a generator" in refusal(
        with_hook("def validate_request(self, request): yield None")
    )


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ("self, requst", "hook 'validate_request' has no argument 'requst'; allowed: request, "
         "flow; did you mean 'request'?"),
        ("self, peer", "hook 'validate_request' has no argument 'peer'; allowed: request, flow"),
        ("self, *, flow", "hook 'validate_request' takes 'flow' by keyword only; hooks are called "
         "with positional arguments"),
        ("self, *rest", "hook 'validate_request' takes *rest; allowed: request, flow, each by its "
         "name"),
    ],
)  # fmt: skip
def test_wrong_arguments_of_a_hook_are_told(refusal, arguments, said):
    assert refusal(with_hook(f"def validate_request({arguments}): return None")) == (
        f"plugin 'lab': {said}"
    )


@pytest.mark.parametrize("option", ["tryfirst", "trylast", "wrapper", "hookwrapper"])
def test_marks_that_would_change_the_order_are_refused(refusal, option):
    source = GOOD.replace("@hookimpl", f"@hookimpl({option}=True)")
    if "wrapper" in option:
        source = source.replace("return None", "yield")
    assert f"hook 'validate_request' is marked {option}" in refusal(source)


def test_fewer_arguments_static_methods_and_generators_of_several_are_fine(install):
    source = f"""{HEAD}
class Lab:
    Config = LabConfig
    def __init__(self, config, proxy): pass
    @hookimpl
    def validate_request(this, flow): return None
    @hookimpl
    @staticmethod
    def flow_closed(reason): pass
    @hookimpl
    def services(self): yield print
    @hookimpl(specname="flow_opened")
    def seen(self, flow, mark=1): pass
    @hookimpl(optionalhook=True)
    def hook_of_the_future(self): pass
"""
    install("sipx-lab", {"lab": "lab_free:Lab"}, lab_free=source)
    assert Registry().load(["lab"])


def test_the_specifications_have_their_arguments_in_order():
    known = specifications()
    assert known["message_traced"] == ("message", "flow", "direction")
    assert known["services"] == ()
    assert len(known) == 34


# ---------------------------------------------------------------- start


def started(text: str, proxy_for=lambda name: f"proxy of {name}"):
    registry = Registry()
    document = Document.from_text(f'domains = ["example.com"]\n{text}')
    return registry.start(check(document, registry, addresses=None), proxy_for)


@pytest.fixture
def three(install):
    for name in ("one", "two", "three"):
        install(f"sipx-lab-{name}", {f"lab-{name}": f"lab_{name}:Lab"}, **{f"lab_{name}": GOOD})


def test_plugins_are_asked_in_the_order_of_the_list(three):
    hooks = started('plugins = ["lab-two", "lab-three", "lab-one"]')
    assert list(hooks.plugins()) == ["lab-two", "lab-three", "lab-one"]
    asked = [hooks.owner(function) for function in hooks.validate_request]
    assert asked == ["lab-two", "lab-three", "lab-one"]


def test_a_plugin_gets_its_table_and_its_own_proxy(three):
    hooks = started('plugins = ["lab-one"]\n[lab-one]\nsize = 7\n')
    plugin = hooks.plugins()["lab-one"]
    assert plugin.config.size == 7
    assert plugin.proxy == "proxy of lab-one"


def test_a_plugin_that_is_switched_off_is_checked_but_not_made(three):
    made = []
    text = 'plugins = ["lab-one", "lab-two"]\n[lab-one]\nenabled = false\n'
    hooks = started(text, made.append)
    assert made == ["lab-two"]
    assert list(hooks.plugins()) == ["lab-two"]


def test_a_plugin_that_cannot_be_made_is_named(install):
    source = GOOD.replace("self.config, self.proxy = config, proxy", "raise OSError('no disk')")
    install("sipx-lab", {"lab": "lab_broken:Lab"}, lab_broken=source)
    with pytest.raises(PluginError) as caught:
        started('plugins = ["lab"]')
    assert str(caught.value) == "plugin 'lab': cannot be made: OSError: no disk"
