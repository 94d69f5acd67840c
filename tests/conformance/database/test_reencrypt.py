"""Encrypted columns come under the active key while the service runs."""

import pytest
from sqlalchemy import text
from sqlalchemy.orm import Mapped, mapped_column

from shared.database import Base, EncryptedString, Reencryption, areencrypt_column, reencrypt_column
from shared.errors import InvalidArgumentError
from shared.runtime import Runtime, use
from shared.security import EncryptionKeys, blind_index, new_encryption_key

OLD, NEW, LOST = new_encryption_key(), new_encryption_key(), new_encryption_key()
RINGS = {
    "lost": EncryptionKeys({"lost": LOST}),
    "old": EncryptionKeys({"k_1": OLD}),
    "new": EncryptionKeys({"k_2": NEW, "k_1": OLD}),
}
IN_FORCE = ["old"]


class Patient(Base):
    __tablename__ = "reencrypt_patients"

    id: Mapped[int] = mapped_column(primary_key=True)
    phone: Mapped[str | None] = mapped_column(
        EncryptedString("patients.phone", keys=lambda: RINGS[IN_FORCE[0]])
    )
    phone_index: Mapped[str | None]
    name: Mapped[str | None]


class Pair(Base):
    __tablename__ = "reencrypt_pairs"

    one: Mapped[int] = mapped_column(primary_key=True)
    two: Mapped[int] = mapped_column(primary_key=True)
    note: Mapped[str] = mapped_column(EncryptedString("pairs.note"))


@pytest.fixture
def patients(db):
    Base.metadata.create_all(db.engine, tables=[Patient.__table__])
    IN_FORCE[0] = "old"

    def put(count, first=1):
        with db.transaction() as session:
            session.add_all(Patient(id=n, phone=f"+49 {n}", name="x") for n in range(first, first + count))

    yield put
    IN_FORCE[0] = "old"


def stored(db):
    with db.read() as session:
        rows = session.execute(text("select id, phone from reencrypt_patients order by id"))
        return {row.id: row.phone for row in rows}


def test_every_value_comes_under_the_active_key(db, patients):
    patients(7)
    IN_FORCE[0] = "new"
    seen = []

    done = reencrypt_column(db, Patient.phone, batch=3, on_progress=seen.append)

    assert done == Reencryption(changed=7, after=7)
    assert [each.changed for each in seen] == [3, 6, 7]
    assert all(value.startswith("v1.k_2.") for value in stored(db).values())
    with db.read() as session:
        assert session.get(Patient, 5).phone == "+49 5"
        assert session.get(Patient, 5).name == "x"


async def test_the_same_in_a_coroutine(db, patients):
    patients(4)
    IN_FORCE[0] = "new"

    done = await areencrypt_column(db, Patient.phone, batch=3)
    await db.aio.dispose()

    assert done.changed == 4
    assert all(value.startswith("v1.k_2.") for value in stored(db).values())


def test_what_is_under_the_active_key_is_not_touched(db, patients):
    patients(2)
    IN_FORCE[0] = "new"
    patients(2, first=3)
    before = stored(db)

    assert reencrypt_column(db, Patient.phone).changed == 2
    after = stored(db)
    assert {number: after[number] == before[number] for number in after} == {
        1: False,
        2: False,
        3: True,
        4: True,
    }
    assert reencrypt_column(db, Patient.phone) == Reencryption()


def test_absent_values_stay_absent(db, patients):
    patients(1)
    with db.transaction() as session:
        session.add(Patient(id=2, phone=None))
    IN_FORCE[0] = "new"

    assert reencrypt_column(db, Patient.phone).changed == 1
    assert stored(db)[2] is None


def test_a_value_that_cannot_be_read_is_left_and_counted(db, patients):
    IN_FORCE[0] = "lost"
    patients(1)
    IN_FORCE[0] = "old"
    patients(4, first=2)
    with db.transaction() as session:
        session.execute(text("update reencrypt_patients set phone = 'damaged' where id = 3"))
    before = stored(db)
    IN_FORCE[0] = "new"

    done = reencrypt_column(db, Patient.phone, batch=1)

    assert (done.changed, done.failed) == (3, 2)
    assert {n: stored(db)[n] for n in (1, 3)} == {n: before[n] for n in (1, 3)}


def test_the_blind_index_moves_along(db, patients):
    patients(2)
    IN_FORCE[0] = "new"

    def index(plain):
        return {"phone_index": blind_index(plain, RINGS["new"], purpose="patients.phone.index")}

    reencrypt_column(db, Patient.phone, also=index)

    with db.read() as session:
        assert session.get(Patient, 2).phone_index == index("+49 2")["phone_index"]


def test_a_value_that_the_service_changes_meanwhile_is_the_services(db, patients):
    patients(2)
    IN_FORCE[0] = "new"
    newer = []

    def interfere(plain):
        if plain == "+49 2" and not newer:
            newer.append(True)
            session = interfering[0]
            session.execute(text("update reencrypt_patients set phone = 'newer' where id = 2"))
        return {}

    from shared.database._reencrypt import _Work

    interfering = []
    work = _Work(Patient.phone, interfere, 500)
    with db.transaction() as session:
        interfering.append(session)
        total, is_done = work.step(session, Reencryption())

    assert is_done
    assert (total.changed, total.skipped) == (1, 1)
    assert stored(db)[2] == "newer"


def test_the_keys_of_the_runtime_serve_as_well(db):
    made = Runtime("test")
    made.replace(EncryptionKeys, RINGS["old"])

    with use(made):
        assert Pair.note.type.keys_in_force() is RINGS["old"]


@pytest.mark.parametrize("column", [Patient.name, Patient, "phone", None, Pair.note], ids=range(5))
def test_other_columns_are_refused(db, column):
    with pytest.raises(InvalidArgumentError, match="column"):
        reencrypt_column(db, column)


@pytest.mark.parametrize("batch", [0, -1, 10_001])
def test_a_batch_has_a_size(db, batch):
    with pytest.raises(InvalidArgumentError, match="batch"):
        reencrypt_column(db, Patient.phone, batch=batch)
