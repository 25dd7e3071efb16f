-- WITH NO DATA, because filling the view at once can't be done in a transaction: the first run
-- of the policy does it. materialized_only = FALSE adds the newest rows, not yet aggregated.
-- start_offset NULL: late rows of any age count, and what retention drops goes here too.

-- The refresh reads by time alone.
CREATE INDEX idx_engagement_time ON engagement_metrics (time);

CREATE MATERIALIZED VIEW engagement_1m
WITH (timescaledb.continuous, timescaledb.materialized_only = FALSE) AS
SELECT
    {timescaledb}.time_bucket(INTERVAL '1 minute', time) AS bucket,
    tenant_id,
    session_id,
    avg(engagement_score) AS avg_score,
    min(engagement_score) AS min_score,
    max(engagement_score) AS max_score,
    max(active_users) AS max_active_users,
    max(total_users) AS max_total_users,
    count(*) AS ticks
FROM engagement_metrics
GROUP BY bucket, tenant_id, session_id
WITH NO DATA;

SELECT {timescaledb}.add_continuous_aggregate_policy(
    'engagement_1m',
    start_offset => NULL,
    end_offset => INTERVAL '1 minute',
    schedule_interval => INTERVAL '1 minute'
);
