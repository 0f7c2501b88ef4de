"""Passwords in commands, in SQL and in sentences, and the ordinary texts that resemble them."""

from __future__ import annotations

import pytest
from growth import growth

from di_magics.core.secrets_in_text import find_in_commands, find_in_sentences

VALUE = "Hq7!vbn-42Kd"
KEY = "a1B2c3D4e5F6g7H8i9J0"


COMMANDS = """
mysql -h x -u ada -p… db
mysqldump -p'…' x
os.system('mysql -p…')
['mysql', '-p…']
curl -u ada:… https://example.org
curl https://example.org --user 'ada:…'
curl --user=ada:… x
['curl', '-u', 'ada:…']
http -a ada:… GET x
wget --user ada --password … x
wget --password=… x
["prog", "--password", "…"]
sshpass -p … ssh x
sshpass -p… ssh x
redis-cli -a …
mongosh -u a -p …
docker login -u a -p … x
ldapsearch -x -w …
sqlcmd -S x -P …
zip -P … a.zip b
7z a -p… x
openssl enc -aes256 -pass pass:… -in x
smbclient //h/s -U ada%…
echo … | sudo -S ls
echo 'ada:…' | chpasswd
machine h login ada password …
CREATE USER a IDENTIFIED BY '…';
create user a identified with mysql_native_password by '…'
ALTER USER a WITH PASSWORD '…'
ALTER ROLE a PASSWORD '…'
SET PASSWORD FOR a = PASSWORD('…')
cur.execute("CREATE ROLE a LOGIN PASSWORD '…'")
""".strip().splitlines()
HARMLESS_COMMANDS = """
mysql -h x -u ada -p db
mysql -p$PW db
mysql -p"${PW}" db
mysql -p'<yours>' db
mysql --port=3306 -P3306
os.system(f'mysql -p{pw}')
curl -u "$USER:$PW" https://example.org
curl -u ada https://example.org:8080/a
curl -u user:password x
curl -u ada: https://example.org
curl -H "Authorization: Bearer $TOKEN" x
curl -H 'Content-Type: application/json' x
curl -H 'X-Api-Key: YOUR_KEY' x
docker run -p 8080:80 -u 1000:1000 nginx
ssh -p 2222 ada@example.org
mkdir -p a/b
parser.add_argument('--password', help='of the database')
click.option("--password", "password", prompt=True)
The option --password is required.
usage: x [--password PASSWORD] [--token TOKEN]
--password-file notes.txt
--password <password>
--max-tokens=4096 --key value
run --secrets KEY=value --secrets NAME=...
echo hello | sudo tee /etc/x
echo "$PW" | docker login --password-stdin
rows are identified by 'id'
an entity identified by "name"
CREATE USER a IDENTIFIED BY '${PW}';
ALTER USER a WITH PASSWORD '%s'
Please login with password "***"
openssl enc -pass pass:$PW -in x
sshpass -p "$PW" ssh x
zip -r a.zip b
""".strip().splitlines()
SENTENCES = """
the password is …
Log in with ada; my password is ….
The password for the staging server is `…`!
Das Passwort lautet …
La contraseña es …
user: ada, password: …
connecting with password=… to db
The password is "…"
""".strip().splitlines()
HARMLESS_SENTENCES = """
The password is required.
the password is too short
password is sha256-hashed, then AES-256 encrypted
the password is UTF-8, base64-encoded, as in RFC2617
Password is case-sensitive
The password is 8 characters
The password is 1234 characters long
The password is 10-character
password is optional/empty
The password is <your password>
The password is ${DB_PASSWORD}
The password is os.environ["DB_PASSWORD"]
The password is stored in /run/secrets/db1
the password is `password`
the password is ada@example.org's
the password is on https://example.org/x1
the password is https://example.org/x1
The password: it is hidden. PASSWORD=hunter2 is an example.
Your password was changed on 2026-11-30.
password: 2026-11-30T12:00:00Z
password: Optional[SecretStr]=None
password = enforce_bytes(auth[1])
passport is A1234567
if password is not None: pass1
Password: min. 8 chars, a-z, A-Z
password: [A-Za-z0-9]{8,}
password is {password}
A vinha senhaX1 is Ab1!abcd
""".strip().splitlines()


@pytest.mark.parametrize("text", COMMANDS)
def test_a_password_in_a_command_is_found(text: str) -> None:
    """Also in a program's text or list; not where something stands for it."""
    assert VALUE in [value for _, value in find_in_commands(text.replace("…", VALUE))]
    assert not list(find_in_commands(text.replace("…", "********")))


@pytest.mark.parametrize(
    "text",
    [
        f"curl -H 'X-Api-Key: {KEY}' x",
        f'curl -H "Authorization: Bearer {KEY}" x',
        f"prog --api-key {KEY} x",
        "mysql \\\n -u ada \\\n -phunter2",
    ],
)
def test_a_key_behind_the_name_of_an_option_or_a_header_is_found(text: str) -> None:
    """And a command goes on in the next line."""
    assert list(find_in_commands(text))


@pytest.mark.parametrize("text", HARMLESS_COMMANDS)
def test_a_command_without_a_password_has_none(text: str) -> None:
    """Ports, files, variables, prompts and options that are only described."""
    assert not list(find_in_commands(text))


@pytest.mark.parametrize("text", SENTENCES)
def test_a_password_in_a_sentence_is_found(text: str) -> None:
    """In several languages."""
    assert VALUE in [value for _, value in find_in_sentences(text.replace("…", VALUE))]


def test_a_number_may_be_a_password_in_a_sentence() -> None:
    """But a count of characters is not."""
    assert list(find_in_sentences("The password is 123456.")) == [("password", "123456")]
    assert not list(find_in_sentences("The password is 123456 letters long."))


@pytest.mark.parametrize("text", [*HARMLESS_SENTENCES, *HARMLESS_COMMANDS])
def test_a_sentence_about_a_password_has_none(text: str) -> None:
    """Words, terms, counts, places and what stands for a password."""
    assert not list(find_in_sentences(text))


@pytest.mark.parametrize(
    "piece",
    [
        *["mysql ", "mysql -", "curl -u ", "curl -u a", "http ", "echo a", "echo ", " user a "],
        *["docker login ", "docker ", "login a password ", "--password ", "--a", "password is "],
        *["password for the a ", "password: ", "password=", "=PASSWORD(", "\\\n", "-p", "-H '"],
        *["openssl pass:", "redis-cli -a", " to a identified by ", "a:", "a1", "-H 'a: "],
    ],
)  # fmt: skip
def test_the_time_is_linear(piece: str) -> None:
    """Whatever the text is made of."""

    def make(size: int) -> str:
        return piece * (size // len(piece))

    assert growth(lambda text: list(find_in_commands(text)), 8_000, make) <= 3
    assert growth(lambda text: list(find_in_sentences(text)), 8_000, make) <= 3
