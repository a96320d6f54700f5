"""A user's own database at the front door: all of it is listed, all that can be taken gets a contract, the rest a reason and a cure."""

from __future__ import annotations

import socket
import threading

import pytest

from datamaster.cli import run
from datamaster.source.connection import SourceRefused, SourceUnreachable, connect, shown
from datamaster.source.naming import SourceName
from datamaster.source.preparation import plan
from datamaster.source.survey import Choice
from lake.contract import ContractSet

pytestmark = pytest.mark.integration
SHOP = """
CREATE SCHEMA shop; CREATE SCHEMA crm;
CREATE TABLE shop.orders (id int PRIMARY KEY, v int); INSERT INTO shop.orders SELECT n, n FROM generate_series(1, 3) n;
CREATE TABLE crm.orders (id int PRIMARY KEY, w int);
CREATE TABLE shop."Order Lines" ("order" int, line int, PRIMARY KEY (line, "order"));
CREATE TABLE shop."v1.prices" (id int PRIMARY KEY);
CREATE TABLE shop."订单" (id int PRIMARY KEY);
CREATE TABLE shop.loose (n int);
CREATE UNLOGGED TABLE shop.quick (id int PRIMARY KEY);
CREATE MATERIALIZED VIEW shop.summed AS SELECT 1 AS id;
CREATE TABLE shop.ev (id int, day date, PRIMARY KEY (id, day)) PARTITION BY RANGE (day);
CREATE TABLE shop.ev_1 PARTITION OF shop.ev FOR VALUES FROM ('2024-01-01') TO ('2025-01-01');
INSERT INTO shop.ev VALUES (1, '2024-01-05');
"""


def source(name: str) -> SourceName:
    return SourceName(*name.split(".", 1))


@pytest.fixture
def shop(database):
    database.run(SHOP)
    return database


def test_all_that_can_be_taken_is_taken_and_the_rest_has_a_reason(shop, tmp_path):
    planned = plan(shop.dsn, Choice(), tmp_path)

    taken = {str(name): lake for name, lake in planned.names.items()}
    assert taken.pop("shop.订单").startswith("t_")
    assert taken == {
        "shop.orders": "shop_orders",
        "crm.orders": "crm_orders",
        "shop.Order Lines": "order_lines",
        "shop.v1.prices": "v1_prices",
        "shop.ev": "ev",
    }
    assert {str(name): found[0].problem.split(",")[0] for name, found in planned.refused.items()} == {
        "shop.loose": "no primary key",
        "shop.quick": "unlogged",
    }
    there = {str(table.name): table for table in planned.tables}
    assert "materialized view" in there["shop.summed"].obstacle
    assert "shop.ev_1" not in there
    assert (there["shop.orders"].rows, there["shop.ev"].rows, there["shop.Order Lines"].key) == (3, 1, ("line", "order"))
    assert planned.possible
    assert list(tmp_path.iterdir()) == []


def test_what_is_written_is_a_set_of_contracts_and_can_be_taken_back(shop, tmp_path):
    planned = plan(shop.dsn, Choice(), tmp_path / "contracts")
    planned.write(tmp_path / "contracts")

    contracts = ContractSet.from_directory(tmp_path / "contracts")
    assert {(c.source_schema, c.source_table): c.table for c in contracts.tables.values()} == dict(planned.names)
    planned.undo(tmp_path / "contracts")
    assert list((tmp_path / "contracts").iterdir()) == []


def test_tables_that_have_a_contract_keep_their_names_and_are_all_unless_more_are_asked_for(shop, tmp_path):
    plan(shop.dsn, Choice(tables=(source("shop.orders"),)), tmp_path).write(tmp_path)

    again = plan(shop.dsn, Choice(), tmp_path)
    assert (again.names, again.contracts, again.possible) == ({source("shop.orders"): "orders"}, {}, True)
    more = plan(shop.dsn, Choice(tables=(source("crm.orders"),)), tmp_path)
    assert more.names == {source("shop.orders"): "orders", source("crm.orders"): "crm_orders"}
    assert list(more.contracts) == ["crm_orders.yaml"]


def test_a_table_that_has_a_contract_and_is_gone_is_said_before_anything_is_written(shop, tmp_path):
    plan(shop.dsn, Choice(tables=(source("shop.orders"),)), tmp_path).write(tmp_path)
    shop.run("DROP TABLE shop.orders")

    planned = plan(shop.dsn, Choice(), tmp_path)
    assert not planned.possible
    assert planned.refused[source("shop.orders")][0].remedy == "crm.orders is there"


@pytest.mark.parametrize(
    ("choice", "taken"),
    [
        (Choice(schemas=("crm",)), ["crm.orders"]),
        (Choice(include=("Order*", "crm.*")), ["crm.orders", "shop.Order Lines"]),
        (Choice(schemas=("shop",), exclude=("*o*", "ev", "订单")), []),
        (Choice(tables=(source("shop.ev"), source("shop.loose"))), ["shop.ev"]),
    ],
)
def test_options_choose(shop, tmp_path, choice, taken):
    assert sorted(map(str, plan(shop.dsn, choice, tmp_path).names)) == taken


def test_a_command_that_can_take_nothing_says_why_and_leaves_nothing(shop, tmp_path, capsys):
    assert run(["up", "--source", shop.dsn, "--table", "shop.loose", "--table", "shop.gone", "--home", str(tmp_path / "home")]) == 1

    told = " ".join((text := capsys.readouterr()).out.split() + text.err.split())
    assert "no primary key" in told
    assert "there is no such table" in told
    assert not (tmp_path / "home").exists()


def test_a_table_without_its_schema_is_a_wrong_option(shop, tmp_path, capsys):
    assert run(["up", "--source", shop.dsn, "--table", "orders", "--home", str(tmp_path)]) == 2
    assert "expected schema.table" in capsys.readouterr().err


class TestAddresses:
    @pytest.mark.parametrize(
        ("address", "told"),
        [
            ("postgress://u:secret@h/d", '"postgress://" is not PostgreSQL'),
            ("localhost:5432", "expected postgresql://USER"),
            ("postgresql://u:secret@h:port/d", "invalid integer value"),
            ("", "empty"),
            ("postgresql://u@h/d?sslmod=require", 'invalid URI query parameter: "sslmod"'),
        ],
    )
    def test_a_typo_is_one_line_without_the_password(self, address, told):
        with pytest.raises(SourceRefused) as refused:
            connect(address)
        assert told in str(refused.value)
        assert "secret" not in str(refused.value)
        assert "\n" not in str(refused.value)

    def test_a_database_that_is_not_there_and_a_host_that_is_none(self, server):
        with pytest.raises(SourceRefused, match=r'database "nowhere" does not exist; check the name behind the last /'):
            connect(server.dsn.rsplit("/", 1)[0] + "/nowhere")
        with pytest.raises(SourceRefused, match=r'role "nobody_here" does not exist; check the user'):
            connect(server.dsn.replace("postgres@", "nobody_here@"))
        with pytest.raises(SourceUnreachable, match=r"could not translate host name .*check the host's name"):
            connect("postgresql://u@no.such.host.invalid/d")

    @pytest.mark.parametrize(
        ("code", "message", "cure"),
        [
            ("08P01", "unsupported startup parameter: options", "this is a pooler such as pgbouncer; give PostgreSQL's own address"),
            ("28P01", 'password authentication failed for user "u"', "check user and password"),
            ("28000", 'no pg_hba.conf entry for host "1.2.3.4", user "u", database "d", no encryption', "by a line of pg_hba.conf"),
        ],
    )
    def test_what_a_pooler_and_a_server_with_passwords_answer(self, code, message, cure):
        with Refusing(code, message) as port, pytest.raises(SourceRefused) as refused:
            connect(f"postgresql://u:secret@127.0.0.1:{port}/d", "-c timezone=UTC")
        assert message in str(refused.value)
        assert cure in str(refused.value)
        assert "secret" not in str(refused.value)

    def test_no_message_shows_a_password(self):
        assert shown("postgresql://u:p@ss:word@h/d") == "postgresql://u:…@h/d"
        assert shown("host=h password=secret user=u") == "host=h password=… user=u"


class Refusing:
    """A server that refuses every session with one message: the wheel's asks for no password, and pgbouncer is not installed here."""

    def __init__(self, code: str, message: str) -> None:
        self.fields = f"SFATAL\0C{code}\0M{message}\0\0".encode()

    def __enter__(self) -> int:
        self.listening = socket.create_server(("127.0.0.1", 0))
        threading.Thread(target=self._answer, daemon=True).start()
        return self.listening.getsockname()[1]

    def __exit__(self, *_: object) -> None:
        self.listening.close()

    def _answer(self) -> None:
        while True:
            try:
                connection, _ = self.listening.accept()
            except OSError:
                return
            with connection:
                while connection.recv(4096)[4:8] in (b"\x04\xd2\x16\x2f", b"\x04\xd2\x16\x30"):
                    connection.sendall(b"N")  # no TLS, no GSSAPI
                connection.sendall(b"E" + (len(self.fields) + 4).to_bytes(4, "big") + self.fields)
