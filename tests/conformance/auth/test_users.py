"""Users and roles on SQLite and on a real PostgreSQL."""

from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import select, text

from shared.auth import (
    AsyncRoleDAO,
    AsyncUserDAO,
    PasswordManager,
    Role,
    RoleDAO,
    Roles,
    StoredRole,
    User,
    UserDAO,
    UserRole,
    get_roles,
    use_roles,
)
from shared.database import Database, assert_max_queries
from shared.errors import (
    ResourceNotFoundError,
    TransactionConflictError,
    UserAlreadyExistsError,
    UserNotFoundError,
    ValidationError,
)
from shared.runtime import Runtime, use
from tests.conformance.schemas import PATIENT, emptied, made

QUICK = PasswordManager(rounds=4)
TABLES = [User.__table__, UserRole.__table__, StoredRole.__table__]
ADA = {"email": "Ada@Example.com", "username": "Ada", "name": "Ada L.", "password": "correct horse battery"}


@pytest.fixture
def url(shared_engine, request, tmp_path):
    if shared_engine == "postgres":
        return emptied(str(request.getfixturevalue("shared_postgres")), "user_tests", TABLES)
    return made(tmp_path / "users.db", TABLES)


@pytest.fixture
def db(url):
    with Database(url, options=PATIENT) as database:
        yield database


@pytest.fixture
async def adb(url):
    async with Database(url, options=PATIENT) as database:
        yield database


@pytest.fixture
def users(db):
    return UserDAO(db, passwords=QUICK)


def stored(db, user):
    with db.read() as session:
        return session.scalar(select(User.password_hash).where(User.id == user.id))


# -- making and finding --------------------------------------------------------------


def test_a_user_is_made_and_found_by_id_address_and_name(users):
    made = users.create_user({**ADA, "roles": ["viewer", "admin", "viewer"], "details": {"a": 1}})

    assert (made.email, made.username, made.name) == ("ada@example.com", "ada", "Ada L.")
    assert (made.roles, made.details, made.is_active, made.is_verified) == (
        ("admin", "viewer"),
        {"a": 1},
        True,
        False,
    )
    assert users.get_user(str(made.id)) == made
    assert users.get_user_by_email(" ADA@example.COM") == users.get_user_by_username("aDa") == made
    assert users.get_user_by_email("nobody@example.com") is None
    assert users.get_user_by_username("\x00") is None


def test_nobody_has_the_address_or_the_name_of_somebody_else(users):
    users.create_user(ADA)

    for again in ({**ADA, "username": "other"}, {**ADA, "email": "other@example.com"}):
        with pytest.raises(UserAlreadyExistsError) as caught:
            users.create_user(again)
        assert "ada" not in str(caught.value).lower()

    assert len(users.list_users().items) == 1


def test_of_calls_at_the_same_time_one_makes_the_user(users):
    def make(_):
        try:
            return users.create_user({"email": "ada@example.com"}).id
        except UserAlreadyExistsError:
            return None

    with ThreadPoolExecutor(8) as pool:
        made = [user for user in pool.map(make, range(8)) if user is not None]

    assert len(made) == 1


def test_a_user_that_exists_leaves_the_callers_transaction_alive(users, db):
    users.create_user(ADA)

    with db.transaction() as session:
        bob = users.create_user({"email": "bob@example.com"}, session=session)
        with pytest.raises(UserAlreadyExistsError):
            users.create_user(ADA, session=session)

    assert users.get_user(bob.id) == bob


def test_users_are_listed_newest_first_in_pages_with_two_queries_each(users, db):
    made = [users.create_user({"email": f"u{n}@example.com", "is_active": n % 2 == 0}) for n in range(6)]

    with assert_max_queries(db, 2):
        first = users.list_users(is_active=True, size=2)
    second = users.list_users(is_active=True, size=2, after=first.next_cursor)

    assert [user.id for user in (*first.items, *second.items)] == [made[4].id, made[2].id, made[0].id]
    assert users.list_users(is_verified=True).items == []


# -- changing ------------------------------------------------------------------------


def test_what_is_given_is_changed_and_the_rest_stays(users):
    made = users.create_user(ADA)

    changed = users.update_user(made.id, {"email": "New@example.com", "name": None, "is_verified": True})

    assert (changed.email, changed.name, changed.username) == ("new@example.com", None, "ada")
    assert (changed.is_verified, changed.is_active, changed.version) == (True, True, 2)
    with pytest.raises(TransactionConflictError):
        users.update_user(made.id, {"name": "x"}, version=1)


def test_a_change_cannot_take_the_address_of_somebody_else(users):
    users.create_user(ADA)
    bob = users.create_user({"email": "bob@example.com"})

    with pytest.raises(UserAlreadyExistsError):
        users.update_user(bob.id, {"email": "ADA@example.com"})


def test_a_deleted_user_is_gone_and_can_come_back(users):
    made = users.create_user(ADA)

    assert (users.delete_user(made.id), users.delete_user(made.id)) == (True, False)
    with pytest.raises(UserNotFoundError):
        users.get_user(made.id)
    assert users.get_user_by_email("ada@example.com") is None
    assert users.authenticate("ada", ADA["password"]) is None
    assert users.restore_user(made.id).email == made.email


def test_the_address_of_a_deleted_user_is_free(users):
    made = users.create_user(ADA)
    users.delete_user(made.id)

    users.create_user(ADA)

    with pytest.raises(UserAlreadyExistsError):
        users.restore_user(made.id)


# -- passwords -----------------------------------------------------------------------


def test_a_user_logs_in_with_address_or_name(users, db):
    made = users.create_user(ADA)

    by_email = users.authenticate("ada@EXAMPLE.com", ADA["password"])
    by_name = users.authenticate("ADA", ADA["password"])

    assert (by_email.id, by_name.id, by_email.last_login_at is not None) == (made.id, made.id, True)
    assert stored(db, made).startswith("$bcrypt-sha256$")


@pytest.mark.parametrize(
    ("login", "password"),
    [
        ("ada", "wrong"),
        ("nobody", ADA["password"]),
        ("", ""),
        (None, None),
        ("ada", "x" * 5000),
        ("a@b@c", "x"),
    ],
    ids=["wrong", "nobody", "empty", "none", "long", "malformed"],
)
def test_nobody_else_logs_in(users, login, password):
    users.create_user(ADA)

    assert users.authenticate(login, password) is None


def test_an_inactive_user_and_one_without_password_do_not_log_in(users):
    made = users.create_user(ADA)
    users.create_user({"email": "bob@example.com"})
    users.update_user(made.id, {"is_active": False})

    assert users.authenticate("ada", ADA["password"]) is None
    assert users.authenticate("bob@example.com", "") is None


def test_an_outdated_hash_is_replaced_at_the_login(users, db):
    made = users.create_user(ADA)
    before = stored(db, made)
    stronger = UserDAO(db, passwords=PasswordManager(rounds=5))

    assert stronger.authenticate("ada", ADA["password"]).id == made.id

    assert stored(db, made) != before
    assert users.authenticate("ada", ADA["password"]) is not None


def test_a_new_password_replaces_the_old_one(users):
    made = users.create_user(ADA)

    users.set_password(made.id, "another horse battery")

    assert users.authenticate("ada", ADA["password"]) is None
    assert users.authenticate("ada", "another horse battery").id == made.id


@pytest.mark.parametrize(
    "password", ["short", "ada@example.com", "", "x" * 2000], ids=["short", "own", "empty", "long"]
)
def test_a_password_that_the_policy_refuses_is_not_stored(users, password):
    made = users.create_user({"email": "ada@example.com"})

    with pytest.raises(ValidationError) as caught:
        users.create_user({**ADA, "email": "ada@example.com", "password": password})
    with pytest.raises(ValidationError):
        users.set_password(made.id, password)

    assert caught.value.details["errors"][0]["field"] == "password"
    assert len(users.list_users().items) == 1


def test_neither_password_nor_address_is_in_any_text(users):
    made = users.create_user(ADA)

    assert "example.com" not in repr(made)
    assert "horse" not in f"{made!r} {made.model_dump()}"
    with pytest.raises(ValidationError) as caught:
        users.create_user({**ADA, "name": "x" * 500})
    assert "horse" not in f"{caught.value} {caught.value.details}"


# -- roles ---------------------------------------------------------------------------


def test_roles_are_granted_and_revoked_once(users):
    made = users.create_user(ADA)

    granted = [users.grant_role(made.id, "admin").roles for _ in range(2)]
    revoked = [users.revoke_role(made.id, "admin").roles for _ in range(2)]

    assert (granted, revoked) == ([("admin",)] * 2, [()] * 2)
    with pytest.raises(ValidationError, match="role"):
        users.grant_role(made.id, "ADMIN ")


def test_grants_at_the_same_time_are_kept(users):
    made = users.create_user(ADA)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda n: users.grant_role(made.id, f"role{n % 4}"), range(16)))

    assert users.get_user(made.id).roles == ("role0", "role1", "role2", "role3")


def test_stored_roles_decide_what_is_allowed(db, users):
    roles = RoleDAO(db)
    roles.save_role({"name": "viewer", "permissions": ["orders:read"]})
    roles.save_role(
        {"name": "editor", "permissions": ["orders:*"], "includes": ["viewer"], "description": "x"}
    )
    roles.save_role({"name": "editor", "permissions": ["orders:write"], "includes": ["viewer"]})

    runtime = Runtime("test")
    with use(runtime):
        use_roles(roles.list_roles())
        assert get_roles().names_of(_principal("editor")) == {"editor", "viewer"}
    runtime.close()

    assert roles.get_role("editor") == Role("editor", ("orders:write",), ("viewer",))
    with pytest.raises(ResourceNotFoundError):
        roles.get_role("nobody")


def _principal(role):
    from shared.auth import Principal

    return Principal(user_id="u-1", roles={role})


@pytest.mark.parametrize(
    "wrong",
    [
        {"name": "a b"},
        {"name": "a", "permissions": ["orders read"]},
        {"name": "viewer", "includes": ["editor"]},
        {"name": "a", "includes": ["nobody"]},
        {"name": "a", "power": 1},
    ],
    ids=["name", "permission", "circle", "unknown", "field"],
)
def test_roles_that_make_no_sense_are_not_stored(db, wrong):
    roles = RoleDAO(db)
    roles.save_role({"name": "viewer"})
    roles.save_role({"name": "editor", "includes": ["viewer"]})

    with pytest.raises(ValidationError):
        roles.save_role(wrong)

    assert roles.list_roles() == [Role("editor", (), ("viewer",)), Role("viewer")]


def test_a_deleted_role_is_taken_from_everybody(db, users):
    roles = RoleDAO(db)
    roles.save_role({"name": "viewer"})
    roles.save_role({"name": "editor", "includes": ["viewer"]})
    made = users.create_user({**ADA, "roles": ["editor"]})

    with pytest.raises(ValidationError, match="viewer"):
        roles.delete_role("viewer")

    assert (roles.delete_role("editor"), roles.delete_role("editor")) == (True, False)
    assert users.get_user(made.id).roles == ()
    assert repr(Roles(roles.list_roles())) == "Roles(viewer)"


# -- coroutines ----------------------------------------------------------------------


async def test_coroutines_have_every_verb(adb):
    users, roles = AsyncUserDAO(adb, passwords=QUICK), AsyncRoleDAO(adb)
    made = await users.create_user(ADA)
    await users.create_user({"email": "bob@example.com"})
    assert await users.get_user(made.id) == made
    assert await users.get_user_by_email("ada@example.com") == await users.get_user_by_username("ada") == made
    assert len((await users.list_users(is_active=True)).items) == 2
    assert (await users.update_user(made.id, {"name": "A"})).name == "A"
    assert (await users.authenticate("ada", ADA["password"])).id == made.id
    assert await users.authenticate("ada", "wrong") is None
    await users.set_password(made.id, "another horse battery")
    assert (await users.authenticate("ada", "another horse battery")).id == made.id
    assert (await users.grant_role(made.id, "admin")).roles == ("admin",)
    assert (await users.revoke_role(made.id, "admin")).roles == ()
    assert await users.delete_user(made.id)
    assert (await users.restore_user(made.id)).id == made.id
    async with adb.aio.transaction() as session:
        with pytest.raises(UserAlreadyExistsError):
            await users.create_user(ADA, session=session)
    await roles.save_role({"name": "viewer"})
    assert await roles.get_role("viewer") == Role("viewer")
    assert await roles.list_roles() == [Role("viewer")]
    assert await roles.delete_role("viewer")


# -- bad input -----------------------------------------------------------------------


@pytest.mark.parametrize(
    "wrong",
    [
        {"email": "nobody"}, {"email": None}, {"email": f"{'x' * 64}@{'y' * 200}.com"}, {"email": "a@b.com\x00"},
        {"username": "ab"}, {"username": "a b c"}, {"username": "x" * 65}, {"name": ""}, {"name": "a\x00"},
        {"roles": ["a b"]}, {"details": {"a": float("nan")}}, {"details": {"a": "\x00"}}, {"password_hash": "x"},
        {"is_superuser": True},
    ],
    ids=["no_address", "none", "long", "null", "short_name", "spaces", "long_name", "empty", "null_name", "role",
         "nan", "null_details", "hash", "unknown"],
)  # fmt: skip
def test_a_user_that_does_not_fit_is_refused(users, wrong):
    with pytest.raises(ValidationError):
        users.create_user({**ADA, **wrong})

    assert users.list_users().items == []


def test_changes_that_do_not_fit_are_refused(users):
    made = users.create_user(ADA)

    for wrong in ({}, {"email": None}, {"password": "x"}, {"roles": ["admin"]}, {"is_active": None}, None):
        with pytest.raises(ValidationError):
            users.update_user(made.id, wrong)
    with pytest.raises(UserNotFoundError):
        users.update_user("00000000-0000-0000-0000-000000000000", {"name": "x"})
    with pytest.raises(ValidationError):
        users.get_user("1 or 1=1")

    assert users.get_user(made.id) == made


def test_the_database_itself_keeps_addresses_apart(users, db):
    users.create_user(ADA)
    bob = users.create_user({"email": "bob@example.com"})

    with pytest.raises(Exception, match="exists already"), db.transaction() as session:
        session.execute(
            text("update auth_users set email = 'ada@example.com' where email = :email"), {"email": bob.email}
        )
