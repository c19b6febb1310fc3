"""The two stores keep the contract, and the file of SQLite what SQLite cannot promise by itself."""

from __future__ import annotations

import contextlib
import sqlite3
import stat

import pytest
from sipx_registrar import sqlite
from sipx_registrar.bindings import Bindings
from sipx_registrar.memory import MemoryStore
from sipx_registrar.sqlite import FILE, SqliteStore

from sipx import BindingChange
from sipx.testing import check_location_store

from .desk import EPOCH, FakeProxy, a_binding


def sqlite_in(directory, lost=None):
    return SqliteStore(lambda: directory, lost or pytest.fail)


async def test_the_contract_in_memory():
    proxy = FakeProxy()
    bindings = Bindings(proxy.now, proxy.wall)
    await check_location_store(lambda: MemoryStore(bindings))


async def test_the_contract_in_a_file(tmp_path):
    await check_location_store(lambda: sqlite_in(tmp_path))


async def put(directory, *bindings):
    store = sqlite_in(directory)
    await store.open()
    await store.write([BindingChange(each.aor, each.key, each) for each in bindings])
    await store.close()


async def held(store):
    await store.open()
    found = [each.aor async for piece in store.load() for each in piece]
    await store.close()
    return found


async def test_nobody_else_can_read_the_file(tmp_path):
    await put(tmp_path, a_binding())
    assert stat.S_IMODE((tmp_path / FILE).stat().st_mode) == 0o600


async def test_a_commit_is_in_the_log_and_the_log_is_synchronised_at_checkpoints(tmp_path):
    store = sqlite_in(tmp_path)
    await store.open()
    asked = store._connection.execute
    assert asked("PRAGMA journal_mode").fetchone() == ("wal",)
    assert asked("PRAGMA synchronous").fetchone() == (1,)
    await store.close()


@pytest.mark.parametrize(
    "damage",
    [
        lambda path: path.write_bytes(b"this is no database" * 100),
        lambda path: path.write_bytes(path.read_bytes()[:5000] + b"\xff" * 3000),
    ],
)
async def test_a_damaged_file_is_set_aside_and_told_of(tmp_path, damage):
    many = [a_binding(b"user%d@home.example" % n) for n in range(100)]
    await put(tmp_path, *many)
    damage(tmp_path / FILE)
    said = []
    assert await held(sqlite_in(tmp_path, said.append)) == []
    assert "damaged" in said[0]
    assert len(list(tmp_path.glob(FILE + ".damaged-*"))) == 1
    await put(tmp_path, a_binding())
    assert await held(sqlite_in(tmp_path)) == [b"alice@home.example"]


async def test_a_file_of_another_schema_is_left_alone(tmp_path):
    await put(tmp_path, a_binding())
    connection = sqlite3.connect(tmp_path / FILE)
    connection.execute("PRAGMA user_version = 7")
    connection.close()
    with pytest.raises(OSError, match=r"schema 7, this sipx writes 2; run the sipx that made it"):
        await sqlite_in(tmp_path).open()
    assert not list(tmp_path.glob("*.damaged-*"))


def of_version_1(path, *bindings):
    """What the first version has written: the contact is the key, whoever's it is."""
    connection = sqlite3.connect(path)
    connection.execute(sqlite._CREATE)
    for each in bindings:
        old = (each.aor, each.key.partition(b"\n")[2])
        row = (*old, *sqlite._row(each)[2:])
        connection.execute(f"INSERT INTO binding VALUES ({', '.join('?' * len(row))})", row)
    connection.execute("PRAGMA user_version = 1")
    connection.commit()
    connection.close()


async def test_a_file_of_version_1_is_brought_to_this_one(tmp_path):
    octets = bytes(range(256))
    bindings = [
        a_binding(),
        a_binding(contact=b"sip:" + octets, owner="uc-Zürich@10.0.0.11"),
        a_binding(instance=b'"<urn:uuid:1>"', reg_id=2, path=(b"<sip:p;lr>",)),
        a_binding(b"bob@home.example"),
    ]
    of_version_1(tmp_path / FILE, *bindings)
    for _ in range(2):  # the second time it is of this version
        store = sqlite_in(tmp_path)
        await store.open()
        found = [each async for piece in store.load() for each in piece]
        await store.close()
        assert {sqlite._row(each) for each in found} == {sqlite._row(each) for each in bindings}
    with contextlib.closing(sqlite3.connect(tmp_path / FILE)) as connection:
        stored = set(connection.execute("SELECT aor, key FROM binding"))
        tables = connection.execute("SELECT name FROM sqlite_master").fetchall()
    assert stored == {(each.aor, each.key) for each in bindings}
    assert tables == [("binding",)]


async def test_what_was_stored_by_version_1_can_be_replaced_and_removed(tmp_path):
    alice, bob = a_binding(), a_binding(b"bob@home.example")
    of_version_1(tmp_path / FILE, alice, bob)
    store = sqlite_in(tmp_path)
    await store.open()
    newer = a_binding(cseq=2)
    await store.write(
        [BindingChange(alice.aor, newer.key, newer), BindingChange(bob.aor, bob.key, None)]
    )
    assert [each.cseq async for piece in store.load() for each in piece] == [2]
    await store.close()


async def test_a_file_of_version_1_that_cannot_be_rewritten_stays_what_it_was(
    tmp_path, monkeypatch
):
    of_version_1(tmp_path / FILE, a_binding())
    monkeypatch.setattr(sqlite, "_KEY_FROM_1", "no_such_function(key)")
    with pytest.raises(OSError, match="no_such_function"):
        await sqlite_in(tmp_path).open()
    monkeypatch.undo()
    assert await held(sqlite_in(tmp_path)) == [b"alice@home.example"]


async def test_two_processes_do_not_share_a_file(tmp_path, monkeypatch):
    monkeypatch.setattr("sipx_registrar.sqlite.LOCK_PATIENCE", 0.0)
    one = sqlite_in(tmp_path)
    await one.open()
    with pytest.raises(OSError, match="locked"):
        await sqlite_in(tmp_path).open()
    await one.close()


async def test_a_directory_that_cannot_be_written_is_an_error(tmp_path):
    with pytest.raises(OSError, match="not-there"):
        await sqlite_in(tmp_path / "not-there").open()


async def test_a_full_disk_leaves_nothing_half_written(tmp_path):
    store = sqlite_in(tmp_path)
    await store.open()
    await store.write([BindingChange(b"a@b", b"c", a_binding(b"a@b", b"c"))])
    (pages,) = store._connection.execute("PRAGMA page_count").fetchone()
    store._connection.execute(f"PRAGMA max_page_count = {pages + 2}")
    many = [a_binding(b"user%d@home.example" % n) for n in range(2000)]
    changes = [BindingChange(b"a@b", b"c", None)]
    changes += [BindingChange(each.aor, each.key, each) for each in many]
    with pytest.raises(OSError, match="full"):
        await store.write(changes)
    await store.write([BindingChange(b"d@e", b"f", a_binding(b"d@e", b"f"))])
    await store.close()
    assert await held(sqlite_in(tmp_path)) == [b"a@b", b"d@e"]


async def test_what_is_not_open_is_an_error(tmp_path):
    with pytest.raises(OSError, match="not open"):
        await sqlite_in(tmp_path).write([BindingChange(b"a@b", b"c", None)])


async def test_shared_texts_are_kept_once(tmp_path):
    await put(tmp_path, a_binding(b"a@home.example"), a_binding(b"b@home.example"))
    store = sqlite_in(tmp_path)
    await store.open()
    one, two = [each async for piece in store.load() for each in piece]
    await store.close()
    for name in ("owner", "interface", "transport", "address", "user_agent"):
        assert getattr(one, name) is getattr(two, name)
    assert one.expires == EPOCH + 3600
