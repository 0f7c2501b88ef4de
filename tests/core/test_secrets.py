"""Keys and passwords, known by their form or by their name."""

from __future__ import annotations

import string

import pytest
from growth import growth

from di_magics.core.secrets import (
    find_assignment,
    find_credential,
    find_env,
    find_key,
    find_line,
    find_property,
    is_secret_column,
    is_secret_file,
    is_secret_variable,
    looks_secret,
    names_secret,
    redact,
)

LONGEST = 200_000
KEYS = [
    "sk-proj-abcdefGHIJ0123456789",
    "sk_live_0123456789abcdefXYZ",
    "pk-0123456789abcdefghij",
    "ghp_0123456789abcdefghijABCDEFGHIJ012345",
    "github_pat_11ABCDEFG0123456789_abcdef",
    "glpat-0123456789abcdef_-XY",
    "hf_abcdefghijABCDEFGHIJ0123",
    "gsk_abcdefghijABCDEFGHIJ0123",
    "xoxb-123456789012-abcdef",
    "AKIAIOSFODNN7EXAMPLE",
    "ASIAIOSFODNN7EXAMPLE",
    "AIzaSyA-0123456789abcdefghij_0123456789",
    "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.c2lnbmF0dXJl",
    "jwt:eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.c2lnbmF0dXJl",
    "-----BEGIN PRIVATE KEY-----\nMIIEvQ\n-----END PRIVATE KEY-----",
    "-----BEGIN OPENSSH PRIVATE KEY-----\nb3Blbn",
    "postgresql+psycopg2://ann:s3cret@db.example.org/school",
]


@pytest.mark.parametrize("piece", ["a", "eyJ-", "x://", "sk-", "-----BEGIN ", "key "])
def test_a_long_value_is_searched_in_linear_time(piece: str) -> None:
    """A gene of 200,000 letters is one word, and is read in one pass."""
    size = LONGEST // len(piece) // 2
    assert growth(lambda n: looks_secret("dna", piece * n), size) <= 3


@pytest.mark.parametrize(
    "text",
    [
        "redis://:s3cret-password@cache.example.org:6379/0",
        "-----BEGIN PGP PRIVATE KEY BLOCK-----\n\nlQOYBF",
    ],
)
def test_a_password_without_a_user_and_a_pgp_key_are_secrets(text: str) -> None:
    """Both forms are common in a user's settings."""
    assert looks_secret("settings", text)


@pytest.mark.parametrize(
    "name",
    [
        "password",
        "PASSWORD",
        "db_password",
        "dbPassword",
        "Password1",
        "passwd",
        "my_pwd",
        "passphrase",
        "client_secret",
        "SECRETS",
        "credentials",
        "awsCredential",
        "apikey",
        "APIKEY",
    ],
)
def test_a_name_may_say_that_it_is_a_secret(name: str) -> None:
    """Then any text is one, and no text at all is none."""
    assert looks_secret(name, "hello")
    assert not looks_secret(name, " \n")


@pytest.mark.parametrize(
    "name",
    ["key", "api_key", "apiKey", "API_KEY", "token", "MY_TOKEN", "auth", "bearer", "pat"],
)
def test_other_names_say_so_of_what_looks_drawn_at_random(name: str) -> None:
    """Sixteen characters in one word, with letters and digits."""
    assert looks_secret(name, " 0a1B2c3D4e5F6g7H8 \n")
    for text in ("hello", "1234567890123456", "abcdefghijklmnop", "short1", "two words 12345678"):
        assert not looks_secret(name, text)


@pytest.mark.parametrize("key", KEYS)
def test_what_has_the_form_of_a_key_is_left_out_of_a_trace(key: str) -> None:
    """The text around it stays."""
    shown = redact(f"before {key} after")
    assert shown.startswith("before ")
    assert "[secret]" in shown
    assert key not in shown
    assert redact("before after") == "before after"


def test_nothing_is_left_of_a_key_in_armour() -> None:
    """Lines that say how it is encrypted have hyphens, and the key itself follows them."""
    armour = (
        "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,AB\n\n"
        "MIIEow\n-----END RSA PRIVATE KEY-----"
    )
    assert redact(f"a\n{armour}\nb") == "a\n[secret]\nb"


def body(length: int, alphabet: str = string.ascii_letters + string.digits) -> str:
    """Return characters as in a key; whole keys stand nowhere in this file."""
    return "".join(alphabet[(7 * n + n // 3) % len(alphabet)] for n in range(length))


HEX = "0123456789abcdef"
UPPER = string.ascii_uppercase + "234567"
FORMS = {
    "anthropic": "sk-ant-" + "api03-" + body(93) + "AA",
    "openai": "sk-" + body(20) + "T3BlbkFJ" + body(20),
    "openai project": "sk-" + "proj-" + body(74) + "T3BlbkFJ" + body(74),
    "openai service": "sk-" + "svcacct-" + body(74),
    "openrouter": "sk-or-" + "v1-" + body(64, HEX),
    "deepseek": "sk-" + body(32, HEX),
    "github": "ghp" + "_" + body(36),
    "github oauth": "gho" + "_" + body(36),
    "github app": "ghs" + "_" + body(36),
    "github fine": "github" + "_pat_" + body(22) + "_" + body(59),
    "gitlab": "glpat" + "-" + body(20),
    "gitlab runner": "glrt" + "-" + body(20),
    "slack bot": "xoxb" + "-" + body(12, string.digits) + "-" + body(24),
    "slack app": "xapp" + "-1-A0" + body(9, UPPER) + "-" + body(64, HEX),
    "slack hook": "https://hooks.slack.com/"
    + "services/T"
    + body(8, UPPER)
    + "/B"
    + body(8, UPPER)
    + "/"
    + body(24),
    "aws": "AKIA" + body(16, UPPER),
    "aws session": "ASIA" + body(16, UPPER),
    "google": "AIza" + body(35),
    "google oauth": "GOCSPX" + "-" + body(28),
    "google token": "ya29" + "." + body(60),
    "stripe": "sk" + "_live_" + body(24),
    "stripe restricted": "rk" + "_test_" + body(24),
    "stripe webhook": "whsec" + "_" + body(32),
    "hugging face": "hf" + "_" + body(34, string.ascii_letters),
    "groq": "gsk" + "_" + body(52),
    "xai": "xai" + "-" + body(80),
    "perplexity": "pplx" + "-" + body(48),
    "replicate": "r8" + "_" + body(37),
    "databricks": "dapi" + body(32, HEX),
    "npm": "npm" + "_" + body(36),
    "pypi": "pypi" + "-AgEIcHlwaS5vcmc" + body(120),
    "rubygems": "rubygems" + "_" + body(48, HEX),
    "docker": "dckr" + "_pat_" + body(27),
    "telegram": body(10, string.digits) + ":AA" + body(33),
    "discord": "M" + body(25) + "." + body(6) + "." + body(38),
    "twilio": "SK" + body(32, HEX),
    "sendgrid": "SG" + "." + body(22) + "." + body(43),
    "mailgun": "key" + "-" + body(32, HEX),
    "mailchimp": body(32, HEX) + "-us12",
    "digitalocean": "dop" + "_v1_" + body(64, HEX),
    "vault": "hvs" + "." + body(90),
    "shopify": "shpat" + "_" + body(32, HEX),
    "square": "sq0atp" + "-" + body(22),
    "notion": "ntn" + "_" + body(46),
    "linear": "lin" + "_api_" + body(40),
    "grafana": "glsa" + "_" + body(32) + "_" + body(8, HEX),
    "new relic": "NRAK" + "-" + body(27, UPPER),
    "atlassian": "ATATT3" + body(180),
    "age": "AGE-SECRET-KEY-" + "1" + body(58, UPPER),
    "azure": "AccountName=a;" + "AccountKey=" + body(86) + "==",
    "jwt": "eyJ" + body(33) + ".eyJ" + body(80) + "." + body(43),
    "pem": "-----BEGIN " + "PRIVATE KEY-----\nMIIE\n-----END PRIVATE KEY-----",
    "openssh": "-----BEGIN OPENSSH " + "PRIVATE KEY-----\nb3Bl",
    "pgp": "-----BEGIN PGP " + "PRIVATE KEY BLOCK-----\n\nlQOY",
}
AROUND = ["{}", "key={}", "'{}'", "Use {} now.", "a\n{}\nb", '{{"k": "{}"}}', "({})", "Bearer {}"]
AROUND += ["_{}", "my_key_{}", "密钥{}", r"key:\n{}", r"\t{}"]


@pytest.mark.parametrize("key", FORMS.values(), ids=FORMS.keys())
@pytest.mark.parametrize("around", AROUND)
def test_a_well_known_key_is_found(key: str, around: str) -> None:
    """In a prompt, in a file and in a variable, and nothing of it is left when it is hidden."""
    text = around.replace("{}", key)
    prefix = find_key(text)
    assert prefix
    assert len(prefix) < 40
    assert find_credential(text)
    assert looks_secret("notes", text)
    assert key[-8:] not in redact(text).replace("[secret]", "\0")


@pytest.mark.parametrize("key", ["openai project", "anthropic", "openrouter", "github fine"])
def test_a_key_with_a_long_prefix_is_found_behind_a_letter(key: str) -> None:
    """Nothing else is written so."""
    assert find_key(f"Bearer{FORMS[key]}")
    assert FORMS[key] not in redact(f"x{FORMS[key]}")


CONNECTIONS = [
    "postgresql+psycopg2://ann:s3cret@db.example.org/school",
    "redis://:s3cret-password@cache.example.org:6379/0",
    "mongodb+srv://ann:p%40ss@cluster0.example.net/?retryWrites=true",
    "amqp://guest:guest@rabbit:5672",
    "Server=tcp:db.example.net,1433;Database=x;User ID=ann;Password=s3cret;Encrypt=True",
    "host=db;port=5432;dbname=x;pwd=abc",
]


@pytest.mark.parametrize("text", CONNECTIONS)
def test_a_password_in_a_connection_string_is_found(text: str) -> None:
    """In files and variables; a prompt may ask about such a string."""
    assert find_credential(f"url: {text}")
    assert looks_secret("url", text)
    assert find_key(text) is None


ORDINARY = [
    "postgres://user:password@localhost/db",
    "redis://:<password>@host, mysql://root:${DB_PASSWORD}@db and ftp://ann:***@x",
    "What is the difference between sk-learn, skl2onnx and sk-image?",
    '<div id="sk-container-id-1" class="sk-top-container sk-toggleable__label-arrow">',
    "My OpenAI key begins with sk- and GitHub's with ghp_ or github_pat_; AWS has AKIA, ASIA.",
    "hf_hub_download and hf_token; npm_config_registry; key-value-store; pypi-publish",
    "commit 9f86d081884c7d659a2feaa0c55ad015a3bf4f1b",
    "9f86d081-884c-7d65-9a2f-eaa0c55ad015",
    "import numpy as np\nmask = MNO.values.items()",
    "Mississippi.Missouri.Minnesota and Organisationsentwicklung.abcdef.g",
    "SKU 12345678, SKILLS, SK-Telecom; SG.example.org; 1234567890:AB",
    "-----BEGIN CERTIFICATE-----\nMIID\n-----END CERTIFICATE-----",
    "ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAABgQC7 ann@host",
    "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJ",
    "ACGT" * 500,
    "0123456789" * 200,
    "token_type_ids, api_key=None, password: str, os.environ['API_KEY']",
    "https://example.org/a?b=c#d http://localhost:8888/lab/tree/a@b.ipynb",
]


@pytest.mark.parametrize("text", ORDINARY)
def test_an_ordinary_text_holds_no_key(text: str) -> None:
    """Words that only begin like a key's, and hashes and addresses, are sent."""
    assert find_key(text) is None
    assert not find_credential(text)


PIECES = [
    *[
        "a",
        "-",
        "sk-",
        "eyJ-",
        "eyJaaaaaaaa.",
        "x://",
        "x://:",
        "-----BEGIN ",
        "key ",
        "a.",
        "M" * 24,
    ],
    *["-----BEGIN PRIVATE KEY-----", "server=a;", "server=", "host=a;b", "0", "1:AA", "f", "A" * 9],
    *[
        "SG.",
        "AccountKey=",
        "glpat-",
        ",",
        "{a:",
        "\na=",
        "\n   ",
        '"a":',
        "https://a:",
        "gh",
        "sq0",
    ],
    *["password=", "password: [", '"password":\n', "<a>", "<password>", 'password="""a', "\n- "],
    *[
        "password: |\n",
        "(a",
        "{a",
        " a",
        "\\",
        '"',
        "ENV a",
        "\nENV a=b",
        "\nENV ",
        "a b\n",
        "\\\n",
    ],
    *["auth:\n ", "auth: {", "auth: {pass: ", "\n a", "? a\n", "auth:\n", "auth:\n pass: "],
]


@pytest.mark.parametrize("piece", PIECES)
@pytest.mark.parametrize(
    "find",
    [
        find_key,
        find_credential,
        lambda text: looks_secret("x", text),
        redact,
        find_assignment,
        find_line,
        find_env,
        find_property,
    ],
    ids=["key", "credential", "secret", "redact", "assignment", "line", "env", "property"],
)
def test_the_time_of_a_search_is_linear(find: object, piece: str) -> None:
    """Twice the text takes about twice the time, whatever it is made of."""
    assert callable(find)
    assert growth(find, 8_000, lambda n: piece * (n // len(piece))) <= 3


@pytest.mark.parametrize(
    ("name", "secret"),
    [
        *[(name, True) for name in (".env", ".env.local", "prod.env", "id_rsa", "id_ed25519_sk")],
        *[
            (name, True)
            for name in ("server.key", "a.p12", ".netrc", "_netrc", ".pgpass", ".npmrc")
        ],
        *[
            (name, True)
            for name in ("credentials", "credentials.json", "secrets.toml", "Passwords.txt")
        ],
        *[(name, True) for name in ("ID_RSA", ".git-credentials", "kubeconfig", "vault.kdbx")],
        *[
            (name, False)
            for name in (".env.example", ".env.sample", "env.py", "id_rsa.pub", "a.pem")
        ],
        *[
            (name, False)
            for name in ("environment.yml", "keys.py", "password_policy.md", "key.txt")
        ],
        *[(name, False) for name in ("secretary.txt", "turkey", "notes.txt", "x" * 5000)],
    ],
)
def test_a_file_of_secrets_is_known_by_its_name(name: str, secret: bool) -> None:
    """Whatever its case; examples of such files and public keys are not."""
    assert is_secret_file(name) is secret


RANDOM = "0a1B2c3D4e5F6g7H8"


@pytest.mark.parametrize(
    ("name", "values", "secret"),
    [
        ("password", ["x"], True),
        ("User Password", ["", "x"], True),
        ("passwords", ["x"], True),
        ("password", ["", " "], False),
        ("password", ["***", "xxxx", "[redacted]", "<yours>", "None", "nan"], False),
        ("password", ["3", "17", "0.25"], False),
        ("password", ["73194628"], True),
        ("password", ["Passwort", "your password"], False),
        ("password_hash", ["$2b$12$abc"], True),
        ("password_length", ["12345"], False),
        ("db_pass", ["hunter2"], True),
        ("pass", ["hunter2"], False),
        ("api_key", [RANDOM], True),
        ("accessToken", ["", RANDOM], True),
        ("api_key", ["none"], False),
        ("key", [RANDOM], False),
        ("token", [RANDOM], False),
        ("sort_key", [RANDOM], False),
        ("passengers", ["x"], False),
        ("name", [RANDOM], False),
    ],
)
def test_a_column_of_secrets_is_known_by_its_name(
    name: str, values: list[str], secret: bool
) -> None:
    """A key or a token alone is mostly another thing in a table."""
    assert is_secret_column(name, values) is secret


ASSIGNMENTS = [
    '{"user": "ann", "password": "hunter2"}',
    "{'password': 'hunter2'}",
    "a: 1\ndb_password: hunter2\n",
    "[db]\npassword = hunter2",
    "export DB_PASSWORD=hunter2",
    "  api-key: 0a1B2c3D4e5F6g7H8",
    '{"user": ["ada"], "password": ["hunter2"]}',
    '{"password": "$hunter2$"}',
    '{"password":\n  "hunter2"}',
    "- password: hunter2",
    "- name: x\n  password: hunter2",
    'password = """hunter2"""',
    'password = """\nhunter2\n"""',
    "password: |\n  hunter2\n",
    "password:\n  - hunter2\n",
    "host=x user=y password=hunter2",
    "password: 73194628",
    '{"password": 73194628}',
    "<user><password>hunter2</password></user>",
    '{"password": ["", "hunter2"]}',
    'password => "hunter2"',
    "x: {password: hunter2}",
    'password: "hunter2"  # secret',
    "$hunter2: x\npassword: $hunter2",
    '"password"="hunter2"',
    "password\t=\thunter2",
    "password:hunter2",
    '{"a":{"b":{"password":"hun\\"ter"}}}',
    '<add name="password">hunter2</add><password>x1</password>',
]
NOT_ASSIGNED = [
    '{"password": {"type": "string"}}',
    '{"password": ""}',
    "password: ${DB_PASSWORD}\nsecret: <yours>\npwd: {{ pwd }}",
    "key: value\ntoken: abc",
    "The password: it is hidden.",
    "password:\n  min_length: 8\n",
    'password:\n  "min": 8\n',
    '{"password": null, "secret": true}',
    "password: ***",
    '{"password": "Your password"}',
    "password_min_length = 12",
    'password = os.environ["PASSWORD"]',
    "password: !vault x",
    '{"password": 3}',
    '{"passwords": []}',
    "description: |\n  The password: ask Ann",
    "password: {type: string}",
    "password: *anchor",
    "password = $DB_PASSWORD",
    "password: # see below\n",
    '{"passengers": "x"}',
    "<password></password>",
    "<password>${x}</password>",
    "a: password",
]
NOT_ASSIGNED_IN_CODE = [
    'password = os.environ["PASSWORD"]',
    'password = getpass("Password: ")',
    'print("password: ")\nx = "abc"',
    'if password == "x":',
    'def f(password: str = "")',
    "login(password=password)",
    '"""Set the password: a text"""',
    'parser.add_argument("--password", help="the password")',
    'password = input("Password: ")',
    'f"password={password}"',
    'password = settings["password"]',
    "password = None",
    "password: str",
    "help(secret)",
    'd = {"password": password}',
]


@pytest.mark.parametrize("text", ASSIGNMENTS)
def test_a_setting_that_is_a_secret_is_found(text: str) -> None:
    """In JSON, YAML, TOML, INI and XML: on the next line, in a list, as a number, as a block."""
    found = find_assignment(text)
    assert found
    assert found.lower().endswith(("password", "api-key"))


@pytest.mark.parametrize("text", NOT_ASSIGNED)
def test_what_only_describes_a_secret_is_not_one(text: str) -> None:
    """Places for a secret, schemas, labels, counts, masks and prose."""
    assert find_assignment(text) is None


@pytest.mark.parametrize("text", NOT_ASSIGNED_IN_CODE)
def test_code_that_reads_a_secret_holds_none(text: str) -> None:
    """Only a text in quotes is a value there."""
    assert find_assignment(text, quoted=True) is None


@pytest.mark.parametrize(
    "text", ['password = "hunter2"', "login(password='hunter2')", "const password = `hunter2`"]
)
def test_code_with_a_password_in_quotes_holds_one(text: str) -> None:
    """In any language."""
    assert find_assignment(text, quoted=True) == "password"


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("Things\n\nPassword: hunter2\n", "Password"),
        ("export DB_PASSWORD=hunter2", "DB_PASSWORD"),
        ("The password: it is hidden.", None),
        ("password: ***\nPassword:\nx = 1", None),
        ("See password=hunter2 above.", None),
    ],
)
def test_a_line_alone_may_hold_a_secret(text: str, name: str | None) -> None:
    """In an ordinary text; within a sentence it is not looked for."""
    assert find_line(text) == name


# Names that programs read, with a value as they have it (the values are made up).
VARIABLES = """
PGPASSWORD=hunter22 POSTGRES_PASSWORD=postgres PGPASS=x1 MYSQL_PWD=mysql-pw-9
MYSQL_ROOT_PASSWORD=root MARIADB_PASSWORD=maria REDISCLI_AUTH=redis-pw-9 REDIS_PASSWORD=12345
REDIS_PASS=cache RABBITMQ_DEFAULT_PASS=guest RABBITMQ_ERLANG_COOKIE=monstercookie
MONGO_INITDB_ROOT_PASSWORD=m ELASTIC_PASSWORD=changeme NEO4J_AUTH=neo4j/s3cr3t
CLICKHOUSE_PASSWORD=9 DB_PASS=dbpass DATABASE_PASSWORD=d SSHPASS=ssh-secret-77
ADMINPASSWORD=adm123456 ADMIN_PW=adm rootpw=toor LDAP_BINDPW=bind DOCKER_PASSWORD=d0cker
REGISTRY_AUTH=ZG9ja2VyOnB3 NPM_TOKEN=abcdefgh NODE_AUTH_TOKEN=n0de NPM_CONFIG__AUTH=bnBtOnB3
TWINE_PASSWORD=pypi PYPI_API_TOKEN=py UV_PUBLISH_TOKEN=uv POETRY_PYPI_TOKEN_PYPI=po
POETRY_HTTP_BASIC_X_PASSWORD=b GITHUB_TOKEN=gh GH_TOKEN=gh1 GITHUB_PAT=g1 GITLAB_TOKEN=gl
CI_JOB_TOKEN=ci CI_REGISTRY_PASSWORD=cr GITLAB_PRIVATE_TOKEN=pt BITBUCKET_APP_PASSWORD=bb
CIRCLE_TOKEN=cc TRAVIS_API_TOKEN=tt JENKINS_API_TOKEN=jk CODECOV_TOKEN=cov SONAR_TOKEN=sq
BUILDKITE_AGENT_ACCESS_TOKEN=bk AWS_SECRET_ACCESS_KEY=/K7MDENG/bPxRfiCYEXAMPLE0
AWS_SESSION_TOKEN=FwoG AWS_SECRET_KEY=k GOOGLE_API_KEY=g GOOGLE_CLIENT_SECRET=c
GCP_SERVICE_ACCOUNT_KEY=eyJ CLOUDFLARE_API_TOKEN=cf AZURE_CLIENT_SECRET=az AZURE_STORAGE_KEY=st
AZURE_STORAGE_CONNECTION_STRING=x;y AZURE_STORAGE_SAS_TOKEN=sv AZURE_OPENAI_API_KEY=ao
ARM_CLIENT_SECRET=ar DIGITALOCEAN_ACCESS_TOKEN=do HEROKU_API_KEY=hk LINODE_CLI_TOKEN=li
VAULT_TOKEN=s.abc VAULT_SECRET_ID=sid CONSUL_HTTP_TOKEN=co NOMAD_TOKEN=nm KUBE_TOKEN=ku
SLACK_BOT_TOKEN=xo SLACK_SIGNING_SECRET=sl SLACK_WEBHOOK_URL=https://example.org/T/B/x
DISCORD_TOKEN=di TELEGRAM_BOT_TOKEN=12:x TWILIO_AUTH_TOKEN=tw SENDGRID_API_KEY=sg
MAILGUN_API_KEY=mg SMTP_PASS=mail EMAIL_HOST_PASSWORD=e STRIPE_SECRET_KEY=ss STRIPE_API_KEY=sa
STRIPE_WEBHOOK_SECRET=sw PAYPAL_CLIENT_SECRET=pp SENTRY_AUTH_TOKEN=se DD_API_KEY=dd
NEW_RELIC_LICENSE_KEY=nr GRAFANA_API_KEY=gr HONEYCOMB_API_KEY=hc
OTEL_EXPORTER_OTLP_HEADERS=x-key=abc KAGGLE_KEY=kk HF_TOKEN=hf HUGGING_FACE_HUB_TOKEN=hu
HUGGINGFACEHUB_API_TOKEN=ht WANDB_API_KEY=wb COMET_API_KEY=cm NEPTUNE_API_TOKEN=np
MLFLOW_TRACKING_PASSWORD=ml CLEARML_API_SECRET_KEY=cl JUPYTER_TOKEN=ju JUPYTERHUB_API_TOKEN=jh
JPY_API_TOKEN=jp JUPYTERHUB_CRYPT_KEY=cr COLAB_BACKEND_AUTH=cb OPENAI_API_KEY=oa
DEEPINFRA_TOKEN=correct-horse-battery DI_MAGICS_API_KEY=word DJANGO_SECRET_KEY=dj SECRET_KEY=sk
FLASK_SECRET=fl JWT_SECRET=jw NEXTAUTH_SECRET=nx SESSION_COOKIE=ck ENCRYPTION_KEY=en FERNET_KEY=fe
PASSWORD_SALT=sa AIRFLOW__CORE__FERNET_KEY=af AIRFLOW_CONN_STR=x SNOWFLAKE_PASSWORD=sn
SNOWFLAKE_PRIVATE_KEY_PASSPHRASE=sp DATABRICKS_TOKEN=da DBT_ENV_SECRET_PAT=db
ANSIBLE_VAULT_PASSWORD=an ANSIBLE_BECOME_PASS=ab TF_VAR_db_password=tf RESTIC_PASSWORD=re
BORG_PASSPHRASE=bo GPG_PASSPHRASE=gp RCLONE_CONFIG_PASS=rc KEYSTORE_PASSWORD=ke WIFI_PSK=wi
dbPassword=x apiKey=x MY_APIKEY=x CREDENTIALS=x userpass=x Kennwort=x PIN=1234 OTP=x2
"""
HARMLESS = """
PATH=/usr/bin:/bin HOME=/home/ann PWD=/home/ann OLDPWD=/tmp/a LANG=en_GB.UTF-8 TERM=xterm
EDITOR=vim SHELL=/bin/bash SSH_AUTH_SOCK=/run/user/1000/keyring/ssh
XAUTHORITY=/run/user/1000/gdm/Xauthority SSH_ASKPASS=/usr/bin/ksshaskpass
GIT_ASKPASS=/usr/lib/git/askpass SUDO_ASKPASS=/usr/bin/x PGPASSFILE=/home/ann/.pgpass
AWS_PROFILE=default GOOGLE_APPLICATION_CREDENTIALS=/home/ann/key.json
AWS_SHARED_CREDENTIALS_FILE=/home/ann/aws KRB5_KTNAME=/etc/krb5 SSLKEYLOGFILE=/home/ann/keys.log
TLS_KEY=/etc/ssl/private/server.pem POSTGRES_PASSWORD_FILE=/run/secrets/pg
TOKENIZERS_PARALLELISM=false MAX_TOKENS=4096 TOKEN_LIMIT=9000 TOKEN_BUDGET=12000 AUTHOR=Ann
GIT_AUTHOR_NAME=Ann_Smith GIT_AUTHOR_EMAIL=ann@example.org KEYBOARD=qwerty XKB_DEFAULT_LAYOUT=de
KEYMAP=de-latin1 KEY_REPEAT_DELAY=250 PYTHON_KEYRING_BACKEND=keyring.backends.null
PASSENGER_APP_ENV=production COMPASS=north BYPASS_CACHE=yes-please PASSIVE_MODE=on
TEST_PASSED=always MONKEY=see TURKEY=istanbul HOCKEY=ice DONKEY=grey KEYWORDS=a,b SECRETARY=Bob
AUTH_METHOD=ldap AUTH_TYPE=basic AUTH_URL=https://login.example.org NEXTAUTH_URL=https://x.org
AUTH0_DOMAIN=x.auth0.com KEYCLOAK_REALM=school AZURE_KEYVAULT_URL=https://x.vault.azure.net
SECRET_NAME=prod-db PASSWORD_MIN_LENGTH=12 PASSWORD_POLICY=strict PASSWORD_HASH_ALGORITHM=argon2
TOKEN_TTL=one-hour TOKEN_TYPE=bearer JWT_ALGORITHM=RS256 JWT_ISSUER=https://x.org
SSH_PUBLIC_KEY=ssh-ed25519-AAAA API_KEY_HEADER=X-Api-Key SORT_KEY_ORDER=descending USE_AUTH=true
REQUIRE_PASSWORD=yes CUDA_CACHE_PATH=/x/y OMP_NUM_THREADS=4 LD_LIBRARY_PATH=/usr/lib
VIRTUAL_ENV=/v/e DESKTOP_SESSION=gnome PATRON=Ann SPIN=left PINNED=left SPATIAL=yes-it-is
NUMEXPR_MAX_THREADS=8 SALTSTACK=on-it
"""


@pytest.mark.parametrize("variable", VARIABLES.split(), ids=lambda item: item.partition("=")[0])
def test_a_variable_that_holds_a_secret_is_known_by_its_name(variable: str) -> None:
    """Whatever its value, in any case; the child process does not get it."""
    name, _, value = variable.partition("=")
    assert is_secret_variable(name, value)
    assert is_secret_variable(name.lower(), value)
    assert names_secret(name)
    assert not is_secret_variable(name, "")
    assert not is_secret_variable(name, "true")


@pytest.mark.parametrize("variable", HARMLESS.split(), ids=lambda item: item.partition("=")[0])
def test_a_variable_that_only_sounds_like_a_secret_is_not_one(variable: str) -> None:
    """Places, numbers, switches, and words that have a secret's name within them."""
    name, _, value = variable.partition("=")
    assert not is_secret_variable(name, value)


def test_a_variable_may_hold_a_secret_by_its_value() -> None:
    """A URL with a password, and a key of a well-known form."""
    assert is_secret_variable("DATABASE", "postgres://ann:s3cret@db/x")
    assert is_secret_variable("X", FORMS["aws"])


@pytest.mark.parametrize(
    "text",
    [
        "- name: password\n  value: Hq7!vbn",
        '<add key="password" value="Hq7!vbn"/>',
        "<entry key='password'>Hq7!vbn</entry>",
        "<key>password</key><string>Hq7!vbn</string>",
        "<password value='Hq7!vbn'/>",
        "<password><![CDATA[Hq7!vbn]]></password>",
        "password: &p !!str Hq7!vbn",
        "? password\n: Hq7!vbn",
    ],
)
def test_a_setting_whose_name_stands_beside_it_is_found(text: str) -> None:
    """As a sibling or an attribute; a place for a secret is none."""
    assert find_assignment(text) == "password"
    assert find_assignment(text.replace("Hq7!vbn", "*****")) is None


def test_a_header_with_a_token_is_a_secret() -> None:
    """Whatever its scheme; a mere scheme is not."""
    assert is_secret_column("Authorization", ["Bearer abcdefgh1"])
    assert is_secret_column("Proxy-Authorization", ["basic YWRhOmg="])
    assert not is_secret_column("Authorization", ["Bearer {token}", "required", "Bearer"])


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("ENV DB_PASSWORD hunter2", "DB_PASSWORD"),
        ("FROM x\nENV A=1 DB_PASSWORD=hunter2 B=2\n", "DB_PASSWORD"),
        ("arg password='hunter2'", "password"),
        ("ENV DB_PASSWORD $DB_PASSWORD", None),
        ("ENV PATH /usr/bin\nARG PASSWORD\nENV PASSWORD_FILE /x/y", None),
        ("The env password hunter2", None),
    ],
)
def test_a_dockerfile_sets_a_variable_with_or_without_a_sign(text: str, name: str | None) -> None:
    """One or several in a line."""
    assert find_env(text) == name


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("password hunter2", "password"),
        ("db.password\thunter2\na=b", "db.password"),
        ("password\\\n  = hunter2", "password"),
        ("password: hunter2", "password"),
        ("password ${PW}\npassword.length 12345", None),
        ("# the password hunter2\nlabel The password hunter2", None),
        ("password.hint A password has digits", None),
    ],
)
def test_a_property_may_have_a_blank_before_its_value(text: str, name: str | None) -> None:
    """Or go on in the next line."""
    assert find_property(text) == name


@pytest.mark.parametrize(
    "text",
    [
        "auth:\n  user: ada\n  pass: hunter2\n",
        "const t = {auth: {user: 'ada', pass: 'hunter2'}}",
        '{"smtp": {"pass": "hunter2", "rest": [',
    ],
)
def test_pass_is_a_password_within_an_account(text: str) -> None:
    """And elsewhere it is mostly a result."""
    assert find_assignment(text) == "pass"
    assert find_assignment(text.replace("hunter2", "****")) is None
    assert find_assignment(text.replace("auth", "exam").replace("smtp", "exam")) is None
