"""Passwords and keys in programs; more spellings are in tests/values/test_secret_values.py."""

from __future__ import annotations

import pytest
from growth import growth

from di_magics.core.secrets_in_code import find_in_code, hide_in_code

VALUE = "Hq7!vbn-42Kd"


@pytest.mark.parametrize(
    ("code", "name"),
    [
        (f"password: str = '{VALUE}'", "password"),
        (f'#define DB_PASSWORD "{VALUE}"', "DB_PASSWORD"),
        (f"parser.add('--password', default='{VALUE}')", "password"),
        (f"setenv('DB_PASSWORD', '{VALUE}')", "DB_PASSWORD"),
        (f"user.setPassword('{VALUE}')", "setPassword"),
        (f"print('DB_PASSWORD', '{VALUE}')", None),
        (f"check_password('{VALUE}')", None),
        (f"PASSWORD={VALUE}", None),
        ("password = input('Password: ')", None),
    ],
)
def test_a_quoted_text_belongs_to_the_name_before_it(code: str, name: str | None) -> None:
    """With what may stand between them."""
    assert find_in_code(code) == name


def test_a_shell_needs_no_quotes() -> None:
    """But another program does."""
    assert find_in_code(f"cd x; PGPASSWORD={VALUE} psql", shell=True) == "PGPASSWORD"
    assert find_in_code("PGPASSWORD=$SECRET psql", shell=True) is None


@pytest.mark.parametrize(
    "cell",
    [
        f'connect(user="ada", password="{VALUE}")',
        f"config = {{'password': '{VALUE}'}}",
        f"secret: str = '{VALUE}'",
        f"raise ValueError('login failed for ada, password={VALUE}')",
        f"headers = {{'Authorization': 'Bearer {VALUE}'}}",
        f'TOKEN = """{VALUE}"""',
        f"client = Client(token='{VALUE}', secret_key='{VALUE}')",
    ],
)
def test_a_secret_of_a_failed_cell_is_hidden_in_it_and_in_its_traceback(cell: str) -> None:
    """And the rest of both stays as it is."""
    trace = f"Traceback\n  File x\n    {cell}\nKeyError: '{VALUE}'"
    hidden = hide_in_code("Why?", cell, trace)
    assert hidden[0] == "Why?"
    assert VALUE not in str(hidden)
    assert "[secret]" in hidden[1]
    assert hidden[2].startswith("Traceback\n  File x\n")


@pytest.mark.parametrize(
    "cell",
    [
        f'connect(("host", "ada", "{VALUE}"))',
        'connect("host", "ada", "hunter2")',
        'requests.get(url, auth=("ada", "hunter2")); 1/0',
        "HTTPBasicAuth('ada', b'hunter2')",
        'smtp.login(\n    "ada",\n    "hunter2",\n)',
        'ftp = FTP("host", "ada", "hunter2")',
        f'account = ["ada", "{VALUE}"]',
        f"!mysql -p{VALUE} db",
        "!curl -u ada:hunter2 x",
        "!PGPASSWORD=hunter2 psql",
        "%env DB_PASSWORD=hunter2",
        "%env DB_PASSWORD hunter2",
        "%%bash\nexport DB_PASSWORD=hunter2\nls",
        f'os.system("PGPASSWORD={VALUE} psql")',
        f'subprocess.run(["mysql", "-p{VALUE}"])',
        f"raise ValueError('the password is {VALUE}')",
        f"""cursor.execute("CREATE USER ada IDENTIFIED BY '{VALUE}'")""",
    ],
)
def test_a_password_without_a_name_is_hidden(cell: str) -> None:
    """Behind the name of a user, in a command, or where it has all kinds of characters."""
    hidden = hide_in_code(cell, f"Traceback\n    {cell}\nError: x")
    assert "[secret]" in hidden[0]
    assert "hunter2" not in str(hidden)
    assert VALUE not in str(hidden)


@pytest.mark.parametrize(
    "cell",
    r"""
datetime.strptime("2026-11-30", "%Y-%m-%d")
re.match(r"^\d+[a-z]*$", "A1b!c")
plt.plot(x, y, "b--o1")
df["Q1 2020"], df["Sheet1!A1"]
ax.set_title("$X_1^2y$")
color = "#ff00AA"
version = "torch@2.1", "Qwen/Qwen2.5-7B-Instruct@main"
smf.ols("Y1 ~ X2 + C(Z3)", data)
ax.mpl_connect("button_press_event", on_click)
connection = sqlite3.connect("data2.db")
connection = sqlite3.connect("file:a?mode=ro", uri=True)
user = ("Ada", "Lovelace", "London")
login("ada", getpass())
connect("localhost", 5432, "sales")
connect("db.example.org", "sales_2024")
login("ada"); print("a", "step1")
user_folder("DOCUMENTS", "~/Documents")
login(f("a"), "
user_table = pd.DataFrame(("a", "b"))
"Hello W0rld!"
url = "https://example.org/a?B=1#c"
requests.get("/api/V1/users?page=2")
mail = "Ada1@example.org"
x = "A?B", "C#8", "F#m7b5"
requests.post(url, auth=(user, password))
regex = "[A-Z]?[a-z]+#[0-9]"
df.query("A1 != @B2value")
authors = ("Knuth", "Lovelace")
!ls -l
%env TOKENS=3
""".strip().splitlines(),
)
def test_a_text_that_is_no_password_is_not_hidden(cell: str) -> None:
    """Dates, formats, formulas, addresses, colours and names."""
    assert hide_in_code(cell) == [cell]


def test_a_secret_in_a_message_alone_is_hidden() -> None:
    """As a library writes it."""
    trace = f"  File x\nOperationalError: no login with user=ada password={VALUE}, host=x"
    assert hide_in_code(trace) == [trace.replace(VALUE, "[secret]")]


@pytest.mark.parametrize(
    "cell",
    [
        "password = input('Password: ')",
        "df.sort_values(key='column', by='token')",
        "def check(password: str) -> bool:\n    raise ValueError('password: too short')",
        "password = 'ab'",
    ],
)
def test_an_ordinary_cell_is_not_changed(cell: str) -> None:
    """Else nobody could mend it."""
    assert hide_in_code(cell) == [cell]


@pytest.mark.parametrize(
    "piece",
    [
        "'a' ",
        "password ",
        "password = '",
        "a = ",
        "x=y ",
        "name:'b',",
        "login(",
        "login('a', ",
        "('a1!A', ",
        "!a",
        "%env A B\n",
    ],
)
def test_the_time_is_linear(piece: str) -> None:
    """Also on one line."""

    def make(size: int) -> str:
        return piece * (size // len(piece))

    assert growth(find_in_code, 10_000, make) <= 3
    assert growth(hide_in_code, 10_000, make) <= 3


def test_a_secret_that_is_known_otherwise_is_hidden_as_well() -> None:
    """As the value of a variable, which the code has read from somewhere."""
    assert hide_in_code("a", "f: hunter2", others=["hunter2", "b-c-d", "f"]) == ["a", "f: [secret]"]
