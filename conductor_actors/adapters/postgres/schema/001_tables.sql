-- The four tables. Keys start with what is unique and end with the time column, which every
-- unique index of a hypertable must contain.

CREATE TABLE engagement_metrics (
    time timestamptz NOT NULL,
    tenant_id text NOT NULL,
    session_id text NOT NULL,
    event_id text NOT NULL,
    engagement_score double precision NOT NULL,
    category text NOT NULL,
    chat_msgs_per_min double precision NOT NULL,
    poll_participation double precision NOT NULL,
    active_users bigint NOT NULL,
    total_users bigint NOT NULL,
    reactions_per_min double precision NOT NULL,
    user_leave_rate double precision NOT NULL,
    metadata jsonb NOT NULL DEFAULT '{}',
    PRIMARY KEY (tenant_id, session_id, time)
);
CREATE INDEX idx_session_time ON engagement_metrics (session_id, time);
CREATE INDEX idx_engagement_score ON engagement_metrics (engagement_score);

CREATE TABLE interventions (
    id uuid NOT NULL,
    timestamp timestamptz NOT NULL,
    tenant_id text NOT NULL,
    session_id text NOT NULL,
    event_id text NOT NULL,
    type text NOT NULL,
    status text NOT NULL,
    confidence double precision,
    reasoning text,
    outcome jsonb,
    metadata jsonb NOT NULL DEFAULT '{}',
    PRIMARY KEY (id, timestamp)
);
CREATE INDEX idx_intervention_session ON interventions (session_id, timestamp);

CREATE TABLE agent_performance (
    id uuid NOT NULL,
    time timestamptz NOT NULL,
    tenant_id text NOT NULL,
    agent_id text NOT NULL,
    intervention_type text NOT NULL,
    success boolean,
    engagement_delta double precision,
    confidence double precision,
    session_id text,
    metadata jsonb NOT NULL DEFAULT '{}',
    PRIMARY KEY (id, time)
);
CREATE INDEX idx_agent_performance ON agent_performance (agent_id, time);

CREATE TABLE anomalies (
    id uuid NOT NULL,
    timestamp timestamptz NOT NULL,
    tenant_id text NOT NULL,
    session_id text NOT NULL,
    event_id text NOT NULL,
    anomaly_type text NOT NULL,
    severity text NOT NULL,
    anomaly_score double precision NOT NULL,
    current_engagement double precision NOT NULL,
    expected_engagement double precision NOT NULL,
    deviation double precision NOT NULL,
    signals jsonb NOT NULL DEFAULT '{}',
    metadata jsonb NOT NULL DEFAULT '{}',
    PRIMARY KEY (id, timestamp)
);
CREATE INDEX idx_anomaly_session ON anomalies (session_id, timestamp);
