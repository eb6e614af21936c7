-- One row per issue. GitHub lists pull requests among issues; those are left out, they are in github_pull_requests.
with issues as (
    {{ bronze_latest('issues', [
        'id bigint',
        'repo_id bigint',
        'org text',
        'repo text',
        'number bigint',
        'title text',
        'state text',
        'state_reason text',
        'is_pull_request boolean',
        'pull_request jsonb',
        'user_id bigint',
        'user_login text',
        'user jsonb',
        'labels jsonb',
        'milestone jsonb',
        'assignees jsonb',
        'comments bigint',
        'created_at timestamptz',
        'updated_at timestamptz',
        'closed_at timestamptz',
        'html_url text',
        '_sdc_extracted_at timestamptz',
    ], from_source='github') }}
)

select
    id as issue_id,
    repo_id,
    concat_ws('/', org, repo) as repository,
    org,
    number,
    title,
    state,
    state_reason,
    state = 'open' as is_open,
    user_id as author_id,
    user_login as author_login,
    coalesce("user" ->> 'type', '') = 'Bot' as is_by_bot,
    {{ names_in('labels') }} as labels,
    milestone ->> 'title' as milestone,
    {{ names_in('assignees', 'login') }} as assignees,
    comments,
    created_at,
    updated_at,
    closed_at,
    {{ hours_between('created_at', 'closed_at') }} as hours_to_close,
    html_url,
    _sdc_extracted_at as extracted_at
from issues
where not coalesce(is_pull_request, pull_request is not null)
