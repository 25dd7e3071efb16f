-- The interventions of an event, those of all sessions, and the trials of a tenant are read by time.
CREATE INDEX idx_intervention_event ON interventions (event_id, timestamp);
CREATE INDEX idx_intervention_time ON interventions (timestamp);
CREATE INDEX idx_performance_tenant ON agent_performance (tenant_id, time);

-- Each change of an intervention is stored in its row. Default privileges, which give the users of
-- roles.sql the others, hold for every table.
DO $$
BEGIN
    IF EXISTS (
        SELECT FROM pg_roles
        WHERE rolname = 'conductor_writer'
          AND has_table_privilege(oid, 'interventions'::regclass, 'INSERT')
    ) THEN
        GRANT UPDATE (status, outcome, metadata) ON interventions TO conductor_writer;
    END IF;
END $$;
