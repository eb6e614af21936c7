-- What each repository delivered in each week, and how long it took. Every event counts in the week in which it happened:
-- a pull request that is opened in one week and merged in the next is in both.
with events as (
    select
        repo_id, repository, {{ week_of('created_at') }} as week, 'opened' as event,
        author_login, null::numeric as lead_time, null::numeric as to_first_review, null::numeric as in_review
    from {{ ref('github_pull_requests') }}
    union all
    select
        repo_id, repository, {{ week_of('merged_at') }}, 'merged',
        author_login, lead_time_hours, hours_to_first_review, hours_in_review
    from {{ ref('github_pull_requests') }}
    where is_merged
    union all
    select
        repo_id, repository, {{ week_of('closed_at') }}, 'rejected', author_login, null, null, null
    from {{ ref('github_pull_requests') }}
    where not is_merged and closed_at is not null
    union all
    select
        repo_id, repository, {{ week_of('committed_at') }}, 'commit',
        coalesce(author_login, author_email), null, null, null
    from {{ ref('github_commits') }}
    where committed_at is not null
    union all
    select repo_id, repository, {{ week_of('created_at') }}, 'issue opened', author_login, null, null, null
    from {{ ref('github_issues') }}
    union all
    select repo_id, repository, {{ week_of('closed_at') }}, 'issue closed', author_login, null, null, null
    from {{ ref('github_issues') }}
    where closed_at is not null
)

select
    concat(repo_id, '-', to_char(week, 'YYYYMMDD')) as delivery_key,
    repo_id,
    max(repository) as repository,
    week,
    count(*) filter (where event = 'commit') as commits,
    count(distinct author_login) filter (where event = 'commit') as commit_authors,
    count(*) filter (where event = 'opened') as pull_requests_opened,
    count(*) filter (where event = 'merged') as pull_requests_merged,
    count(*) filter (where event = 'rejected') as pull_requests_rejected,
    count(*) filter (where event = 'merged' and to_first_review is not null) as pull_requests_reviewed,
    {{ percentile('lead_time', 0.5, "event = 'merged'") }} as lead_time_hours_median,
    {{ percentile('lead_time', 0.9, "event = 'merged'") }} as lead_time_hours_p90,
    {{ percentile('to_first_review', 0.5, "event = 'merged'") }} as hours_to_first_review_median,
    {{ percentile('in_review', 0.5, "event = 'merged'") }} as hours_in_review_median,
    count(*) filter (where event = 'issue opened') as issues_opened,
    count(*) filter (where event = 'issue closed') as issues_closed
from events
where week is not null
group by repo_id, week
