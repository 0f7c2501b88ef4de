"""What looks like a key or a password: by its form, by its name, or by the name of its file.

A false alarm is worse in some places than in others, so there are several checks:

* A text by its form: `find_key` knows only the forms of well-known keys; it checks prompts.
  `find_credential` also knows passwords in URLs and connection strings; it checks files. `redact`
  also knows prefixes such as `sk-` before a long text, and hides what it finds.
* A variable by its name and its value: `looks_secret` for one of Python, `is_secret_variable` for
  one of the environment, where more names count (`names_secret`).
* A field by its name and its value, which most callers use: `is_secret_column`. `find_assignment`,
  `find_line`, `find_env` and `find_property` look for such fields in a text.
* A file by its name: `is_secret_file`.

Each pattern that searches a text starts at a fixed text, or at the beginning of a word or a line,
and each of its repetitions is bounded, or is the last part of the pattern. So the time is linear in
the text.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

# The owner, the prefix and the form of well-known keys. Sources: the providers' documentation and
# the table of GitHub's secret scanning (https://docs.github.com/code-security/secret-scanning).
_FORMS = (
    ("Anthropic", "sk-ant-", r"sk-ant-[\w-]{20,200}"),
    ("OpenAI", "sk-", r"sk-(?:proj|svcacct|admin)-[\w-]{20,200}"),
    ("OpenRouter", "sk-or-", r"sk-or-v\d-[0-9a-f]{32,64}"),
    ("OpenAI or DeepSeek", "sk-", r"sk-(?=[A-Za-z]{0,64}\d)[A-Za-z0-9]{32,200}"),
    ("GitHub", "gh…_", r"gh[oprsu]_[A-Za-z0-9]{20,255}"),
    ("GitHub", "github_pat_", r"github_pat_\w{20,255}"),
    ("GitLab", "gl…-", r"gl(?:pat|dt|rt|ptt|cbt|oas|soat|ft|imt|agent)-[\w.-]{16,200}"),
    ("Slack", "xox…-", r"xox[abceoprs]-[\w-]{10,250}"),
    ("Slack", "xapp-", r"xapp-\d-[\w-]{10,250}"),
    ("Slack", "hooks.slack.com", r"hooks\.slack\.com/services/T\w{6,20}/B\w{6,20}/\w{16,40}"),
    ("AWS", "AKIA", r"A(?:KIA|SIA)[A-Z0-9]{16}\b"),
    ("Google", "AIza", r"AIza[\w-]{30,100}"),
    ("Google", "GOCSPX-", r"GOCSPX-[\w-]{20,60}"),
    ("Google", "ya29.", r"ya29\.[\w-]{20,500}"),
    ("Stripe", "sk_live_", r"[sr]k_(?:live|test)_[A-Za-z0-9]{16,250}"),
    ("Stripe", "whsec_", r"whsec_[A-Za-z0-9+/]{24,100}"),
    ("Hugging Face", "hf_", r"hf_[A-Za-z0-9]{20,100}"),
    ("Groq", "gsk_", r"gsk_[A-Za-z0-9]{20,100}"),
    ("xAI", "xai-", r"xai-[A-Za-z0-9]{40,120}"),
    ("Perplexity", "pplx-", r"pplx-[A-Za-z0-9]{32,64}"),
    ("Replicate", "r8_", r"r8_[A-Za-z0-9]{30,50}"),
    ("Databricks", "dapi", r"dapi[0-9a-f]{32}\b"),
    ("npm", "npm_", r"npm_[A-Za-z0-9]{30,50}"),
    ("PyPI", "pypi-", r"pypi-AgE[\w-]{40,400}"),
    ("RubyGems", "rubygems_", r"rubygems_[0-9a-f]{48}"),
    ("Docker", "dckr_pat_", r"dckr_pat_[\w-]{20,60}"),
    ("Telegram", "…:AA", r"\d{8,10}:AA[\w-]{32,36}"),
    ("Discord", "a bot's token", r"[MNO][\w-]{23,27}\.[\w-]{6}\.[\w-]{27,45}"),
    ("Twilio", "SK", r"SK[0-9a-f]{32}\b"),
    ("SendGrid", "SG.", r"SG\.[\w-]{16,32}\.[\w-]{32,64}"),
    ("Mailgun", "key-", r"key-[0-9a-f]{32}\b"),
    ("Mailchimp", "…-us", r"[0-9a-f]{32}-us\d{1,2}\b"),
    ("DigitalOcean", "do…_v1_", r"do[opr]_v1_[0-9a-f]{64}"),
    ("HashiCorp Vault", "hvs.", r"hv[bs]\.[\w-]{24,300}"),
    ("Shopify", "shp…_", r"shp(?:at|ca|pa|ss)_[0-9a-fA-F]{32}"),
    ("Square", "sq0…-", r"sq0(?:atp|csp)-[\w-]{22,60}"),
    ("Notion", "ntn_", r"ntn_[A-Za-z0-9]{40,60}"),
    ("Linear", "lin_api_", r"lin_api_[A-Za-z0-9]{32,64}"),
    ("Grafana", "gl…_", r"gl(?:sa|c)_[A-Za-z0-9+/=_]{32,300}"),
    ("New Relic", "NRAK-", r"NRAK-[A-Z0-9]{27}\b"),
    ("Atlassian", "ATATT3", r"ATATT3[\w=-]{60,300}"),
    ("age", "AGE-SECRET-KEY-", r"AGE-SECRET-KEY-1[0-9A-Z]{58}"),
    ("Azure", "AccountKey=", r"AccountKey=[A-Za-z0-9+/]{60,100}={0,2}"),
    ("", "a JSON Web Token", r"eyJ[\w-]{8,500}\.eyJ[\w-]{8,4000}(?:\.[\w-]{0,1000})?"),
)
_PEM = (
    r"-----BEGIN [A-Z ]{0,40}PRIVATE KEY(?: BLOCK)?-----"
    r"(?:(?!-----)[\s\S]){0,20000}(?:-----END [A-Z ]{0,40}PRIVATE KEY(?: BLOCK)?-----)?"
)
# user:password@ in a URL, except placeholders as in a manual; Password=… in a connection string.
_URL = (
    r"(?<!\w)\w{1,20}://[^\s/:@?#\[\]]{0,100}:"
    r"(?!(?:pass|password|passwd|pwd|pw|secret|x{1,20}|\*{1,20}|\.{3})@|[<${%])"
    r"[^\s/@?#\[\]]{1,200}@"
)
_CONNECTION = (
    r"(?i:\b(?:server|host|data source)[ \t]{0,5}=[^;\n]{1,200};[^\n]{0,300}?"
    r"\b(?:password|pwd)[ \t]{0,5}=[^;\s]{1,200})"
)
_GENERIC = r"(?<!\w)(?:sk|pk|rk)[-_](?:(?=[\w-]{0,200}\d)[\w-]{16,}|[\w-]{32,})"

# A key may follow `_`, a letter of a script without spaces, or an escaped line break; a long prefix
# with hyphens is one wherever it stands.
_KEY = re.compile(
    r"(?:(?<![A-Za-z0-9])|(?<=\\[nrt])|(?=sk-(?:ant|proj|svcacct|admin|or-v1)-|github_pat_|glpat-))(?:"
    + "|".join(f"(?P<f{n}>{form})" for n, (*_, form) in enumerate(_FORMS))
    + ")"
    rf"|(?P<pem>{_PEM})"
)
_CREDENTIAL = re.compile(f"{_KEY.pattern}|{_URL}|{_CONNECTION}")
_ANY = re.compile(f"{_CREDENTIAL.pattern}|{_GENERIC}")

# Names -------------------------------------------------------------------------------------
#
# A name is compared in small letters, with `_` where dbPassword has its second word.
#   _PASSWORD      the name alone decides, everywhere
#   _ENVIRONMENT   decides for environment variables only; a column called `pass` or `key` is
#                  usually harmless
#   _PERHAPS       decides only if the value looks random
_ACCOUNT = (
    r"(?:db|database|auth|user|usr|login|admin|root|ssh|s?ftp|smtp|imap|e?mail|my(?:sql)?|pg|postgres"
    r"|redis|mongo|ldap|proxy|wifi|vpn|account|service|svc|sudo|http|basic|registry|docker|git)"
)
_PASSWORD = re.compile(
    r"passw(?:d|or[dt])|pass_?(?:phrase|code|key)|(?<![a-z])pass_?word|kennwort|wachtwoord|senha"
    rf"|contrase[nñ]a|mot_de_passe|passwörter|{_ACCOUNT}_?(?:pass|pw)(?![a-z])"
    r"|(?<![a-z])pw(?![a-z])|(?<![a-z])pwd|pwd(?![a-z])|secret(?!ar|ion|or)|credential"
    r"|(?<![a-z])creds?(?![a-z])|apikey"
)
_ENVIRONMENT = re.compile(
    r"(?<!com)(?<!by)(?<!tres)(?<!sur)(?<!ask)(?<!ask_)pass(?!eng|age|iv|ed|es|ing|port|_?through)"
    r"|token(?!iz)|auth(?!or(?!iza))|bearer|jwt|cookie|private|webhook|(?<![a-z])salt(?![a-z])"
    r"|(?<![a-z])(?:psk|pat|pin|sas|t?otp|hmac)(?![a-z])|pw(?![a-z])|conn(?:ection)?_?str|_headers"
    r"|(?<!mon)(?<!tur)(?<!hoc)(?<!joc)(?<!whis)(?<!don)(?<!pub_)(?<!public)(?<!public_)"
    r"key(?!board|map|ring|code|word|note|pad|stroke|frame|cloak|stone|server|log|store)"
)
_PERHAPS = re.compile(
    r"(?<![a-z])(?:key|token|auth|bearer|pat|pin)s?(?![a-z])"
    r"|(?:api|access|auth|client|private|bot)(?:key|token)"
)
# A column `key` or `token` of a table is usually a sort key or a word, so it needs one of these.
_QUALIFIERS = re.compile(
    r"(?<![a-z])(?:api|access|auth|bearer|client|private|refresh|session|sas|bot|signing"
    r"|encryption)_?(?:key|token)"
)
# A name with one of these endings describes a secret (its file, length, expiry), and does not hold
# it.
_ABOUT = re.compile(
    r"(?:file|path|dir|folder|sock|socket|home|url|uri|host|hostname|port|server|endpoint|domain"
    r"|realm|method|type|mode|provider|backend|alg|algorithm|length|len|size|count|limit|min|max"
    r"|timeout|ttl|age|expiry|expires|expiration|lifetime|policy|strength|hint|required|enabled"
    r"|disabled|names?|user|username|email|field|column|prefix|suffix|format|version|repeat|delay"
    r"|rate|issuer|audience|scopes?|region|parallelism|reset|changed|updated|at|date|rules?)"
)
_WEAK_ABOUT = re.compile(r"(?:id|ids|no|number|index|style|map|header|by|order|space|cache)")
_LAST_WORD = re.compile(r"[a-z]+(?=[^a-z]*$)")
_CAMEL = re.compile(r"(?<=[a-z])(?=[A-Z])")

_NUMBER = re.compile(r"[-+]?\d{0,400}\.?\d{1,400}")
_PATH = re.compile(
    r"(?:~|\.{1,2}|[A-Za-z]:)?[/\\][^/\\=;:,\n]{1,255}(?:[/\\][^/\\=;:,\n]{1,255}){1,64}"
)
_SWITCHES = {"true", "false", "none", "null", "auto", "default", "disabled", "enabled", "nan"}
_SWITCHES |= {"0", "1", "on", "off", "yes", "no", "n/a", "na", "<na>", "nat"}
# A count, a mask, and what stands for a value: ${NAME}, $NAME, <yours>, {{ name }}, %(name)s.
_NOT_FILLED = re.compile(
    r"\d{0,3}|\d{0,30}\.\d{1,30}(?:e-?\d{1,3})?|\W*|(?i:x{3,}|\W*(?:redacted|hidden|masked|omitted"
    r"|removed|secret|password|your[\w -]{0,40})\W*)|\$\{[^{}]{0,200}\}|\$\([^()]{0,200}\)"
    r"|\$[A-Z_][A-Z0-9_]{0,99}|<[^<>]{0,200}>|\{{1,2}[^{}]{0,200}\}{1,2}|%\(\w{1,99}\)s|%\w{1,99}%"
    r"|(?:!|ENC\[|vault:|op://|secret://|env[.:(\[]|env\b|os\.(?:environ|getenv)|process\.env)"
    r"[^\n]{0,400}"
)
_RANDOM = re.compile(r"(?=\D*\d)(?=[^A-Za-z]*[A-Za-z])[\w+/=-]{16,500}")
_WORDY = re.compile(r"[a-z]+(?:[_/-][a-z]+)*(?:[_/-]?\d{1,4})?")

_FILES = re.compile(
    r"\.env(?:\..+)?|.+\.env|id_(?:rsa|dsa|ecdsa|ed25519)(?:_sk)?|.*\.(?:key|ppk|p12|pfx|jks|kdbx)"
    r"|[._]netrc|\.pgpass|\.pypirc|\.npmrc|\.htpasswd|\.git-credentials|\.my\.cnf|\.dockercfg"
    r"|\.?(?:secrets?|passwords?|passwd|shadow|credentials?)(?:\.\w+)?|kubeconfig(?:\.\w+)?"
)
_SAMPLES = re.compile(r".*[._-](?:example|sample|template|dist)")
# name: value, name = value, "name": value, <name>value</name>
_ASSIGNMENT = re.compile(
    r"(?m)(?:^|[{,;(\[\s])[ \t]{0,40}(?:- {1,9}){0,9}"
    r"([\"']?)([A-Za-z_][\w.-]{0,60})\1[ \t]{0,20}(=>|[:=](?![:=~>]))"
)
_LINE = re.compile(
    r"(?m)^[ \t]{0,40}(?:export |(?i:env |arg |setx? )|[-*] )?([A-Za-z_][\w -]{0,60}?)"
    r"[ \t]{0,20}[:=][ \t]{0,20}(\S{1,400})[ \t]{0,40}$"
)
# As in a Dockerfile, where one line may also set several.
_ENV = re.compile(r"(?mi)^[ \t]{0,40}(?:env|arg|setx)[ \t]{1,9}([^\n]{1,400})$")
_BY_BLANK = re.compile(r"([A-Za-z_][\w.-]{0,60})[ \t]{1,9}(\S{1,400})\s*")
_BY_SIGN = re.compile(r"(?<!\S)([A-Za-z_]\w{0,60})=[\"']?([^\s\"']{1,400})")
_PROPERTY = re.compile(
    r"(?m)^[ \t]{0,40}([A-Za-z_][\w.-]{0,60})[ \t]{0,9}(?:[ \t]|[:=][ \t]{0,9})(\S[^\n]{0,400})$"
)
_CONTINUED = re.compile(r"\\\r?\n[ \t]{0,40}")
_ELEMENT = re.compile(
    r"<([\w.:-]{1,60})(?:\s[^<>]{0,200})?>\s{0,99}(?:<!\[CDATA\[)?([^<>]{1,200}?)(?:\]\]>)?\s{0,99}</"
)
# What has its name beside it: name: X, value: Y; name="X" value="Y"; <entry key="X">Y;
# ? X, : Y; <key>X</key><string>Y; <X value="Y".
_PAIRS = (
    re.compile(
        r"(?<![\w.-])(?:name|key|id)[\"']?[ \t]{0,9}[:=][ \t]{0,9}[\"']?([A-Za-z_][\w.-]{0,60})"
        r"[\"']?[\s,]{1,99}[\"']?(?:value|text|default)[\"']?[ \t]{0,9}[:=][ \t]{0,9}[\"']?"
        r"([^\s\"'<>]{1,400})"
    ),
    re.compile(
        r"<\w[\w.:-]{0,60}\s[^<>]{0,200}?(?<![\w.-])(?:name|key|id)=[\"']([\w.-]{1,60})[\"'][^<>]{0,200}>"
        r"\s{0,99}(?:<value>|<!\[CDATA\[)?\s{0,99}([^<>\s]{1,400})"
    ),
    re.compile(
        r"(?m)^[ \t-]{0,40}\? [\"']?([A-Za-z_][\w.-]{0,60})[\"']?[ \t]{0,9}\n"
        r"[ \t]{0,40}: [ \t]{0,9}[\"']?([^\s\"']{1,400})"
    ),
    re.compile(r"<key>([\w.-]{1,60})</key>\s{0,99}<string>([^<>]{1,400})<"),
    re.compile(r"<([\w.:-]{1,60})\s[^<>]{0,200}?(?<![\w.-])value=[\"']([^\"'<>]{1,400})[\"']"),
)
# pass: X within auth: {…}, or in lines below auth: that are indented further.
_HOLDER = rf"(?i)(?<![a-z])({_ACCOUNT}|credentials?)[\"']?[ \t]{{0,9}}"
_PASS = r"[\"']?(?:pass|pw)[\"']?[ \t]{0,9}:[ \t]{0,9}"
_BELOW = (
    re.compile(
        rf"{_HOLDER}[:=][ \t]{{0,9}}\{{(?:[^{{}}]{{0,300}}?[\s,])?{_PASS}"
        r"[\"'`]([^\"'`\n]{1,400})"
    ),
    re.compile(
        rf"(?m){_HOLDER}:[ \t]{{0,9}}\n([ \t]{{1,40}})(?:[^\n]{{0,200}}\n\2){{0,20}}?{_PASS}"
        r"[\"']?([^\s\"']{1,400})"
    ),
)
_AUTHORIZATION = re.compile(r"(?i:bearer|basic|token)\s{1,9}[^\s<>{}$]{8,2000}")
_ALIAS = re.compile(r"(?:(?:&|!!)\w{1,60}[ \t]{1,9}){1,3}")  # of YAML; !vault names a place
_QUOTED = re.compile(
    r"(\"\"\"|'''|[\"'`])((?:\\.|(?!\1)[^\\]){0,400})(?:\1(?P<key>\s{0,40}:(?!:))?)?", re.DOTALL
)
MAX_VALUE_CHARS = 500


def find_key(text: str) -> str | None:
    """Return the prefix of the first well-known key in a text, or None."""
    match = _KEY.search(text)
    if match is None:
        return None
    if match.lastgroup == "pem":
        return "BEGIN PRIVATE KEY"
    owner, prefix, _ = _FORMS[int(str(match.lastgroup)[1:])]
    return f"{owner}, {prefix}…" if owner else prefix


def find_credential(text: str) -> bool:
    """Return whether a text holds a well-known key, or a password in a URL."""
    return bool(_CREDENTIAL.search(text))


def looks_secret(name: str, text: str) -> bool:
    """Return whether a variable looks like a key or a password, by its name or by its text."""
    plain, bare = _plain(name), text.strip()
    if _PASSWORD.search(plain) and not _is_about(plain, _ABOUT) and bare:
        return True
    return bool((_PERHAPS.search(plain) and looks_random(bare)) or _ANY.search(text))


def is_secret_variable(name: str, value: str) -> bool:
    """Return whether a variable of the environment holds a secret, by its name or its value."""
    plain, bare = _plain(name), value.strip()
    if not bare or is_switch(bare):
        return False
    if _ANY.search(value):
        return True
    if _PASSWORD.search(plain) and not _is_about(plain, _ABOUT):
        may_be_place = not re.search("pass|pw", plain)
        return plain not in ("pwd", "oldpwd") and not (may_be_place and is_place(bare))
    may_be_number = not re.search("pass|pw|pin", plain)
    is_plain = is_place(bare) or (may_be_number and _NUMBER.fullmatch(bare))
    return names_secret(name) and not is_plain


def names_secret(name: str) -> bool:
    """Return whether a variable of the environment may hold a secret, by its name alone."""
    plain = _plain(name)
    if _PASSWORD.search(plain) and not _is_about(plain, _ABOUT):
        return True
    if "webhook" in plain:
        return True
    return bool(_ENVIRONMENT.search(plain)) and not (
        _is_about(plain, _ABOUT) or _is_about(plain, _WEAK_ABOUT)
    )


def is_secret_column(name: str, values: Iterable[str]) -> bool:
    """Return whether a column or a member of this name holds passwords or keys."""
    plain = _plain(name)
    if _PASSWORD.search(plain) and not _is_about(plain, _ABOUT):
        return any(_is_filled(value.strip()) for value in values)
    if _QUALIFIERS.search(plain):
        return any(looks_random(value.strip()) for value in values)
    if plain.endswith("authorization"):
        return any(_AUTHORIZATION.fullmatch(value.strip()) for value in values)
    return False


def is_switch(value: str) -> bool:
    """Return whether a value is a word such as `true`, which is no secret."""
    return value.lower() in _SWITCHES


def find_assignment(text: str, *, quoted: bool = False) -> str | None:
    """Return the first name to which a text of settings assigns a secret, or None.

    The text is JSON, YAML, TOML, INI or XML. With `quoted`, as in a program, only a quoted text
    counts as a value.
    """
    for match in _ASSIGNMENT.finditer(text):
        quote, name, sign = match.groups()
        if not (quote or sign == "=" or match[0][0] in "{,;([") and not _starts_line(match):
            continue  # as in "The password: it is hidden."
        if is_secret_column(name, _read_values(text, match.end(), quoted=quoted)):
            return name
    for pattern in (_ELEMENT, *(() if quoted else _PAIRS)):
        for named in pattern.finditer(text):
            if is_secret_column(named[1], [named[2]]):
                return str(named[1])
    for pattern in _BELOW:
        for below in pattern.finditer(text):
            if is_secret_column("auth_pass", [below[below.re.groups]]):
                return "pass"
    return None


def find_line(text: str) -> str | None:
    """Return the first name to which a line of its own in an ordinary text assigns a secret."""
    lines = _LINE.finditer(text)
    return next((line[1] for line in lines if is_secret_column(line[1], [line[2]])), None)


def find_env(text: str) -> str | None:
    """Return the first name that a line `ENV NAME VALUE` or `ENV NAME=VALUE …` sets to a secret."""
    for line in _ENV.finditer(text):
        blank = _BY_BLANK.fullmatch(line[1])
        pairs = [blank.groups()] if blank else _BY_SIGN.findall(line[1])
        for name, value in pairs:
            if is_secret_column(name, [value]):
                return str(name)
    return None


def find_property(text: str) -> str | None:
    """Return the first name to which a file of Java properties assigns a secret."""
    pairs = _PROPERTY.findall(_CONTINUED.sub("", text))
    return next((name for name, value in pairs if is_secret_column(name, [value])), None)


def _starts_line(match: re.Match[str]) -> bool:
    before = match.string[max(match.start() - 100, 0) : match.start(1)]
    return not before.rpartition("\n")[2].strip(" \t-")


def _read_values(text: str, start: int, *, quoted: bool) -> Iterator[str]:
    """Yield the values after a name: one, or those of a list."""
    window = text[start : start + MAX_VALUE_CHARS]
    value = window.lstrip(" \t")
    if block := re.match(r"[|>][+-]?\d?[ \t]*\n", value):
        yield value[block.end() :].lstrip().partition("\n")[0]
    elif items := re.match(r"\s*[\[(]", value):
        for item in re.split(r"[,\n]", re.split(r"[\])]", value[items.end() :])[0]):
            yield from _read_value(item.strip(), quoted=quoted)
    elif items := re.match(r"\n\s*-(?=\s)", value):
        yield from _read_value(value[items.end() :].lstrip(), quoted=quoted)
    else:
        bare = value.lstrip()
        on_next_line = "\n" in value[: len(value) - len(bare)]
        yield from _read_value(bare, quoted=quoted or on_next_line)


def _read_value(text: str, *, quoted: bool) -> Iterator[str]:
    if match := _QUOTED.match(text):
        if not match["key"]:
            yield match[2].strip()
    elif not quoted and (
        (text := _ALIAS.sub("", text, count=1))[:1] not in ("{", "&", "*", "!")
        or text.startswith("{{")
    ):
        whole = re.split(r"[\n,;]|(?:^|\s)#", text)[0].strip()
        yield re.split(r"[}\])]", whole)[0] if _is_filled(whole) else whole


def is_secret_file(name: str) -> bool:
    """Return whether a file of this name usually holds keys or passwords."""
    name = name.lower()
    return bool(_FILES.fullmatch(name)) and not _SAMPLES.fullmatch(name)


def redact(text: str) -> str:
    """Return the text with each key, known by its form, replaced by `[secret]`."""
    return _ANY.sub("[secret]", text)


def _plain(name: str) -> str:
    return re.sub(r"\W", "_", _CAMEL.sub("_", name[:200]).lower())


def _is_about(plain: str, words: re.Pattern[str]) -> bool:
    """Return whether a name ends in a word that says that it is about a secret."""
    last = _LAST_WORD.search(plain)
    return bool(last and words.fullmatch(last[0]))


def is_place(value: str) -> bool:
    """Return whether a value is the path of a file; a key in base64 may begin like one."""
    parts = value.replace("/", "")
    mixed = re.search("[a-z]", parts) and re.search("[A-Z]", parts)
    return bool(_PATH.fullmatch(value)) and not (mixed and looks_random(parts))


def _is_filled(value: str) -> bool:
    """Return whether a value may be a password: no count, switch, mask, label or placeholder."""
    word = _PASSWORD.search(value.lower())
    is_label = word and (" " in value or word[0] == value.lower())
    return not (is_label or is_switch(value) or _NOT_FILLED.fullmatch(value))


def looks_random(text: str) -> bool:
    """Return whether a text looks drawn at random, as keys do."""
    return bool(_RANDOM.fullmatch(text) and not _WORDY.fullmatch(text))
