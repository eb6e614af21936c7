"""The settings of the tap, as `--about` shows them."""

from __future__ import annotations

from typing import Any

from singer_sdk import typing as th

from singer_kit.rest import COMMON

_TEXTS = th.ArrayType(th.StringType)

SETTINGS: dict[str, Any] = th.PropertiesList(
    th.Property(
        "auth_token",
        th.StringType,
        secret=True,
        description="A personal access token or an OAuth token. Unset: the environment's GITHUB_TOKEN.",
    ),
    th.Property("auth_tokens", _TEXTS, default=[], secret=True, description="Further tokens, used by what is left."),
    th.Property("app_id", th.StringType, description="Id of a GitHub App that asks instead of, or besides, tokens."),
    th.Property("app_client_id", th.StringType, description="The App's client id; does as well as app_id."),
    th.Property(
        "app_private_key",
        th.StringType,
        secret=True,
        description="The App's private key: PEM with line breaks or \\n, or base64 of it.",
    ),
    th.Property("app_private_key_path", th.StringType, description="Path of a file with the App's private key."),
    th.Property(
        "app_installations",
        th.ArrayType(
            th.ObjectType(
                th.Property("org", th.StringType, description="Whose installation to look up."),
                th.Property("installation_id", th.IntegerType, description="Which installation, by its id."),
            )
        ),
        default=[],
        description="Which installations of the App are used. Unset: those of the owners that other settings name.",
    ),
    th.Property(
        "repositories",
        _TEXTS,
        default=[],
        description="Such as acme/shop, acme/*, acme/web-*; !acme/old leaves one out.",
    ),
    th.Property("organizations", _TEXTS, default=[], description="All their repositories, and their own streams."),
    th.Property(
        "searches",
        th.ArrayType(
            th.ObjectType(
                th.Property("name", th.StringType, required=True, description="Names the search."),
                th.Property("query", th.StringType, required=True, description="In the words of repository search."),
            )
        ),
        default=[],
        description="Repositories that GitHub's search finds.",
    ),
    th.Property("users", _TEXTS, default=[], description="Users whose profile, repositories and stars are read."),
    th.Property(
        "search_counts",
        th.ArrayType(
            th.ObjectType(
                th.Property("name", th.StringType, required=True, description="Names the count."),
                th.Property("query", th.StringType, required=True, description="In the words of issue search."),
            )
        ),
        default=[],
        description="Issue searches whose number of hits is counted by month, for the stream search_counts.",
    ),
    th.Property("include_forks", th.BooleanType, default=True, description="Read forks too."),
    th.Property("include_archived", th.BooleanType, default=True, description="Read archived repositories too."),
    th.Property("include_disabled", th.BooleanType, default=False, description="Read disabled repositories too."),
    th.Property(
        "visibility",
        th.StringType,
        default="all",
        allowed_values=["all", "public", "private"],
        description="Which repositories of an organization.",
    ),
    th.Property(
        "branches",
        th.CustomType({"type": ["object", "string", "null"], "additionalProperties": True}),
        description='Branches whose commits are read: {"acme/shop": ["main", "next"]}, or "all"; else the default one.',
    ),
    th.Property(
        "commits_mode",
        th.StringType,
        default="compare",
        allowed_values=["compare", "since"],
        description="compare: what is new since the last head, late pushes included; since: by date, a request less.",
    ),
    th.Property("use_graphql", th.BooleanType, default=True, description="Batch through GraphQL what it can answer."),
    th.Property(
        "graphql_page_size",
        th.IntegerType,
        default=50,
        description="Repositories or pull requests in one query, 1-100; halved where the server finds it too heavy.",
    ),
    th.Property(
        "runs_lookback_days",
        th.IntegerType,
        default=30,
        description="How long after its creation a workflow run may be run again and is still noticed.",
    ),
    th.Property(
        "jobs_filter",
        th.StringType,
        default="all",
        allowed_values=["all", "latest"],
        description="Jobs of all attempts of a run, or of its last one.",
    ),
    th.Property("rate_limit_reserve", th.IntegerType, default=50, description="Requests left to others, per token."),
    th.Property(
        "requests_per_second",
        th.NumberType,
        default=15,
        description="REST requests a second and token, for GitHub's secondary limit of 900 a minute; 0 for no limit, "
        "such as on an Enterprise Server without one.",
    ),
    th.Property(
        "use_conditional_requests",
        th.BooleanType,
        default=True,
        description="Ask only for what has changed: keeps ETags in the state.",
    ),
    th.Property("graphql_url", th.StringType, description="Address of GraphQL; worked out of api_url."),
    th.Property("api_version", th.StringType, default="2022-11-28", description="The header X-GitHub-Api-Version."),
    th.Property(
        "tolerate",
        th.ObjectType(additional_properties=th.ArrayType(th.IntegerType)),
        description="Statuses for which a stream skips a repository: {stream: [403, 404]}. Unset: see the README.",
    ),
    th.Property(
        "include_pull_requests_in_issues",
        th.BooleanType,
        default=True,
        description="GitHub lists pull requests among the issues; false leaves them out.",
    ),
    *COMMON,
).to_dict()
