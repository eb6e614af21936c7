-- What Gold counts over all weeks is what Bronze holds, repository by repository: nothing lost, nothing counted twice.
with pulls as (
    {{ bronze_latest('pull_requests', [
        'id bigint', 'repo_id bigint', 'created_at timestamptz', 'closed_at timestamptz', 'merged_at timestamptz',
    ], from_source='github') }}
),

issues as (
    {{ bronze_latest('issues', [
        'id bigint', 'repo_id bigint', 'pull_request jsonb', 'created_at timestamptz', 'closed_at timestamptz',
    ], from_source='github') }}
),

commits as (
    {{ bronze_latest('commits', [
        'repo_id bigint', 'sha text', 'committed_at timestamptz',
    ], from_source='github', key=['repo_id', 'sha']) }}
),

bronze as (
    select repo_id, 'opened' as event, count(created_at) as number from pulls group by repo_id
    union all
    select repo_id, 'merged', count(merged_at) from pulls group by repo_id
    union all
    select repo_id, 'rejected', count(closed_at) filter (where merged_at is null) from pulls group by repo_id
    union all
    select repo_id, 'commits', count(committed_at) from commits group by repo_id
    union all
    select repo_id, 'issues opened', count(created_at) from issues where pull_request is null group by repo_id
    union all
    select repo_id, 'issues closed', count(closed_at) from issues where pull_request is null group by repo_id
),

gold as (
    select
        repo_id,
        unnest(array['opened', 'merged', 'rejected', 'commits', 'issues opened', 'issues closed']) as event,
        unnest(array[
            sum(pull_requests_opened), sum(pull_requests_merged), sum(pull_requests_rejected),
            sum(commits), sum(issues_opened), sum(issues_closed)
        ]) as number
    from {{ ref('gold_engineering_delivery') }}
    group by repo_id
)

select repo_id, event, bronze.number as bronze_number, gold.number as gold_number
from bronze
full join gold using (repo_id, event)
where coalesce(bronze.number, 0) <> coalesce(gold.number, 0)
