-- Segmenting and ordering cover each primary key, so that a late row's key can be looked up
-- without decompressing more than its segment.

ALTER TABLE engagement_metrics SET (
    timescaledb.enable_columnstore = TRUE,
    timescaledb.segmentby = 'tenant_id, session_id',
    timescaledb.orderby = 'time DESC'
);
ALTER TABLE interventions SET (
    timescaledb.enable_columnstore = TRUE,
    timescaledb.segmentby = 'tenant_id',
    timescaledb.orderby = 'timestamp DESC, id'
);
ALTER TABLE agent_performance SET (
    timescaledb.enable_columnstore = TRUE,
    timescaledb.segmentby = 'tenant_id',
    timescaledb.orderby = 'time DESC, id'
);
ALTER TABLE anomalies SET (
    timescaledb.enable_columnstore = TRUE,
    timescaledb.segmentby = 'tenant_id',
    timescaledb.orderby = 'timestamp DESC, id'
);

CALL {timescaledb}.add_columnstore_policy('engagement_metrics', after => INTERVAL '7 days', if_not_exists => TRUE);
CALL {timescaledb}.add_columnstore_policy('interventions', after => INTERVAL '7 days', if_not_exists => TRUE);
CALL {timescaledb}.add_columnstore_policy('agent_performance', after => INTERVAL '7 days', if_not_exists => TRUE);
CALL {timescaledb}.add_columnstore_policy('anomalies', after => INTERVAL '7 days', if_not_exists => TRUE);
