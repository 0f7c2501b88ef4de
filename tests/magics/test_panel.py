"""The panel as its front end sees it: what it is told, and what its messages do."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from kernel import Kernel, Result
from loopback import Fault, Hold, Loopback, Reply

import di_magics
from di_magics.core.settings.params import PARAMS

pytestmark = pytest.mark.kernel


class Panel:
    """A panel in a kernel: sends messages as its JavaScript does, and waits for its state."""

    def __init__(self, kernel: Kernel) -> None:
        self.kernel = kernel
        self.state: dict[str, Any] = {}
        self.models: list[list[str]] = []
        self._read = len(kernel.published)
        self._comm = ""
        self.number = 0
        assert kernel.run("%chat panel", "panel").status == "ok"
        self._take_in()

    def send(self, type: str, name: str, value: object = None, view: str = "v") -> None:
        """Send a message without waiting."""
        self.number += 1
        content = {"type": type, "view": view, "n": self.number, "name": name, "value": value}
        data = {"method": "custom", "content": content}
        self.kernel.send("comm_msg", {"comm_id": self._comm, "data": data})

    def set(self, name: str, value: object, type: str = "set") -> dict[str, Any]:
        """Send a message and return the state that has heard it."""
        self.send(type, name, value)
        return self.until(lambda state: state["heard"].get("v") == self.number)

    def until(self, reached: Callable[[dict[str, Any]], object]) -> dict[str, Any]:
        """Return the state once it is as it should be."""

        def look() -> object:
            self._take_in()
            return reached(self.state)

        self.kernel.wait(Result(), look)
        return self.state

    def _take_in(self) -> None:
        for message in self.kernel.published[self._read :]:
            data = message.content.get("data", {})
            if message.type == "comm_open" and "models" in data["state"]:
                self._comm = message.content["comm_id"]
            if message.content.get("comm_id") == self._comm:
                self.state = data.get("state", {}).get("state", self.state)
                self.models = data.get("state", {}).get("models", self.models)
        self._read = len(self.kernel.published)

    def control(self, name: str) -> dict[str, Any]:
        """Return what is shown of a parameter."""
        return next(item for item in self.state["controls"] if item["name"] == name)


PRICED = {
    "id": "a-model",
    "metadata": {
        "context_length": 8192,
        "pricing": {"input_tokens": 1, "output_tokens": 2, "cache_read_tokens": 0.5},
        "tags": ["chat"],
    },
}


@pytest.fixture
def panel(shared_kernel: Kernel, server: Loopback) -> Panel:
    """A panel of a session that asks the loopback server."""
    return open_panel(shared_kernel, server)


def open_panel(kernel: Kernel, server: Loopback) -> Panel:
    """Load the extension and open its panel."""
    server.models = [PRICED, {**PRICED, "id": "other <b>"}]
    loaded = kernel.run(
        f"%env DI_MAGICS_BASE_URL={server.url}\n%env DI_MAGICS_MODEL=a-model\n%load_ext di_magics"
    )
    assert loaded.status == "ok", loaded.text
    return Panel(kernel)


def test_everything_starts_unset(panel: Panel) -> None:
    """Nothing is sent; the defaults of an endpoint in no table are unknown; nothing is paid yet."""
    controls = panel.state["controls"]
    assert {control["state"] for control in controls} == {"unset"}
    assert [control["name"] for control in controls] == list(PARAMS)
    assert panel.control("temperature")["default"] == ""
    assert panel.state["hints"]["model"] == "a-model"
    assert panel.state["money"]["rows"][0][1] == "$0"
    assert panel.state["presets"][0]["on"]


def test_the_script_describes_all_that_the_kernel_sends(panel: Panel) -> None:
    """Nothing else is read there: the script is checked by its types."""
    script = (Path(di_magics.__file__).parent / "display/static/panel.js").read_text("utf-8")
    described = script.partition("@typedef {object} State")[2].partition("*/")[0]
    names = re.findall(r"@property .*\} \[?(\w+)\b", described)
    assert sorted(names) == sorted([*panel.state, "broken"])


def test_what_is_set_is_sent(panel: Panel, server: Loopback) -> None:
    """A slider's value goes out with the next request; 0 is a value, and what is reset is not."""
    panel.set("temperature", "0")
    panel.set("top_p", "0.5")
    panel.set("seed", "9223372036854775807")
    panel.set("stop", "a\\n\nb")
    panel.set("top_p", None)
    assert panel.control("temperature")["state"] == "set"
    assert panel.control("seed")["value"] == "9223372036854775807"
    panel.kernel.run("%%chat\nhi", "c1")
    sent = server.chats[0].json
    assert (sent["temperature"], sent["seed"], sent["stop"]) == (0, 2**63 - 1, ["a\n", "b"])
    assert "top_p" not in sent
    panel.set("stop", "")
    assert panel.control("stop")["value"] is None


def test_what_does_not_fit_is_said_beside_it(panel: Panel) -> None:
    """The old value stays, the error stands by its control and goes with the next message."""
    panel.set("temperature", "1")
    state = panel.set("temperature", "9")
    assert "out of range" in state["errors"]["temperature"]
    assert panel.control("temperature")["value"] == 1
    assert panel.set("seed", "1")["errors"] == {}
    assert "no endpoint" in panel.set("endpoint", "nowhere")["errors"]["endpoint"]


def test_presets_clear_when_a_value_is_moved(panel: Panel) -> None:
    """A preset changes what shapes the choice of tokens, and nothing else."""
    panel.set("seed", "1")
    state = panel.set("Creative", None, "preset")
    assert [preset["name"] for preset in state["presets"] if preset["on"]] == ["Creative"]
    assert panel.control("seed")["value"] == 1
    state = panel.set("temperature", "1")
    assert not any(preset["on"] for preset in state["presets"])
    panel.set("all", None, "reset")
    assert {control["state"] for control in panel.state["controls"]} == {"unset"}


# Tests magics/traits.
def test_set_config_and_panel_change_the_same_settings(kernel: Kernel, server: Loopback) -> None:
    """`%chat set`, `%config` and a panel show what the others have set."""
    panel = open_panel(kernel, server)
    panel.kernel.run("%chat set temperature=0.3 model=other", "c1")
    panel.until(lambda state: panel.control("temperature")["value"] == 0.3)
    assert panel.state["texts"]["model"] == "other"
    panel.kernel.run("%config ChatMagics.temperature = 0.4", "c2")
    panel.until(lambda state: panel.control("temperature")["value"] == 0.4)
    panel.set("temperature", "0.5")
    assert "temperature=0.5" in panel.kernel.run("%chat", "c3").text
    assert "0.5" in panel.kernel.run("%config ChatMagics.temperature", "c4").text


def test_models_are_asked_for_when_they_are_wanted(panel: Panel, server: Loopback) -> None:
    """With context and price, from the endpoint's own list; the one in force says its own."""
    assert panel.models == []
    panel.send("open", "models")
    panel.until(lambda state: panel.models)
    assert [row[0] for row in panel.models] == ["a-model", "other <b>"]
    assert panel.models[0][1:] == ["a-model", "8,192", "1.00", "2.00", "", ""]
    panel.until(lambda state: "8,192" in state["about"])


def test_money_is_tallied_live(panel: Panel, server: Loopback) -> None:
    """Conversation, notebook and today; a bar for each request; what the next costs at least."""
    panel.kernel.run("%chat models", "c0")
    panel.kernel.run("%%chat\nhi", "c1")
    panel.kernel.run("%%chat --once\nhi", "c2")
    costs = ["$0.0000015", "$0.0000030", "$0.0000030"]
    panel.until(lambda state: [row[1] for row in state["money"]["rows"]] == costs)
    assert len(panel.state["money"]["bars"]) == 2
    assert panel.state["gauge"]["words"] == "context: 15 of 8,192 tokens"
    assert panel.state["next"] == "The next message costs at least $0.0000075."


def test_a_budget_is_set_and_watched(panel: Panel, server: Loopback) -> None:
    """While a reply streams its worst case is held."""
    panel.kernel.run("%chat models", "c0")
    assert panel.set("budget", "0.05")["money"]["budget"]["words"] == "$0 of $0.050 spent"
    assert "amount of USD" in panel.set("budget", "much")["errors"]["budget"]
    hold = Hold()
    server.reply(Reply(chunks=["one", hold]))
    running = panel.kernel.start("%%chat --max-tokens 10000\nhi", "c1")
    panel.until(lambda state: "reserved for replies" in state["money"]["budget"]["words"])
    hold.release()
    panel.kernel.wait(running)
    panel.until(lambda state: "$0.0000015 of $0.050 spent" in state["money"]["budget"]["words"])
    assert panel.set("budget", "")["money"]["budget"]["words"] == "no budget set"


def test_reset_leaves_what_is_no_parameter(panel: Panel) -> None:
    """The parameters go, `stop` with them; model, system prompt and context stay."""
    panel.kernel.run("%chat set context=2")
    panel.set("system", "Be brief.")
    panel.set("stop", "one\ntwo")
    assert panel.control("stop")["value"] != ""
    assert panel.set("stop", None)["errors"] == {}
    panel.set("stop", "one")
    panel.set("all", None, "reset")
    assert panel.control("stop")["state"] == "unset"
    assert panel.state["texts"]["system"] == "Be brief."
    assert "the last 2 are sent" in panel.kernel.run("%chat").text


ODD: list[tuple[str, str, object]] = [
    ("preset", "Nothing", None),
    ("set", "temperature", {"a": [1]}),
    ("set", "stop", {}),
    ("set", "budget", 0),
    ("set", "no_such", "1"),
    ("set", "seed", "9" * 5000),
    ("set", "system", "x" * 1_000_001),
    ("set", "endpoint", [[[[]]]]),
    ("set", "model", True),
    ("set", "x" * 1_000_000, "1"),
    ("set", "temperature", 10**400),
    ("bogus", "seed", "1"),
    ("y" * 1_000_000, "seed", "1"),
]


def test_odd_messages_do_no_harm(panel: Panel) -> None:
    """They are heard, no traceback is printed, nothing of them comes back, the panel works on."""
    for number, (type, name, value) in enumerate(ODD):
        printed = len(panel.kernel.published)
        panel.set(name, value, type)
        panel.set("top_k", str(number))
        assert panel.control("top_k")["value"] == number
        published = panel.kernel.published[printed:]
        assert not {message.type for message in published} & {"error", "stream"}
        sizes = {(m.type, str(m.content)[:3000]): m.size for m in published if m.size > 50_000}
        assert sizes == {}, name[:20]


def test_a_thousand_messages_are_drawn_together(panel: Panel) -> None:
    """The last value holds, and the panel is drawn a few times, whatever a page is called."""
    printed = len(panel.kernel.published)
    for number in range(1000):
        panel.send("set", "top_k", str(number), view=f"v{number}" * 20)
    panel.send("set", "top_k", "7")
    panel.until(lambda state: state["heard"].get("v") == panel.number)
    assert panel.control("top_k")["value"] == 7
    drawn = [m for m in panel.kernel.published[printed:] if "state" in m.content.get("data", {})]
    assert len(drawn) < 500
    assert len(panel.state["heard"]) == 8


def test_warnings_come_before_asking(panel: Panel, server: Loopback) -> None:
    """temperature with top_p, and what this model has refused before."""
    panel.set("temperature", "1")
    assert panel.set("top_p", "0.5")["warnings"] != []
    panel.set("all", None, "reset")
    panel.set("top_k", "5")
    server.reply(Fault(422, {"detail": [{"loc": ["body", "top_k"], "msg": "not supported"}]}))
    panel.kernel.run("%%chat\nhi", "c1")
    panel.until(lambda state: "refused top_k" in "".join(state["warnings"]))


def test_a_policy_locks_and_bounds(panel: Panel, tmp_path: Path) -> None:
    """What is locked says by whom; a bounded slider ends there; a broken policy shows itself."""
    policy = tmp_path / "di_magics.toml"
    policy.write_text("models = ['a-*']\n[parameters]\nseed = 1\ntop_k = {max = 9}\ntop_p = 0.5")
    panel.set("temperature", "1")
    assert panel.control("seed")["state"] == "locked"
    assert "di_magics.toml" in panel.control("seed")["note"]
    assert panel.control("top_k")["high"] == 9
    panel.set("Creative", None, "preset")
    assert panel.control("temperature")["value"] == 1.2
    panel.send("open", "models")
    panel.until(lambda state: panel.models)
    assert [row[0] for row in panel.models] == ["a-model"]
    policy.write_text("models = [")
    panel.send("set", "seed", "2")
    panel.until(lambda state: "cannot be read" in state.get("broken", ""))


def test_the_settings_can_be_pasted(panel: Panel, server: Loopback) -> None:
    """As a `%%chat` cell that sends the same, as curl and as Python, without any key."""
    panel.set("temperature", "0.5")
    panel.set("stop", 'it\'s\n"x"')
    panel.set("system", 'Be "brief".')
    copies = panel.state["copies"]
    assert set(copies) == {"%%chat", "curl", "Python"}
    panel.set("all", None, "reset")
    panel.set("system", None)
    shown = panel.kernel.run(copies["%%chat"], "c1")
    assert shown.status == "ok", shown.text
    sent = server.chats[0].json
    assert sent["temperature"] == 0.5
    assert sent["stop"] == ["it's", '"x"']
    assert sent["messages"][0] == {"role": "system", "content": 'Be "brief".'}
    assert json.dumps(sent["messages"]) in copies["curl"].replace("'\"'\"'", "'")


def test_what_no_line_can_hold_is_named(panel: Panel) -> None:
    """A system prompt of two lines does not go on one."""
    state = panel.set("system", "one\ntwo")
    assert state["left_out"] == ["-s"]
    assert state["copies"]["%%chat"] == "%%chat\nYour prompt"


def test_unloading_takes_the_panel_away(panel: Panel) -> None:
    """Its comm is closed, and no thread of ours goes on."""
    panel.set("temperature", "0.5")
    closed = panel.kernel.run("%unload_ext di_magics", "c1")
    assert closed.of_type("comm_close")
    threads = panel.kernel.run("import threading; print([t.name for t in threading.enumerate()])")
    assert "di_magics" not in threads.text
