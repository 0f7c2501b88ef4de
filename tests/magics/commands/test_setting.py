"""The commands that set the endpoint, the model and the parameters of the next cells."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from IPython.core.interactiveshell import InteractiveShell
from loopback import TEXT, Fault, Loopback, Reply
from shell import Ran, Run

import di_magics as di

Cell = Callable[[str], Ran]


@pytest.fixture
def here(run: Run, server: Loopback, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Runs cells where `ollama` is the loopback server, and the environment names nothing."""
    for name in ("DI_MAGICS_BASE_URL", "DI_MAGICS_MODEL"):
        monkeypatch.delenv(name)
    run(f"%config ChatMagics.endpoints = {{'ollama': '{server.url}'}}")
    server.models = ["nomic-embed-text", "llama3.2:latest", "a-model"]
    return run


def test_a_new_user_gets_an_answer_in_two_lines(here: Run, server: Loopback) -> None:
    """The first model that chats is used, free of charge; no key is sent."""
    ran = here("%%chat --endpoint ollama\nhello")
    assert TEXT in ran.text
    assert "llama3.2:latest" in ran.text
    assert "free" in ran.text
    assert server.chats[0].json["model"] == "llama3.2:latest"
    assert "authorization" not in server.chats[0].headers
    assert server.requests[0].path == "/v1/models"


def test_setting_a_server_of_this_machine_says_which_model_it_uses(here: Run) -> None:
    """And its list is asked for once in a kernel."""
    said = here("%chat endpoint ollama").text
    assert "endpoint='ollama'" in said
    assert "The model is llama3.2:latest" in said
    here("%%chat\nhello")
    here("%chat model a-model")
    here("%chat endpoint local")
    assert "model='a-model'" in here("%chat endpoint ollama").text


def test_an_address_marks_its_own_row_alone(here: Run, server: Loopback) -> None:
    """Several endpoints may be behind one gateway."""
    both = {"one": f"{server.url}/one", "two": f"{server.url}/two"}
    here(f"%config ChatMagics.endpoints = {both}")
    here(f"%chat set model=m endpoint={server.url}/two")
    marked = [line for line in _lines(here("%chat endpoint").text) if line.startswith("→")]
    assert [line.split()[1] for line in marked] == ["two"]


def test_the_only_model_of_an_address_of_this_machine_is_used(here: Run, server: Loopback) -> None:
    """With several the user chooses: what is there may be a gateway that charges."""
    server.models = ["one", "two"]
    assert "No model is set" in here(f"%chat endpoint {server.url}").text
    said = here("%chat endpoint").text
    assert f"Now: {server.url}. Not ready: No model is set" in said
    assert ".." not in said
    assert f"{server.url}. Not ready: No model is set" in here("%chat").text
    server.models = ["only"]
    here("%chat endpoint local")
    assert "The model is only;" in here(f"%chat endpoint {server.origin}/v1/models").text
    here("%%chat\nhello")
    assert server.chats[0].json["model"] == "only"


def test_a_server_without_a_list_needs_a_model(
    here: Run, server: Loopback, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Some servers have only the path for chats."""
    answer = server.answer
    without = Fault(404, {"error": "Not Found"})
    monkeypatch.setattr(server, "answer", lambda r: without if r.method == "GET" else answer(r))
    assert "-m MODEL" in str(here("%%chat --endpoint ollama\nhello").error)
    assert TEXT in here("%%chat --endpoint ollama -m mine\nhello").text


def test_a_model_of_another_endpoint_is_not_asked_of_this_one(here: Run, server: Loopback) -> None:
    """An endpoint with a name begins with its own model."""
    here("%chat model some/model")
    here("%%chat --endpoint ollama\nhello")
    assert server.chats[0].json["model"] == "llama3.2:latest"


def test_a_dead_server_says_what_to_start(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """In one line, when it is set and when it is asked."""
    monkeypatch.setattr("di_magics.core.request.retry.FIRST_PAUSE", 0.001)
    with Loopback() as gone:
        url = gone.url
    run(f"%config ChatMagics.endpoints = {{'ollama': '{url}'}}")
    said = run("%chat endpoint ollama").text
    assert "Not ready: No connection to ollama" in said
    assert "Start the server in a terminal: ollama serve" in said
    for cell in ("%%chat\nhello", "%%chat -m m\nhello"):
        error = run(cell).error
        assert isinstance(error, di.Unreachable)
        assert "ollama serve" in str(error)


def test_a_server_without_a_model_says_how_to_fetch_one(here: Run, server: Loopback) -> None:
    """Before anything is asked."""
    server.models = []
    error = here("%%chat --endpoint ollama\nhello").error
    assert isinstance(error, di.ParamError)
    assert "ollama pull" in str(error)
    assert server.chats == []


def test_a_dry_run_shows_the_model_that_would_be_asked(here: Run, server: Loopback) -> None:
    """Only the list is asked for."""
    assert '"model": "llama3.2:latest"' in here("%%chat --dry-run --endpoint ollama\nhello").text
    assert server.chats == []


def test_endpoints_are_listed_with_what_is_known(
    here: Run, server: Loopback, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the key is from, which server listens, and which one is in use."""
    monkeypatch.setenv("GROQ_API_KEY", "gsk-secret-groq-key")
    here("%chat endpoint ollama")
    lines = {
        line.split()[0 if line[0] != "→" else 1]: line
        for line in _lines(here("%chat endpoint").text)
    }
    assert lines["ollama"].startswith("→")
    assert "listens" in lines["ollama"]
    assert server.url in lines["ollama"]
    assert "GROQ_API_KEY" in lines["groq"]
    assert "%chat key openai" in lines["openai"]
    assert "gsk-secret" not in "".join(lines.values())
    assert "Now: ollama." in lines["Now:"]
    assert server.chats == []


def _lines(text: str) -> list[str]:
    return [line.strip() for line in text.splitlines() if line.strip()]


@pytest.mark.parametrize(
    ("typed", "says"),
    [
        ("olama", "Did you mean ollama"),
        ("gorq", "Did you mean groq"),
        ("ftp://host", "is not the address"),
        ("https://host/v1?key=1", "Leave it out"),
    ],
)
def test_a_mistake_sets_nothing(run: Run, typed: str, says: str) -> None:
    """It is one line, with the nearest names."""
    error = run(f"%chat endpoint {typed}").error
    assert isinstance(error, di.ParamError)
    assert says in str(error)
    assert "127.0.0.1" in run("%chat").text


def test_a_corrected_address_is_said_and_kept(run: Run, server: Loopback) -> None:
    """In the settings, too."""
    said = run(f"%chat endpoint '{server.url}/chat/completions'").text
    assert f"Corrected: the address is {server.url}." in said
    assert f"endpoint='{server.url}'" in said
    assert TEXT in run("%%chat\nhi").text


def test_refused_key_error_names_its_variable(
    here: Run, server: Loopback, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the variable that holds it; DeepInfra is not named."""
    monkeypatch.setenv("SCHOOL_KEY", "a-wrong-school-key")
    entry = {"url": server.url, "key_variable": "SCHOOL_KEY", "model": "m", "title": "our school"}
    here(f"%config ChatMagics.endpoints = {{'school': {entry}}}")
    server.reply(Fault(401, {"error": "bad key"}))
    error = here("%%chat --endpoint school\nhi").error
    assert isinstance(error, di.Refused)
    assert (
        "Set the key of our school with %chat key school, or in the environment as SCHOOL_KEY."
        in str(error)
    )
    assert "deepinfra" not in str(error).lower()
    assert server.chats[0].headers["authorization"] == "Bearer a-wrong-school-key"


def test_endpoints_come_from_a_file_as_well(
    run: Run, server: Loopback, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Tab offers them; the configuration comes first."""
    path = tmp_path / "endpoints.toml"
    path.write_text(f'[school]\nurl = "{server.url}"\nmodel = "class/model"\n')
    monkeypatch.setenv("DI_MAGICS_ENDPOINTS", str(path))
    server.reply(Reply("one"), Reply("two"))
    assert "one" in run("%%chat --endpoint school\nhi").text
    assert server.chats[0].json["model"] == "class/model"
    run(f"%config ChatMagics.endpoints = {{'school': {{'url': '{server.url}', 'model': 'mine'}}}}")
    run("%%chat --endpoint school\nhi")
    assert server.chats[1].json["model"] == "mine"


def test_a_wrong_configuration_keeps_the_old_one(
    run: Run, server: Loopback, caplog: pytest.LogCaptureFixture
) -> None:
    """With the message of the table, which IPython logs."""
    run(f"%config ChatMagics.endpoints = {{'school': '{server.url}'}}")
    run("%config ChatMagics.endpoints = {'openai': 'https://host/v1'}")
    assert "has the name of a built-in one" in caplog.text
    assert "school" in run("%chat endpoint").text


def test_the_configuration_is_read_when_the_extension_is_loaded(server: Loopback) -> None:
    """As from ipython_config.py."""
    InteractiveShell.clear_instance()
    shell = InteractiveShell.instance()
    try:
        shell.config.ChatMagics.endpoints = {"school": {"url": server.url, "model": "m"}}
        shell.config.ChatMagics.endpoint = "school"
        shell.run_line_magic("load_ext", "di_magics")
        assert di.ask("hi").text == TEXT
        shell.run_line_magic("unload_ext", "di_magics")
    finally:
        InteractiveShell.clear_instance()


# Keys ---------------------------------------------------------------------------------------------

KEY = "sk-typed-secret-99"


@pytest.fixture
def typing(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The questions that were asked; the answer is KEY."""
    asked: list[str] = []

    def getpass(question: str) -> str:
        asked.append(question)
        return f" {KEY} "

    monkeypatch.setattr("getpass.getpass", getpass)
    return asked


def test_a_typed_key_is_for_the_endpoint_in_use(
    run: Run, server: Loopback, typing: list[str]
) -> None:
    """The question says whose it is and where it goes; it is printed nowhere."""
    ran = run("%chat key")
    assert typing == [f"Key of {server.url[7:-3]} ({server.origin}): "]
    assert "is set for this kernel." in ran.text
    run("%%chat\nhi")
    assert server.chats[0].headers["authorization"] == f"Bearer {KEY}"
    with Loopback() as other:
        run(f"%%chat --endpoint {other.url}\nhi")
        assert "authorization" not in other.chats[0].headers
    assert KEY not in ran.text + run("%chat endpoint").text + run("%chat").text


def test_a_key_may_be_typed_for_an_endpoint_by_its_name(
    run: Run, server: Loopback, typing: list[str]
) -> None:
    """The endpoint in use stays, and does not get it."""
    run("%chat key groq")
    assert typing == ["Key of Groq (https://api.groq.com): "]
    (row,) = (line for line in run("%chat endpoint").text.splitlines() if " groq " in line)
    assert "typed in" in row
    run("%%chat\nhi")
    assert "authorization" not in server.chats[0].headers


def test_without_an_endpoint_it_is_deepinfras_key(here: Run, typing: list[str]) -> None:
    """As before there were others."""
    here("%chat key")
    assert typing == ["Key of DeepInfra (https://deepinfra.com): "]
    assert "Now: deepinfra." in here("%chat endpoint").text


def test_a_key_is_forgotten(
    run: Run, server: Loopback, typing: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the environment has is still there, and is named."""
    run("%chat key")
    assert "is forgotten (typed in)" in run("%chat key --forget").text
    run("%%chat\nhi")
    assert "authorization" not in server.chats[0].headers
    monkeypatch.setenv("DI_MAGICS_API_KEY", "another-key-of-env")
    said = run("%chat key --forget").text
    assert "none was set here" in said
    assert "The variable DI_MAGICS_API_KEY still has one." in said


def test_where_nothing_can_be_kept_the_key_still_holds(
    run: Run, server: Loopback, typing: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """One line says why it is not kept."""
    monkeypatch.setitem(sys.modules, "keyring", None)
    said = run("%chat key --keep").text
    assert "Not kept: Keeping a key needs the extra [keyring]." in said
    assert "is set for this kernel." in said
    run("%%chat\nhi")
    assert server.chats[0].headers["authorization"] == f"Bearer {KEY}"


@pytest.mark.parametrize(
    ("cell", "says"),
    [
        ("%chat key sk-123456", "revoke it"),
        ("%chat key groq sk-123456", "revoke it"),
        ("%chat key --keep sk-123456", "revoke it"),
        ("%chat key local", "needs no key"),
        ("%chat key gorq", "Did you mean groq"),
        ("%chat key http://host.example/v1", "not encrypted"),
    ],
)
def test_a_mistake_with_a_key_is_one_line(
    run: Run, typing: list[str], cell: str, says: str
) -> None:
    """Nobody is asked for a key, and one on the line is not repeated."""
    error = run(cell).error
    assert typing == []
    assert isinstance(error, di.ParamError)
    assert says in str(error)
    assert "sk-" not in str(error)


def test_a_policys_key_is_not_replaced(
    run: Run, typing: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, server: Loopback
) -> None:
    """The class has one."""
    policy = tmp_path / "class.toml"
    policy.write_text(f"endpoint = '{server.url}'\nkey_variable = 'CLASS_KEY'")
    monkeypatch.setenv("CLASS_KEY", "the-key-of-the-class")
    monkeypatch.setenv("DI_MAGICS_POLICY", str(policy))
    run("%reload_ext di_magics")
    assert isinstance(run("%chat key").error, di.PolicyError)
    assert typing == []


# What is known of the endpoint --------------------------------------------------------------------


def like(run: Run, server: Loopback, name: str) -> None:
    """Let the server be one that is known to behave as this one, and use it."""
    entry = {"url": server.url, "like": name, "model": "m"}
    run(f"%config ChatMagics.endpoints = {{'it': {entry}}}")
    run("%chat endpoint it")


def test_a_request_has_the_names_of_its_endpoint(run: Run, server: Loopback) -> None:
    """What was sent is on the receipt, and can be shown later."""
    like(run, server, "openai")
    ran = run("%%chat --max-tokens 9 --seed 1\nhi")
    sent = server.chats[0].json
    assert sent["max_completion_tokens"] == 9
    assert "max_tokens" not in sent
    assert "max_completion_tokens=9" in ran.text
    assert '"max_completion_tokens": 9' in run("%chat show --request").text
    like(run, server, "mistral")
    run("%%chat --max-tokens 9 --seed 1\nhi")
    sent = server.chats[1].json
    assert (sent["max_tokens"], sent["random_seed"]) == (9, 1)
    assert "stream_options" not in sent


def test_what_is_known_to_be_refused_is_not_sent(run: Run, server: Loopback) -> None:
    """Unless as an extra, which is sent as it is."""
    like(run, server, "groq")
    error = run("%%chat --logprobs\nhi").error
    assert isinstance(error, di.ParamError)
    assert server.chats == []
    run("%%chat --extra logprobs=true\nhi")
    assert server.chats[0].json["logprobs"] is True


def test_what_has_no_effect_is_said(run: Run, server: Loopback) -> None:
    """When it is set, on the receipt and in the help; it is sent all the same."""
    like(run, server, "ollama")
    assert "ignores top_k" in run("%%chat --top-k 3\nhi").text
    assert "ignores top_k." in run("%chat set top_k=5").text
    assert "ignores top_k." in run("%chat help top_k").text
    run("%%chat\nhi")
    assert [chat.json["top_k"] for chat in server.chats] == [3, 5]


def test_an_image_above_is_named_where_the_model_reads_none(run: Run, server: Loopback) -> None:
    """With the flag that leaves its turn out; an image of the prompt itself is seen anyway."""
    run("image = b'\\x89PNG\\r\\n\\x1a\\n'")
    run("%%chat\nhi")
    run("%%chat -a image\nwhat is it?")
    refusal = Fault(500, {"error": {"message": "image input is not supported"}})
    server.reply(refusal, refusal)
    error = str(run("%%chat\nand now?").error)
    assert "cannot read images: choose one that can with -m." in error
    assert error.endswith(
        "Turn 2 has an image. Leave out turns 1 to 2: --last 0, or from now on %chat set context=0."
    )
    assert "has an image" not in str(run("%%chat --once -a image\nwhat?").error)


@pytest.mark.parametrize(
    ("name", "default"),
    [
        ("llamacpp", "the default of it is then 0.8"),
        ("deepinfra", "the default of it is then 1."),
        ("groq", "the server decides then"),
    ],
)
def test_the_help_names_the_default_of_the_endpoint_in_use(
    run: Run, server: Loopback, name: str, default: str
) -> None:
    """As the table of parameters and the panel do."""
    like(run, server, name)
    assert default in run("%chat help temperature").text
    (row,) = (line for line in run("%chat params").text.splitlines() if "temperature" in line[:20])
    value = default.rpartition(" ")[2].rstrip(".") if "then " in default else "server's choice"
    assert value in row


def test_a_server_that_refuses_stream_options_is_asked_without(run: Run, server: Loopback) -> None:
    """Once: later requests leave it out, and what is shown is what was sent."""
    refusal = {"detail": [{"loc": ["body", "stream_options"], "msg": "Extra inputs"}]}
    server.reply(Fault(422, refusal), Reply("one"), Reply("two"))
    assert "one" in run("%%chat -o reply\nhi").text
    assert "two" in run("%%chat\nhi").text
    assert ["stream_options" in request.json for request in server.chats] == [True, False, False]
    assert run("print('stream_options' in reply.request)").text.strip() == "False"
    assert "stream_options" not in run("%chat show --request").text


def test_another_refusal_is_not_tried_again(run: Run, server: Loopback) -> None:
    """Nor the same one twice."""
    named = {"error": "stream_options: extra inputs"}
    server.reply(Fault(400, {"error": "no"}), Fault(400, named), Fault(400, named))
    for _ in range(2):
        assert isinstance(run("%%chat\nhi").error, di.BadRequest)
    assert len(server.chats) == 3


@pytest.mark.local
def test_llamacpp_is_llama_cpps_own_server(
    run: Run, shell: InteractiveShell, model_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A real one: first model, its names and defaults, raw log-probabilities, a continued reply."""
    monkeypatch.setenv("DI_MAGICS_HOME", str(model_home))
    for name in ("DI_MAGICS_BASE_URL", "DI_MAGICS_MODEL"):
        monkeypatch.delenv(name)
    run("%reload_ext di_magics")
    run("%%chat --endpoint local --max-tokens 1\nhi")  # starts the server
    session = shell.magics_manager.registry["ChatMagics"].session
    (own,) = session.routing._servers.values()
    monkeypatch.setenv("OWN_KEY", own.key)
    entry = {"url": own.url, "key_variable": "OWN_KEY"}
    run(f"%config ChatMagics.endpoints = {{'llamacpp': {entry}}}")
    assert "The model is SmolLM2-135M-Instruct" in run("%chat endpoint llamacpp").text
    flags = "-t 0 --max-tokens 3 --repetition-penalty 1.1 --logprobs 2 --top-k 40"
    ran = run(f"%%chat {flags}\nCount from one to ten in words.")
    for fact in ("free", "repeat_penalty=1.1", "2 log-probabilities a token, raw ·", "max_tokens"):
        assert fact in ran.text
    begun = shell.user_ns["_reply"].text
    assert "continued from the text (last message)" in run("%chat continue").text
    assert shell.user_ns["_reply"].text.startswith(begun)
    assert len(shell.user_ns["_reply"].text) > len(begun)
    assert "the default of llama.cpp is then 0.8" in run("%chat help temperature").text


def test_an_alias_is_used_like_a_models_own_name(run: Run, server: Loopback) -> None:
    """In a flag, a setting and from Python; the receipt and the record have the real name."""
    assert "No alias" in run("%chat alias").text
    assert "maker/big-model" in run("%chat alias fast maker/big-model").text
    receipt = run("%%chat -m fast\nhi").text
    assert "maker/big-model" in receipt
    run("%chat set model=fast")
    run("%%chat\nhi")
    assert "maker/big-model" in run("%chat").text
    di.ask("hi", model="fast")
    assert [chat.json["model"] for chat in server.chats] == ["maker/big-model"] * 3
    assert "No alias" in run("%chat alias fast --remove").text
    run("%%chat\nhi")
    assert server.chats[-1].json["model"] == "fast"
    assert isinstance(run("%chat alias fast").error, di.ParamError)
    assert isinstance(run("%chat alias gone --remove").error, di.ParamError)


def test_a_policy_checks_the_model_behind_an_alias(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So a short name is no way around it."""
    rules = tmp_path / "rules.toml"
    rules.write_text('models = ["a-model", "fast"]\n')
    monkeypatch.setenv("DI_MAGICS_POLICY", str(rules))
    run("%unload_ext di_magics\n%load_ext di_magics\n%chat alias fast maker/big-model")
    assert isinstance(run("%%chat -m fast\nhi").error, di.PolicyError)
