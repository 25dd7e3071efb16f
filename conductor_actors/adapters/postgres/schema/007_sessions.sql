-- Every session that has a row, and its figures once it has ended. `started_at` is its first row,
-- and `ended_at` the tick after its last event, which is known with its last row: `last_row_at`. One
-- whose collector was lost ended with the row that is there. The figures are those until
-- `summarised_at`.
CREATE TABLE sessions (
    tenant_id text NOT NULL,
    session_id text NOT NULL,
    event_id text NOT NULL,
    started_at timestamptz NOT NULL,
    ended_at timestamptz,
    summarised_at timestamptz,
    ticks bigint,
    mean_score double precision,
    peak_score double precision,
    peak_at timestamptz,
    peak_users bigint,
    last_row_at timestamptz,
    PRIMARY KEY (tenant_id, session_id)
);
CREATE INDEX idx_sessions_started ON sessions (tenant_id, started_at DESC, session_id);
CREATE INDEX idx_sessions_live ON sessions (tenant_id, started_at DESC, session_id)
    WHERE ended_at IS NULL;
CREATE INDEX idx_sessions_event ON sessions (tenant_id, event_id, started_at DESC, session_id);
CREATE INDEX idx_sessions_unsummarised ON sessions (ended_at)
    WHERE ended_at IS DISTINCT FROM summarised_at;

-- What people call sessions and events. Both may be stored before a session begins: `event_id` is
-- the event that was given with a title, for sessions without rows. No title is NULL.
CREATE TABLE session_titles (
    tenant_id text NOT NULL,
    session_id text NOT NULL,
    event_id text,
    title text,
    speakers text[] NOT NULL DEFAULT '{}',
    planned_begin timestamptz,
    planned_end timestamptz,
    updated_at timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, session_id)
);
-- What was planned for recently, or is: of the others, nobody asks without their sessions.
CREATE INDEX idx_session_titles_planned
    ON session_titles (tenant_id, coalesce(planned_end, planned_begin, updated_at));
CREATE TABLE event_titles (
    tenant_id text NOT NULL,
    event_id text NOT NULL,
    title text,
    updated_at timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, event_id)
);

-- The sessions of rows that are stored already.
INSERT INTO sessions (tenant_id, session_id, event_id, started_at)
SELECT tenant_id, session_id, newest.event_id, started_at
FROM (
    SELECT tenant_id, session_id, min(time) AS started_at
    FROM engagement_metrics
    GROUP BY tenant_id, session_id
) AS stored
CROSS JOIN LATERAL (
    SELECT event_id FROM engagement_metrics AS row
    WHERE row.tenant_id = stored.tenant_id AND row.session_id = stored.session_id
    ORDER BY time DESC
    LIMIT 1
) AS newest;

-- Default privileges, which give the users of roles.sql the others, hold for every table.
DO $$
BEGIN
    IF EXISTS (
        SELECT FROM pg_roles
        WHERE rolname = 'conductor_writer'
          AND has_table_privilege(oid, 'sessions'::regclass, 'INSERT')
    ) THEN
        GRANT UPDATE ON sessions, session_titles, event_titles TO conductor_writer;
    END IF;
    IF EXISTS (
        SELECT FROM pg_roles
        WHERE rolname = 'conductor_reader'
          AND has_table_privilege(oid, 'sessions'::regclass, 'SELECT')
    ) THEN
        GRANT INSERT, UPDATE ON session_titles, event_titles TO conductor_reader;
    END IF;
END $$;
