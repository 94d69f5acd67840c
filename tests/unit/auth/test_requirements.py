"""``require_*``: the same rule as decorator, as dependency and in the middle of code."""

import asyncio
import functools
import inspect
import uuid

import pytest

from shared.auth import (
    AccessDenied,
    Principal,
    Role,
    authorize,
    establish,
    explain_access,
    is_allowed,
    require_owner,
    require_permissions,
    require_roles,
    require_scope,
    require_tenant,
    require_user,
    use_roles,
)
from shared.context import bound_fields, get_principal, get_tenant, request_context
from shared.errors import (
    AuthenticationError,
    AuthorizationError,
    InvalidArgumentError,
    ServiceUnavailableError,
    UnsupportedCallableError,
)
from shared.runtime import Runtime, use

ADMIN = Principal(user_id="u-1", roles={"admin"}, tenant="acme")
USER = Principal(user_id="u-2", permissions={"orders:read"}, tenant="acme")


@pytest.fixture(autouse=True)
def runtime():
    with use(Runtime("access")) as runtime:
        use_roles([Role("admin", ["**"], includes=["support"]), Role("support", ["tickets:*"])])
        yield runtime
        runtime.close()


@pytest.fixture
def denials(runtime):
    heard = []
    runtime.events.subscribe(AccessDenied, heard.append)
    return heard


def acting(principal):
    return request_context(principal=principal)


# --- every kind of function ---------------------------------------------------------------


async def collect(stream):
    return [item async for item in stream]


def plain(x=1):
    return [x]


async def coroutine(x=1):
    return [x]


def generator(x=1):
    yield x


async def async_generator(x=1):
    yield x


class Thing:
    def method(self, x=1):
        return [x]

    async def async_method(self, x=1):
        return [x]


class AsyncCallable:
    async def __call__(self, x=1):
        return [x]


KINDS = {
    "function": (plain, lambda f: f(x=2)),
    "coroutine": (coroutine, lambda f: asyncio.run(f(x=2))),
    "generator": (generator, lambda f: list(f(x=2))),
    "async generator": (async_generator, lambda f: asyncio.run(collect(f(x=2)))),
    "partial": (functools.partial(plain, x=2), lambda f: f()),
    "async partial": (functools.partial(coroutine, x=2), lambda f: asyncio.run(f())),
    "bound method": (Thing().method, lambda f: f(x=2)),
    "async bound method": (Thing().async_method, lambda f: asyncio.run(f(x=2))),
    "async callable object": (AsyncCallable(), lambda f: asyncio.run(f(x=2))),
}


@pytest.mark.parametrize("kind", KINDS)
def test_a_guarded_function_of_any_kind_runs_for_whom_it_may(kind):
    function, call = KINDS[kind]
    guarded = require_roles("admin")(function)

    with acting(ADMIN):
        assert call(guarded) == [2]


@pytest.mark.parametrize("kind", KINDS)
def test_a_guarded_function_of_any_kind_refuses_the_others(kind):
    function, call = KINDS[kind]
    guarded = require_roles("admin")(function)

    with acting(USER), pytest.raises(AuthorizationError):
        call(guarded)
    with pytest.raises(AuthenticationError):
        call(guarded)


@pytest.mark.parametrize("kind", ["function", "coroutine", "generator", "async generator"])
def test_a_guarded_function_keeps_its_kind_name_and_signature(kind):
    function, _ = KINDS[kind]
    guarded = require_roles("admin")(function)

    for test in (inspect.iscoroutinefunction, inspect.isgeneratorfunction, inspect.isasyncgenfunction):
        assert test(guarded) == test(function)
    assert inspect.signature(guarded) == inspect.signature(function)
    assert guarded.__name__ == function.__name__


def test_methods_are_guarded_in_the_class_body():
    class Service:
        @require_roles("admin")
        def close(self):
            return "closed"

        @staticmethod
        @require_roles("admin")
        def sweep():
            return "swept"

    with acting(ADMIN):
        assert (Service().close(), Service.sweep()) == ("closed", "swept")
    with pytest.raises(AuthenticationError):
        Service.sweep()


@pytest.mark.parametrize(
    "what",
    [classmethod(plain), staticmethod(plain), Thing, 7],
    ids=["classmethod", "staticmethod", "class", "int"],
)
def test_what_cannot_be_guarded_is_refused_at_once(what):
    with pytest.raises(UnsupportedCallableError):
        require_roles("admin")(what)


@pytest.mark.parametrize(
    "rule", [require_roles, require_permissions, require_scope, require_owner, require_tenant]
)
def test_a_rule_without_parentheses_is_refused_at_once(rule):
    with pytest.raises(UnsupportedCallableError):
        rule(plain)


@pytest.mark.parametrize("rule", [require_roles, require_permissions, require_scope])
@pytest.mark.parametrize("names", [(), ("",), ("admin ",), ("a b",), (7,)], ids=ascii)
def test_a_rule_with_a_malformed_name_is_refused_at_once(rule, names):
    with pytest.raises(InvalidArgumentError):
        rule(*names)


def test_a_match_that_is_neither_any_nor_all_is_refused():
    with pytest.raises(InvalidArgumentError, match="any"):
        require_roles("admin", match="some")


async def test_what_is_thrown_into_a_guarded_async_generator_reaches_it():
    seen = []

    @require_user()
    async def dependency():
        try:
            sent = yield 1
            seen.append(sent)
            yield 2
        except ValueError:
            seen.append("rolled back")
            yield 3
        finally:
            seen.append("closed")

    with acting(USER):
        stream = dependency()
        assert await anext(stream) == 1
        assert await stream.asend("hello") == 2
        assert await stream.athrow(ValueError()) == 3
        await stream.aclose()

    assert seen == ["hello", "rolled back", "closed"]


async def test_an_exception_of_a_guarded_async_generator_comes_out():
    @require_user()
    async def stream():
        yield 1
        raise KeyError("x")

    with acting(USER), pytest.raises(KeyError):
        await collect(stream())


# --- the rules -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("rule", "principal", "reason"),
    [
        (require_user(), USER, None),
        (require_roles("admin"), ADMIN, None),
        (require_roles("support"), ADMIN, None),
        (require_roles("admin", "support"), Principal(user_id="u", roles={"support"}), None),
        (require_roles("admin", "support", match="all"), ADMIN, None),
        (
            require_roles("admin", "support", match="all"),
            Principal(user_id="u", roles={"support"}),
            "lacks 'admin'",
        ),
        (require_roles("admin"), USER, "has none of the roles 'admin'"),
        (require_permissions("orders:read"), USER, None),
        (require_permissions("orders:read", "orders:write"), USER, "lacks the permission 'orders:write'"),
        (require_permissions("orders:read", "orders:write", match="any"), USER, None),
        (require_permissions("a:b", "c:d"), USER, "lacks the permissions 'a:b', 'c:d'"),
        (require_scope("orders:read"), USER, None),
        (require_scope("orders:read"), USER.replaced(scopes=["orders:*"]), None),
        (
            require_scope("orders:read:all"),
            USER.replaced(scopes=["orders:*"]),
            "lacks the scope 'orders:read:all'",
        ),
        (require_scope("orders:read"), USER.replaced(scopes=[]), "lacks the scope 'orders:read'"),
        (require_roles("admin") | require_permissions("orders:read"), USER, None),
        (require_roles("admin") & require_permissions("orders:read"), USER, "has none of the roles 'admin'"),
        (require_permissions("orders:read") & require_scope("orders:read"), USER, None),
        (
            require_roles("admin") | require_permissions("orders:write"),
            USER,
            "has none of the roles 'admin'; lacks the permission 'orders:write'",
        ),
    ],
    ids=lambda value: None if isinstance(value, Principal) else str(value)[:70],
)
def test_a_rule_decides_and_explains(rule, principal, reason):
    decision = rule.explain(principal)

    assert decision.allowed is (reason is None)
    assert bool(decision) is decision.allowed
    if reason is not None:
        assert decision.reason == reason


def test_a_rule_called_without_arguments_returns_the_principal():
    with acting(ADMIN):
        assert require_roles("admin")() is ADMIN


def test_rules_join_only_with_rules():
    with pytest.raises(TypeError):
        require_roles("admin") | "editor"


# --- 401 and 403 -----------------------------------------------------------------------------


def test_nobody_is_a_401_with_a_challenge():
    with pytest.raises(AuthenticationError) as caught:
        require_roles("admin")()

    assert caught.value.headers == {"WWW-Authenticate": "Bearer"}


def test_somebody_who_may_not_is_a_403_that_says_what_is_missing():
    with acting(USER), pytest.raises(AuthorizationError) as caught:
        require_permissions("orders:refund")()

    assert str(caught.value) == "not allowed: lacks the permission 'orders:refund'"
    assert caught.value.details == {"missing": ["orders:refund"]}
    assert "WWW-Authenticate" not in caught.value.headers


def test_a_missing_scope_is_a_403_that_names_the_scope():
    with acting(USER.replaced(scopes=[])), pytest.raises(AuthorizationError) as caught:
        require_scope("orders:read")()

    assert caught.value.headers == {
        "WWW-Authenticate": 'Bearer error="insufficient_scope", scope="orders:read"'
    }


def test_a_credential_that_did_not_hold_is_the_reason_of_the_401():
    with request_context():
        establish(None, AuthenticationError("the API key has expired", challenge="ApiKey"))

        for _ in range(2):
            with pytest.raises(AuthenticationError, match="expired") as caught:
                require_user()()

    assert caught.value.headers == {"WWW-Authenticate": "ApiKey"}


def test_a_store_that_could_not_be_asked_is_a_503_and_nobody_gets_in():
    with request_context():
        establish(None, ServiceUnavailableError("the session store is down"))

        with pytest.raises(ServiceUnavailableError):
            require_user()()


def test_the_failure_of_one_request_is_not_that_of_the_next():
    with request_context():
        establish(None, AuthenticationError("the API key has expired"))
    with request_context(), pytest.raises(AuthenticationError, match="authentication required"):
        require_user()()


def test_who_was_established_is_in_context_and_log_fields():
    with request_context():
        establish(ADMIN)

        assert get_principal() is ADMIN
        assert get_tenant() == "acme"
        assert bound_fields() == {"user_id": "u-1", "auth_method": "token"}


# --- events ----------------------------------------------------------------------------------


def test_a_denial_is_told_with_who_what_and_why(denials):
    with acting(USER), pytest.raises(AuthorizationError):
        require_roles("admin")()

    assert denials == [
        AccessDenied("the role 'admin'", "has none of the roles 'admin'", "u-2", "acme", "token")
    ]


def test_a_denial_of_nobody_is_told_too(denials):
    with pytest.raises(AuthenticationError):
        require_user()()

    assert denials == [AccessDenied("a user", "nobody is authenticated")]


def test_explaining_tells_nobody(denials):
    require_roles("admin").explain(USER)
    require_roles("admin").explain()
    is_allowed("orders:read")

    assert denials == []


def test_a_listener_that_fails_changes_no_decision(runtime):
    runtime.events.subscribe(AccessDenied, lambda event: 1 // 0)

    with acting(USER), pytest.raises(AuthorizationError):
        require_roles("admin")()


# --- owner and tenant ------------------------------------------------------------------------


@require_owner("user_id") | require_roles("admin")
def addresses(user_id, kind="home"):
    return (user_id, kind)


def test_an_owner_may_whatever_way_the_argument_comes():
    with acting(USER):
        assert addresses("u-2") == ("u-2", "home")
        assert addresses(user_id="u-2", kind="work") == ("u-2", "work")
        with pytest.raises(AuthorizationError):
            addresses("u-1")
    with acting(ADMIN):
        assert addresses("u-2") == ("u-2", "home")


def test_an_id_of_another_type_is_compared_by_its_text():
    me = uuid.uuid4()

    @require_owner("owner")
    def read(owner):
        return "mine"

    with acting(Principal(user_id=str(me))):
        assert read(me) == "mine"


@pytest.mark.parametrize("value", [None, "", True, "u-20", ["u-2"]], ids=ascii)
def test_nothing_and_what_only_looks_like_it_is_not_the_owner(value):
    with acting(USER), pytest.raises(AuthorizationError):
        addresses(value)


def test_an_argument_that_is_left_out_counts_as_its_default():
    @require_owner("user_id")
    def read(user_id="u-2"):
        return user_id

    with acting(USER):
        assert read() == "u-2"
        with pytest.raises(AuthorizationError):
            read(user_id="u-1")


def test_an_owner_rule_for_a_parameter_that_does_not_exist_is_refused_at_once():
    with pytest.raises(UnsupportedCallableError, match="user_id"):
        require_owner("user_id")(lambda other: None)


def test_an_owner_rule_is_refused_as_a_dependency():
    with pytest.raises(UnsupportedCallableError, match="decorator"):
        inspect.signature(require_owner("user_id"))


def test_an_owner_rule_is_checked_by_name_in_the_middle_of_code():
    rule = require_owner("user_id")

    with acting(USER):
        assert rule.check(user_id="u-2") is USER
        with pytest.raises(InvalidArgumentError, match="by name"):
            rule()


def test_the_tenant_of_the_path_must_be_that_of_the_caller():
    @require_tenant("tenant_id")
    def read(tenant_id):
        return tenant_id

    with acting(USER):
        assert read("acme") == "acme"
        with pytest.raises(AuthorizationError):
            read("evil")
    with acting(Principal(user_id="u-1")), pytest.raises(AuthorizationError):
        read(None)


# --- one thing that was loaded ---------------------------------------------------------------


class Order:
    def __init__(self, tenant_id="acme", customer_id="u-9"):
        self.id = 7
        self.tenant_id = tenant_id
        self.customer_id = customer_id


@pytest.mark.parametrize(
    ("principal", "resource", "options", "reason"),
    [
        (USER, None, {}, None),
        (USER, Order(), {}, None),
        (USER, {"tenant": "acme"}, {}, None),
        (USER, {"id": 1}, {}, None),
        (USER, Order("evil"), {}, "it belongs to another tenant"),
        (USER, Order(None), {}, "it belongs to another tenant"),
        (USER.replaced(tenant=None), Order(), {}, "it belongs to another tenant"),
        (USER, Order("evil"), {"any_tenant": True}, None),
        (Principal(user_id="u-9", tenant="acme"), Order(), {"owner": "customer_id"}, None),
        (
            Principal(user_id="u-9", tenant="evil"),
            Order(),
            {"owner": "customer_id"},
            "it belongs to another tenant",
        ),
        (
            Principal(user_id="u-8", tenant="acme"),
            Order(),
            {"owner": "customer_id"},
            "lacks the permission 'orders:read' and is not the owner",
        ),
        (
            Principal(user_id="None", tenant="acme"),
            Order(customer_id=None),
            {"owner": "customer_id"},
            "owner",
        ),
        (Principal(user_id="u-8", tenant="acme"), Order(), {"owner": "no_such"}, "owner"),
        (USER, Order(), {"when": lambda who, order: order.id == 7}, None),
        (USER, Order(), {"when": lambda who, order: False}, "a rule of the service refuses"),
    ],
    ids=lambda value: value if isinstance(value, str) else None,
)
def test_a_loaded_thing_is_judged_by_permission_tenant_owner_and_rule(principal, resource, options, reason):
    decision = explain_access("orders:read", resource, principal=principal, **options)

    assert decision.allowed is (reason is None)
    assert reason is None or reason in decision.reason


def test_authorizing_returns_the_principal_or_raises_and_tells(denials):
    with acting(USER):
        assert authorize("orders:read", Order()) is USER
        assert is_allowed("orders:read", Order())
        with pytest.raises(AuthorizationError):
            authorize("orders:write", Order())
    with acting(Principal(user_id="u-9", tenant="acme")):
        assert is_allowed("orders:read", Order(), owner="customer_id")
        assert not is_allowed("orders:read", Order())
    with pytest.raises(AuthenticationError):
        authorize("orders:read")

    assert [event.resource for event in denials] == ["Order 7", ""]


async def test_a_rule_sees_the_principal_in_threads_and_tasks():
    rule = require_roles("admin")
    with acting(ADMIN):
        assert await asyncio.to_thread(rule) is ADMIN
        assert await asyncio.create_task(asyncio.to_thread(rule)) is ADMIN
