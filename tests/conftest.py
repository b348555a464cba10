"""What all tests share. Without Django installed, or before it is set up, the tests of `edge` still run."""

import gc
import importlib.util
import os
import shutil
import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

# No test fails for the time that it takes, neither an example nor the making of examples; fixtures serve all examples.
settings.register_profile(
    "causeway",
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
settings.load_profile("causeway")

HAS_DJANGO = importlib.util.find_spec("django") is not None
STATE_DIR = pytest.StashKey[Path]()
EDGE_TESTS, E2E_TESTS = Path(__file__).parent / "edge", Path(__file__).parent / "e2e"

pytest_plugins = ["tests.days", "tests.order", "tests.marks"]
if HAS_DJANGO:
    # Not in pyproject.toml, because pytest-django would then load the settings for `pytest tests/edge` as well.
    os.environ["DJANGO_SETTINGS_MODULE"] = "tests.settings"
    pytest_plugins += ["tests.fixtures_django", "tests.browser", "tests.demo"]


def only_edge(arguments: list[str]) -> bool:
    """True for a run of `tests/edge` alone: what runs on other machines is tested without Django."""
    paths = [Path(argument.split("::")[0]).resolve() for argument in arguments]
    return bool(paths) and all(path.is_relative_to(EDGE_TESTS) for path in paths)


def pytest_configure(config: pytest.Config) -> None:
    """Set Django up with a state directory for this process alone."""
    if not HAS_DJANGO or only_edge(config.args):
        return
    state = Path(tempfile.mkdtemp(prefix="causeway-tests-"))
    config.stash[STATE_DIR] = state
    os.environ["CAUSEWAY_STATE_DIR"] = str(state)
    (state / "static").mkdir()  # whitenoise warns where it is missing
    if not config.getoption("numprocesses", None):  # else this process runs no test, its workers do
        import django

        django.setup()


def pytest_unconfigure(config: pytest.Config) -> None:
    if state := config.stash.get(STATE_DIR, None):
        shutil.rmtree(state, ignore_errors=True)


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    """Run asynchronous tests by asyncio alone: anyio's plugin for pytest would try other loops as well."""
    return "asyncio"


DATABASE_FIXTURES = {"db", "transactional_db", "django_db_reset_sequences", "live_server"}

# Files whose tests install on machines of their own, minutes each: first, so that both workers end at about one time.
DEPLOYED = {
    "test_gateway_deploy",
    "test_life_deploy",
    "test_systemd",
    "test_systemd_console",
    "test_systemd_newcomer",
    "test_upgrade_from_console",
}


def touches_database(item: pytest.Item) -> bool:
    """True for what pytest-django gives a database: by mark, by fixture, or by Django's own test case."""
    fixtures = set(getattr(item, "fixturenames", ()))
    if item.get_closest_marker("django_db") or fixtures & DATABASE_FIXTURES:
        return True
    test_class = getattr(item, "cls", None)
    return test_class is not None and hasattr(test_class, "databases")


def empties_tables(item: pytest.Item) -> bool:
    """True for tests that commit: afterwards all tables are emptied, and what the migrations wrote is put back.

    All of them or none: Django puts back less after one that does not ask for it, and the next one that asks fails.
    """
    mark = item.get_closest_marker("django_db")
    fixtures = set(getattr(item, "fixturenames", ()))
    return bool((mark and mark.kwargs.get("transaction")) or fixtures & {"transactional_db", "live_server"})


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark tests by what they use, so that nobody has to remember to; leave out what cannot run here."""
    on_postgres = os.environ.get("DATABASE_URL", "").startswith("postgres")
    without_browser = os.environ.get("CAUSEWAY_TEST_WITHOUT_BROWSER")
    for item in items:
        fixtures = set(getattr(item, "fixturenames", ()))
        if touches_database(item):
            item.add_marker("database")
        if isinstance(item, pytest.Function) and empties_tables(item):
            item.fixturenames.append("django_db_serialized_rollback")
        whole_world = item.path.is_relative_to(E2E_TESTS)
        if "demo" in fixtures or whole_world:
            item.add_marker("processes")
            item.add_marker("alone")
            # File by file, to whichever worker is free, each with a demo of its own; one systemd at a time.
            systemd = item.path.stem.startswith("test_systemd")
            item.add_marker(pytest.mark.xdist_group("systemd" if systemd else item.path.stem))
        if "browser" in fixtures:
            item.add_marker("browser")
        if item.get_closest_marker("postgres") and not on_postgres:
            item.add_marker(
                pytest.mark.skip(reason="needs PostgreSQL: python -m tests.postgres -- pytest ...")
            )
        if item.get_closest_marker("browser") and without_browser:
            item.add_marker(pytest.mark.skip(reason="CAUSEWAY_TEST_WITHOUT_BROWSER is set"))
    items.sort(key=lambda item: item.path.stem not in DEPLOYED)


def pytest_collection_finish() -> None:
    """Leave what is loaded by now out of the search for garbage, which takes a twentieth of the time of all tests."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 50)
