-- Who changed what. A heading names the statement below it.

-- name: newest
select id, at, actor, action, subject, details
from connectors.audit_log
where %(subject)s::text is null or subject = %(subject)s or starts_with(subject, %(subject)s || '/')
order by id desc
limit %(limit)s
