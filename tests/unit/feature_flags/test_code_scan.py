"""Where code asks for flags."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.errors import InvalidArgumentError, SharedError
from shared.feature_flags import CodeScan, CodeUse, scan_code


@pytest.fixture
def scanned(tmp_path):
    def scan(known=(), **modules):
        for name, code in modules.items():
            path = tmp_path / (name.replace("__", "/") + ".py")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(code, encoding="utf-8")
        return scan_code(tmp_path, known=known)

    return scan


def calls(scan):
    return {use.key for use in scan.uses if use.how == "call"}


CALLS = {
    "function": "from shared.feature_flags import is_feature_enabled\nis_feature_enabled('k')",
    "keyword": "from shared.feature_flags import is_feature_enabled\nis_feature_enabled(key='k')",
    "alias": "from shared.feature_flags import is_feature_enabled as on\non('k')",
    "room": "from shared import feature_flags\nfeature_flags.variant('k')",
    "room alias": "import shared.feature_flags as ff\nff.value('k', default=3)",
    "whole path": "import shared.feature_flags\nshared.feature_flags.detail('k')",
    "utils": "from shared.utils import is_feature_enabled\nis_feature_enabled('k')",
    "handed on by the service": "from orders.flags import is_feature_enabled\nis_feature_enabled('k')",
    "accessor": "get_flags().is_enabled('k')",
    "attribute": "self.flags.variant('k', {'user_id': 1})",
    "openfeature": "client.get_boolean_value('k', False)",
    "openfeature async": "async def f(): await client.get_object_details_async('k', {})",
    "constant": "KEY = 'k'\nflags.is_enabled(KEY)",
    "joined": "flags.is_enabled('' 'k')",
    "added": "A = 'k'\nflags.is_enabled('' + A)",
    "f-string of constants": "A = 'k'\nflags.is_enabled(f'{A}')",
    "class constant": "class Keys:\n    A = 'k'\nflags.is_enabled(Keys.A)",
    "enumeration": "class Keys(StrEnum):\n    A = 'k'\nflags.is_enabled(Keys.A.value)",
    "declared flag": "A = Flag('k', kind='ops')\nflags.is_enabled(A)",
    "key of a declared flag": "A: Flag = Flag(key='k')\nflags.is_enabled(A.key)",
    "local": "def f():\n    key = 'k'\n    return flags.is_enabled(key)",
    "loop": "for key in ('j', 'k'):\n    flags.is_enabled(key)",
    "comprehension": "[flags.is_enabled(key) for key in ['k']]",
    "choice": "flags.is_enabled('k' if x else 'j')",
    "fallback": "flags.is_enabled(None or 'k') or flags.is_enabled('k')",
    "walrus": "flags.is_enabled(key := 'k') if (key := 'k') else flags.is_enabled(key)",
    "lambda": "f = lambda: flags.is_enabled('k')",
    "decorator": "@when(flags.is_enabled('k'))\ndef f(): ...",
    "default of a parameter": "def f(on=flags.is_enabled('k')): ...",
}


@pytest.mark.parametrize("code", [pytest.param(code, id=name) for name, code in CALLS.items()])
def test_a_call_with_a_key_that_the_text_tells_is_found(scanned, code):
    assert scanned(app=code).is_used("k")


def test_a_constant_of_another_module_is_followed(scanned):
    scan = scanned(
        shop__keys="MENU = 'new_menu'\nclass K:\n    CART = 'new_cart'",
        shop__flags="from shared.feature_flags import Flag\nPRICES = Flag('prices')",
        shop____init__="",
        shop__a="from shop.keys import MENU\nflags.is_enabled(MENU)",
        shop__b="from .keys import K\nflags.is_enabled(K.CART)",
        shop__c="from . import flags as declared\nget_flags().is_enabled(declared.PRICES)",
    )

    assert calls(scan) == {"new_menu", "new_cart", "prices"}


DYNAMIC = {
    "parameter": ("def f(key): return flags.is_enabled(key)", "*"),
    "f-string": ("flags.is_enabled(f'beta_{name}')", "beta_*"),
    "sum": ("flags.is_enabled('beta_' + name)", "beta_*"),
    "brackets": ("flags.is_enabled(f'a[1]{name}')", "a[[]1]*"),
    "unknown name": ("is_feature_enabled(KEYS[0])", "*"),
    "two values, one unknown": ("K = 'a'\nK = load()\nflags.is_enabled(K)", "*"),
    "shadowed constant": ("K = 'a'\ndef f(K): return flags.is_enabled(K)", "*"),
    "openfeature": ("client.get_string_value(key, '')", "*"),
}


@pytest.mark.parametrize(
    ("code", "pattern"), [pytest.param(*case, id=name) for name, case in DYNAMIC.items()]
)
def test_a_key_that_only_running_tells_is_dynamic(scanned, code, pattern):
    scan = scanned(app=code)

    assert [use.pattern for use in scan.dynamic] == [pattern]
    assert calls(scan) == set()


def test_a_dynamic_key_leaves_open_what_it_may_be(scanned):
    scan = scanned(app="flags.is_enabled(f'beta_{name}')")

    assert scan.may_be_used("beta_search")
    assert not scan.may_be_used("analytics_enabled")


OTHERS = {
    "another object": "door.is_enabled(now)",
    "another function": "value('k')\nvariant('k')",
    "a method of another object": "row.value('k'); settings.detail('k')",
    "a number": "flags.is_enabled(3)",
    "no argument": "flags.is_enabled()",
    "stars": "flags.is_enabled(*keys)",
    "a declaration": "A = Flag('k')",
}


@pytest.mark.parametrize("code", [pytest.param(code, id=name) for name, code in OTHERS.items()])
def test_what_has_nothing_to_do_with_flags_is_no_call(scanned, code):
    scan = scanned(app=code)

    assert calls(scan) == set()
    assert scan.dynamic == ()


def test_declarations_are_told_apart_from_calls(scanned):
    scan = scanned(app="A = Flag('a')\nFEATURE_FLAGS: dict = {'b': True, **more, name: False}")

    assert [(use.key, use.how) for use in scan.uses] == [("a", "declared"), ("b", "declared")]


def test_a_known_key_as_a_text_is_a_mention(scanned):
    scan = scanned(known=["k"], app="KEYS = ['k', 'other']")

    assert [use.how for use in scan.of("k")] == ["mention"]
    assert scan.may_be_used("k")
    assert not scan.is_used("k")


def test_a_known_key_is_found_in_templates_and_scripts(tmp_path):
    (tmp_path / "page.html").write_text("<p>\n{% if flag('new-menu') %}")
    (tmp_path / "app.ts").write_text("client.getBooleanValue('new-menu-2', false)")

    scan = scan_code(tmp_path, known=["new-menu"])

    assert [(str(use), use.how) for use in scan.uses] == [("page.html:2", "mention")]


def test_a_file_that_cannot_be_read_leaves_everything_open(scanned):
    scan = scanned(app="def (", fine="flags.is_enabled('k')")

    assert scan.unread == (("app.py", "line 1: invalid syntax"),)
    assert scan.may_be_used("anything")
    assert scan.is_used("k")


def test_a_file_that_is_too_large_is_named(tmp_path):
    (tmp_path / "table.py").write_text("X = 1\n" * 400_000)

    assert scan_code(tmp_path).unread == (("table.py", "larger than 2000000 bytes"),)


@pytest.mark.parametrize("folder", [".git", "node_modules", "__pycache__", "build"])
def test_folders_of_others_are_left_out(tmp_path, folder):
    (tmp_path / folder).mkdir()
    (tmp_path / folder / "app.py").write_text("flags.is_enabled('k')")

    assert scan_code(tmp_path).files == 0


def test_a_virtual_environment_is_left_out_whatever_its_name(tmp_path):
    (tmp_path / "py").mkdir()
    (tmp_path / "py" / "pyvenv.cfg").write_text("")
    (tmp_path / "py" / "app.py").write_text("flags.is_enabled('k')")

    assert scan_code(tmp_path).files == 0


def test_excluded_paths_are_left_out(tmp_path):
    (tmp_path / "tests").mkdir()
    (tmp_path / "tests" / "test_app.py").write_text("flags.is_enabled('k')")

    assert scan_code(tmp_path, exclude=["tests/*"]).files == 0


def test_a_file_that_is_given_twice_counts_once(tmp_path):
    (tmp_path / "app.py").write_text("flags.is_enabled('k')")

    scan = scan_code([tmp_path, tmp_path / "app.py"])

    assert [str(use) for use in scan.of("k")] == ["app.py:1"]


def test_a_path_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(InvalidArgumentError, match="there is no such file or folder"):
        scan_code(tmp_path / "nowhere")


def test_too_many_files_are_refused(tmp_path):
    for name in "ab":
        (tmp_path / f"{name}.py").write_text("")

    with pytest.raises(InvalidArgumentError, match="more than 1 files"):
        scan_code(tmp_path, max_files=1)


def test_imports_in_a_circle_end(scanned):
    scan = scanned(a="from b import K\nflags.is_enabled(K)", b="from a import K")

    assert len(scan.dynamic) == 1


def test_code_that_nests_without_end_is_named_as_unread(tmp_path):
    (tmp_path / "deep.py").write_text("(" * 5000)

    assert len(scan_code(tmp_path).unread) == 1


@settings(deadline=None, max_examples=150)
@given(
    st.lists(
        st.sampled_from(
            ["K = 'a'", "K = f(K)", "for K in ('a', K): flags.is_enabled(K)", "flags.is_enabled(K := K)",
             "lambda K: flags.is_enabled(K)", "class K:\n    K = K", "from . import K", "from .. import K as K",
             "import a.b.K", "flags.is_enabled(f'{K}{K!r}')", "flags.is_enabled(K + K + 'x' + K)", "K += 'a'",
             "K, *J = 'ab'", "flags.is_enabled(K if K else K or K)", "async def K(*K): flags.is_enabled(K)",
             "Flag(Flag('a'))", "X_FLAGS = {K: 1, 'b': 2}", "flags.is_enabled(K.key.value.key)"]
        ),
        max_size=8,
    )
)  # fmt: skip
def test_any_code_is_scanned_without_an_error(tmp_path_factory, lines):
    folder = tmp_path_factory.mktemp("code")
    (folder / "app.py").write_text("\n".join(lines))

    scan = scan_code(folder, known=["a"])

    assert isinstance(scan, CodeScan)
    assert scan.unread == ()


@settings(deadline=None, max_examples=100)
@given(st.binary(max_size=200))
def test_any_bytes_are_scanned_without_another_error_than_ours(tmp_path_factory, data):
    folder = tmp_path_factory.mktemp("bytes")
    (folder / "app.py").write_bytes(data)
    (folder / "app.html").write_bytes(data)

    try:
        scan = scan_code(folder, known=["a"])
    except SharedError:
        return

    assert scan.files == 2


def test_a_place_reads_as_editors_know_it():
    assert str(CodeUse("k", "app.py", 3, "call")) == "app.py:3"
