-- The anomalies of all sessions are read by time.
CREATE INDEX idx_anomaly_time ON anomalies (timestamp);

-- The end of an anomaly and feedback on it are added to its metadata. Default privileges, which
-- give the users of roles.sql the others, hold for every table.
DO $$
DECLARE
    role text;
BEGIN
    FOR role IN
        SELECT rolname FROM pg_roles
        WHERE rolname IN ('conductor_writer', 'conductor_reader')
          AND has_table_privilege(pg_roles.oid, 'anomalies'::regclass, 'SELECT')
    LOOP
        EXECUTE format('GRANT UPDATE (metadata) ON anomalies TO %I', role);
    END LOOP;
END $$;
