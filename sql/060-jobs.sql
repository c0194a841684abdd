-- Jobs that wait without holding a worker, and writers that were overtaken.

alter table job
    -- not before; a job that waits for something outside is pending with a later one
    add column due timestamptz not null default now(),
    -- counts the turns of workers at it; a worker whose turn is over writes nothing more
    add column turn bigint not null default 0,
    -- what the job itself must know in its next turn, whoever carries it out
    add column notes jsonb not null default '{}';
create index job_due on job (due, id) where state = 'pending';
