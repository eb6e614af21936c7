-- One row per pull request with what its reviews and its commits tell about it.
with pulls as (
    {{ bronze_latest('pull_requests', [
        'id bigint',
        'repo_id bigint',
        'org text',
        'repo text',
        'number bigint',
        'title text',
        'state text',
        'draft boolean',
        'user_id bigint',
        'user_login text',
        'user jsonb',
        'labels jsonb',
        'milestone jsonb',
        'base jsonb',
        'head jsonb',
        'created_at timestamptz',
        'updated_at timestamptz',
        'closed_at timestamptz',
        'merged_at timestamptz',
        'merge_commit_sha text',
        'html_url text',
        '_sdc_extracted_at timestamptz',
    ], from_source='github') }}
),

reviews as (
    {{ bronze_latest('reviews', [
        'id bigint',
        'repo_id bigint',
        'pull_number bigint',
        'user_id bigint',
        'user_login text',
        'state text',
        'submitted_at timestamptz',
    ], optional=true, from_source='github') }}
),

commits as (
    {{ bronze_latest('pull_request_commits', [
        'repo_id bigint',
        'pull_number bigint',
        'sha text',
        'authored_at timestamptz',
        'committed_at timestamptz',
    ], optional=true, from_source='github', key=['repo_id', 'pull_number', 'sha']) }}
),

-- An author's answers to reviewers are reviews as well, to GitHub; nobody reviews their own work here. A pending
-- review has not been handed in.
review_facts as (
    select
        pulls.id,
        count(*) as review_count,
        count(distinct reviews.user_login) as reviewer_count,
        count(*) filter (where reviews.state = 'APPROVED') as approval_count,
        count(*) filter (where reviews.state = 'CHANGES_REQUESTED') as change_request_count,
        min(reviews.submitted_at) as first_review_at,
        min(reviews.submitted_at) filter (where reviews.state = 'APPROVED') as first_approval_at
    from pulls
    inner join reviews on reviews.repo_id = pulls.repo_id and reviews.pull_number = pulls.number
    where reviews.submitted_at is not null and reviews.user_id is distinct from pulls.user_id
    group by pulls.id
),

commit_facts as (
    select
        pulls.id,
        count(*) as commit_count,
        min(commits.authored_at) as first_commit_at
    from pulls
    inner join commits on commits.repo_id = pulls.repo_id and commits.pull_number = pulls.number
    group by pulls.id
)

select
    pulls.id as pull_request_id,
    pulls.repo_id,
    concat_ws('/', pulls.org, pulls.repo) as repository,
    pulls.org,
    pulls.number,
    pulls.title,
    pulls.state,
    pulls.merged_at is not null as is_merged,
    coalesce(pulls.draft, false) as is_draft,
    pulls.user_id as author_id,
    pulls.user_login as author_login,
    coalesce(pulls.user ->> 'type', '') = 'Bot' as is_by_bot,
    {{ names_in('pulls.labels') }} as labels,
    pulls.milestone ->> 'title' as milestone,
    pulls.base ->> 'ref' as base_branch,
    pulls.head ->> 'ref' as head_branch,
    pulls.created_at,
    pulls.updated_at,
    pulls.closed_at,
    pulls.merged_at,
    pulls.merge_commit_sha,
    commit_facts.commit_count,
    commit_facts.first_commit_at,
    coalesce(review_facts.review_count, 0) as review_count,
    coalesce(review_facts.reviewer_count, 0) as reviewer_count,
    coalesce(review_facts.approval_count, 0) as approval_count,
    coalesce(review_facts.change_request_count, 0) as change_request_count,
    review_facts.first_review_at,
    review_facts.first_approval_at,
    {{ hours_between('commit_facts.first_commit_at', 'pulls.merged_at') }} as lead_time_hours,
    {{ hours_between('pulls.created_at', 'pulls.merged_at') }} as hours_to_merge,
    {{ hours_between('pulls.created_at', 'review_facts.first_review_at') }} as hours_to_first_review,
    {{ hours_between('review_facts.first_review_at', 'pulls.merged_at') }} as hours_in_review,
    pulls.html_url,
    pulls._sdc_extracted_at as extracted_at
from pulls
left join review_facts on review_facts.id = pulls.id
left join commit_facts on commit_facts.id = pulls.id
