-- name: migration_lock
-- One migrator at a time; the second finds all done.
lock table schema_migration in exclusive mode
-- name: migration_done
select name, sha256, sha256 = encode(sha256(convert_to($2, 'UTF8')), 'hex') as same
from schema_migration where version = $1::integer
-- name: migration_latest
select coalesce(max(version), 0) as version from schema_migration
-- name: migration_note
insert into schema_migration (version, name, sha256)
values ($1::integer, $2, encode(sha256(convert_to($3, 'UTF8')), 'hex'))
