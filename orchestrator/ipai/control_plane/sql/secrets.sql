-- Secrets and the record of who had them. A heading names the statement below it. No statement shows a value but `read`
-- and `read_for_check`, and those only through the functions of the schema.

-- name: vault_there
select to_regclass('vault.decrypted_secrets') is not null as there

-- name: secrets
select s.name, s.backend, s.key_id, s.vault_id, s.expires_at, s.created_at, s.rotated_at, r.at as last_read_at
from connectors.secrets s left join lateral (
    select a.at from connectors.secret_access a
    where a.secret = s.name and a.action = 'read' and a.allowed order by a.id desc limit 1
) r on true
where %(name)s::text is null or s.name = %(name)s
order by s.name

-- name: named_by
select name as instance from connectors.connector_instances where %(name)s in (select connectors.secrets_of(name)) order by name

-- name: hold_name
select pg_advisory_xact_lock(hashtextextended('ipai.secret.' || %(name)s, 0))

-- name: insert
insert into connectors.secrets (name, backend, ciphertext, key_id, vault_id, expires_at)
values (%(name)s, %(backend)s, %(ciphertext)s, %(key_id)s, %(vault_id)s, %(expires_at)s)

-- name: update
update connectors.secrets
set ciphertext = %(ciphertext)s, key_id = %(key_id)s, expires_at = %(expires_at)s, rotated_at = now()
where name = %(name)s

-- name: delete
delete from connectors.secrets where name = %(name)s

-- name: note
insert into connectors.secret_access (secret, action, actor, why)
values (%(name)s, %(action)s, connectors.secret_actor(), %(why)s)

-- name: vault_create
select vault.create_secret(%(value)s, %(vault_name)s, %(description)s) as id

-- name: vault_update
select vault.update_secret(%(id)s, %(value)s)

-- Vault has no function for this.
-- name: vault_delete
delete from vault.secrets where id = %(id)s

-- name: sealed
select name, ciphertext, key_id from connectors.secrets where backend = 'table' order by name for update

-- name: reseal
update connectors.secrets set ciphertext = %(ciphertext)s, key_id = %(key_id)s where name = %(name)s

-- name: read
select outcome, ciphertext, key_id, value from connectors.read_secret(%(run)s, %(token)s, %(name)s, %(why)s)

-- name: read_for_check
select outcome, ciphertext, key_id, value from connectors.read_secret_for_check(%(instance)s, %(name)s, %(why)s)

-- name: tell_expiring
select connectors.tell_expiring_secrets() as name

-- name: accesses
select id, at, secret, action, allowed, outcome, actor, run_id, instance, why from connectors.secret_access
where %(name)s::text is null or secret = %(name)s
order by id desc limit %(limit)s
