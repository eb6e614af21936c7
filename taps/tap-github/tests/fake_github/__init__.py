"""A believable GitHub for the tests of tap-github.

`descriptions/` holds what requests and answers are checked against: the operations of GitHub's OpenAPI document that a
tap may need (npm `@octokit/openapi` 23.0.2, MIT) and its GraphQL schema (npm `@octokit/graphql-schema` 15.26.1, MIT).
"""

from fake_github.server import NOW, TOKEN, FakeGitHub

__all__ = ["NOW", "TOKEN", "FakeGitHub"]
