"""How each walk reads: nothing is lost whatever moves, and no bookmark is ahead of what was sent."""

from __future__ import annotations

from datetime import timedelta

import pytest
from fake_github import NOW, FakeGitHub
from fake_github.world import stamp
from harness import sync
from truth import MARKS, truth

from singer_kit.testing.api import Answer, Fault

SECOND, MINUTE, DAY = timedelta(seconds=1), timedelta(minutes=1), timedelta(days=1)


@pytest.fixture
def fake():
    with FakeGitHub(repositories=1, events=0) as fake:
        fake.clock.set(NOW - 20 * DAY)
        yield fake


@pytest.fixture
def repository(fake):
    return fake.repositories[0]


def live(fake, event, count: int, *, every: timedelta = MINUTE) -> None:
    """Let one kind of event happen so often."""
    for _ in range(count):
        fake.clock.advance(every)
        event(fake.repositories[0])


def later(fake, by: timedelta = DAY) -> None:
    fake.clock.advance(by)


def assert_whole(fake, run, *streams: str) -> None:
    for stream in streams:
        assert {key: row[MARKS[stream]] for key, row in run.rows(stream).items()} == truth(fake, stream), stream


# Ascending by a time: issues and comments


def test_cursors_are_followed_as_they_are(fake) -> None:
    """4.9.1"""
    live(fake, fake.life.open_issue, 250)
    later(fake)
    run = sync(fake, "issues")
    assert_whole(fake, run, "issues")
    asked = [each.request for each in fake.api.log if each.request.path.endswith("/issues")]
    assert len(asked) == 3
    number = fake.repositories[0].id
    assert [request.path for request in asked[1:]] == [f"/repositories/{number}/issues"] * 2
    assert all("page" not in request.query and "after" in request.query for request in asked[1:])


@pytest.mark.parametrize("links", ["cursor", "page"])
def test_a_row_that_moves_to_the_end_hides_no_other(links: str) -> None:
    """4.9.2: between two pages, rows of the first one are changed; the first row of the second one moves forward."""
    with FakeGitHub(repositories=1, events=0, issue_links=links) as fake:
        fake.clock.set(NOW - 20 * DAY)
        live(fake, fake.life.open_issue, 230)
        later(fake)
        issues = list(fake.repositories[0].issues.values())

        def change() -> None:
            for issue in issues[10:15]:
                issue.update(updated_at=fake.world.now)

        fake.api.after(1, change, path="/repos/{owner}/{repo}/issues")
        run = sync(fake, "issues")
        assert_whole(fake, run, "issues")
        assert len(run.records("issues")) <= 230 + 5


def test_comments_move_while_they_are_read(fake, repository) -> None:
    live(fake, fake.life.open_issue, 3)
    live(fake, fake.life.comment, 330)
    later(fake)
    comments = list(repository.comments.values())

    def change() -> None:
        for comment in comments[:40:4]:
            fake.clock.advance(1)
            comment.update(updated_at=fake.world.now)

    fake.api.after(1, change, path="/repos/{owner}/{repo}/issues/comments")
    fake.api.after(2, lambda: repository.comments.pop(comments[50]["id"]), path="/repos/{owner}/{repo}/issues/comments")
    rows = sync(fake, "issue_comments").rows("issue_comments")
    for key, mark in truth(fake, "issue_comments").items():
        assert rows[key]["updated_at"] == mark


def test_a_row_that_is_newer_than_its_place(fake, repository) -> None:
    """The order comes from an index, the rows from somewhere newer: the bookmark goes by the order."""
    live(fake, fake.life.open_issue, 230)
    later(fake)

    hidden = repository.issues[5]
    handler = fake.api._routes.find("GET", "/repos/a/b/issues")[0].handler

    def lie(request):
        answer = handler(request)
        rows = [
            {**row, "updated_at": fake.world.now} if row["id"] == hidden["id"] else row for row in answer.json or []
        ]
        return Answer(rows, answer.status, answer.headers)

    fake.api.route("GET", "/repos/{owner}/{repo}/issues", lie, also=("after", "before"))
    fake.api.fault(Fault(Answer({"message": "No"}, 418)), nth=1, path="/repositories/{id}/issues")
    broken = sync(fake, "issues", fails=True)
    assert len(broken.records("issues")) == 100
    rest = sync(fake, "issues", state=broken.state)
    assert (broken.rows("issues") | rest.rows("issues")).keys() == truth(fake, "issues").keys()


def test_more_rows_of_one_second_than_a_page_holds(fake) -> None:
    """An import gives hundreds of comments the same time: there the walk has to go on by numbers."""
    live(fake, fake.life.open_issue, 1)
    live(fake, fake.life.comment, 50)
    live(fake, fake.life.comment, 250, every=timedelta(0))
    live(fake, fake.life.comment, 120)
    later(fake)
    run = sync(fake, "issue_comments")
    assert_whole(fake, run, "issue_comments")
    again = sync(fake, "issue_comments", state=run.state)
    assert again.records() == []


def test_a_bookmark_moves_with_each_page_and_stays_behind_the_clock(fake, repository) -> None:
    live(fake, fake.life.open_issue, 150)
    fake.clock.advance(10)  # the newest rows are younger than a minute: others may still come in beside them
    run = sync(fake, "issues")
    horizon = stamp(fake.clock.now - MINUTE)
    assert run.bookmarks("issues")[repository.id]["replication_key_value"][:19] == horizon[:19]
    later(fake)
    again = sync(fake, "issues", state=run.state)
    assert {row["updated_at"] > horizon for row in again.records("issues")} <= {True}
    assert again.bookmarks("issues")[repository.id]["replication_key_value"] > horizon


# From the newest on


def test_etag_ends_a_partition_for_free(fake) -> None:
    """4.9.5"""
    live(fake, fake.life.start_run, 5)
    live(fake, fake.life.star, 5)
    later(fake)
    run = sync(fake, "events")
    used = fake.core.used("ghp_fake")
    fake.api.forget()
    again = sync(fake, "events", state=run.state)
    assert [each.status for each in fake.api.log.of("/repos/{owner}/{repo}/events")] == [304]
    assert again.records() == []
    assert again.state == run.state
    assert fake.core.used("ghp_fake") == used + 1  # the listing of repositories


def test_only_what_changed_comes_again(fake, repository) -> None:
    live(fake, fake.life.open_pull, 150)
    later(fake)
    run = sync(fake, "pull_requests", "reviews")
    assert_whole(fake, run, "pull_requests", "reviews")
    live(fake, fake.life.review, 3)
    later(fake)
    fake.api.forget()
    again = sync(fake, "pull_requests", "reviews", state=run.state)
    changed = {row["pull_request_url"] for rows in repository.reviews.values() for row in rows}
    assert {row["url"] for row in again.records("pull_requests")} == changed
    assert {row["id"] for row in again.records("reviews")} == {key[0] for key in truth(fake, "reviews")}
    assert len(fake.api.log) == 5  # the clock, repositories, survey, a page of pull requests, their reviews


def test_a_stream_that_is_selected_later_begins_at_its_own_beginning(fake) -> None:
    live(fake, fake.life.open_pull, 5)
    live(fake, fake.life.review, 20)
    later(fake)
    first = sync(fake, "pull_requests")
    again = sync(fake, "pull_requests", "reviews", state=first.state)
    assert again.records("pull_requests") == []
    assert_whole(fake, again, "reviews")
    third = sync(fake, "reviews", state=again.state)  # and without its leader
    assert third.records() == []


def test_kill_on_the_way_through_a_first_reading(fake, repository) -> None:
    """4.9.10: after page 2 of 5."""
    live(fake, fake.life.open_pull, 450)
    live(fake, fake.life.review, 60)
    later(fake)
    streams = ("pull_requests", "reviews", "pull_request_commits")
    fake.api.fault(Fault(Answer({"message": "Not today"}, 418)), nth=3, path="/repositories/{id}/pulls")
    fake.api.fault(Fault(Answer({"message": "Not today"}, 418)), nth=2, path="/repos/{owner}/{repo}/pulls")
    broken = sync(fake, *streams, fails=True)
    state = broken.bookmarks("pull_requests")[repository.id]
    assert "replication_key_value" not in state
    assert 0 < len(broken.records("pull_requests")) < 450

    live(fake, fake.life.review, 30)  # old ones move to the front meanwhile
    later(fake)
    fake.api.forget()
    rest = sync(fake, *streams, state=broken.state)
    assert len(fake.api.log.of(where=lambda request: request.path.endswith("/pulls"))) < 5
    last = sync(fake, *streams, state=rest.state)
    for stream in streams:
        union = broken.rows(stream) | rest.rows(stream) | last.rows(stream)
        assert union.keys() == truth(fake, stream).keys()
    fresh = sync(fake, "pull_requests").rows("pull_requests")
    union = broken.rows("pull_requests") | rest.rows("pull_requests") | last.rows("pull_requests")
    assert union == fresh


def test_deployments_that_change_late(fake, repository) -> None:
    live(fake, fake.life.deploy, 3)
    later(fake)
    run = sync(fake, "deployments", "deployment_statuses")
    later(fake, 10 * DAY)
    repository.deployments[0].update(updated_at=fake.world.now)
    later(fake)
    again = sync(fake, "deployments", "deployment_statuses", state=run.state)
    assert [row["id"] for row in again.records("deployments")] == [repository.deployments[0]["id"]]
    assert [row["deployment_id"] for row in again.records("deployment_statuses")] == [repository.deployments[0]["id"]]


def test_a_gap_in_events_is_told(fake, caplog) -> None:
    live(fake, fake.life.push, 10)
    later(fake)
    run = sync(fake, "events")
    live(fake, fake.life.push, 400)
    later(fake)
    sync(fake, "events", state=run.state)
    assert "has had more events since the last run than GitHub keeps" in caplog.text


# Whole listings


def test_a_row_that_is_deleted_while_a_listing_is_read_hides_no_other(fake, repository) -> None:
    template = repository.labels[0]
    repository.labels[:] = [{**template, "id": number, "name": f"label {number}"} for number in range(1, 251)]
    fake.api.after(1, lambda: repository.labels.pop(3), path="/repos/{owner}/{repo}/labels")
    run = sync(fake, "labels")
    assert truth(fake, "labels").keys() <= run.rows("labels").keys()
    fake.api.forget()
    again = sync(fake, "labels", state=run.state)  # what was disturbed is not taken for known
    repository.labels[220]["name"] = "changed on the last page"
    third = sync(fake, "labels", state=again.state)
    assert (repository.labels[220]["id"],) in third.rows("labels")


def test_releases_of_old_commits_arrive(fake, repository) -> None:
    fake.life.release(repository)
    later(fake)
    run = sync(fake, "releases", "release_assets")
    fake.life.release(repository)
    repository.releases[-1].update(created_at="2019-01-01T00:00:00Z")
    again = sync(fake, "releases", "release_assets", state=run.state)
    assert repository.releases[-1]["id"] in {row["id"] for row in again.records("releases")}


def test_whole_listings_as_snapshots(fake) -> None:
    """With versions, all rows come each time, and the version is told behind the last one."""
    first = sync(fake, "labels", "branches", deletion_detection="snapshot")
    again = sync(fake, "labels", "branches", deletion_detection="snapshot", state=first.state)
    for run in (first, again):
        assert_whole(fake, run, "labels", "branches")
        versions = run.of("ACTIVATE_VERSION", "labels")
        assert len(versions) == 1
        assert {row["version"] for row in run.of("RECORD", "labels")} == {versions[0]["version"]}
        assert run.index(versions[0]) > max(run.index(row) for row in run.of("RECORD", "labels"))
    plain = sync(fake, "labels", "branches")
    assert plain.of("ACTIVATE_VERSION") == []


# Commits


def test_commits_that_are_pushed_late(fake, repository) -> None:
    fake.life.push(repository, 150)
    later(fake)
    run = sync(fake, "commits")
    assert_whole(fake, run, "commits")
    fake.life.push(repository, 2, late=300 * DAY)
    later(fake)
    fake.api.forget()
    again = sync(fake, "commits", state=run.state)
    assert len(again.records("commits")) == 2
    assert (run.rows("commits") | again.rows("commits")).keys() == truth(fake, "commits").keys()
    assert len(fake.api.log.of("/repos/{owner}/{repo}/compare/{basehead:path}")) == 1
    fake.api.forget()
    third = sync(fake, "commits", state=again.state)
    assert third.records() == []
    assert len(fake.api.log) == 3  # the clock, repositories and the survey


def test_a_forced_push_whose_base_is_gone(fake, repository) -> None:
    """4.9.6: one of its ancestors is still there."""
    live(fake, fake.life.push, 20)
    later(fake)
    run = sync(fake, "commits")
    live(fake, fake.life.force_push, 1)
    later(fake)
    fake.api.forget()
    again = sync(fake, "commits", state=run.state)
    compared = [each.status for each in fake.api.log.of("/repos/{owner}/{repo}/compare/{basehead:path}")]
    assert compared[0] == 404
    assert compared[-1] == 200
    assert len(again.records("commits")) <= 6
    assert truth(fake, "commits").keys() <= (run.rows("commits") | again.rows("commits")).keys()
    head = repository.history.branches["main"]
    assert again.bookmarks("commits")[repository.id]["heads"] == {"main": head}


def test_a_history_that_is_rewritten_from_its_beginning(fake, repository) -> None:
    live(fake, fake.life.push, 20)
    later(fake)
    run = sync(fake, "commits")
    repository.history.commits.clear()
    repository.history.branches.clear()
    fake.life.push(repository, 12, late=200 * DAY)
    later(fake)
    again = sync(fake, "commits", state=run.state)
    assert_whole(fake, again, "commits")


def test_a_commit_with_more_files_than_a_page_holds(fake, repository) -> None:
    head = repository.history.branches["main"]
    repository.files[head] = 250
    rows = sync(fake, "commits", "commit_details").rows("commit_details")
    assert {file["filename"] for file in rows[repository.id, head]["files"]} == {f"file{each}" for each in range(250)}


def test_commits_of_other_branches(fake, repository) -> None:
    live(fake, fake.life.push, 3)
    live(fake, fake.life.open_pull, 2)
    run = sync(fake, "commits", branches="all")
    reachable = {commit.sha for tip in repository.history.branches.values() for commit in
                 repository.history.reachable(tip)}  # fmt: skip
    assert {row["sha"] for row in run.records("commits")} == reachable
    assert len(run.records("commits")) == len(reachable)
    assert run.bookmarks("commits")[repository.id]["heads"] == repository.history.branches
    some = sync(fake, "commits", branches={repository.full_name: ["topic-1"]})
    tip = repository.history.branches["topic-1"]
    assert {row["sha"] for row in some.records("commits")} == {each.sha for each in repository.history.reachable(tip)}


def test_an_interrupted_first_reading_of_commits_goes_on(fake, repository) -> None:
    live(fake, lambda each: fake.life.push(each, 100), 4)
    later(fake)
    fake.api.fault(Fault(Answer({"message": "No"}, 418)), nth=2, path="/repositories/{id}/commits")
    broken = sync(fake, "commits", fails=True)
    fake.life.push(repository, 5)
    fake.api.forget()
    rest = sync(fake, "commits", state=broken.state)
    assert (broken.rows("commits") | rest.rows("commits")).keys() == truth(fake, "commits").keys()
    assert len(rest.records("commits")) < 300
    assert rest.bookmarks("commits")[repository.id]["heads"] == repository.history.branches


def test_an_empty_repository(fake) -> None:
    fake.world.add_repository("acme-0", "empty")
    for graphql in (True, False):
        run = sync(fake, "commits", "contributors", "branches", "tags", "readme", use_graphql=graphql)
        assert {row["repo"] for row in run.records("commits")} == {"repo-0"}
        assert {row["repo"] for row in run.records("contributors")} == {"repo-0"}


# Workflow runs


def test_a_window_with_too_many_runs_is_cut(fake) -> None:
    """4.9.7"""
    live(fake, fake.life.start_run, 2500, every=SECOND * 100)
    live(fake, fake.life.finish_run, 2500, every=SECOND)
    later(fake)
    run = sync(fake, "workflow_runs")
    assert_whole(fake, run, "workflow_runs")
    assert len(run.records("workflow_runs")) == 2500


def test_a_run_of_long_ago_that_runs_again(fake) -> None:
    live(fake, fake.life.start_run, 120)
    live(fake, fake.life.finish_run, 120)
    later(fake)
    run = sync(fake, "workflow_runs", "workflow_jobs")
    assert_whole(fake, run, "workflow_runs", "workflow_jobs")
    later(fake, 20 * DAY)
    live(fake, fake.life.rerun, 1)
    later(fake)
    again = sync(fake, "workflow_runs", "workflow_jobs", state=run.state)
    (row,) = again.records("workflow_runs")
    assert row["run_attempt"] == 2
    assert {job["run_attempt"] for job in again.records("workflow_jobs")} == {1, 2}
    later(fake, 20 * DAY)
    live(fake, fake.life.finish_run, 1)  # it has fallen out of the window, but was open
    later(fake)
    third = sync(fake, "workflow_runs", "workflow_jobs", state=again.state)
    assert [row["status"] for row in third.records("workflow_runs")] == ["completed"]
    assert {job["status"] for job in third.records("workflow_jobs")} == {"completed"}


# Partitions


def test_one_of_five_repositories_is_gone(fake) -> None:
    """4.9.9"""
    for number in range(1, 4):
        fake.life.push(fake.world.add_repository("acme-0", f"repo-{number}"), 2)
    for each in fake.repositories:
        fake.life.open_issue(each)
    later(fake)
    names = [f"acme-0/repo-{number}" for number in range(4)] + ["acme-0/gone"]
    chosen = {"organizations": [], "repositories": names}
    run = sync(fake, "issues", "commits", fails=True, **chosen)
    assert "acme-0/gone" in str(run.error)
    assert len(run.bookmarks("issues")) == 4
    assert_whole(fake, run, "issues", "commits")
    assert_whole(fake, sync(fake, "issues", "commits", on_partition_error="skip", **chosen), "issues", "commits")


def test_a_stream_that_is_refused_for_one_repository(fake) -> None:
    other = fake.world.add_repository("acme-0", "other")
    for each in fake.repositories:
        fake.life.push(each, 1)
        fake.life.open_issue(each)
    other.refuses["issues"] = (403, "Resource not accessible by personal access token")
    run = sync(fake, "issues", fails=True)
    assert "Resource not accessible" in str(run.error)
    assert {row["repo"] for row in run.records("issues")} == {"repo-0"}
    assert list(run.bookmarks("issues")) == [fake.repositories[0].id]
    tolerant = sync(fake, "issues", tolerate={"issues": [403]})
    assert {row["repo"] for row in tolerant.records("issues")} == {"repo-0"}


def test_what_graphql_denies_is_skipped(fake, repository) -> None:
    other = fake.world.add_repository("acme-0", "other")
    fake.life.discuss(repository)
    fake.life.discuss(other)
    other.refuses["discussions"] = (403, "")
    run = sync(fake, "discussions", "discussion_comments")
    assert {row["repo"] for row in run.records("discussions")} == {"repo-0"}
    assert list(run.bookmarks("discussions")) == [repository.id]
    strict = sync(fake, "discussions", tolerate={"discussions": []}, fails=True)
    assert "Resource not accessible" in str(strict.error)


def test_issues_are_disabled(fake, repository) -> None:
    """410, but pull requests are there."""
    repository.row["has_issues"] = False
    run = sync(fake, "issues", "issue_comments")
    assert run.records() == []
    fake.life.open_pull(repository)
    run = sync(fake, "issues", "issue_comments")
    assert [row["is_pull_request"] for row in run.records("issues")] == [True]


def test_a_renamed_repository_keeps_its_state(fake, repository) -> None:
    live(fake, fake.life.open_issue, 5)
    later(fake)
    run = sync(fake, "issues", "labels")
    fake.life.rename(repository, "renamed")
    again = sync(fake, "issues", "labels", state=run.state)
    assert again.records("issues") == []
    named = sync(fake, "issues", organizations=[], repositories=["acme-0/repo-0"], state=run.state)
    assert named.records("issues") == []
    fake.life.open_issue(repository)
    third = sync(fake, "issues", state=run.state)
    assert [row["repo"] for row in third.records("issues")] == ["renamed"]


def test_pages_that_are_too_heavy(fake) -> None:
    live(fake, fake.life.open_issue, 1)
    live(fake, fake.life.comment, 330)
    later(fake)

    def big(request) -> bool:
        return request.path.endswith("/comments") and int(request.query.get("per_page", "0")) > 25

    fake.api.fault(Fault(Answer({"message": "Server Error"}, 502)), where=big)
    assert_whole(fake, sync(fake, "issue_comments"), "issue_comments")


def test_pull_requests_among_the_issues_can_be_left_out(fake) -> None:
    live(fake, fake.life.open_issue, 3)
    live(fake, fake.life.open_pull, 2)
    run = sync(fake, "issues", include_pull_requests_in_issues=False)
    assert [row["is_pull_request"] for row in run.records("issues")] == [False] * 3
