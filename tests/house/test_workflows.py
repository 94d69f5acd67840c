"""The workflows are pinned, grant nothing they do not need, and test every Python."""

import re
import tomllib
from pathlib import Path

import pytest
import yaml

from tests.house._repo import ROOT, shown

FOLDER = ROOT / ".github" / "workflows"
WORKFLOWS = sorted(FOLDER.glob("*.yml"))
PINNED = re.compile(r"^[\w.-]+(/[\w.-]+)+@[0-9a-f]{40}$")
USES = re.compile(r"^\s*(?:- )?uses:\s*(\S+)(?:\s+#\s*(\S+))?\s*$", re.MULTILINE)


def load(path: Path) -> dict:
    """The workflow; YAML reads the key ``on`` as True."""
    workflow = yaml.safe_load(path.read_text(encoding="utf-8"))
    workflow["on"] = workflow.pop(True)
    return workflow


JOBS = [
    pytest.param(path, name, job, id=f"{path.stem}.{name}")
    for path in WORKFLOWS
    for name, job in load(path)["jobs"].items()
]


def steps_of(job: dict) -> list[dict]:
    return job.get("steps", [])


@pytest.mark.parametrize("path", WORKFLOWS, ids=shown)
def test_an_action_is_pinned_to_a_commit_and_names_its_version(path):
    used = USES.findall(path.read_text(encoding="utf-8"))

    loose = [
        action
        for action, version in used
        if not PINNED.match(action) or not re.match(r"v\d+\.\d+\.\d+$", version)
    ]

    assert loose == [], f"{shown(path)}: write action@<40 hex digits> # v1.2.3"


def test_one_action_has_one_version_everywhere():
    used = {pin for path in WORKFLOWS for pin in USES.findall(path.read_text(encoding="utf-8"))}
    versions = {}
    for action, version in used:
        name, _, commit = action.partition("@")
        versions.setdefault("/".join(name.split("/")[:2]), set()).add((commit, version))

    assert {name: found for name, found in versions.items() if len(found) > 1} == {}


@pytest.mark.parametrize("path", WORKFLOWS, ids=shown)
def test_a_workflow_grants_nothing_by_default(path):
    assert load(path)["permissions"] == {}


@pytest.mark.parametrize("path", WORKFLOWS, ids=shown)
def test_a_workflow_says_which_runs_exclude_each_other(path):
    assert {"group", "cancel-in-progress"} <= set(load(path)["concurrency"])


@pytest.mark.parametrize(("path", "name", "job"), JOBS)
def test_a_job_says_what_it_may_do_and_how_long(path, name, job):
    assert "permissions" in job
    assert 0 < job["timeout-minutes"] <= 60


@pytest.mark.parametrize(("path", "name", "job"), JOBS)
def test_a_job_leaves_no_credentials_in_the_checkout(path, name, job):
    checkouts = [step for step in steps_of(job) if step.get("uses", "").startswith("actions/checkout@")]

    assert all(step["with"]["persist-credentials"] is False for step in checkouts)


@pytest.mark.parametrize(("path", "name", "job"), JOBS)
def test_a_script_takes_outside_values_from_its_environment_alone(path, name, job):
    scripts = [step["run"] for step in steps_of(job) if "run" in step]

    assert [script for script in scripts if "${{" in script] == [], (
        "an expression in a script is a way to inject code"
    )


@pytest.mark.parametrize(("path", "name", "job"), JOBS)
def test_only_the_jobs_that_publish_may_write(path, name, job):
    writes = {scope for scope, level in job["permissions"].items() if level == "write"}
    allowed = {
        "release.build": {"id-token", "attestations"},
        "release.publish": {"id-token"},
        "release.notes": {"contents"},
        "security.codeql": {"security-events"},
    }

    assert writes == allowed.get(f"{path.stem}.{name}", set())


@pytest.mark.parametrize(("path", "name", "job"), JOBS)
def test_a_make_target_of_a_job_exists(path, name, job):
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    called = {word for step in steps_of(job) for word in re.findall(r"\bmake ([a-z-]+)", step.get("run", ""))}

    assert called <= targets


def test_the_suite_runs_on_every_supported_python():
    classifiers = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["classifiers"]
    supported = {text.rsplit(" ", 1)[1] for text in classifiers if re.search(r":: 3\.\d+$", text)}

    matrix = load(FOLDER / "ci.yml")["jobs"]["tests"]["strategy"]["matrix"]["python"]

    assert set(matrix) == supported == {"3.11", "3.12", "3.13", "3.14"}


def test_the_suite_runs_with_the_lowest_and_the_newest_dependencies():
    include = load(FOLDER / "ci.yml")["jobs"]["resolutions"]["strategy"]["matrix"]["include"]

    assert {case["resolution"] for case in include} == {"lowest-direct", "highest"}


@pytest.mark.parametrize("job", ["tests", "resolutions", "wheel"])
def test_the_suite_runs_against_real_servers(job):
    assert set(load(FOLDER / "ci.yml")["jobs"][job]["services"]) == {"postgres", "redis"}


def test_the_required_check_waits_for_every_job():
    jobs = load(FOLDER / "ci.yml")["jobs"]

    assert set(jobs["required"]["needs"]) == set(jobs) - {"required"}
    assert jobs["required"]["if"] == "always()"


def test_a_release_is_attested_and_published_without_a_password():
    jobs = load(FOLDER / "release.yml")["jobs"]
    text = (FOLDER / "release.yml").read_text()

    assert sum("actions/attest@" in step.get("uses", "") for step in jobs["build"]["steps"]) == 2
    assert "password" not in text
    assert jobs["publish"]["environment"] == "release"


def test_dependabot_watches_the_locks_and_the_actions_with_patience():
    updates = yaml.safe_load((ROOT / ".github" / "dependabot.yml").read_text())["updates"]

    assert {update["package-ecosystem"] for update in updates} == {"pip", "github-actions"}
    assert all(update["cooldown"]["default-days"] >= 7 and update["groups"] for update in updates)
