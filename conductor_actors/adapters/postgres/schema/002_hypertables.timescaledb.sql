-- Chunks are what retention drops and the columnstore compresses: a day of the busy table, a
-- week of the others. No default indexes: the keys and indexes of the tables are enough.

SELECT {timescaledb}.create_hypertable(
    'engagement_metrics', {timescaledb}.by_range('time', INTERVAL '1 day'),
    create_default_indexes => FALSE, migrate_data => TRUE
);
SELECT {timescaledb}.create_hypertable(
    'interventions', {timescaledb}.by_range('timestamp', INTERVAL '7 days'),
    create_default_indexes => FALSE, migrate_data => TRUE
);
SELECT {timescaledb}.create_hypertable(
    'agent_performance', {timescaledb}.by_range('time', INTERVAL '7 days'),
    create_default_indexes => FALSE, migrate_data => TRUE
);
SELECT {timescaledb}.create_hypertable(
    'anomalies', {timescaledb}.by_range('timestamp', INTERVAL '7 days'),
    create_default_indexes => FALSE, migrate_data => TRUE
);
