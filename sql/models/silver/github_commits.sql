-- One row per commit of a repository, whichever of its branches it was read from.
with commits as (
    {{ bronze_latest('commits', [
        'repo_id bigint',
        'org text',
        'repo text',
        'sha text',
        'committed_at timestamptz',
        'authored_at timestamptz',
        'commit jsonb',
        'author jsonb',
        'committer jsonb',
        'parents jsonb',
        'html_url text',
        '_sdc_extracted_at timestamptz',
    ], from_source='github', key=['repo_id', 'sha']) }}
)

select
    concat(repo_id, ':', sha) as commit_key,
    repo_id,
    concat_ws('/', org, repo) as repository,
    org,
    sha,
    commit ->> 'message' as message,
    split_part(commit ->> 'message', E'\n', 1) as title,
    (author ->> 'id')::bigint as author_id,
    author ->> 'login' as author_login,
    commit -> 'author' ->> 'name' as author_name,
    commit -> 'author' ->> 'email' as author_email,
    committer ->> 'login' as committer_login,
    coalesce(author ->> 'type', '') = 'Bot' as is_by_bot,
    authored_at,
    committed_at,
    case when jsonb_typeof(parents) = 'array' then jsonb_array_length(parents) end as parent_count,
    coalesce(jsonb_typeof(parents) = 'array' and jsonb_array_length(parents) > 1, false) as is_merge,
    html_url,
    _sdc_extracted_at as extracted_at
from commits
