"""The tables of the README that are written from the tables in core/settings/."""

from __future__ import annotations

from di_magics.core.settings.params import PARAMS
from di_magics.core.settings.services import PREFILL, SERVICES, Fact


def params_table() -> str:
    """Return the table of parameters."""
    rows = ["| flag | range | not sent | effect |", "|---|---|---|---|"]
    for param in PARAMS.values():
        flags = [param.short] if param.short else []
        flags.append("--" + param.name.replace("_", "-"))
        names = ", ".join(f"`{flag}`" for flag in flags)
        rows.append(f"| {names} | {param.range} | {param.default} | {param.effect} |")
    return "\n".join(rows)


def services_table() -> str:
    """Return the table of endpoints."""
    rows = ["| name | address | key | what is known |", "|---|---|---|---|"]
    for service in SERVICES.values():
        keys = ", ".join(f"`{name}`" for name in service.key_variables)
        known = "; ".join(
            filter(None, (describe_fact(name, fact) for name, fact in service.facts.items()))
        )
        start = f" (`{service.start}`)" if service.start else ""
        address = f"`{service.url}`{start}" if service.url else "a server of our own"
        key = keys or ("not needed" if service.start or not service.url else "")
        rows.append(f"| `{service.name}` | {address} | {key} | {known or '—'} |")
    return "\n".join(rows)


def describe_fact(name: str, fact: Fact) -> str:
    """Return the fact in a few words, "" for a default alone."""
    if name == PREFILL:
        return f"continues a reply (`{fact.field}`)"
    parts = []
    if fact.field:
        parts.append(f"`{name}` is sent as `{fact.field}`")
    if fact.refused or fact.ignored:
        when = f" {fact.when}" if fact.when else ""
        parts.append(f"{'refuses' if fact.refused else 'ignores'} `{name}`{when}")
    if fact.max_count is not None:
        parts.append(f"`{name}` at most {fact.max_count}")
    if fact.choices:
        parts.append(f"`{name}` {', '.join(fact.choices)}")
    if fact.basis != "unknown":
        parts.append(f"log-probabilities {fact.basis}")
    if fact.is_number:
        parts.append(f"`{name}` is sent as a number")
    if fact.length:
        parts.append(f"`{name}` has {fact.length} letters and digits")
    if fact.send_back:
        parts.append(f"`{name}` goes back in later turns, after tool calls")
    return "; ".join(parts)
