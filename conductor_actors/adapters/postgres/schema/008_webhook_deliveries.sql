-- What is to be sent to webhooks, and what was sent. Those of a session are sent one after the other,
-- in the order of `occurred_at` and `position`. `body` is null until a report is sent first.
CREATE TABLE webhook_deliveries (
    id uuid PRIMARY KEY,
    tenant_id text NOT NULL,
    session_id text NOT NULL,
    type text NOT NULL,
    occurred_at timestamptz NOT NULL,
    position integer NOT NULL,
    body text,
    state text NOT NULL DEFAULT 'pending' CHECK (state IN ('pending', 'delivered', 'dead')),
    attempts integer NOT NULL DEFAULT 0,
    enqueued_at timestamptz NOT NULL DEFAULT now(),
    first_attempt_at timestamptz,
    next_attempt_at timestamptz NOT NULL,
    finished_at timestamptz,
    last_status integer,
    last_error text
);
CREATE INDEX idx_deliveries_due ON webhook_deliveries (tenant_id, next_attempt_at)
    WHERE state = 'pending';
CREATE INDEX idx_deliveries_session
    ON webhook_deliveries (tenant_id, session_id, occurred_at, position) WHERE state = 'pending';
CREATE INDEX idx_deliveries_finished ON webhook_deliveries (state, finished_at)
    WHERE state <> 'pending';

-- Default privileges, which give the users of roles.sql the others, hold for every table.
DO $$
BEGIN
    IF EXISTS (
        SELECT FROM pg_roles
        WHERE rolname = 'conductor_writer'
          AND has_table_privilege(oid, 'webhook_deliveries'::regclass, 'INSERT')
    ) THEN
        GRANT UPDATE, DELETE ON webhook_deliveries TO conductor_writer;
    END IF;
END $$;
